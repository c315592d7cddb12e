//! What is done about an order whose answer is lost, that is refused, that waits, or that is dead.

use std::time::Duration;

use renewd_events::authorization::{self, AuthorizationEvent};
use renewd_events::certificate::{CertificateEvent, NOT_CONFIGURED};
use renewd_events::id::{BootNo, CertificateId};
use renewd_events::order::{NewOrder, OrderEvent, Phase};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Event, WallMs};

use renewd_replay::codes::{Step, classify};

use super::decide::decide;
use super::observe::observe;
use super::order::EXPIRED_WHEN_MADE;
use crate::bounds;
use crate::decision::{Decision, Looks, Session};
use crate::effect::{Effect, OrderStage, Outcome};
use crate::folded_tests::{Folded, ID, NOW, context, order, request};
use crate::ports::FoundOrder;

fn at(log: &Folded, session: &Session, now: WallMs) -> Decision {
    decide(&log.facts, ID, session, &context(now, log.boot))
}

fn ordered_again(decision: &Decision) -> Option<NewOrder> {
    decision.records.iter().find_map(|new| {
        let Event::Order(OrderEvent::OrderRequested(request)) = &new.event else { return None };
        Some(request.clone())
    })
}

fn failed(decision: &Decision) -> Option<Problem> {
    decision.records.iter().find_map(|new| {
        let Event::Certificate(CertificateEvent::RenewalFailed { problem, .. }) = &new.event else {
            return None;
        };
        Some(problem.clone())
    })
}

fn unresolved(log: &mut Folded, number: u32) {
    let event = OrderEvent::OrderRequestUnresolved { evidence: String::new() };
    log.say(order(ID, number), event);
}

fn acme(kind: &str) -> Problem {
    Problem::new(ProblemClass::Acme, &format!("urn:ietf:params:acme:error:{kind}"), "")
}

/// The order that is asked for.
fn asked(log: &Folded) -> Durable<NewOrder> {
    let phase = log.facts.order_of(ID).map(|(_, order)| &order.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("no order is asked for: {phase:?}") };
    intent.clone()
}

/// A session in which this was looked at.
fn looked(effect: &Effect, looks: Looks) -> Session {
    let mut session = Session::default();
    session.looks.insert(effect.key(), looks);
    session
}

#[test]
fn an_order_that_nobody_can_tell_of_is_asked_for_again_only_after_a_wait() {
    let mut log = Folded::ordered(ID);
    unresolved(&mut log, 1);
    let due = NOW.after(bounds::LOST_ANSWER_WAIT);
    let early = at(&log, &Session::default(), WallMs(due.0 - 1));
    assert!(early.records.is_empty());
    assert_eq!(early.wake.map(|(at, _)| at), Some(due));
    for now in [due, WallMs(due.0 + 1)] {
        assert_eq!(ordered_again(&at(&log, &Session::default(), now)), Some(request(ID)));
    }
}

#[test]
fn the_last_order_goes_without_replaces_and_no_other_follows() {
    let mut log = Folded::ordered(ID);
    unresolved(&mut log, 1);
    log.at = NOW.after(bounds::LOST_ANSWER_WAIT);
    for number in 2..=bounds::ORDERS_PER_RENEWAL_MAX {
        let now = log.at.after(bounds::LOST_ANSWER_WAIT);
        let next = ordered_again(&at(&log, &Session::default(), now)).unwrap();
        let last = number == bounds::ORDERS_PER_RENEWAL_MAX;
        assert_eq!(next.replaces.is_none(), last, "order {number}");
        log.at = now;
        log.say(order(ID, number), OrderEvent::OrderRequested(next));
        unresolved(&mut log, number);
    }
    let end = at(&log, &Session::default(), log.at.after(bounds::LOST_ANSWER_WAIT));
    assert_eq!(ordered_again(&end), None);
    assert_eq!(failed(&end).unwrap().kind, "answers-lost");
}

#[test]
fn what_came_in_place_of_the_last_answer_is_told() {
    let mut log = Folded::ordered(ID);
    unresolved(&mut log, 1);
    for number in 2..=bounds::ORDERS_PER_RENEWAL_MAX {
        log.say(order(ID, number), OrderEvent::OrderRequested(request(ID)));
        unresolved(&mut log, number);
    }
    let sent = |number| {
        let mut log = Folded::ordered(ID);
        if number > 1 {
            log.say(order(ID, number), OrderEvent::OrderRequested(request(ID)));
        }
        Effect::CreateOrder(order(ID, number), asked(&log)).key()
    };
    let mut page = Problem::new(ProblemClass::Http, "html", "a page");
    (page.status, page.retry_after_ms) = (502, Some(5_000));
    let old = Problem::new(ProblemClass::Transport, "timeout", "");
    let mut session = Session::default();
    let looks =
        |last, problem| Looks { count: 1, last, problem: Some(problem), ..Looks::default() };
    session.looks.insert(sent(1), looks(NOW, old.clone()));
    session.looks.insert(sent(2), looks(WallMs(NOW.0 + 1), page.clone()));
    // Of other requests nothing is told.
    let other =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending);
    session.looks.insert(other.key(), looks(WallMs(NOW.0 + 2), old));
    let told = failed(&at(&log, &session, NOW.after(bounds::LOST_ANSWER_WAIT))).unwrap();
    assert_eq!((told.status, told.retry_after_ms), (502, Some(5_000)));
}

#[test]
fn a_lost_order_is_looked_for_only_when_the_ca_had_time_to_make_it() {
    let log = Folded::ordered(ID);
    // Another life: the request may or may not have been sent.
    let next = context(NOW, BootNo(2));
    let fresh = decide(&log.facts, ID, &Session::default(), &next);
    assert!(matches!(fresh.effects.as_slice(), [Effect::FindOrder(..)]), "{fresh:?}");
    let create = Effect::CreateOrder(order(ID, 1), asked(&log));
    let sent = looked(&create, Looks { count: 1, last: NOW, ..Looks::default() });
    let due = NOW.after(bounds::LOST_ANSWER_WAIT);
    let early = decide(&log.facts, ID, &sent, &context(WallMs(due.0 - 1), BootNo(2)));
    assert!(early.effects.is_empty());
    assert_eq!(early.wake.map(|(at, _)| at), Some(due));
    let then = decide(&log.facts, ID, &sent, &context(due, BootNo(2)));
    assert!(matches!(then.effects.as_slice(), [Effect::FindOrder(..)]), "{then:?}");
}

/// The moments, in seconds after the request, at which the list is read until it has said nothing for as
/// long as it may be; the request of this life ended `silent` after it began, if this life sent it.
fn searches(silent: Option<u64>) -> Vec<u64> {
    let log = Folded::ordered(ID);
    let create = Effect::CreateOrder(order(ID, 1), asked(&log));
    let find = Effect::FindOrder(order(ID, 1), asked(&log), Vec::new());
    let mut session = Session::default();
    if let Some(silent) = silent {
        let last = NOW.after(Duration::from_secs(silent));
        let lost = Problem::new(ProblemClass::Transport, "timeout", "");
        session =
            looked(&create, Looks { count: 1, last, problem: Some(lost), ..Looks::default() });
    }
    let (mut now, mut searches) = (session.looks(&create.key()).last.max(NOW), Vec::new());
    let nothing = Outcome::Found(Ok(FoundOrder::NotThere));
    loop {
        let cx = context(now, BootNo(2));
        let decision = decide(&log.facts, ID, &session, &cx);
        if decision.effects.is_empty() {
            let (at, _) = decision.wake.unwrap();
            assert!(at > now, "it spins after {searches:?}");
            now = at;
            continue;
        }
        searches.push(now.since(NOW).as_secs());
        if !observe(&log.facts, &find, &nothing, &session, &cx).is_empty() {
            return searches;
        }
        session.ended(find.key(), Some(&nothing), false, now);
    }
}

#[test]
fn the_list_is_read_a_few_times_and_last_when_the_order_can_not_come_any_more() {
    assert_eq!(searches(None), [0, 2, 4, 8, 10], "an earlier life asked");
    assert_eq!(searches(Some(0)), [2, 4, 8, 10], "cut at once");
    assert_eq!(searches(Some(30)), [32, 34, 38, 46, 60], "half a minute of silence");
    assert_eq!(searches(Some(60)), [62, 64, 68, 76, 92, 120], "a minute of silence");
}

#[test]
fn only_a_refusal_of_replaces_is_asked_again_without_it() {
    let others = Problem::new(ProblemClass::Protocol, "replaces-not-echoed", "");
    for (problem, again) in [
        (acme("alreadyReplaced"), true),
        (acme("malformed"), true),
        (others, true),
        (acme("rateLimited"), false),
    ] {
        let mut log = Folded::ordered(ID);
        log.say(order(ID, 1), OrderEvent::OrderRefused { problem: problem.clone() });
        let decision = at(&log, &Session::default(), NOW);
        let next = ordered_again(&decision);
        assert_eq!(next.as_ref().map(|next| next.replaces.is_none()), again.then_some(true));
        assert_eq!(failed(&decision).is_some(), !again, "{problem:?}");
        // Without it, the same words are the end.
        let mut log = Folded::ordered(ID);
        let bare = NewOrder { replaces: None, ..request(ID) };
        log.say(order(ID, 2), OrderEvent::OrderRequested(bare));
        log.say(order(ID, 2), OrderEvent::OrderRefused { problem });
        assert!(failed(&at(&log, &Session::default(), NOW)).is_some());
    }
}

#[test]
fn an_order_of_the_same_names_waits_for_the_one_before() {
    let other = CertificateId([8; 16]);
    let mut log = Folded::ordered(ID);
    log.begin(other);
    let first = at(&log, &Session::default(), NOW);
    assert!(matches!(first.effects.as_slice(), [Effect::CreateOrder(..)]), "{first:?}");
    let second =
        |log: &Folded| decide(&log.facts, other, &Session::default(), &context(NOW, log.boot));
    assert!(second(&log).effects.is_empty());
    assert_eq!(second(&log).wake.map(|(at, _)| at), Some(NOW.after(bounds::TWIN_WAIT)));
    log.created(1, None);
    assert!(second(&log).effects.is_empty(), "it is at the CA");
    log.say(order(ID, 1), OrderEvent::OrderGone { problem: acme("malformed") });
    assert!(matches!(second(&log).effects.as_slice(), [Effect::CreateOrder(..)]));
}

#[test]
fn an_order_that_expired_is_given_up_and_the_clock_is_named_where_it_is_wrong() {
    let kind = |expires, now| {
        let mut log = Folded::ordered(ID);
        log.created(1, Some(expires));
        let account = request(ID).account;
        let url = "https://ca.test/order/1".to_owned();
        let look = Effect::LookAtOrder(order(ID, 1), account, url, OrderStage::Pending);
        let first = at(&log, &Session::default(), now);
        let asks = first.effects.first().map(Effect::key) == Some(look.key());
        assert_eq!((asks, failed(&first)), (expires <= now, None), "the CA is asked first");
        // It answered, and told no time.
        let told = looked(&look, Looks { count: 1, last: now, ..Looks::default() });
        failed(&at(&log, &told, now)).map(|problem| problem.kind)
    };
    let later = WallMs(NOW.0 + 1_000);
    assert_eq!(kind(later, WallMs(later.0 - 1)), None);
    assert_eq!(kind(later, later).as_deref(), Some("expired"));
    assert_eq!(kind(NOW, NOW).as_deref(), Some(EXPIRED_WHEN_MADE));
    assert_eq!(kind(WallMs(NOW.0 + 1), WallMs(NOW.0 + 1)).as_deref(), Some("expired"));
}

#[test]
fn a_pending_order_is_looked_at_when_the_validator_may_be_done() {
    let mut log = Folded::ordered(ID);
    log.created(2, None);
    let look = Effect::LookAtOrder(
        order(ID, 1),
        request(ID).account,
        "https://ca.test/order/1".to_owned(),
        OrderStage::Pending,
    );
    let wake = |log: &Folded, session: &Session| at(log, session, NOW).wake.map(|(at, _)| at);
    let idle = Some(NOW.after(bounds::LOOK_IDLE));
    let session = Session::default();
    let (first, second) = (log.chosen(0), log.chosen(1));
    assert_eq!(wake(&log, &session), idle);
    let accepted = AuthorizationEvent::ReadinessAccepted { inferred: false };
    log.say(first, accepted.clone());
    assert_eq!(wake(&log, &session), idle, "one of two is not told of yet");
    log.at = WallMs(NOW.0 + 10);
    log.say(second, accepted);
    assert_eq!(wake(&log, &session), Some(log.at.after(bounds::LOOK_FIRST)));
    // A visit of the validator brings the look forward, one before the last look does not.
    let visited = |visited, last| {
        let looks = Looks { count: u32::from(last > WallMs(0)), last, ..Looks::default() };
        Session { visited: Some(visited), ..looked(&look, looks) }
    };
    let soon = |from: WallMs| Some(from.after(bounds::LOOK_AFTER_VISIT));
    assert_eq!(wake(&log, &visited(WallMs(NOW.0 + 20), WallMs(0))), soon(WallMs(NOW.0 + 20)));
    assert_eq!(wake(&log, &visited(NOW, WallMs(0))), soon(log.at), "never before it was told");
    let again = Some(NOW.after(bounds::LOOK_FIRST / 4));
    assert_eq!(wake(&log, &visited(NOW, NOW)), again, "seen by the last look");
}

#[test]
fn a_dead_order_waits_a_while_for_the_verdict_on_its_names() {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    let name = log.chosen(0);
    log.say(name, AuthorizationEvent::ReadinessAccepted { inferred: false });
    log.say(order(ID, 1), OrderEvent::OrderBecameInvalid { problem: acme("malformed") });
    let give_up = NOW.after(bounds::VERDICT_WAIT_MAX);
    let early = at(&log, &Session::default(), WallMs(give_up.0 - 1));
    assert!(early.records.is_empty());
    assert_eq!(early.wake.map(|(at, _)| at), Some(give_up));
    let kind = |log: &Folded, now| failed(&at(log, &Session::default(), now)).unwrap().kind;
    assert_eq!(kind(&log, give_up), acme("malformed").kind);
    let end = at(&log, &Session::default(), give_up);
    let event = end.records.first().map(|new| &new.event);
    let Some(Event::Certificate(CertificateEvent::RenewalFailed { code, problem })) = event else {
        panic!("{event:?}");
    };
    assert_eq!(code, classify(Step::Order, problem), "no name is to blame");
    assert_ne!(code, classify(Step::Validation, problem));
    let verdict = |kind: &str| AuthorizationEvent::AuthorizationBecameInvalid {
        problem: acme(kind),
        visits: 0,
    };
    log.say(name, verdict("connection"));
    assert_eq!(kind(&log, NOW), acme("connection").kind);
    // One that only ended with its order says nothing.
    let undecided = AuthorizationEvent::AuthorizationBecameInvalid {
        problem: Problem::new(ProblemClass::Acme, authorization::UNDECIDED, ""),
        visits: 0,
    };
    log.say(name, undecided);
    assert_eq!(kind(&log, NOW), acme("malformed").kind);
}

/// Another certificate's order is lost while one of more names is at the CA.
fn beside_other_names() -> (Folded, CertificateId) {
    let other = CertificateId([8; 16]);
    let mut log = Folded::ordered(ID);
    let mut more = request(ID);
    more.identifiers.push(renewd_events::id::DnsName::parse("b.test").unwrap());
    log.say(order(ID, 2), OrderEvent::OrderRequested(more));
    log.created(1, None);
    log.begin(other);
    (log, other)
}

#[test]
fn orders_of_other_names_do_not_wait() {
    let (log, other) = beside_other_names();
    let decision = decide(&log.facts, other, &Session::default(), &context(NOW, log.boot));
    assert!(matches!(decision.effects.as_slice(), [Effect::CreateOrder(..)]), "{decision:?}");
}

#[test]
fn a_chain_that_this_host_cannot_store_is_fetched_again_and_no_other_bought() {
    let fetched = |class| {
        let mut log = Folded::ordered(ID);
        log.created(1, None);
        let ready = OrderEvent::CertificateReady { url: String::new(), looks: 0 };
        log.say(order(ID, 1), ready);
        let url = "https://ca.test/order/1".to_owned();
        let effect = Effect::Download(order(ID, 1), request(ID).account, url);
        let problem = Some(Problem::new(class, "x", ""));
        let looks = Looks { failures: bounds::HOPELESS_AFTER, problem, ..Looks::default() };
        let decision = at(&log, &looked(&effect, looks), NOW);
        (decision.effects.len(), failed(&decision).is_some())
    };
    assert_eq!(fetched(ProblemClass::Local), (1, false));
    assert_eq!(fetched(ProblemClass::Protocol), (0, true));
}

#[test]
fn an_order_that_another_renewal_knows_is_not_taken_for_the_lost_one() {
    let (log, other) = beside_other_names();
    let decision = decide(&log.facts, other, &Session::default(), &context(NOW, BootNo(2)));
    let [Effect::FindOrder(_, _, known)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(known.as_slice(), ["https://ca.test/order/1"]);
}

#[test]
fn for_a_certificate_that_nobody_wants_any_more_nothing_is_ordered() {
    let failed = |log: &Folded| {
        let decision = at(log, &Session::default(), NOW.after(bounds::LOST_ANSWER_WAIT));
        assert_eq!((decision.records.len(), decision.effects.len()), (1, 0));
        let event = &decision.records.first().unwrap().event;
        let Event::Certificate(CertificateEvent::RenewalFailed { code, problem }) = event else {
            panic!("{event:?}");
        };
        (code.clone(), problem.kind.clone())
    };
    let not_configured = ("R0333".to_owned(), NOT_CONFIGURED.to_owned());
    // The answer to the first order is lost.
    let mut lost = Folded::ordered(ID);
    unresolved(&mut lost, 1);
    lost.say(ID, CertificateEvent::CertificateOrphaned);
    assert_eq!(failed(&lost), not_configured);
    // The CA would take it without `replaces`.
    let mut refused = Folded::ordered(ID);
    let problem = acme("alreadyReplaced");
    refused.say(order(ID, 1), OrderEvent::OrderRefused { problem });
    refused.say(ID, CertificateEvent::CertificateOrphaned);
    assert_eq!(failed(&refused).1, "urn:ietf:params:acme:error:alreadyReplaced");
    // What the CA has is carried on: the certificate is paid for.
    let mut ready = Folded::ordered(ID);
    ready.created(1, None);
    ready.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
    ready.say(ID, CertificateEvent::CertificateOrphaned);
    let decision = at(&ready, &Session::default(), NOW);
    let event = &decision.records.first().unwrap().event;
    assert!(matches!(event, Event::Order(OrderEvent::FinalizationRequested { .. })), "{event:?}");
}

#[test]
fn a_name_that_cannot_be_proven_here_ends_the_renewal_at_once() {
    let ends = |kind: &str| {
        let mut log = Folded::ordered(ID);
        log.created(2, None);
        let (lost, _told) = (log.chosen(0), log.chosen(1));
        let problem = Problem::new(ProblemClass::Acme, kind, "the CA offers dns-01");
        log.say(lost, AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: 0 });
        failed(&at(&log, &Session::default(), log.at)).map(|problem| problem.kind)
    };
    assert_eq!(ends(authorization::NO_HTTP_01).as_deref(), Some("no-http-01"));
    assert_eq!(ends("connection"), None, "the order itself is looked at: it has the CA's verdict");
}
