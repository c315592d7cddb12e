//! The harness against the real Pebble: what the other tests rely on.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use renewd_tests::error::HarnessError;
use renewd_tests::pebble::{PROFILE_TEN_MINUTES, Pebble, PebbleOptions};
use renewd_tests::{ports, tls};
use serde_json::{Value, json};

fn pebble() -> Pebble {
    let [responder] = ports::free().unwrap();
    Pebble::start(PebbleOptions::for_responder(responder)).unwrap()
}

#[test]
fn the_directory_is_served_over_verified_tls_and_counted() {
    let pebble = pebble();
    let before = pebble.count("GET /dir");
    let directory: Value = serde_json::from_str(&pebble.acme().get_ok("/dir").unwrap()).unwrap();
    let new_order = directory["newOrder"].as_str().unwrap();
    assert!(new_order.starts_with("https://127.0.0.1:"), "{new_order}");
    assert!(directory["renewalInfo"].is_string(), "{directory}");
    assert!(directory["meta"]["profiles"][PROFILE_TEN_MINUTES].is_string(), "{directory}");
    assert_eq!(pebble.count("GET /dir"), before + 1);
    assert_eq!((pebble.count("POST /order-plz"), pebble.orders_made()), (0, 0));
}

#[test]
fn a_client_that_trusts_another_root_is_refused() {
    let pebble = pebble();
    let issuer = pebble.issuer_root_pem().unwrap();
    assert_ne!(issuer, pebble.root_pem());
    let address = ([127, 0, 0, 1], pebble.acme().port).into();
    let served = tls::handshake(address, "localhost", pebble.root_pem()).unwrap();
    assert_eq!(served.leaf_sha256.len(), 64);
    let cause = tls::handshake(address, "localhost", &issuer).unwrap_err();
    assert!(matches!(cause, HarnessError::Tls { .. }), "{cause}");
    let cause = tls::handshake(address, "example.org", pebble.root_pem()).unwrap_err();
    assert!(matches!(cause, HarnessError::Tls { .. }), "{cause}");
}

#[test]
fn a_pebble_started_again_keeps_its_address_and_forgets_its_issuer() {
    let mut pebble = pebble();
    let (url, issuer) = (pebble.directory_url(), pebble.issuer_root_pem().unwrap());
    pebble.stop().unwrap();
    assert!(pebble.acme().get("/dir").is_err());
    pebble.start_again().unwrap();
    assert_eq!(pebble.directory_url(), url);
    assert_ne!(pebble.issuer_root_pem().unwrap(), issuer);
}

#[test]
fn dns_answers_and_renewal_windows_are_set_only_where_they_exist() {
    let pebble = pebble();
    let record = json!({"host": "x.test.", "addresses": ["192.0.2.1"]});
    pebble.set_dns("add-a", &record).unwrap();
    assert!(pebble.dns_log().contains("192.0.2.1"), "{}", pebble.dns_log());
    assert!(pebble.set_dns("no-such-command", &record).is_err());
    // Pebble has not issued its own listener's root, so it must refuse to set its window.
    let refused = pebble.set_renewal_window(pebble.root_pem(), "2026-01-01T00:00:00Z", "x");
    assert!(matches!(refused, Err(HarnessError::Http { status: 404, .. })), "{refused:?}");
}
