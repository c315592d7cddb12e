//! What is asked in vain: a chain that cannot be fetched, and junk in place of the list of orders.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::certificate::{CertificateEvent, Declaration, LifeLeft};
use renewd_events::event::Event;
use renewd_events::id::{AccountId, BootNo};
use renewd_events::order::{OrderEvent, Phase};
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::decide;
use crate::bounds::{DOWNLOAD_MAX, HOPELESS_AFTER, LIST_ASKED_MAX, ORDER_STALLED};
use crate::decision::{Decision, Looks, Session};
use crate::effect::Effect;
use crate::folded_tests::{Folded, ID, NOW, context, order, request};

const MS: Duration = Duration::from_millis(1);

fn at(log: &Folded, (effect, looks): (&Effect, Looks), now: WallMs) -> Decision {
    let mut session = Session::default();
    session.looks.insert(effect.key(), looks);
    decide(&log.facts, ID, &session, &context(now, BootNo(2)))
}

fn failed(decision: &Decision) -> Option<Problem> {
    decision.records.iter().find_map(|new| {
        let Event::Certificate(CertificateEvent::RenewalFailed { problem, .. }) = &new.event else {
            return None;
        };
        Some(problem.clone())
    })
}

fn vain(problem: &Problem, waited: Duration) -> Looks {
    let (failures, problem) = (HOPELESS_AFTER, Some(problem.clone()));
    Looks { count: failures, failures, last: NOW, waited, problem, ..Looks::default() }
}

/// An order whose certificate is ready, and its fetching.
fn ready() -> (Folded, Effect) {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    log.say(order(ID, 1), OrderEvent::CertificateReady { url: String::new(), looks: 0 });
    let url = "https://ca.test/order/1".to_owned();
    (log, Effect::Download(order(ID, 1), request(ID).account, url))
}

#[test]
fn a_chain_that_cannot_be_fetched_is_given_up_after_a_day() {
    let (log, effect) = ready();
    let ends = |class, waited, now| {
        let problem = Problem::new(class, "timeout", "no answer");
        let decision = at(&log, (&effect, vain(&problem, waited)), now);
        let failed = failed(&decision);
        assert_eq!(decision.effects.is_empty() && decision.wake.is_none(), failed.is_some());
        failed.map(|problem| (problem.kind, problem.detail))
    };
    for class in [ProblemClass::Transport, ProblemClass::Http, ProblemClass::Local] {
        let day = NOW.after(DOWNLOAD_MAX);
        assert_eq!(ends(class, DOWNLOAD_MAX - MS, day.before(MS)), None);
        let told = ends(class, DOWNLOAD_MAX, NOW);
        let text = "the chain could not be fetched for 24 hours: no answer".to_owned();
        assert_eq!(told, Some(("timeout".to_owned(), text)), "the clock was set back meanwhile");
        // A host that starts every night ends it too; a clock that jumped ahead does not.
        assert!(ends(class, ORDER_STALLED, day).is_some());
        assert_eq!(ends(class, ORDER_STALLED - MS, day.after(DOWNLOAD_MAX)), None);
        assert_eq!(ends(class, ORDER_STALLED, day.before(MS)), None);
    }
    // The first try of a life comes whatever the log says.
    let fresh = at(&log, (&effect, Looks::default()), NOW.after(DOWNLOAD_MAX * 3));
    assert_eq!((fresh.effects.len(), failed(&fresh)), (1, None));
}

#[test]
fn a_chain_of_an_account_that_is_not_configured_any_more_is_given_up_at_once() {
    let (mut log, effect) = ready();
    let once = |problem: &Problem| Looks { count: 1, failures: 1, ..vain(problem, MS) };
    let silent = Problem::new(ProblemClass::Transport, "timeout", "");
    let unknown = Problem::new(ProblemClass::Local, "account-unknown", "");
    assert_eq!(failed(&at(&log, (&effect, once(&silent)), NOW)), None);
    let kind = |log: &Folded, looks| failed(&at(log, (&effect, looks), NOW)).map(|it| it.kind);
    assert_eq!(kind(&log, once(&unknown)).as_deref(), Some("account-unknown"));
    log.say(
        ID,
        CertificateEvent::CertificateDeclared(Declaration {
            name: "a".to_owned(),
            account: AccountId([9; 16]),
            identifiers: request(ID).identifiers,
            profile: None,
            ari: true,
            life_left: LifeLeft::Share(1, 3),
        }),
    );
    assert_eq!(kind(&log, Looks::default()), None, "a try comes first: it is paid for");
    assert_eq!(kind(&log, once(&silent)).as_deref(), Some("account-unknown"));
}

#[test]
fn junk_in_place_of_the_list_is_asked_past_for_hours() {
    let log = Folded::ordered(ID);
    let phase = log.facts.order_of(ID).map(|(_, order)| &order.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("{phase:?}") };
    let effect = Effect::FindOrder(order(ID, 1), intent.clone(), Vec::new());
    let ends = |problem: &Problem, waited, now| {
        let decision = at(&log, (&effect, vain(problem, waited)), now);
        failed(&decision).is_some()
    };
    let acme = |kind: &str| {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        Problem { status: 403, ..Problem::new(ProblemClass::Acme, &kind, "") }
    };
    let junk = Problem::new(ProblemClass::Protocol, "html", "");
    let missing = Problem { status: 404, ..Problem::new(ProblemClass::Http, "x", "") };
    let end = NOW.after(LIST_ASKED_MAX);
    for problem in [junk, missing, acme("malformed")] {
        assert!(!ends_told(&log, &effect, &problem, LIST_ASKED_MAX - MS, end.before(MS)));
        assert!(ends(&problem, LIST_ASKED_MAX, end), "{problem:?}");
        assert!(ends(&problem, ORDER_STALLED, end));
        assert!(!ends_told(&log, &effect, &problem, ORDER_STALLED - MS, end));
    }
    // What more asking does not change, and an outage.
    let local = Problem::new(ProblemClass::Local, "x", "");
    for problem in [local, acme("accountDoesNotExist"), acme("userActionRequired")] {
        assert!(ends(&problem, MS, NOW), "{problem:?}");
    }
    let outage = Problem::new(ProblemClass::Transport, "timeout", "");
    assert!(!ends_told(&log, &effect, &outage, LIST_ASKED_MAX * 9, end));
}

/// Whether the renewal ends; where it does not, the missing answer is told and the question goes on.
fn ends_told(
    log: &Folded,
    effect: &Effect,
    problem: &Problem,
    waited: Duration,
    now: WallMs,
) -> bool {
    let decision = at(log, (effect, vain(problem, waited)), now);
    let told = decision.records.iter().any(|new| new.event.name() == "AnswerMissing");
    assert_eq!((told, decision.effects.len()), (true, 1), "{decision:?}");
    failed(&decision).is_some()
}
