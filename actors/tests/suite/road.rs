//! The six actors over a world in memory: the straight road, lost answers, failures, and an end at
//! every event.
use std::sync::atomic::Ordering;

use crate::world::World;
use renewd_events::process::StopReason;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_ordered_served_and_scheduled() {
    let world = World::new();
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the next schedule", |w| w.count("RenewalScheduled") == 2).await;
    engine.stop(StopReason::Asked).await.unwrap();
    let names = world.names();
    let expected = [
        "RenewalStarted",
        "OrderRequested",
        "OrderCreated",
        "AuthorizationSeen",
        "ChallengeChosen",
        "Published",
        "ReadinessRequested",
        "ReadinessAccepted",
        "OrderBecameReady",
        "FinalizationRequested",
        "FinalizationAccepted",
        "CertificateReady",
        "ChainDownloaded",
        "GenerationAdopted",
        "DeploymentRequested",
        "Deployed",
        "ServedVerified",
        "RenewalSucceeded",
        "RenewalScheduled",
        "EngineStopping",
        "EngineStopped",
    ];
    let mut rest = names.iter();
    for wanted in expected {
        assert!(
            rest.any(|held| *held == wanted),
            "{wanted} is missing or out of order: {names:#?}"
        );
    }
    assert_eq!(world.state().new_orders, 1);
    assert_eq!(world.state().violations, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_new_order_is_settled_by_asking() {
    let world = World::new();
    world.state().lose_new_orders = 1;
    let _engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    assert_eq!(world.state().new_orders, 1, "the first order was found, not bought again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_exactly_one_more_order_is_asked_for_and_the_log_says_why() {
    let world = World::with_list(false);
    world.state().lose_new_orders = 1;
    let _engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    assert_eq!(world.state().new_orders, 2);
    assert_eq!(world.count("OrderRequestUnresolved"), 1);
}

/// Pebble does so for a serial number whose first octet is 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_stumbles_over_replaces_is_asked_without_it() {
    let world = World::new();
    world.state().stumbles_over_replaces = true;
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    engine.handle().renew("a.test", "test").await.unwrap();
    world.until("a second success", |w| w.count("RenewalSucceeded") == 2).await;
    let counts = ["OrderRequested", "OrderRequestUnresolved", "RenewalFailed"];
    assert_eq!(counts.map(|name| world.count(name)), [4, 2, 0]);
    assert_eq!(world.state().new_orders, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_certificate_does_not_stop_the_others() {
    let world = World::new();
    world.state().failing.insert("bad.test".to_owned());
    let _engine = world.start(&["bad.test", "good.test"], 1, usize::MAX).await.unwrap();
    world.until("the good one", |w| w.count("RenewalSucceeded") == 1).await;
    world.until("a second try", |w| w.count("RenewalFailed") >= 2).await;
    assert!(world.count("ChallengeWithdrawn") >= 2, "tokens of dead orders are withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_renewals_than_allowed_are_under_way() {
    let world = World::new();
    let names: Vec<String> = (0..12).map(|n| format!("n{n}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _engine = world.start(&names, 3, usize::MAX).await.unwrap();
    world.until("all", |w| w.count("RenewalSucceeded") == 12).await;
    let (mut under_way, mut most) = (0, 0);
    for name in world.names() {
        match name {
            "RenewalStarted" => under_way += 1,
            "GenerationAdopted" => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    assert_eq!(most, 3);
    assert_eq!(world.state().new_orders, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_panics_is_started_again_and_the_renewal_goes_on() {
    let world = World::new();
    // Only an actor asks for the visits, and only while a token is answered.
    world.panic_at_visits.store(true, Ordering::Release);
    let _engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("the record", |w| w.count("ActorRestarted") == 1).await;
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    assert_eq!((world.count("ActorFailed"), world.count("OrderRequested")), (1, 1));
    assert_eq!(world.state().new_orders, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_that_panic_are_started_again_and_the_renewal_goes_on() {
    let world = World::new();
    world.panic_at_nap.store(true, Ordering::Release);
    let engine = world.start(&["a.test"], 4, usize::MAX).await.unwrap();
    world.until("success", |w| w.count("RenewalSucceeded") == 1).await;
    world.until("the record", |w| w.count("ActorFailed") == 1).await;
    assert!(engine.fatal().borrow().is_none());
    assert_eq!((world.count("ActorRestarted"), world.state().new_orders), (0, 1));
}

/// The disk takes `n` events and no more: what a process that dies there leaves behind. Then it starts
/// again, for every `n`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_at_every_event_is_resumed_without_a_second_order() {
    let whole = World::new();
    let engine = whole.start(&["a.test"], 4, usize::MAX).await.unwrap();
    whole.until("the next schedule", |w| w.count("RenewalScheduled") == 2).await;
    let events = whole.names().len();
    drop(engine);
    let mut ends = Vec::new();
    for limit in 1..events {
        ends.push(tokio::spawn(async move {
            let world = World::new();
            // A life that ends at the limit, a second one shortly after it, and one to the end.
            for limit in [limit, limit + 3, usize::MAX] {
                let engine = world.start(&["a.test"], 4, limit).await;
                if let Some(engine) = engine {
                    if limit == usize::MAX {
                        world.until("success", |w| w.count("RenewalSucceeded") >= 1).await;
                        engine.stop(StopReason::Asked).await.unwrap();
                    } else {
                        // The second life may find nothing left to do.
                        let done = |w: &World| w.count("RenewalSucceeded") == 1;
                        let ended =
                            |w: &World| engine.journal().broken().borrow().is_some() || done(w);
                        world.until("the end of the life", ended).await;
                        drop(engine.stop(StopReason::Asked).await);
                    }
                }
            }
            let violations = renewd_replay::check::check(&world.envelopes());
            assert!(violations.is_empty(), "ended at event {limit}: {violations:#?}");
            let state = world.state();
            assert_eq!(state.violations, Vec::<String>::new(), "ended at event {limit}");
            assert_eq!(state.new_orders, 1, "ended at event {limit}: {:#?}", world.names());
        }));
    }
    for end in ends {
        end.await.unwrap();
    }
}
