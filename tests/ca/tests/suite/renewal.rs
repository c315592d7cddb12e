//! Renewal information, `replaces`, revocation, alternate chains.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use renewd_testca::{Options, TestCa};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use crate::bare::{Acme, order_of};
use crate::support::{Responder, ca};

async fn issued(options: Options) -> (Responder, TestCa, Acme, String) {
    let responder = Responder::start().await;
    let ca = ca(&responder, options).await;
    let mut acme = Acme::register(&ca).await;
    let order = acme.obtain(&responder, &order_of(&["a.example"])).await;
    (responder, ca, acme, order["certificate"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_suggested_window_is_a_share_of_the_life_until_it_is_set() {
    let life = Duration::from_secs(1_000);
    let options = Options { lifetime: life, ..Options::default() };
    let (_responder, ca, mut acme, _) = issued(options).await;
    let [certificate] = ca.certificates().try_into().unwrap();
    let url = format!("{}/{}", acme.url("renewalInfo"), certificate.ari_id);
    let answer = acme.get(&url).await.unwrap();
    assert_eq!(answer.header("retry-after"), Some("21600"));
    let expected = certificate.not_before + Duration::from_secs(660);
    assert_eq!(answer.json()["suggestedWindow"]["start"], written(expected));
    let start = SystemTime::UNIX_EPOCH;
    assert!(ca.set_renewal_window(&certificate.ari_id, start, start + Duration::from_secs(9)));
    let window = acme.get(&url).await.unwrap().json()["suggestedWindow"].clone();
    assert_eq!(window["end"], "1970-01-01T00:00:09.000Z");
    assert!(!ca.set_renewal_window("no.such", start, start));
    assert_eq!(acme.get(&format!("{url}x")).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_certificate_is_replaced_once() {
    let (responder, ca, mut acme, _) = issued(Options::default()).await;
    let id = ca.certificates()[0].ari_id.clone();
    let mut payload = order_of(&["a.example"]);
    payload["replaces"] = json!(id);
    let order = acme.obtain(&responder, &payload).await;
    assert_eq!(order["replaces"], json!(id), "echoed");
    let again = acme.new_order(&payload).await.unwrap();
    assert_eq!((again.status, again.problem().as_str()), (409, "alreadyReplaced"));
    let old = ca.certificates().into_iter().find(|one| one.ari_id == id).unwrap();
    assert!(old.replaced_by.is_some());
    let mut foreign = order_of(&["b.example"]);
    let new = ca.certificates().into_iter().find(|one| one.ari_id != id).unwrap();
    foreign["replaces"] = json!(new.ari_id);
    assert_eq!(acme.new_order(&foreign).await.unwrap().problem(), "malformed");
}

#[tokio::test]
async fn a_revoked_certificate_wants_renewal_now_and_is_revoked_once() {
    let (_responder, ca, mut acme, _) = issued(Options::default()).await;
    let [certificate] = ca.certificates().try_into().unwrap();
    let payload = json!({ "certificate": URL_SAFE_NO_PAD.encode(&certificate.der), "reason": 4 });
    let revoke = acme.url("revokeCert");
    let mut stranger = Acme::register(&ca).await;
    let refused = stranger.post(&revoke, Some(&payload)).await.unwrap();
    assert_eq!(refused.problem(), "unauthorized");
    assert_eq!(acme.post(&revoke, Some(&payload)).await.unwrap().status, 200);
    let again = acme.post(&revoke, Some(&payload)).await.unwrap();
    assert_eq!(again.problem(), "alreadyRevoked");
    let url = format!("{}/{}", acme.url("renewalInfo"), certificate.ari_id);
    let info = acme.get(&url).await.unwrap().json();
    assert!(info["explanationURL"].is_string());
    let window = &info["suggestedWindow"]["start"];
    assert_eq!(*window, written(certificate.not_before), "in the past");
}

#[tokio::test]
async fn the_alternate_chain_ends_under_the_other_root() {
    let (_responder, ca, mut acme, url) = issued(Options::default()).await;
    let answer = acme.post(&url, None).await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/pem-certificate-chain"));
    let links = answer.headers.get_all("link");
    let alternate = links
        .iter()
        .filter_map(|link| link.to_str().unwrap().strip_suffix(">;rel=\"alternate\""))
        .find_map(|link| link.strip_prefix('<'))
        .unwrap();
    let other = acme.post(alternate, None).await.unwrap();
    let chains = [(&answer.body, ca.issuer_root_pem()), (&other.body, ca.alternate_root_pem())];
    let mut leaves = Vec::new();
    for (chain, root) in chains {
        let chain: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(chain).map(Result::unwrap).collect();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&root).unwrap();
        let (_, intermediate) = x509_parser::parse_x509_certificate(&chain[1]).unwrap();
        intermediate.verify_signature(Some(root.public_key())).unwrap();
        leaves.push(chain[0].to_vec());
    }
    assert_eq!(leaves[0], leaves[1]);
}

fn written(at: SystemTime) -> String {
    let at = chrono::DateTime::<chrono::Utc>::from(at);
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
