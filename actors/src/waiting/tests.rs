//! What is told of missing answers, and how often.

use renewd_events::Event;
use renewd_events::WallMs;
use renewd_events::id::{BootNo, Seq, StreamId};
use renewd_events::intent::Meta;
use renewd_events::problem::ProblemClass;

use super::*;

const ID: OrderId = OrderId([1; 16]);
const RENEWAL: RenewalId = RenewalId([2; 16]);
const KEY: EffectKey = EffectKey {
    kind: crate::effect::LOOK_PENDING,
    stream: StreamId { kind: renewd_events::id::StreamKind::Order, id: [1; 16] },
    version: 0,
};

fn said(class: ProblemClass, kind: &str, status: u16) -> Problem {
    let mut problem = Problem::new(class, kind, "");
    problem.status = status;
    problem
}

fn page(status: u16) -> Problem {
    said(ProblemClass::Http, "no-problem-document", status)
}

/// A look ends; what is recorded of it. The order folds it as the journal would.
fn look(order: &mut Order, session: &mut Session, problem: Option<Problem>) -> Option<OrderEvent> {
    let looks = session.looks.entry(KEY).or_default();
    looks.count += 1;
    looks.failures = if problem.is_some() { looks.failures + 1 } else { 0 };
    looks.last = WallMs(u64::from(looks.count) * 1000);
    looks.not_before = WallMs(looks.last.0 + 500);
    looks.problem = problem;
    let mut recorded = None;
    // Decided again and again until nothing is left to record, as the shell does.
    for round in 0.. {
        let questions = [Question::new(Asked::Order, vec![KEY])];
        let decision = told(Decision::none(), (ID, order, RENEWAL), &questions, session);
        let Some(new) = decision.records.into_iter().next() else {
            return recorded;
        };
        assert_eq!((round, new.renewal), (0, Some(RENEWAL)), "one fact per look at most");
        let Event::Order(event) = new.event else { panic!("{:?}", new.event) };
        let meta = Meta {
            seq: Seq(9),
            stream: ID.into(),
            version: 9,
            at: session.looks[&KEY].last,
            boot: BootNo(1),
            incarnation: 1,
            renewal: Some(RENEWAL),
        };
        order.evolve(&meta, &event);
        recorded = Some(event);
    }
    recorded
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let (mut order, mut session) = (Order::default(), Session::default());
    assert_eq!(look(&mut order, &mut session, None), None, "no outage, no end of one");
    let first = look(&mut order, &mut session, Some(page(503)));
    let again = Some(WallMs(2500));
    assert_eq!(
        first,
        Some(OrderEvent::AnswerMissing { asked: Asked::Order, problem: page(503), again })
    );
    for _ in 0..100 {
        assert_eq!(look(&mut order, &mut session, Some(page(503))), None);
    }
    assert!(look(&mut order, &mut session, Some(page(502))).is_some(), "another kind is news");
    let came = Some(OrderEvent::AnswerCame { asked: Asked::Order });
    assert_eq!(look(&mut order, &mut session, None), came);
    assert_eq!(look(&mut order, &mut session, None), None);
}

#[test]
fn another_life_does_not_tell_it_again() {
    let (mut order, mut session) = (Order::default(), Session::default());
    assert!(look(&mut order, &mut session, Some(page(503))).is_some());
    let mut session = Session::default();
    let questions = [Question::new(Asked::Order, vec![KEY])];
    let at = (ID, &order, RENEWAL);
    assert!(told(Decision::none(), at, &questions, &session).records.is_empty(), "nothing seen");
    assert_eq!(look(&mut order, &mut session, Some(page(503))), None);
}

#[test]
fn a_ca_that_changes_its_mind_all_day_is_told_a_bounded_number_of_times() {
    let (mut order, mut session) = (Order::default(), Session::default());
    let mut facts = 0;
    for n in 0..1000 {
        let problem = if n % 3 == 0 { None } else { Some(page(500 + n % 3)) };
        facts += u32::from(look(&mut order, &mut session, problem).is_some());
    }
    assert_eq!(order.told, bounds::ANSWERS_TOLD_MAX);
    assert!(facts <= 2 * bounds::ANSWERS_TOLD_MAX, "{facts}");
}

#[test]
fn what_is_to_be_recorded_goes_first_and_giving_up_is_said_once() {
    let mut session = Session::default();
    let mut order = Order::default();
    let came = fact(ID, OrderEvent::AnswerCame { asked: Asked::Chain }, None, None);
    let looks = Looks { count: 1, failures: 1, problem: Some(page(503)), ..Looks::default() };
    session.looks.insert(KEY, looks);
    let questions = [Question::new(Asked::Order, vec![KEY])];
    let decision = Decision::record(vec![came.clone()]);
    let decision = told(decision, (ID, &order, RENEWAL), &questions, &session);
    assert_eq!(decision.records, [came]);

    let junk = said(ProblemClass::Protocol, "json", 200);
    let at = (ID, &order, RENEWAL);
    let [event] = &given_up(at, Asked::Authorizations, &junk)[..] else { panic!() };
    let Event::Order(event) = &event.event else { panic!() };
    let meta = Meta {
        seq: Seq(1),
        stream: ID.into(),
        version: 1,
        at: WallMs(1),
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    };
    order.evolve(&meta, event);
    assert_eq!(order.given_up(), Some((Asked::Authorizations, &junk)));
    assert!(given_up((ID, &order, RENEWAL), Asked::Authorizations, &junk).is_empty());
}
