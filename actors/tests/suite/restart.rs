//! A restart only when a listener cannot be added, asked for once, and recognised by the next life.
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::world::World;
use renewd_events::Event;
use renewd_events::process::StopReason;
use renewd_events::restart::RestartEvent;

fn observed(world: &World) -> Vec<bool> {
    let attributed = |event: &Event| {
        let Event::Restart(RestartEvent::RestartObserved { attributed, .. }) = event else {
            return None;
        };
        Some(*attributed)
    };
    world.envelopes().iter().filter_map(|envelope| attributed(&envelope.event)).collect()
}

/// A life whose listener needs a restart; ends when the restart has begun.
async fn first_life(world: &Arc<World>) -> renewd_actors::Engine {
    world.needs_restart.store(true, Ordering::Release);
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the restart", |w| !w.restarts.lock().unwrap().is_empty()).await;
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_needs_a_restart_gets_exactly_one() {
    let world = World::new();
    let engine = first_life(&world).await;
    assert_eq!(world.count("RestartRequested"), 1, "the intent is on disk before the act");
    let restart = world.restarts.lock().unwrap()[0];
    engine.stop(StopReason::Restart(restart)).await.unwrap();
    world.needs_restart.store(false, Ordering::Release);
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the end of the restart", |w| w.count("RestartFinished") == 1).await;
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    engine.stop(StopReason::Asked).await.unwrap();
    assert_eq!(observed(&world), [true], "the next life knows that it was meant");
    assert_eq!(world.restarts.lock().unwrap().len(), 1);
    assert_eq!(world.state().new_orders, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_place_of_the_restart_reaches_the_goal_and_is_told_apart() {
    let world = World::new();
    drop(first_life(&world).await);
    world.needs_restart.store(false, Ordering::Release);
    let _engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the end of the restart", |w| w.count("RestartFinished") == 1).await;
    assert_eq!(observed(&world), [false]);
    assert_eq!(world.restarts.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_does_not_help_is_repeated_only_within_its_budget() {
    let world = World::new();
    let mut engine = first_life(&world).await;
    for life in 1..=4 {
        let restart = *world.restarts.lock().unwrap().last().unwrap();
        engine.stop(StopReason::Restart(restart)).await.unwrap();
        let failures = world.count("ListenerFailed");
        engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
        world.until("the listener's failure", |w| w.count("ListenerFailed") > failures).await;
        // The next restart follows, or does not: then a moment is given to one that should not be.
        if life < renewd_actors::bounds::RESTARTS_MAX {
            world.until("a restart", |w| w.restarts.lock().unwrap().len() > life).await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    assert_eq!(world.restarts.lock().unwrap().len(), renewd_actors::bounds::RESTARTS_MAX);
    assert_eq!(world.count("RestartRequested"), renewd_actors::bounds::RESTARTS_MAX);
    engine.stop(StopReason::Asked).await.unwrap();
}
