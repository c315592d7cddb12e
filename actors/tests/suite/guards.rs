//! What keeps a broken part from harming the rest: intensity, stale writers, a log that breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use renewd_actors::bounds::INTENSITY_MAX;
use renewd_actors::journal::{AppendError, Batch, Folded, Hearers, Journal, Seat};
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::event::NewEvent;
use renewd_events::id::{AuthorizationId, BootNo, CertificateId, OrderId, StreamId};
use renewd_events::memory::MemoryStore;
use renewd_events::process::{ClockEvent, EngineEvent, StopReason};
use renewd_events::{ActorName, Event, Facts, Subject};

use crate::world::World;

/// The waits between five starts are 0, 1, 5, 10 and 10 s; the rest is for a slow machine.
const RESPAWNS_TIME_MAX: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_fails_again_and_again_ends_the_engine() {
    let world = World::new();
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    let mut fatal = engine.fatal();
    let handle = engine.handle();
    for failures in 0..40 {
        if fatal.borrow().is_some() {
            break;
        }
        world.panic_next.store(true, Ordering::Release);
        drop(handle.renew("a.test", "test").await);
        world
            .until("a panic or the end", |w| {
                w.panics.load(Ordering::Acquire) > failures || engine.fatal().borrow().is_some()
            })
            .await;
    }
    let ended =
        tokio::time::timeout(world_patience(), fatal.wait_for(Option::is_some)).await.is_ok();
    assert!(ended, "{:#?}", world.names());
    assert!(world.count("RestartIntensityExceeded") >= 1 || world.count("ActorFailed") >= 5);
    world.panic_next.store(false, Ordering::Release);
    drop(engine.stop(StopReason::Fatal).await);
}

/// The events that name an actor's failure.
fn failures(world: &World) -> Vec<(ActorName, u16, String)> {
    let failed = |event: Event| {
        let Event::Engine(EngineEvent::ActorFailed { actor, incarnation, text }) = event else {
            return None;
        };
        Some((actor, incarnation, text))
    };
    world.envelopes().into_iter().filter_map(|envelope| failed(envelope.event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_does_not_start_at_the_start_ends_it_and_is_in_the_log() {
    let world = World::new();
    world.panic_always.store(true, Ordering::Release);
    let refused = world.try_start(&["a.test"], 4, usize::MAX).await.unwrap_err().to_string();
    let [(actor, 1, text)] = &failures(&world)[..] else {
        panic!("one failure, in the log: {:#?}", world.names());
    };
    assert!(
        refused.contains(&actor.to_string()) && refused.contains("could not start"),
        "{refused}"
    );
    assert!(text.contains("a planted panic, again"), "{text}");
    assert_eq!(world.state().new_orders, 0);
    // The cause is gone: the next life begins as if nothing had been.
    world.panic_always.store(false, Ordering::Release);
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    engine.stop(StopReason::Asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_whose_start_fails_again_and_again_ends_the_engine_with_its_name() {
    let world = World::new();
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the next schedule", |w| w.count("RenewalScheduled") == 2).await;
    let mut fatal = engine.fatal();
    world.panic_always.store(true, Ordering::Release);
    // The next decision of the Clock is its last; every start after it fails.
    drop(engine.handle().renew("a.test", "test").await);
    let told = tokio::time::timeout(RESPAWNS_TIME_MAX, fatal.wait_for(Option::is_some)).await;
    let cause = told.unwrap().unwrap().clone().unwrap();
    world.until("the record", |w| w.count("RestartIntensityExceeded") >= 1).await;
    let failures = failures(&world);
    // Others may fail beside it; the one that is named ended the engine.
    let named = failures.iter().find(|it| cause.contains(&it.0.to_string()));
    let (actor, ..) = named.unwrap_or_else(|| panic!("{cause}: {failures:?}"));
    let of_it: Vec<u16> = failures.iter().filter(|it| it.0 == *actor).map(|it| it.1).collect();
    assert!(of_it.len() > INTENSITY_MAX, "{cause}: {failures:?}");
    assert!(of_it.is_sorted(), "each start is a new incarnation: {of_it:?}");
    assert_eq!(world.state().new_orders, 1, "nothing is bought meanwhile");
    drop(engine.stop(StopReason::Fatal).await);
}

fn world_patience() -> std::time::Duration {
    crate::world::PATIENCE
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_is_about_is_told_even_when_the_facts_forgot_it_at_once() {
    let facts = std::sync::Arc::<std::sync::RwLock<Facts>>::default();
    let store = Box::new(MemoryStore::default());
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let tell = move |_: &Facts, folded: &[Folded]| {
        folded.iter().for_each(|(_, subject)| heard.send(*subject).unwrap());
    };
    let hearers = Hearers::from(Vec::new()).and(Box::new(tell));
    let journal = Journal::start(
        store,
        std::sync::Arc::clone(&facts),
        BootNo(1),
        World::new(),
        hearers,
        Seat::Thread,
    )
    .unwrap();
    // An authorization outside of a renewal is not kept.
    let (id, certificate) = (AuthorizationId([1; 16]), CertificateId([2; 16]));
    let seen = AuthorizationEvent::AuthorizationSeen {
        order: OrderId([3; 16]),
        certificate,
        url: String::new(),
        identifier: String::new(),
        expires: None,
        offers: Vec::new(),
        valid: false,
    };
    let events = [ClockEvent::WallClockJumped { delta_ms: 1 }.into(), seen.into()];
    let streams = [StreamId::CLOCK, id.into()];
    for (stream, event) in streams.into_iter().zip(events) {
        let batch = Batch {
            actor: ActorName::Validator,
            incarnation: 1,
            expected: Vec::new(),
            events: vec![NewEvent { stream, event, renewal: None, cause: None }],
            trace: None,
            wish: false,
        };
        journal.append(batch).await.unwrap();
    }
    assert!(facts.read().unwrap().authorizations.is_empty());
    assert_eq!(hears.recv().await, Some(Subject::Engine));
    assert_eq!(hears.recv().await, Some(Subject::Certificate(certificate)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_writer_is_refused_and_told_what_is() {
    let world = World::new();
    let facts = std::sync::Arc::<std::sync::RwLock<Facts>>::default();
    let store = Box::new(MemoryStore::default());
    let journal = Journal::start(store, facts, BootNo(1), world, Vec::new(), Seat::Thread).unwrap();
    let batch = |expected| Batch {
        actor: ActorName::Clock,
        incarnation: 1,
        expected: vec![(StreamId::CLOCK, expected)],
        events: vec![NewEvent {
            stream: StreamId::CLOCK,
            event: ClockEvent::WallClockJumped { delta_ms: 1 }.into(),
            renewal: None,
            cause: None,
        }],
        trace: None,
        wish: false,
    };
    journal.append(batch(0)).await.unwrap();
    let refused = journal.append(batch(0)).await.unwrap_err();
    let (stream, expected, actual) = (StreamId::CLOCK, 0, 1);
    assert_eq!(refused, AppendError::Conflict { stream, expected, actual });
    journal.append(batch(1)).await.unwrap();
    journal.close().await.unwrap();
    let closed = journal.append(batch(2)).await.unwrap_err();
    assert!(matches!(closed, AppendError::ReadOnly(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_breaks_stops_every_act_and_is_told() {
    let world = World::new();
    // The disk takes the declarations and the account, and then no more.
    let engine = world.start(&["a.test"], 4, 11).await.unwrap();
    world.until("the break", |_| engine.handle().log_broken().is_some()).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(world.state().new_orders, 0, "no log, no act");
    drop(engine.stop(StopReason::Asked).await);
}
