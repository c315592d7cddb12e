//! What is served is looked at, and mended when it is not what was put there.
use crate::world::World;
use renewd_events::binding::BindingEvent;
use renewd_events::process::StopReason;
use renewd_events::{Event, WallMs};

/// When handshakes showed something else.
fn mismatches(world: &World) -> Vec<WallMs> {
    let wrong =
        |event: &Event| matches!(event, Event::Binding(BindingEvent::ServedMismatch { .. }));
    let all = world.envelopes();
    let wrong = all.iter().filter(|envelope| wrong(&envelope.event));
    wrong.map(|envelope| envelope.at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn overwritten_files_are_put_in_place_again_and_reloaded() {
    let world = World::new();
    world.state().overwrite = 1;
    let engine = world.start(&["files.test"], 4, usize::MAX).await.unwrap();
    world.until("the right certificate", |w| w.count("ServedVerified") == 1).await;
    engine.stop(StopReason::Asked).await.unwrap();
    let state = world.state();
    assert_eq!((state.deployments, state.reloads), (2, 2));
    assert_eq!(state.new_orders, 1, "nothing is ordered for it");
    drop(state);
    let [first, second] = mismatches(&world)[..] else {
        panic!("two looks before it is mended: {:#?}", world.names());
    };
    let first_wait = renewd_actors::bounds::READ_RETRY_FIRST;
    assert!(second >= first.after(first_wait), "the back-off is kept");
}
