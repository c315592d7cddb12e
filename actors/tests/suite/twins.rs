//! Two certificates of exactly the same names: each gets an order of its own, also where an answer was
//! lost and the account's list cannot tell their orders apart.

use std::collections::BTreeSet;

use renewd_events::order::OrderEvent;
use renewd_events::process::StopReason;
use renewd_events::{Envelope, Event};

use crate::world::World;

/// The URLs of the orders that the log knows, as often as they were learnt.
fn urls(envelopes: &[Envelope]) -> Vec<String> {
    let url = |event: &Event| {
        let Event::Order(OrderEvent::OrderCreated { url, .. }) = event else {
            return None;
        };
        Some(url.clone())
    };
    envelopes.iter().filter_map(|envelope| url(&envelope.event)).collect()
}

async fn two_of_the_same_names(lost: u32) {
    let world = World::new();
    world.state().lose_new_orders = lost;
    world.state().same_names = true;
    let engine = world.start(&["one.test", "two.test"], 4, usize::MAX).await.unwrap();
    world.until("both", |w| w.count("GenerationAdopted") == 2).await;
    engine.stop(StopReason::Asked).await.unwrap();
    let urls = urls(&world.envelopes());
    let different: BTreeSet<&String> = urls.iter().collect();
    assert_eq!((urls.len(), different.len()), (2, 2), "{lost} lost: {urls:?}");
    assert_eq!(world.state().new_orders, 2, "{lost} lost");
    assert_eq!(world.state().violations, Vec::<String>::new(), "{lost} lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_certificates_of_the_same_names_has_its_own_order() {
    two_of_the_same_names(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lost_answers_of_the_same_names_are_not_settled_by_one_order() {
    two_of_the_same_names(1).await;
    two_of_the_same_names(2).await;
}
