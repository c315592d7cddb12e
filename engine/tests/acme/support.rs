//! What the ACME tests share: one account with a key in memory, a responder for http-01, and intents
//! that are durable because the log's own fold made them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use renewd::acme::{
    AccountConfig, AccountFacts, AccountKeys, AcmeClient, Bounds, ChainSink, KnownAccount, Roots,
};
use renewd_actors::ports::{CertificateAuthority, OrderLook, RegisteredAccount};
use renewd_events::account::AccountRequest;
use renewd_events::id::{AccountId, BootNo, CertificateId, DnsName, Hash, KeyRef, Seq, StreamId};
use renewd_events::order::{NewOrder, Order, OrderEvent, Phase};
use renewd_events::problem::Problem;
use renewd_events::{Durable, Meta, WallMs};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// The one account of a test.
pub(crate) const ACCOUNT: AccountId = AccountId([7; 16]);

struct OneKey(Vec<u8>);

impl AccountKeys for OneKey {
    fn pkcs8(&self, _key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem> {
        Ok(Zeroizing::new(self.0.clone()))
    }
}

/// Chains that were stored.
#[derive(Default)]
pub(crate) struct Chains(pub(crate) Mutex<Vec<String>>);

impl ChainSink for Chains {
    fn put(&self, pem: &str) -> Result<Hash, Problem> {
        self.0.lock().unwrap().push(pem.to_owned());
        Ok(Hash::of(pem.as_bytes()))
    }
}

/// A client with one account.
pub(crate) struct Client {
    /// The port under test.
    pub(crate) ca: AcmeClient,
    /// What it stored.
    pub(crate) chains: Arc<Chains>,
    registered: Arc<Mutex<Option<KnownAccount>>>,
    roots: TempDir,
    directory_url: String,
    key: Vec<u8>,
    contacts: Vec<String>,
}

impl Client {
    /// For this directory, trusting this root and nothing else.
    pub(crate) fn new(
        directory_url: &str,
        root_pem: &str,
        contacts: &[&str],
        bounds: Bounds,
    ) -> Self {
        let roots = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(roots.path().join("root.pem")).unwrap();
        file.write_all(root_pem.as_bytes()).unwrap();
        let key = KeyPair::generate().unwrap().serialize_der();
        let contacts = contacts.iter().map(|c| (*c).to_owned()).collect();
        let registered = Arc::default();
        Self::made(roots, directory_url, (key, contacts, registered), bounds)
    }

    /// The same account after a crash: nothing in memory.
    pub(crate) fn restarted(self) -> Self {
        let world = (self.key, self.contacts, self.registered);
        Self::made(self.roots, &self.directory_url, world, Bounds::default())
    }

    fn made(
        roots: TempDir,
        directory_url: &str,
        (key, contacts, registered): (Vec<u8>, Vec<String>, Arc<Mutex<Option<KnownAccount>>>),
        bounds: Bounds,
    ) -> Self {
        let config = AccountConfig {
            directory_url: directory_url.to_owned(),
            contacts: contacts.clone(),
            roots: Roots::File(root_file(&roots)),
        };
        let keys: Arc<dyn AccountKeys> = Arc::new(OneKey(key.clone()));
        let known = Arc::clone(&registered);
        let facts: Arc<AccountFacts> = Arc::new(move |_| known.lock().unwrap().clone());
        let chains = Arc::new(Chains::default());
        let sink: Arc<dyn ChainSink> = Arc::<Chains>::clone(&chains);
        let accounts = BTreeMap::from([(ACCOUNT, config)]);
        let ca = AcmeClient::with_bounds(&accounts, &keys, (sink, &facts), bounds).unwrap();
        Self {
            ca,
            chains,
            registered,
            roots,
            directory_url: directory_url.to_owned(),
            key,
            contacts,
        }
    }

    /// Registers, and lets the facts know.
    pub(crate) async fn register(&self) -> Result<RegisteredAccount, Problem> {
        let key = KeyRef("account".to_owned());
        let request = durable(AccountRequest {
            key_ref: key.clone(),
            thumbprint: String::new(),
            contacts_hash: Hash::default(),
        });
        let account = self.ca.register(ACCOUNT, &request).await?;
        let url = account.url.clone();
        *self.registered.lock().unwrap() = Some(KnownAccount { url, key });
        Ok(account)
    }

    /// newOrder.
    pub(crate) async fn order(&self, names: &[&str]) -> Result<OrderLook, Problem> {
        self.ca.new_order(&durable(new_order(names))).await
    }
}

fn root_file(roots: &TempDir) -> PathBuf {
    roots.path().join("root.pem")
}

/// An order of these names; the profile is named because Pebble picks one at random otherwise.
pub(crate) fn new_order(names: &[&str]) -> NewOrder {
    NewOrder {
        certificate: CertificateId::derive(&[b"test"]),
        account: ACCOUNT,
        identifiers: names.iter().map(|n| DnsName::parse(n).unwrap()).collect(),
        profile: Some("default".to_owned()),
        replaces: None,
    }
}

/// An intent as the fold of a recorded event gives it.
pub(crate) fn durable<T>(intent: T) -> Durable<T> {
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
    order.evolve(&meta, &OrderEvent::OrderRequested(new_order(&["a.test"])));
    let Phase::Requested(recorded) = order.phase else {
        panic!("the fold gave no intent");
    };
    let mut intent = Some(intent);
    recorded.map(|_| intent.take().unwrap())
}

/// A key and a CSR for these names.
pub(crate) fn csr(names: &[&str]) -> (KeyPair, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key).unwrap().der().to_vec();
    (key, csr)
}

/// Answers every http-01 fetch for this account on a free port, and gives the port. Ends with the
/// runtime.
pub(crate) async fn responder(thumbprint: Arc<Mutex<String>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let thumbprint = thumbprint.lock().unwrap().clone();
            tokio::spawn(async move {
                let mut head = [0; 2048];
                let mut read = 0;
                while !head[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                    let more = stream.read(&mut head[read..]).await.unwrap_or(0);
                    if more == 0 {
                        return;
                    }
                    read += more;
                }
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("");
                let body = format!("{}.{thumbprint}", path.rsplit('/').next().unwrap_or(""));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    address
}
