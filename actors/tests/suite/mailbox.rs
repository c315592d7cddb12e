//! Mailboxes have a bound: one actor stands still while everything that may be sent to it is sent ten
//! thousand times. What waits for it stays within the bound, the others go on, and nothing is lost.

use std::time::Duration;

use renewd_actors::bounds::{COMMANDS_WAITING_MAX, MAILBOX_MAX};
use renewd_actors::journal::Batch;
use renewd_actors::{Engine, EngineError, Queued};
use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateName, StreamId};
use renewd_events::process::StopReason;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{ActorName, Event, Facts};

use crate::world::{World, declarations};

/// Commits, commands and heartbeats that are asked for, each so often.
const FLOOD: usize = 10_000;
/// Certificates: few subjects that are named again and again, and many.
const FLEETS: [usize; 2] = [1, 500];
/// Subjects of one certificate that an inbox can hold: itself and its binding.
const SUBJECTS_EACH: usize = 2;
/// And those that all share: the account, the listener, the engine, the restart of the process.
const SUBJECTS_SHARED: usize = 4;

fn batch(event: NewEvent) -> Batch {
    Batch {
        actor: ActorName::Engine,
        incarnation: 1,
        expected: Vec::new(),
        events: vec![event],
        trace: None,
        wish: false,
    }
}

/// Waits until this holds for the facts.
async fn until(engine: &Engine, world: &World, what: &str, holds: impl Fn(&Facts) -> bool) {
    let facts = engine.facts();
    let held = |_: &World| holds(&facts.read().unwrap());
    world.until(what, held).await;
}

/// Every certificate was issued at least so often, and its next renewal is planned.
fn at_rest(facts: &Facts, issues: u32) -> bool {
    let issued = facts.certificates.values().all(|it| it.run.is_none() && it.renewals >= issues);
    let planned = facts.schedules.values().all(|it| it.requested.is_none() && it.planned.is_some());
    issued && planned && facts.schedules.len() == facts.certificates.len()
}

/// Commits of each certificate in turn, and callers who ask and go away at once.
async fn flood(engine: &Engine, names: &[&str]) -> usize {
    let declared = declarations(names, false, &Facts::default());
    let again: Vec<NewEvent> =
        declared.into_iter().filter(|new| new.event.name() == "CertificateDeclared").collect();
    for new in again.iter().cycle().take(FLOOD) {
        engine.journal().append(batch(new.clone())).await.unwrap();
    }
    let (handle, mut taken) = (engine.handle(), 0);
    for name in names.iter().cycle().take(FLOOD) {
        let wish = tokio::time::timeout(Duration::ZERO, handle.renew(name, "flood")).await;
        match wish {
            Err(_) => taken += 1,
            Ok(refused) => {
                assert!(matches!(refused, Err(EngineError::Busy(ActorName::Clock))), "{refused:?}");
            }
        }
        drop(tokio::time::timeout(Duration::ZERO, handle.beats()).await);
    }
    taken
}

/// What waits, while the Clock stands still.
fn is_bounded(queued: &[Queued], certificates: usize) {
    println!("{certificates} certificates: {queued:?}");
    let most = SUBJECTS_EACH * certificates + SUBJECTS_SHARED;
    for queued in queued {
        assert!(queued.messages_most <= MAILBOX_MAX, "{queued:?}");
        assert!(queued.subjects <= most, "{queued:?}, at most {most} subjects");
    }
    let clock = queued.iter().find(|queued| queued.actor == ActorName::Clock).unwrap();
    assert!(clock.messages >= COMMANDS_WAITING_MAX, "{clock:?}: it does not stand still");
    assert!(clock.subjects >= certificates, "{clock:?}: not all that were named");
}

/// The others answer, and renew everything once more.
async fn others_go_on(engine: &Engine, world: &World, names: &[&str]) {
    for (actor, beats) in engine.handle().beats().await {
        assert_eq!(beats, actor != ActorName::Clock, "{actor}");
    }
    for name in names {
        let stream = StreamId::schedule(CertificateName::parse(name).unwrap().id());
        let event: Event = ScheduleEvent::RenewalRequested { by: "beside it".to_owned() }.into();
        let wish = NewEvent { stream, event, renewal: None, cause: None };
        engine.journal().append(batch(wish)).await.unwrap();
    }
    let renewed =
        |facts: &Facts| facts.certificates.values().all(|it| it.run.is_none() && it.renewals == 2);
    until(engine, world, "renewals beside an actor that stands still", renewed).await;
    assert!(world.hold.is_held());
}

async fn stands_still(certificates: usize) {
    let world = World::new();
    let names: Vec<String> = (0..certificates).map(|n| format!("n{n}.still.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let engine = world.start(&names, 64, usize::MAX).await.unwrap();
    *world.visits.lock().unwrap() = Some(engine.handle());
    until(&engine, &world, "the first issues", |facts| at_rest(facts, 1)).await;

    world.hold.want();
    let (asks, name) = (engine.handle(), (*names.first().unwrap()).to_owned());
    let first = tokio::spawn(async move { asks.renew(&name, "the one that is held").await });
    world.until("the Clock stands still", |w| w.hold.is_held()).await;
    let taken = flood(&engine, &names).await;
    assert_eq!(taken + 1, COMMANDS_WAITING_MAX, "commands that were taken");
    is_bounded(&engine.handle().queued(), certificates);
    others_go_on(&engine, &world, &names).await;

    // Nothing is lost: each is planned, and each command that was taken is in the log.
    world.hold.release();
    first.await.unwrap().unwrap();
    let wishes = certificates + COMMANDS_WAITING_MAX;
    world.until("all wishes", |w| w.count("RenewalRequested") == wishes).await;
    until(&engine, &world, "plans for all", |facts| at_rest(facts, 2)).await;
    *world.visits.lock().unwrap() = None;
    engine.stop(StopReason::Asked).await.unwrap();
    assert_eq!(world.state().violations, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waits_for_an_actor_that_stands_still_is_bounded_and_nothing_of_it_is_lost() {
    for certificates in FLEETS {
        stands_still(certificates).await;
    }
}
