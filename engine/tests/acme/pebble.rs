//! The CA port against a real Pebble: one certificate from nothing, its number of requests, and what
//! is repeated after a crash.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{ACCOUNT, Client, csr, durable, new_order, responder};
use renewd::acme::Bounds;
use renewd_actors::ports::{
    AuthorizationStatus, CertificateAuthority, ChallengeStatus, FoundOrder, OrderLook,
};
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::Hash;
use renewd_events::order::OrderStatus;
use renewd_events::problem::ProblemClass;
use renewd_tests::pebble::{Pebble, PebbleOptions};

const NAME: &str = "one.renewd.test";
/// Pebble validates and issues in milliseconds; a loaded machine may need seconds.
const STEP_TIME_MAX: Duration = Duration::from_secs(120);

struct World {
    pebble: Pebble,
    client: Client,
    thumbprint: Arc<Mutex<String>>,
}

async fn world(change: impl FnOnce(&mut PebbleOptions)) -> World {
    let thumbprint = Arc::default();
    let address = responder(Arc::clone(&thumbprint)).await;
    let mut options = PebbleOptions::repeatable(address.port());
    change(&mut options);
    let pebble = tokio::task::spawn_blocking(|| Pebble::start(options).unwrap());
    let pebble = pebble.await.unwrap();
    let contacts = ["mailto:ops@renewd.test"];
    let client =
        Client::new(&pebble.directory_url(), pebble.root_pem(), &contacts, Bounds::default());
    World { pebble, client, thumbprint }
}

impl World {
    /// Authorizations from memory, the responder armed, and the challenge of the first.
    async fn challenge(&self, order: &OrderLook) -> Challenge {
        let ca = &self.client.ca;
        let seen = ca.look_at_authorizations(ACCOUNT, &order.url, false).await;
        let first = seen.unwrap().remove(0);
        assert_eq!(first.identifier, NAME);
        assert_eq!(first.status, AuthorizationStatus::Pending);
        assert_eq!(first.challenge, ChallengeStatus::Pending);
        assert!(first.expires.is_some() && first.problem.is_none());
        assert!(first.offers.contains(&"http-01".to_owned()));
        let challenge = first.http01.unwrap();
        self.thumbprint.lock().unwrap().clone_from(&challenge.thumbprint);
        challenge
    }

    /// Waits for a word in Pebble's log, so that a single look sees the outcome.
    async fn logged(&self, word: &str, times: usize) {
        let wait = async {
            while self.pebble.log().matches(word).count() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = tokio::time::timeout(STEP_TIME_MAX, wait).await;
        told.unwrap_or_else(|_| panic!("no `{word}` in\n{}", self.pebble.log()));
    }

    /// One certificate, looking only when there is something to see.
    async fn certificate(&self) -> (Leaf, rcgen::KeyPair) {
        let ca = &self.client.ca;
        let order = self.client.order(&[NAME]).await.unwrap();
        assert_eq!(order.status, OrderStatus::Pending);
        assert!(order.expires.is_some());
        let ready = durable(self.challenge(&order).await);
        ca.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
        self.logged("set VALID by completed challenge", 1).await;
        let key = self.issued(&order.url).await;
        let leaf = ca.download(ACCOUNT, &order.url).await.unwrap();
        ca.forget_order(&order.url);
        (leaf, key)
    }

    /// From a valid authorization to a valid order.
    async fn issued(&self, url: &str) -> rcgen::KeyPair {
        let ca = &self.client.ca;
        let look = ca.look_at_order(ACCOUNT, url).await.unwrap();
        assert_eq!(look.status, OrderStatus::Ready);
        let (key, csr) = csr(&[NAME]);
        let intent = durable(Hash::of(&csr));
        let accepted = ca.finalize(ACCOUNT, url, &intent, &csr).await.unwrap();
        // Pebble issues in the background: it may be done before the answer is written.
        let taken = [OrderStatus::Processing, OrderStatus::Valid].contains(&accepted.status);
        assert!(taken, "{accepted:?}");
        assert_eq!(accepted.certificate.is_some(), accepted.status == OrderStatus::Valid);
        self.logged("Issued certificate serial", 1).await;
        let look = ca.look_at_order(ACCOUNT, url).await.unwrap();
        assert_eq!(look.status, OrderStatus::Valid);
        assert!(look.certificate.is_some());
        key
    }
}

/// Requests since `before`, by kind, without those that are zero.
fn since(pebble: &Pebble, before: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut now = pebble.requests();
    now.retain(|kind, count| {
        *count -= before.get(kind).copied().unwrap_or(0);
        *count > 0
    });
    now
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_costs_seven_requests_and_no_nonce_is_fetched_for_it() {
    let world = world(|_| ()).await;
    let ca = &world.client.ca;
    let before = world.pebble.requests();
    let directory = ca.directory(ACCOUNT).await.unwrap();
    assert!(directory.renewal_info && directory.profiles.contains(&"default".to_owned()));
    assert!(directory.terms_url.is_some());
    ca.directory(ACCOUNT).await.unwrap();
    let account = world.client.register().await.unwrap();
    assert!(!account.already_existed);
    let once = since(&world.pebble, &before);
    let expected = [("GET /dir", 1), ("HEAD /nonce-plz", 1), ("POST /sign-me-up", 1)];
    assert_eq!(once, expected.map(|(kind, n)| (kind.to_owned(), n)).into());

    let before = world.pebble.requests();
    let (leaf, key) = world.certificate().await;
    let expected = [
        ("POST /order-plz", 1),
        ("POST /authZ/", 1),
        ("POST /chalZ/", 1),
        ("POST /my-order/", 2),
        ("POST /finalize-order/", 1),
        ("POST /certZ/", 1),
    ];
    let order = since(&world.pebble, &before);
    assert_eq!(order, expected.map(|(kind, n)| (kind.to_owned(), n)).into());
    assert_eq!(order.values().sum::<usize>(), 7);

    assert_eq!(leaf.names, [NAME]);
    assert_eq!(leaf.certificates, 2);
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(leaf.spki, Hash::of(&spki));
    let stored = world.client.chains.0.lock().unwrap().clone();
    assert_eq!(leaf.chain, Hash::of(stored[0].as_bytes()));

    let window = ca.renewal_window(ACCOUNT, &leaf.ari_id.unwrap()).await;
    let window = window.unwrap();
    assert!(leaf.not_before < window.end && window.start < window.end);
    assert!(window.retry_after_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_gives_the_same_account_and_contacts_can_change() {
    let world = world(|_| ()).await;
    let first = world.client.register().await.unwrap();
    let again = world.client.register().await.unwrap();
    assert!(!first.already_existed && again.already_existed);
    assert_eq!(first.url, again.url);
    let contacts = durable(Hash::default());
    let changed = world.client.ca.update_contacts(ACCOUNT, &contacts).await;
    changed.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_new_order_is_found_over_several_pages_and_a_known_one_is_not() {
    let world = world(|options| options.orders_per_page = Some(2)).await;
    world.client.register().await.unwrap();
    let mut others = Vec::new();
    for number in 0..4 {
        let name = format!("other{number}.renewd.test");
        others.push(world.client.order(&[&name]).await.unwrap().url);
    }
    let lost = world.client.order(&[NAME, "two.renewd.test"]).await.unwrap();
    let client = world.client.restarted(); // the answer is lost with all that was in memory
    let ours = new_order(&["two.renewd.test", NAME]);
    for known in [others, Vec::new()] {
        let found = client.ca.find_order(&ours, &known).await.unwrap();
        let FoundOrder::Found(look) = found else {
            panic!("not found: {found:?}");
        };
        assert_eq!(look.url, lost.url);
        assert_eq!(look.status, OrderStatus::Pending);
        assert_eq!(look.expires, lost.expires);
        assert_eq!(look.authorizations.len(), 2);
    }
    assert!(world.pebble.count("POST /list-orderz/") >= 6);
    let known = [lost.url.clone()];
    let found = client.ca.find_order(&ours, &known).await.unwrap();
    assert_eq!(found, FoundOrder::NotThere);
    let part = new_order(&[NAME]);
    let found = client.ca.find_order(&part, &[]).await.unwrap();
    assert_eq!(found, FoundOrder::NotThere);
    // The order goes on in the new process: opened again by its URL.
    let seen = client.ca.look_at_authorizations(ACCOUNT, &lost.url, false);
    assert_eq!(seen.await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_already_may_be_asked_again() {
    let world = world(|_| ()).await;
    world.client.register().await.unwrap();
    let ca = &world.client.ca;
    let order = world.client.order(&[NAME]).await.unwrap();
    let ready = durable(world.challenge(&order).await);
    let (_, csr) = csr(&[NAME]);
    let intent = durable(Hash::of(&csr));
    let early = ca.finalize(ACCOUNT, &order.url, &intent, &csr).await;
    assert_eq!(early.unwrap().status, OrderStatus::Pending);
    ca.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
    ca.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
    world.logged("set VALID by completed challenge", 1).await;
    ca.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
    let seen = ca.look_at_authorizations(ACCOUNT, &order.url, true).await;
    assert_eq!(seen.unwrap()[0].status, AuthorizationStatus::Valid);
    ca.finalize(ACCOUNT, &order.url, &intent, &csr).await.unwrap();
    let again = ca.finalize(ACCOUNT, &order.url, &intent, &csr).await;
    assert!(again.unwrap().status > OrderStatus::Ready);
    world.logged("Issued certificate serial", 1).await;

    let client = world.client.restarted();
    let one = client.ca.download(ACCOUNT, &order.url).await.unwrap();
    let two = client.ca.download(ACCOUNT, &order.url).await.unwrap();
    assert_eq!(one, two);
    assert_eq!(world.pebble.orders_made(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_validation_says_why_and_a_ca_without_memory_says_404() {
    let mut world = world(|_| ()).await;
    world.client.register().await.unwrap();
    let order = world.client.order(&[NAME]).await.unwrap();
    let ready = durable(world.challenge(&order).await);
    "wrong".clone_into(&mut world.thumbprint.lock().unwrap());
    let ca = &world.client.ca;
    ca.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
    world.logged("set INVALID by completed challenge", 1).await;
    let seen = ca.look_at_authorizations(ACCOUNT, &order.url, true).await;
    let seen = seen.unwrap().remove(0);
    assert_eq!(seen.status, AuthorizationStatus::Invalid);
    assert_eq!(seen.challenge, ChallengeStatus::Taken);
    let problem = seen.problem.unwrap();
    assert_eq!(problem.class, ProblemClass::Acme);
    assert!(problem.detail.contains("wrong"), "{}", problem.detail);
    let look = ca.look_at_order(ACCOUNT, &order.url).await.unwrap();
    assert_eq!(look.status, OrderStatus::Invalid);

    world = tokio::task::spawn_blocking(move || {
        world.pebble.start_again().unwrap();
        world
    })
    .await
    .unwrap();
    let gone = world.client.ca.look_at_order(ACCOUNT, &order.url).await;
    let gone = gone.unwrap_err();
    assert_ne!(gone.status, 0, "{gone:?}");
    assert!(gone.subject.starts_with("https://"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_all_nonces_refused_still_gives_a_certificate() {
    let world = world(|options| options.nonce_reject_percent = Some(50)).await;
    world.client.register().await.unwrap();
    let (leaf, _) = world.certificate().await;
    assert_eq!(leaf.names, [NAME]);
    assert_eq!(world.pebble.orders_made(), 1);
}
