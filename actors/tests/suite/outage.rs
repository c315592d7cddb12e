//! A disk that is full for a while: no act meanwhile, and then everything goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use renewd_actors::Engine;
use renewd_actors::bounds::{LOG_RETRY_FIRST, LOG_RETRY_MAX};
use renewd_actors::journal::Seat;
use renewd_events::event::Event;
use renewd_events::process::{EngineEvent, StopReason};

use crate::world::{PATIENCE, Space, World};

/// Long enough for an act that should not be to show.
const WATCHED: Duration = Duration::from_millis(200);
/// What a simulated disk takes for a commit.
const LATENCY: Duration = Duration::from_millis(1);

fn task() -> Seat {
    Seat::Task(Box::new(|| LATENCY))
}

fn broken(engine: &Engine) -> Option<String> {
    engine.journal().broken().borrow().clone()
}

/// Orders, finalizations and events so far.
fn seen(world: &World) -> (u32, usize, usize) {
    let events = world.names().len();
    let state = world.state();
    (state.new_orders, state.finalized.len(), events)
}

/// While the disk is full: what was announced before may still be done, at any later time; nothing else
/// is, and nothing is recorded.
async fn nothing_is_begun(world: &World, engine: &Engine, space: Space) {
    let before = world.names().len();
    let refused = engine.handle().renew("a.test", "test").await.unwrap_err().to_string();
    assert!(refused.contains("R0620"), "{space:?}: {refused}");
    tokio::time::sleep(WATCHED).await;
    assert_eq!(world.names().len(), before, "{space:?}: a full disk took something");
    world.acts_are_announced();
}

/// Waits until nothing happens any more.
async fn is_at_rest(world: &World) {
    let rest = async {
        loop {
            let before = seen(world);
            tokio::time::sleep(WATCHED).await;
            if before == seen(world) {
                break;
            }
        }
    };
    let rest = tokio::time::timeout(PATIENCE, rest).await;
    assert!(rest.is_ok(), "it goes on and on: {:#?}", world.names());
}

/// Runs until the disk is full, looks on, makes room, and runs to the end.
async fn through(seat: Seat, space: Space) {
    let world = World::new();
    world.set_space(space);
    let engine = world.start_on(seat, &["a.test"], 4, usize::MAX).await;
    let engine = engine.unwrap_or_else(|cause| panic!("{space:?}: no start: {cause}"));
    world.until("the full disk", |_| broken(&engine).is_some()).await;
    let text = broken(&engine).unwrap();
    assert!(text.contains("R0620") && text.contains("make room"), "{text}");
    nothing_is_begun(&world, &engine, space).await;

    world.set_space(Space::Enough);
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    world.until("the record", |w| w.count("LogWritableAgain") == 1).await;
    assert_eq!(broken(&engine), None);
    told_of(&world, space);
    let violations = renewd_replay::check::check(&world.envelopes());
    assert!(violations.is_empty(), "{space:?}: {violations:#?}");
    assert_eq!(world.state().violations, Vec::<String>::new(), "{space:?}");
    assert_eq!(world.state().new_orders, 1, "{space:?}: {:#?}", world.names());
    engine.stop(StopReason::Asked).await.unwrap();
}

/// The event says how long it was, why, and how much was refused.
fn told_of(world: &World, space: Space) {
    let mut told = 0;
    for envelope in world.envelopes() {
        if let Event::Engine(EngineEvent::LogWritableAgain { since, cause, refused }) =
            envelope.event
        {
            let lasted = envelope.at.since(since);
            assert!(lasted >= WATCHED && refused >= 2, "{space:?}: {lasted:?}, {refused} refused");
            assert!(cause.contains("R0620"), "{cause}");
            told += 1;
        }
    }
    assert_eq!(told, 1, "{space:?}");
}

/// Hardly any room: outcomes are recorded, so that nothing has to be asked for, and nothing is begun.
async fn short_at(events: usize) {
    // Without a list of orders an outcome that is lost would cost a second order.
    let world = World::with_list(false);
    world.set_space(Space::Short(events));
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    let stopped = |w: &World| broken(&engine).is_some() || w.count("RenewalSucceeded") == 1;
    world.until("the want of room", stopped).await;
    is_at_rest(&world).await;
    world.acts_are_announced();
    let intents = |names: &[&str]| names.iter().filter(|name| name.ends_with("Requested")).count();
    let names = world.names();
    let after = names.get(events + 1..).unwrap_or_default();
    // Two actors may have decided in the moment before; what they intend is not begun.
    assert!(intents(after) <= 2, "short at {events}: {after:?} in {names:?}");
    world.set_space(Space::Enough);
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    world.until("the end", |_| broken(&engine).is_none()).await;
    let violations = renewd_replay::check::check(&world.envelopes());
    assert!(violations.is_empty(), "short at {events}: {violations:#?}");
    assert_eq!(world.count("OrderRequestUnresolved"), 0, "short at {events}");
    assert_eq!(world.state().new_orders, 1, "short at {events}: {:#?}", world.names());
    engine.stop(StopReason::Asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_of_room_at_every_event_outcomes_are_kept_and_nothing_is_begun() {
    let (begin, end) = events().await;
    let runs: Vec<_> = (begin..end).map(|events| tokio::spawn(short_at(events))).collect();
    for run in runs {
        run.await.unwrap();
    }
}

/// How many events a whole first renewal has, and how many the start.
async fn events() -> (usize, usize) {
    let world = World::new();
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    let names = world.names();
    let end = names.iter().position(|name| *name == "RenewalSucceeded").unwrap();
    let begin = names.iter().rposition(|name| *name == "BindingDeclared").unwrap();
    drop(engine);
    (begin + 1, end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_at_every_event_for_a_while_with_one_order_at_the_end() {
    let (begin, end) = events().await;
    assert!(end - begin > 15, "{begin} to {end}");
    let mut runs = Vec::new();
    for events in begin..=end {
        for space in [Space::Until(events), Space::KeptBeyond(events)] {
            runs.push(tokio::spawn(through(Seat::Thread, space)));
            runs.push(tokio::spawn(through(task(), space)));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stays_full_is_tried_again_ever_more_slowly() {
    let world = World::new();
    world.set_space(Space::Until(8));
    let began = Instant::now();
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the full disk", |_| broken(&engine).is_some()).await;
    let looks = Arc::new(AtomicU32::new(0));
    let mut changes = engine.journal().broken();
    // What began it is no try.
    changes.borrow_and_update();
    let counted = Arc::clone(&looks);
    let counting = tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Who asks again and again makes it no faster.
    for _ in 0..20 {
        drop(engine.handle().renew("a.test", "test").await);
        tokio::time::sleep(WATCHED).await;
    }
    world.until("a try", |_| looks.load(Ordering::Relaxed) > 0).await;
    let (looks, time) = (looks.load(Ordering::Relaxed), began.elapsed());
    assert!(looks <= tries_within(time), "{looks} tries in {time:?}; they come after 1, 3 and 7 s");
    counting.abort();
    drop(engine.stop(StopReason::Asked).await);
}

/// The most tries that so much time has room for, however slow the machine was in it.
fn tries_within(time: Duration) -> u32 {
    let (mut tries, mut wait, mut at) = (0, LOG_RETRY_FIRST, LOG_RETRY_FIRST);
    while at <= time {
        tries += 1;
        wait = (wait * 2).min(LOG_RETRY_MAX);
        at += wait;
    }
    tries
}

/// Starts a life on a full disk, looks on, makes room, and runs to the end.
async fn begun_late(seat: Seat, space: Space, names: &[&str]) {
    let world = World::new();
    world.set_space(space);
    let before = world.names().len();
    let engine = world.start_on(seat, names, 4, usize::MAX).await;
    let engine = engine.unwrap_or_else(|cause| panic!("{space:?}: no start: {cause}"));
    let mut begun = engine.begun();
    assert!(!*begun.borrow(), "{space:?}");
    assert!(broken(&engine).is_some_and(|text| text.contains("R0620")), "{space:?}");
    does_nothing(&world, &engine).await;

    world.set_space(Space::Enough);
    begun.wait_for(|begun| *begun).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    assert_eq!((broken(&engine), world.count("LogWritableAgain")), (None, 1));
    let first = world.names().get(before).copied();
    assert_eq!(first, Some("EngineBooted"), "{space:?}: always the first of a life");
    began_once(&world);
    engine.stop(StopReason::Asked).await.unwrap();
    assert_eq!(world.names().last().copied(), Some("EngineStopped"));
}

/// A life that has not begun takes no command, asks the CA for nothing, and has no actor.
async fn does_nothing(world: &World, engine: &Engine) {
    let asked = engine.handle().renew("a.test", "test").await.unwrap_err().to_string();
    // Before it is declared there is no such certificate.
    assert!(asked.contains("R0620") || asked.contains("a.test"), "{asked}");
    tokio::time::sleep(WATCHED).await;
    assert_eq!(world.state().new_orders, 0);
    assert!(engine.handle().beats().await.iter().all(|(_, alive)| !alive), "an actor");
}

/// Whatever the tries left behind, one life began, and it bought one certificate.
fn began_once(world: &World) {
    let names = world.names();
    for once in ["EngineBooted", "AccountDeclared", "CertificateDeclared", "BindingDeclared"] {
        assert_eq!(world.count(once), 1, "{once}: {names:#?}");
    }
    let violations = renewd_replay::check::check(&world.envelopes());
    assert!(violations.is_empty(), "{violations:#?}");
    assert_eq!(world.state().new_orders, 1, "{names:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_begins_on_a_full_disk_waits_and_begins_by_itself() {
    let (declared, _) = events().await;
    let mut runs = Vec::new();
    for events in 0..declared {
        for space in [Space::Until(events), Space::KeptBeyond(events)] {
            runs.push(tokio::spawn(begun_late(Seat::Thread, space, &["a.test"])));
            runs.push(tokio::spawn(begun_late(task(), space, &["a.test"])));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_that_is_ended_before_it_began_leaves_no_trace() {
    let world = World::new();
    world.set_space(Space::Until(0));
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    let handle = engine.handle();
    engine.stop(StopReason::Asked).await.unwrap();
    assert!(world.names().is_empty(), "{:?}", world.names());
    assert!(handle.renew("a.test", "test").await.is_err());
    world.set_space(Space::Enough);
    // Nothing of it begins any more.
    tokio::time::sleep(2 * renewd_actors::bounds::LOG_RETRY_FIRST).await;
    assert!(world.names().is_empty(), "{:?}", world.names());
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    engine.stop(StopReason::Asked).await.unwrap();
}
