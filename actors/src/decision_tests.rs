//! What is remembered of looks, and whether an act may simply be done.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::id::{AuthorizationId, BootNo};
use renewd_events::order::Phase;
use renewd_events::problem::{Problem, ProblemClass};

use crate::bounds;
use crate::decision::{Decision, Looks, Session, may_do, spread};
use crate::effect::{Effect, EffectKey, OrderStage, Outcome};
use crate::folded_tests::{Folded, ID, NOW, context, order, request};

fn failed(class: ProblemClass, kind: &str, status: u16, failures: u32) -> Looks {
    let mut problem = Problem::new(class, kind, "");
    problem.status = status;
    Looks { count: failures, failures, problem: Some(problem), ..Looks::default() }
}

#[test]
fn a_look_answered_when_the_last_one_did() {
    assert!(!Looks::default().answered());
    assert!(Looks { count: 1, ..Looks::default() }.answered());
    assert!(!Looks { count: 1, failures: 1, ..Looks::default() }.answered());
}

#[test]
fn only_an_answer_that_asking_does_not_change_is_hopeless() {
    use ProblemClass::{Acme, Http, Local, Protocol, Transport};
    let limited = "urn:ietf:params:acme:error:rateLimited";
    let few = bounds::HOPELESS_AFTER - 1;
    assert!(failed(Acme, "malformed", 400, few).hopeless().is_none());
    for (class, kind, status, hopeless) in [
        (Acme, "malformed", 400, true),
        (Acme, "malformed", 499, true),
        (Acme, "serverInternal", 500, false),
        (Acme, limited, 429, false),
        (Local, "disk", 0, true),
        (Protocol, "noise", 200, true),
        (Transport, "timeout", 0, false),
        (Http, "gone", 404, false),
        (Http, "gateway", 502, false),
    ] {
        for failures in [bounds::HOPELESS_AFTER, bounds::HOPELESS_AFTER + 1] {
            let looks = failed(class, kind, status, failures);
            assert_eq!(looks.hopeless().is_some(), hopeless, "{class:?} {kind} {status}");
            // A page that says 404 passes, mostly.
            let long = Looks { waited: bounds::PAGE_ASKED_MAX, ..looks };
            let gone = hopeless || status == 404;
            assert_eq!(long.hopeless().is_some(), gone, "{class:?} {kind} {status}");
        }
    }
}

#[test]
fn an_account_key_that_is_gone_is_waited_for() {
    for kind in ["vaultKeyAbsent", "vaultDamaged", "diskRead", "account-key"] {
        let looks = failed(ProblemClass::Local, kind, 0, bounds::HOPELESS_AFTER * 9);
        let after = |waited| Looks { waited, ..looks.clone() };
        let almost = bounds::KEY_AWAITED_MAX - Duration::from_millis(1);
        assert_eq!(after(almost).hopeless(), None, "{kind}");
        assert_eq!(after(bounds::KEY_AWAITED_MAX).hopeless(), looks.problem.as_ref(), "{kind}");
    }
}

#[test]
fn what_is_remembered_of_the_future_is_forgotten() {
    let horizon = NOW.after(bounds::JUMP_MIN);
    let key =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending)
            .key();
    for (at, kept) in [(NOW, true), (horizon, true), (WallMs(horizon.0 + 1), false)] {
        let mut session = Session { visited: Some(at), ..Session::default() };
        session.looks.insert(key, Looks { count: 1, last: at, ..Looks::default() });
        session.forget_future(NOW);
        assert_eq!(session.looks(&key).count, u32::from(kept), "{at:?}");
        assert_eq!(session.visited.is_some(), kept, "{at:?}");
    }
}

#[test]
fn a_look_that_could_not_be_recorded_leaves_only_its_wait() {
    let key =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending)
            .key();
    let mut session = Session::default();
    let before = Looks { count: 1, ..Looks::default() };
    let seen = Looks { count: 2, not_before: NOW, settled: NOW, ..Looks::default() };
    session.looks.insert(key, seen);
    session.forget_look(key, before.clone());
    assert_eq!(session.looks(&key), &Looks { not_before: NOW, settled: NOW, ..before });
    session.forget_future(NOW.before(bounds::JUMP_MIN));
    assert_eq!(session.looks(&key).not_before, NOW);
    session.forget_future(NOW.before(bounds::JUMP_MIN + Duration::from_millis(1)));
    assert_eq!(session.looks(&key).not_before, WallMs(0), "the clock was set back since");
}

#[test]
fn jitter_is_the_same_for_the_same_parts_and_uses_all_of_its_span() {
    let span = Duration::from_secs(1_000);
    let draws: Vec<Duration> = (0..200u8).map(|n| spread(&[&[n]], span)).collect();
    assert_eq!(spread(&[&[7]], span), draws[7]);
    assert!(draws.iter().all(|draw| *draw < span));
    for quarter in 0..4u32 {
        let (from, to) = (span / 4 * quarter, span / 4 * (quarter + 1));
        let within = draws.iter().filter(|draw| (from..to).contains(draw)).count();
        assert!((25..=75).contains(&within), "quarter {quarter} has {within} of 200");
    }
    // Eight bytes of the hash, the first of them highest: what a restart draws is what was drawn.
    assert_eq!(spread(&[b"a"], Duration::MAX), spread(&[b"a"], Duration::MAX));
    assert!(spread(&[b"a"], Duration::MAX) > Duration::from_millis(u64::from(u32::MAX)));
}

#[test]
fn an_act_is_simply_done_only_in_the_life_that_recorded_it() {
    let log = Folded::ordered(ID);
    let phase = log.facts.order_of(ID).map(|(_, order)| &order.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("{phase:?}") };
    let same = context(NOW, log.boot);
    let mut session = Session::default();
    assert!(may_do(intent, &session, &same));
    assert!(!may_do(intent, &session, &context(NOW, BootNo(2))));
    let mut next = context(NOW, log.boot);
    next.incarnation = 2;
    assert!(!may_do(intent, &session, &next));
    session.unsure.insert(intent.effect_id());
    assert!(!may_do(intent, &session, &same));
}

#[test]
fn of_two_wakes_the_earlier_wins_and_its_reason_stays() {
    let mut decision = Decision::none();
    decision.wake_at(WallMs(5), "first");
    decision.wake_at(WallMs(5), "as early");
    decision.wake_at(WallMs(6), "later");
    assert_eq!(decision.wake, Some((WallMs(5), "first")));
    let mut other = Decision::none();
    other.wake_at(WallMs(4), "earlier");
    other.waits_for_turn = true;
    decision.and(other);
    assert_eq!((decision.wake, decision.waits_for_turn), (Some((WallMs(4), "earlier")), true));
}

#[test]
fn visits_are_counted_by_authorization() {
    let mut session = Session::default();
    let id = AuthorizationId([1; 16]);
    session.visits.insert(id, 3);
    assert_eq!((session.visits_of(id), session.visits_of(AuthorizationId([2; 16]))), (3, 0));
}

#[test]
fn what_ended_is_remembered_and_done_again_ever_more_slowly() {
    let key = Effect::ReadDirectory(request(ID).account).key();
    let mut session = Session::default();
    let mut end = |outcome: Option<&Outcome>, recorded| {
        session.ended(key, outcome, recorded, NOW);
        let looks = session.looks(&key);
        let (count, failures, idle) = (looks.count, looks.failures, looks.idle);
        assert_eq!(
            (looks.last, looks.problem.clone()),
            (NOW, outcome.and_then(Outcome::problem).cloned())
        );
        (count, failures, idle, looks.not_before.since(NOW))
    };
    let (first, idle) = (bounds::READ_RETRY_FIRST, bounds::IDLE_FIRST);
    let good = Outcome::Done(Ok(()));
    let bad = Outcome::Done(Err(Problem::new(ProblemClass::Transport, "timeout", "")));
    let mut busy = Problem::new(ProblemClass::Http, "x", "");
    let hour = Duration::from_secs(3600);
    busy.retry_after_ms = Some(3_600_000);
    let busy = Outcome::Done(Err(busy));
    assert_eq!(end(Some(&good), true), (1, 0, 0, Duration::ZERO), "it led to a fact");
    assert_eq!(end(Some(&good), false), (2, 0, 1, idle), "nothing new");
    assert_eq!(end(Some(&good), false), (3, 0, 2, idle * 2));
    assert_eq!(end(Some(&bad), false), (4, 1, 3, first));
    assert_eq!(end(Some(&bad), true), (5, 2, 0, first * 2), "told, and no better for it");
    assert_eq!(end(None, false), (6, 3, 1, first * 4), "a panic is a failure");
    assert_eq!(end(Some(&busy), false), (7, 4, 2, hour), "asked to wait");
    assert_eq!(end(Some(&good), true), (8, 0, 0, Duration::ZERO));
}

#[test]
fn a_wall_clock_that_jumps_ahead_is_no_time_in_which_anybody_waited() {
    let key =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending)
            .key();
    let mut session = Session::default();
    let mut now = NOW;
    session.ended(key, None, true, now);
    for _ in 0..3 {
        now = now.after(bounds::LOOK_MAX);
        session.ended(key, None, true, now);
    }
    assert_eq!(session.looks(&key).waited, 3 * bounds::LOOK_MAX);
    session.ended(key, None, true, now.after(bounds::ORDER_STALLED * 240));
    assert!(session.looks(&key).waited < bounds::ORDER_STALLED / 2);
    // Set back: nothing is taken away.
    let before = session.looks(&key).waited;
    session.ended(key, None, true, NOW);
    assert_eq!(session.looks(&key).waited, before);
}

#[test]
fn only_time_between_two_answers_is_time_in_which_somebody_watched() {
    let key =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending)
            .key();
    let (good, minute) = (Outcome::Done(Ok(())), Duration::from_secs(60));
    let mut session = Session::default();
    let mut now = NOW;
    for outcome in [Some(&good), Some(&good), None, None, Some(&good), Some(&good)] {
        session.ended(key, outcome, false, now);
        now = now.after(minute);
    }
    let looks = session.looks(&key);
    assert_eq!((looks.count, looks.answers), (6, 4));
    assert_eq!((looks.waited, looks.watched), (minute * 5, minute * 2));
}

#[test]
fn a_wait_from_a_moment_that_lies_ahead_is_over_and_no_other_is() {
    let (cx, wait) = (context(NOW, BootNo(1)), Duration::from_secs(60));
    let horizon = NOW.after(bounds::JUMP_MIN);
    for since in [WallMs(0), NOW, horizon] {
        assert_eq!((cx.due(since, wait), cx.is_ahead(since)), (since.after(wait), false));
    }
    for since in [WallMs(horizon.0 + 1), NOW.after(Duration::from_secs(30 * 86_400))] {
        assert_eq!((cx.due(since, wait), cx.is_ahead(since)), (NOW, true));
    }
}

#[test]
fn a_retry_after_on_a_look_is_followed_for_an_hour_at_most_and_one_on_an_act_for_as_long_as_it_says()
 {
    let days = Duration::from_secs(5 * 86_400);
    let mut busy = Problem::new(ProblemClass::Http, "busy", "");
    (busy.status, busy.retry_after_ms) = (503, Some(432_000_000));
    let look =
        Effect::LookAtOrder(order(ID, 1), request(ID).account, String::new(), OrderStage::Pending)
            .key();
    let finalize = EffectKey { kind: crate::effect::FINALIZE, ..look };
    let window = Effect::ReadWindow(ID, request(ID).account, String::new()).key();
    let waits = [(look, bounds::LOOK_ASKED_MAX), (window, bounds::ARI_LOOK_MAX), (finalize, days)];
    for (key, wait) in waits {
        let mut session = Session::default();
        session.ended(key, Some(&Outcome::Order(Err(busy.clone()))), false, NOW);
        let looks = session.looks(&key);
        assert_eq!((looks.asked, looks.not_before), (Some(wait), NOW.after(wait)));
    }
    let done = [(false, Some(bounds::LOOK_ASKED_MAX)), (true, None)];
    assert_eq!(done.map(|(failed, _)| finalize.asked_max(failed)), done.map(|(_, max)| max));
}
