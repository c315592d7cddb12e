//! A CA that says anything: each port call ends with a value that keeps its bounds and can be recorded,
//! or with a problem that tells nothing of ours.

mod judge;
mod script;

use std::sync::{Arc, LazyLock, Mutex};

use renewd::acme::{
    AccountConfig, AccountFacts, AccountKeys, AcmeClient, ChainSink, KnownAccount, Roots,
};
use renewd::fuzzing::acme_client;
use renewd_actors::ports::CertificateAuthority;
use renewd_events::account::AccountRequest;
use renewd_events::authorization::Challenge;
use renewd_events::id::{AccountId, BootNo, CertificateId, DnsName, Hash, KeyRef, Seq, StreamId};
use renewd_events::order::{NewOrder, Order, OrderEvent, Phase};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Meta, WallMs};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use crate::challenge_request::runtime;
use script::{HOST, Script, TOKEN};

const ACCOUNT: AccountId = AccountId([7; 16]);
/// Calls that have a value with a CA that does as it should.
const CALLS: usize = 11;
/// In no problem and no value: it is a person's.
pub(crate) const CONTACT: &str = "ops@secret.example";

/// The octets as a CA's answers ([`script`] says how), for one call of each kind.
pub fn ca_answers(data: &[u8]) {
    let script = Script::parse(data);
    let is_usual = script.is_usual();
    let script = Arc::new(Mutex::new(script));
    let wire = Arc::clone(&script);
    let client = client(Arc::new(move |request| wire.lock().unwrap().answer(request)));
    let values = runtime().block_on(talk(&client));
    assert!(!is_usual || values == CALLS, "a usual CA, and {values} of {CALLS} calls have a value");
}

/// What must never happen: a chain with a private key in it is refused before it is stored.
const STORED_A_KEY: &str = "stored-a-key";

struct OneKey;

static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    key.unwrap().as_ref().to_vec()
});

impl AccountKeys for OneKey {
    fn pkcs8(&self, _: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem> {
        Ok(Zeroizing::new(KEY.clone()))
    }
}

struct NoStore;

impl ChainSink for NoStore {
    fn put(&self, pem: &str) -> Result<Hash, Problem> {
        match pem.contains("PRIVATE KEY-----") {
            true => Err(Problem::new(ProblemClass::Local, STORED_A_KEY, "")),
            false => Ok(Hash::of(pem.as_bytes())),
        }
    }
}

fn client(script: renewd::fuzzing::Script) -> AcmeClient {
    let config = AccountConfig {
        directory_url: format!("{HOST}/directory"),
        contacts: vec![format!("mailto:{CONTACT}")],
        roots: Roots::Native,
    };
    let keys: Arc<dyn AccountKeys> = Arc::new(OneKey);
    let known = || KnownAccount { url: format!("{HOST}/account/1"), key: KeyRef("key".to_owned()) };
    let facts: Arc<AccountFacts> = Arc::new(move |_| Some(known()));
    acme_client((ACCOUNT, &config), &keys, Arc::new(NoStore), &facts, script)
}

/// One call of each kind; gives how many had a value.
async fn talk(ca: &AcmeClient) -> usize {
    let order = new_order();
    let request = durable(AccountRequest {
        key_ref: KeyRef("key".to_owned()),
        thumbprint: String::new(),
        contacts_hash: Hash::default(),
    });
    let mut values = vec![
        judge::directory(ca.directory(ACCOUNT).await),
        judge::registered(ca.register(ACCOUNT, &request).await),
        judge::nothing(ca.update_contacts(ACCOUNT, &durable(Hash::default())).await),
    ];
    let created = judge::order(ca.new_order(&durable(order.clone())).await);
    values.push(created.is_some());
    let url = created.unwrap_or_else(|| format!("{HOST}/order/1"));
    let seen = judge::authorizations(ca.look_at_authorizations(ACCOUNT, &url, true).await);
    values.push(seen.is_some());
    judge::authorizations(ca.look_at_authorizations(ACCOUNT, &url, false).await);
    let challenge = seen.unwrap_or_else(|| Challenge {
        url: format!("{HOST}/challenge/1"),
        token: TOKEN.to_owned(),
        thumbprint: String::new(),
    });
    values.extend([
        judge::nothing(ca.make_ready(ACCOUNT, &url, &durable(challenge)).await),
        judge::order(ca.finalize(ACCOUNT, &url, &durable(Hash::default()), b"csr").await).is_some(),
        judge::order(ca.look_at_order(ACCOUNT, &url).await).is_some(),
        judge::leaf(ca.download(ACCOUNT, &url).await),
        judge::window(ca.renewal_window(ACCOUNT, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").await),
        judge::found(ca.find_order(&order, &[]).await),
    ]);
    ca.forget_order(&url);
    values.into_iter().filter(|value| *value).count()
}

fn new_order() -> NewOrder {
    NewOrder {
        certificate: CertificateId::derive(&[b"test"]),
        account: ACCOUNT,
        identifiers: vec![DnsName::parse("a.test").unwrap()],
        profile: None,
        replaces: None,
    }
}

/// An intent as the fold of a recorded event gives it.
fn durable<T>(intent: T) -> Durable<T> {
    let meta = Meta {
        seq: Seq(1),
        stream: StreamId::ENGINE,
        version: 1,
        at: WallMs(0),
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    };
    let mut order = Order::default();
    order.evolve(&meta, &OrderEvent::OrderRequested(new_order()));
    let Phase::Requested(recorded) = order.phase else {
        panic!("the fold gave no intent");
    };
    let mut intent = Some(intent);
    recorded.map(|_| intent.take().unwrap())
}
