//! The CA port with many orders at the same time: no nonce is used twice, none is fetched without need,
//! and orders do not wait for each other.
use std::sync::Arc;
use std::time::Duration;

use crate::support::{ACCOUNT, Client, responder};
use renewd::acme::Bounds;
use renewd_actors::ports::CertificateAuthority;
use renewd_testca::{Endpoint, Fault, FaultKind, Options, TestCa};

/// Certificates in flight in the product.
const ORDERS: u64 = 8;

async fn world() -> (TestCa, Arc<Client>) {
    let ca = TestCa::start(Options {
        http01_target: responder(Arc::default()).await,
        ..Options::default()
    })
    .await
    .unwrap();
    let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], Bounds::default());
    client.register().await.unwrap();
    (ca, Arc::new(client.restarted()))
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_side_by_side_share_nonces_and_use_none_twice() {
    let (ca, client) = world().await;
    let before = ca.counts();
    let orders: Vec<_> = (0..ORDERS)
        .map(|number| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let name = format!("n{number}.renewd.test");
                let order = client.order(&[&name]).await.unwrap();
                for fresh in [false, false, true] {
                    let seen = client.ca.look_at_authorizations(ACCOUNT, &order.url, fresh);
                    let seen = seen.await.unwrap();
                    assert_eq!(seen.first().unwrap().identifier, name);
                }
                client.ca.look_at_order(ACCOUNT, &order.url).await.unwrap();
            })
        })
        .collect();
    for order in orders {
        order.await.unwrap();
    }
    let counts = ca.counts();
    assert_eq!(counts.new_order - before.new_order, ORDERS);
    assert_eq!(counts.authorization_look - before.authorization_look, 2 * ORDERS);
    assert_eq!(counts.order_look - before.order_look, ORDERS);
    assert!(counts.nonce - before.nonce <= ORDERS, "{counts:?}");
    assert_eq!((counts.nonce_reused, counts.bad_nonce), (0, 0));
    assert_eq!(counts.directory - before.directory, 1);
    assert_eq!(ca.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_order_does_not_hold_up_another() {
    let (ca, client) = world().await;
    let slow = client.order(&["slow.renewd.test"]).await.unwrap().url;
    let quick = client.order(&["quick.renewd.test"]).await.unwrap().url;
    // Until the end of the test: were the quick one behind it, it would fail with its time-out.
    let delay = FaultKind::Delay(Duration::from_secs(3600));
    ca.inject(Fault::once(Endpoint::Order, delay));
    let waiting = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.ca.look_at_order(ACCOUNT, &slow).await })
    };
    while ca.counts().faults == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.ca.look_at_order(ACCOUNT, &quick).await.unwrap();
    assert!(!waiting.is_finished());
    waiting.abort();
}
