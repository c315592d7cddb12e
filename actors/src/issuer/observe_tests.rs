//! What an outcome says of an order, and what it does not.

use std::time::Duration;

use renewd_events::certificate::Leaf;
use renewd_events::event::NewEvent;
use renewd_events::id::{Fingerprint, Hash};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus, Phase};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Event, WallMs};

use super::observe::observe;
use crate::bounds;
use crate::decision::{Looks, Session};
use crate::effect::{Effect, OrderStage, Outcome};
use crate::folded_tests::{Folded, ID, NOW, context, order, request};
use crate::ports::{FoundOrder, OrderLook};

fn problem(class: ProblemClass, kind: &str, status: u16, retry_after_ms: Option<u64>) -> Problem {
    let mut problem = Problem::new(class, kind, "");
    (problem.status, problem.retry_after_ms) = (status, retry_after_ms);
    problem
}

fn look(status: OrderStatus) -> OrderLook {
    OrderLook {
        url: "https://ca.test/order/1".to_owned(),
        status,
        authorizations: Vec::new(),
        expires: None,
        certificate: Some("https://ca.test/cert/1".to_owned()),
        problem: None,
        retry_after_ms: None,
    }
}

fn names(events: &[NewEvent]) -> Vec<&'static str> {
    events.iter().map(|new| new.event.name()).collect()
}

fn says(log: &Folded, effect: &Effect, outcome: Outcome) -> Vec<&'static str> {
    // Long after what was asked: the CA had time.
    let cx = context(NOW.after(bounds::LOST_ORDER_WAIT), log.boot);
    names(&observe(&log.facts, effect, &outcome, &Session::default(), &cx))
}

/// What a session remembers of the request: when it ended, and with what.
fn sent(log: &Folded, ended: WallMs, with: Option<Problem>) -> Session {
    let key = Effect::CreateOrder(order(ID, 1), asked(log)).key();
    let looks = Looks { count: 1, last: ended, problem: with, ..Looks::default() };
    Session { looks: [(key, looks)].into(), ..Session::default() }
}

#[test]
fn an_order_that_is_not_listed_may_still_be_made_for_as_long_as_the_ca_was_silent() {
    let log = Folded::ordered(ID);
    let find = Effect::FindOrder(order(ID, 1), asked(&log), Vec::new());
    let outcome = Outcome::Found(Ok(FoundOrder::NotThere));
    let seconds = Duration::from_secs;
    let silence = || Some(problem(ProblemClass::Transport, "timeout", 0, None));
    let after = |waited, with| sent(&log, NOW.after(seconds(waited)), with);
    for (name, session, until) in [
        ("an earlier life asked", Session::default(), 10),
        ("cut at once", after(0, silence()), 10),
        ("cut after a while", after(20, silence()), 40),
        ("our own patience ended", after(30, silence()), 60),
        ("asked long after it was decided", after(900, silence()), 960),
        ("a proxy's page", after(1, Some(problem(ProblemClass::Http, "html", 502, None))), 11),
        ("the port panicked", after(1, None), 11),
        ("the CA's own error", after(1, Some(problem(ProblemClass::Acme, "oops", 500, None))), 3),
        ("an answer that breaks", after(1, Some(problem(ProblemClass::Protocol, "", 0, None))), 3),
    ] {
        let end = NOW.after(seconds(until));
        for (now, said) in [(WallMs(end.0 - 1), &[][..]), (end, &["OrderRequestUnresolved"][..])] {
            let cx = context(now, log.boot);
            let events = observe(&log.facts, &find, &outcome, &session, &cx);
            assert_eq!(names(&events), said, "{name}: {:?} later", now.since(NOW));
        }
    }
}

#[test]
fn it_is_told_how_the_order_came_to_be_known() {
    let made = || Box::new(look(OrderStatus::Pending));
    for (answer, how) in
        [(FoundOrder::Answered(made()), Found::Answer), (FoundOrder::Found(made()), Found::List)]
    {
        let log = Folded::ordered(ID);
        let find = Effect::FindOrder(order(ID, 1), asked(&log), Vec::new());
        let outcome = Outcome::Found(Ok(answer));
        let cx = context(NOW, log.boot);
        let events = observe(&log.facts, &find, &outcome, &Session::default(), &cx);
        let [new] = events.as_slice() else { panic!("{events:?}") };
        let Event::Order(OrderEvent::OrderCreated { found, .. }) = &new.event else {
            panic!("{new:?}");
        };
        assert_eq!(*found, how);
    }
}

fn asked(log: &Folded) -> Durable<NewOrder> {
    let phase = log.facts.order_of(ID).map(|(_, order)| &order.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("no order is asked for: {phase:?}") };
    intent.clone()
}

fn finalizing(log: &mut Folded) -> Effect {
    log.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
    log.say(order(ID, 1), OrderEvent::FinalizationRequested { csr: Hash::default() });
    let phase = log.facts.order_of(ID).map(|(_, order)| &order.phase);
    let Some(Phase::Finalizing(intent)) = phase else { panic!("not finalizing: {phase:?}") };
    Effect::Finalize(order(ID, 1), request(ID).account, String::new(), intent.clone(), vec![1])
}

/// Problems, and whether they say that the CA has not acted.
fn verdicts() -> Vec<(Problem, bool)> {
    use ProblemClass::{Acme, Http, Local, Protocol, Transport};
    let wait = Some(1_000);
    let limited = "urn:ietf:params:acme:error:rateLimited";
    vec![
        (problem(Acme, "x", 499, None), true),
        (problem(Acme, "x", 500, None), false),
        (problem(Acme, "x", 503, None), false),
        (problem(Acme, "x", 503, wait), true),
        (problem(Acme, "x", 500, wait), false),
        (problem(Acme, limited, 500, None), true),
        (problem(Local, "x", 0, None), true),
        (problem(Transport, "name", 0, None), true),
        (problem(Transport, "connect", 0, None), true),
        (problem(Transport, "tls", 0, None), true),
        (problem(Transport, "timeout", 0, None), false),
        (problem(Http, "x", 429, None), true),
        (problem(Http, "x", 502, None), false),
        (problem(Http, "x", 503, None), false),
        (problem(Http, "x", 503, wait), true),
        (problem(Protocol, "replaces-not-echoed", 201, None), true),
        (problem(Protocol, "html", 200, None), false),
    ]
}

#[test]
fn only_an_answer_that_cannot_follow_an_act_is_a_refusal() {
    for (problem, refused) in verdicts() {
        let mut log = Folded::ordered(ID);
        let create = Effect::CreateOrder(order(ID, 1), asked(&log));
        let said = says(&log, &create, Outcome::Order(Err(problem.clone())));
        assert_eq!(said == ["OrderRefused"], refused, "{problem:?}: {said:?}");
        assert!(refused || said.is_empty(), "{problem:?}: {said:?}");
        log.created(1, None);
        let finalize = finalizing(&mut log);
        let said = says(&log, &finalize, Outcome::Order(Err(problem.clone())));
        let later = problem.is_acme("rateLimited") || problem.status >= 500;
        let refused = problem.class == ProblemClass::Acme && !later;
        assert_eq!(said == ["FinalizationRefused"], refused, "{problem:?}: {said:?}");
        assert!(refused || said.is_empty(), "a ready order is kept: {problem:?}: {said:?}");
    }
}

#[test]
fn an_answer_to_what_is_no_longer_asked_says_nothing() {
    let mut log = Folded::ordered(ID);
    let create = Effect::CreateOrder(order(ID, 1), asked(&log));
    let answer = || Outcome::Order(Ok(look(OrderStatus::Pending)));
    assert_eq!(says(&log, &create, answer()), ["OrderCreated"]);
    let other = Folded::ordered(ID);
    log.created(1, None);
    assert!(says(&log, &create, answer()).is_empty(), "it is there already");
    let finalize = finalizing(&mut log);
    let done = || Outcome::Order(Ok(look(OrderStatus::Valid)));
    assert_eq!(says(&log, &finalize, done()), ["CertificateReady"]);
    assert!(says(&other, &finalize, done()).is_empty());
}

#[test]
fn what_finalize_answers_moves_the_order_where_it_says() {
    for (status, said) in [
        (OrderStatus::Valid, vec!["CertificateReady"]),
        (OrderStatus::Invalid, vec!["OrderBecameInvalid"]),
        (OrderStatus::Processing, vec!["FinalizationAccepted"]),
        // Nothing happened: it is settled by the next look.
        (OrderStatus::Ready, vec![]),
    ] {
        let mut log = Folded::ordered(ID);
        log.created(1, None);
        let finalize = finalizing(&mut log);
        assert_eq!(says(&log, &finalize, Outcome::Order(Ok(look(status)))), said, "{status:?}");
    }
}

#[test]
fn a_look_says_only_what_moves_the_order() {
    let effect =
        |stage| Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), stage);
    let mut pending = Folded::ordered(ID);
    pending.created(1, None);
    let mut finalized = Folded::ordered(ID);
    finalized.created(1, None);
    finalizing(&mut finalized);
    let mut processing = Folded::ordered(ID);
    processing.created(1, None);
    finalizing(&mut processing);
    let accepted = OrderEvent::FinalizationAccepted { status: OrderStatus::Processing };
    processing.say(order(ID, 1), accepted);
    let (p, s, w) = (OrderStage::Pending, OrderStage::Settling, OrderStage::Processing);
    let one = |name: &'static str| vec![name];
    for (log, stage, status, said) in [
        (&pending, p, OrderStatus::Pending, vec![]),
        (&pending, p, OrderStatus::Ready, one("OrderBecameReady")),
        (&pending, p, OrderStatus::Processing, one("FinalizationAccepted")),
        (&pending, p, OrderStatus::Valid, one("CertificateReady")),
        (&pending, p, OrderStatus::Invalid, one("OrderBecameInvalid")),
        (&finalized, s, OrderStatus::Ready, vec![]),
        (&finalized, s, OrderStatus::Processing, one("FinalizationAccepted")),
        (&finalized, s, OrderStatus::Valid, one("CertificateReady")),
        (&processing, s, OrderStatus::Processing, vec![]),
        (&processing, w, OrderStatus::Processing, vec![]),
        (&processing, w, OrderStatus::Valid, one("CertificateReady")),
        (&processing, w, OrderStatus::Invalid, one("OrderBecameInvalid")),
    ] {
        let found = says(log, &effect(stage), Outcome::Order(Ok(look(status))));
        assert_eq!(found, said, "{stage:?} {status:?}");
    }
    let account =
        problem(ProblemClass::Acme, "urn:ietf:params:acme:error:accountDoesNotExist", 400, None);
    for (problem, said) in [
        (problem(ProblemClass::Acme, "x", 404, None), one("OrderGone")),
        // A page of a proxy: asked about again, three times.
        (problem(ProblemClass::Http, "x", 404, None), vec![]),
        (account, one("OrderGone")),
        (problem(ProblemClass::Http, "x", 403, None), vec![]),
    ] {
        assert_eq!(says(&pending, &effect(p), Outcome::Order(Err(problem))), said);
    }
}

#[test]
fn a_chain_that_came_late_or_is_noise_is_not_rejected() {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    let url = String::new();
    log.say(order(ID, 1), OrderEvent::CertificateReady { url: url.clone(), looks: 0 });
    let effect = Effect::Download(order(ID, 1), request(ID).account, url);
    for (class, kind, status, said) in [
        (ProblemClass::Protocol, "chain", 200, vec!["ChainRejected"]),
        (ProblemClass::Protocol, "private-key-in-chain", 200, vec!["ChainRejected"]),
        (ProblemClass::Protocol, "html", 200, vec![]),
        (ProblemClass::Local, "chain", 0, vec![]),
        (ProblemClass::Acme, "malformed", 404, vec!["OrderGone"]),
        (ProblemClass::Transport, "timeout", 0, vec![]),
    ] {
        let outcome = Outcome::Chain(Err(problem(class, kind, status, None)));
        assert_eq!(says(&log, &effect, outcome), said, "{class:?} {kind}");
    }
    let leaf = Leaf {
        chain: Hash::default(),
        fingerprint: Fingerprint::default(),
        spki: Fingerprint::default(),
        serial: "0a".to_owned(),
        ari_id: None,
        not_before: NOW,
        not_after: WallMs(NOW.0 + 1),
        issuer: "CN=test".to_owned(),
        names: Vec::new(),
        certificates: 2,
    };
    assert_eq!(says(&log, &effect, Outcome::Chain(Ok(leaf))), ["ChainDownloaded"]);
}

#[test]
fn an_authorization_that_an_order_names_twice_is_one() {
    let log = Folded::ordered(ID);
    let create = Effect::CreateOrder(order(ID, 1), asked(&log));
    let urls = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let twice = OrderLook { authorizations: urls(&["b", "a", "b"]), ..look(OrderStatus::Pending) };
    let context = context(NOW, log.boot);
    let said =
        observe(&log.facts, &create, &Outcome::Order(Ok(twice)), &Session::default(), &context);
    let Event::Order(OrderEvent::OrderCreated { authorizations, .. }) =
        &said.first().unwrap().event
    else {
        panic!("{said:?}");
    };
    assert_eq!(authorizations, &urls(&["b", "a"]));
}
