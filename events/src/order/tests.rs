//! Missing answers in the fold: told, kept apart, ended by whatever shows progress.

use super::*;
use crate::id::{BootNo, StreamId, StreamKind};
use crate::problem::ProblemClass;

fn meta(seq: u64) -> Meta {
    Meta {
        seq: Seq(seq),
        stream: StreamId { kind: StreamKind::Order, id: [1; 16] },
        version: 1,
        at: WallMs(seq * 1000),
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    }
}

fn missing(asked: Asked, status: u16, again: Option<WallMs>) -> OrderEvent {
    let mut problem = Problem::new(ProblemClass::Http, "no-problem-document", "<html>");
    problem.status = status;
    OrderEvent::AnswerMissing { asked, problem, again }
}

fn pending() -> Order {
    let mut order = Order::default();
    let request = NewOrder {
        certificate: CertificateId([2; 16]),
        account: AccountId([3; 16]),
        identifiers: Vec::new(),
        profile: None,
        replaces: None,
    };
    order.evolve(&meta(1), &OrderEvent::OrderRequested(request));
    let created = OrderEvent::OrderCreated {
        url: "https://ca/o".to_owned(),
        authorizations: Vec::new(),
        status: OrderStatus::Pending,
        expires: None,
        found: Found::Answer,
    };
    order.evolve(&meta(2), &created);
    order
}

#[test]
fn a_missing_answer_changes_nothing_that_is_decided_by() {
    let before = pending();
    let mut order = before.clone();
    order.evolve(&meta(3), &missing(Asked::Order, 503, Some(WallMs(5000))));
    order.evolve(&meta(4), &missing(Asked::Order, 502, Some(WallMs(9000))));
    order.evolve(&meta(5), &missing(Asked::Authorizations, 503, Some(WallMs(9000))));
    assert_eq!((order.since, &order.phase), (before.since, &before.phase));
    let told = &order.missing[&Asked::Order];
    assert_eq!((told.since, told.at, told.seq), (WallMs(3000), WallMs(4000), Seq(4)));
    assert_eq!((order.missing.len(), order.told, order.given_up()), (2, 3, None));
    order.evolve(&meta(6), &OrderEvent::AnswerCame { asked: Asked::Order });
    assert_eq!(order.missing.keys().copied().collect::<Vec<_>>(), [Asked::Authorizations]);
    order.missing.clear();
    order.told = 0;
    assert_eq!(order, before);
}

#[test]
fn progress_ends_every_outage_and_the_bound_counts_on() {
    let mut order = pending();
    order.evolve(&meta(3), &missing(Asked::Order, 503, Some(WallMs(5000))));
    order.evolve(&meta(4), &missing(Asked::Challenge, 503, Some(WallMs(5000))));
    order.evolve(&meta(5), &OrderEvent::OrderBecameReady { looks: 2 });
    assert!(order.missing.is_empty());
    assert_eq!((order.told, order.since), (2, WallMs(5000)));
}

#[test]
fn the_kind_counts_not_the_words() {
    let mut order = pending();
    order.evolve(&meta(3), &missing(Asked::Authorizations, 200, None));
    let told = &order.missing[&Asked::Authorizations];
    let mut problem = told.problem.clone();
    problem.detail = "other words".to_owned();
    problem.retry_after_ms = Some(1);
    assert!(told.is_like(&problem));
    problem.status = 503;
    assert!(!told.is_like(&problem));
    assert_eq!(order.given_up().map(|(asked, _)| asked), Some(Asked::Authorizations));
}
