//! Each rule of RFC 8555 broken once: refused, named, counted; and the rules of orders.

use std::time::{Duration, Instant};

use renewd_testca::{Options, TestCa};
use serde_json::json;

use crate::bare::{Acme, Mistake, order_of};
use crate::support::{Responder, ca, csr};

async fn start(options: Options) -> (Responder, TestCa, Acme) {
    let responder = Responder::start().await;
    let ca = ca(&responder, options).await;
    let acme = Acme::register(&ca).await;
    (responder, ca, acme)
}

#[tokio::test]
async fn a_used_nonce_is_refused_with_bad_nonce_and_counted() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let nonce = acme.nonce.clone();
    acme.order(&["a.example"]).await;
    let again = Mistake { nonce: Some(nonce), ..Mistake::default() };
    let url = acme.url("newOrder");
    let answer = acme.post_with(&url, Some(&order_of(&["b.example"])), again).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (400, "badNonce"));
    assert!(answer.header("replay-nonce").is_some(), "an error carries a nonce too");
    assert_eq!(ca.counts().nonce_reused, 1);
    assert_eq!(ca.orders().len(), 1, "a refused request does nothing");
    let [violation] = ca.violations().try_into().unwrap();
    assert!(violation.contains("nonce used a second time"), "{violation}");
}

#[tokio::test]
async fn each_deviation_of_the_envelope_is_refused_and_written_down() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let url = acme.url("newOrder");
    let default = Mistake::default;
    let table = [
        ("jwk for kid", 400, Mistake { jwk: true, ..default() }),
        ("media type", 415, Mistake { content_type: Some("application/json"), ..default() }),
        ("user agent", 400, Mistake { no_user_agent: true, ..default() }),
        ("url", 403, Mistake { signed_url: Some("https://x.example/".into()), ..default() }),
        ("signature", 400, Mistake { broken_signature: true, ..default() }),
    ];
    for (done, (case, status, mistake)) in table.into_iter().enumerate() {
        let payload = order_of(&["a.example"]);
        let answer = acme.post_with(&url, Some(&payload), mistake).await.unwrap();
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(ca.violations().len(), done + 1, "{case}: {:?}", ca.violations());
    }
    assert_eq!(acme.get(&url).await.unwrap().status, 405, "GET of a POST URL");
    assert_eq!(ca.violations().len(), 6);
    assert_eq!(ca.orders().len(), 0);
    assert_eq!(acme.nonce.len(), 22, "128 bits, base64url");
}

#[tokio::test]
async fn a_nonce_never_given_out_is_refused_but_is_no_violation() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    acme.nonce = "bm90LW91cnMtbm90LW91cg".to_owned();
    let answer = acme.new_order(&order_of(&["a.example"])).await.unwrap();
    assert_eq!(answer.problem(), "badNonce");
    assert_eq!((ca.counts().bad_nonce, ca.counts().violations), (1, 0));
}

#[tokio::test]
async fn identifiers_that_http_01_cannot_prove_are_refused_by_kind() {
    let (_responder, _ca, mut acme) = start(Options::default()).await;
    let ip = json!({ "identifiers": [{ "type": "ip", "value": "192.0.2.1" }] });
    let profile = json!({ "identifiers": order_of(&["a.example"])["identifiers"], "profile": "x" });
    let table = [
        (order_of(&["*.a.example"]), "rejectedIdentifier"),
        (order_of(&["https://a.example"]), "rejectedIdentifier"),
        (order_of(&["a.example", "a.example"]), "malformed"),
        (order_of(&[]), "malformed"),
        (ip, "unsupportedIdentifier"),
        (profile, "invalidProfile"),
    ];
    for (payload, kind) in table {
        let answer = acme.new_order(&payload).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (400, kind), "{payload}");
    }
}

#[tokio::test]
async fn finalize_waits_for_ready_and_its_csr_must_match_the_order() {
    let (responder, ca, mut acme) = start(Options::default()).await;
    let (url, order) = acme.order(&["a.example"]).await;
    let right = csr(&["a.example"]);
    let early = acme.finalize(&order, &right).await;
    assert_eq!((early.status, early.problem().as_str()), (403, "orderNotReady"));
    acme.prove(&responder, order["authorizations"][0].as_str().unwrap()).await;
    let wrong = acme.finalize(&order, &csr(&["a.example", "b.example"])).await;
    assert_eq!(wrong.problem(), "badCSR");
    let first = acme.finalize(&order, &right).await;
    assert_eq!(first.json()["status"], "processing");
    assert_eq!(acme.post(&url, None).await.unwrap().json()["status"], "valid");
    assert_eq!(acme.finalize(&order, &right).await.problem(), "orderNotReady");
    assert_eq!(ca.violations(), Vec::<String>::new());
    assert_eq!(acme.finalize(&order, &csr(&["a.example"])).await.problem(), "orderNotReady");
    let [violation] = ca.violations().try_into().unwrap();
    assert!(violation.contains("another CSR"), "{violation}");
}

#[tokio::test]
async fn a_failed_validation_kills_the_order_and_says_why() {
    let (responder, _ca, mut acme) = start(Options::default()).await;
    let (url, order) = acme.order(&["a.example"]).await;
    let authorization = order["authorizations"][0].as_str().unwrap();
    let challenge = acme.challenge(authorization).await;
    responder.publish(challenge["token"].as_str().unwrap(), "something else");
    let ready = challenge["url"].as_str().unwrap();
    acme.post(ready, Some(&json!({}))).await.unwrap();
    let dead = acme.wait(authorization, "invalid").await;
    let error = &dead["challenges"][0]["error"];
    assert_eq!(error["type"], "urn:ietf:params:acme:error:unauthorized");
    assert!(error["detail"].as_str().unwrap().contains("something else"), "{error}");
    let order = acme.post(&url, None).await.unwrap().json();
    assert_eq!(order["status"], "invalid");
    assert_eq!(order["error"]["type"], error["type"]);
    assert_eq!(acme.post(ready, Some(&json!({}))).await.unwrap().problem(), "malformed");
}

#[tokio::test]
async fn a_dead_responder_is_a_connection_problem() {
    let nobody = Options {
        http01_target: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
        ..Options::default()
    };
    let ca = TestCa::start(nobody).await.unwrap();
    let mut acme = Acme::register(&ca).await;
    let (_, order) = acme.order(&["a.example"]).await;
    let authorization = order["authorizations"][0].as_str().unwrap();
    let challenge = acme.challenge(authorization).await;
    acme.post(challenge["url"].as_str().unwrap(), Some(&json!({}))).await.unwrap();
    let dead = acme.wait(authorization, "invalid").await;
    let kind = &dead["challenges"][0]["error"]["type"];
    assert_eq!(kind, "urn:ietf:params:acme:error:connection");
}

#[tokio::test]
async fn a_look_before_retry_after_is_a_violation_one_after_it_is_not() {
    // The second is longer than a test can take.
    for (seconds, waits, violations) in [(1, true, 0), (3600, false, 1)] {
        let wait = Duration::from_secs(seconds);
        let (_responder, ca, mut acme) =
            start(Options { retry_after: Some(wait), ..Options::default() }).await;
        let (_, order) = acme.order(&["a.example"]).await;
        let authorization = order["authorizations"][0].as_str().unwrap();
        let answer = acme.post(authorization, None).await.unwrap();
        assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()));
        if waits {
            tokio::time::sleep(wait).await;
        }
        acme.post(authorization, None).await.unwrap();
        assert_eq!(ca.counts().violations, violations, "{wait:?}");
    }
}

#[tokio::test]
async fn an_order_is_processing_for_as_long_as_configured() {
    // The second is longer than a test can take.
    for seconds in [1, 3600] {
        let processing = Duration::from_secs(seconds);
        let (responder, _ca, mut acme) = start(Options { processing, ..Options::default() }).await;
        let (url, order) = acme.order(&["a.example"]).await;
        acme.prove(&responder, order["authorizations"][0].as_str().unwrap()).await;
        let began = Instant::now();
        acme.finalize(&order, &csr(&["a.example"])).await;
        if seconds == 1 {
            acme.wait(&url, "valid").await;
            assert!(began.elapsed() >= processing, "{:?}", began.elapsed());
        } else {
            assert_eq!(acme.post(&url, None).await.unwrap().json()["status"], "processing");
        }
    }
}

#[tokio::test]
async fn changed_terms_stop_orders_until_they_are_agreed_to() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    ca.set_terms("https://testca.invalid/terms/2");
    let answer = acme.new_order(&order_of(&["a.example"])).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (403, "userActionRequired"));
    let instance = answer.json()["instance"].as_str().unwrap().to_owned();
    assert!(instance.ends_with("/agree"), "a page of its own: {instance}");
    let links: Vec<_> = answer.headers.get_all("link").iter().collect();
    assert!(links.iter().any(|link| link.to_str().unwrap().contains("terms-of-service")));
    let kid = acme.kid.clone();
    acme.post(&kid, Some(&json!({ "termsOfServiceAgreed": true }))).await.unwrap();
    acme.order(&["a.example"]).await;
}

#[tokio::test]
async fn one_key_is_one_account_and_unknown_keys_are_not_registered_by_asking() {
    let (_responder, _ca, mut acme) = start(Options::default()).await;
    let url = acme.url("newAccount");
    let by_jwk = || Mistake { jwk: true, ..Mistake::default() };
    let known = json!({ "onlyReturnExisting": true });
    let answer = acme.post_with(&url, Some(&known), by_jwk()).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (200, Some(acme.kid.as_str())));
    let (_responder, ca, _) = start(Options::default()).await;
    let mut stranger = Acme::connect(&ca).await;
    let url = stranger.url("newAccount");
    let answer = stranger.post_with(&url, Some(&known), by_jwk()).await.unwrap();
    assert_eq!(answer.problem(), "accountDoesNotExist");
    let disagreeing = stranger.post_with(&url, Some(&json!({})), by_jwk()).await.unwrap();
    assert_eq!(disagreeing.problem(), "userActionRequired");
}

#[tokio::test]
async fn another_account_sees_nothing_of_an_order() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let (url, order) = acme.order(&["a.example"]).await;
    let mut other = Acme::register(&ca).await;
    for url in [url.as_str(), order["authorizations"][0].as_str().unwrap()] {
        assert_eq!(other.post(url, None).await.unwrap().problem(), "unauthorized");
    }
}
