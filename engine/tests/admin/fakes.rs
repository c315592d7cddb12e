//! An engine whose world refuses everything and whose log can be made to fail.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use renewd_actors::decision::Rules;
use renewd_actors::journal::{Observer, Seat};
use renewd_actors::ports::*;
use renewd_actors::{Engine, Start};
use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::{
    CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft,
};
use renewd_events::codec::Frame;
use renewd_events::event::NewEvent;
use renewd_events::id::*;
use renewd_events::memory::MemoryStore;
use renewd_events::order::NewOrder;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::store::{EventStore, Frames, Head, StoreError};
use renewd_events::{Durable, Event, Facts, WallMs};

/// A log in memory on a disk that can become full.
pub(crate) struct Disk(Arc<AtomicBool>);

impl Disk {
    pub(crate) fn fail(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Full(MemoryStore, Arc<AtomicBool>);

impl EventStore for Full {
    fn head(&self) -> Head {
        self.0.head()
    }
    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::Io {
                what: "appending",
                path: PathBuf::from("memory"),
                cause: std::io::Error::other("no space left"),
            });
        }
        self.0.commit(frames)
    }
    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        self.0.scan(from)
    }
    fn close(&mut self) -> Result<(), StoreError> {
        self.0.close()
    }
}

/// What the world says: it must not reach a browser as it is.
const HOSTILE: &str = "<script>alert('\u{202e}')</script>";

/// Nothing works here.
struct Nothing;

fn no<'a, T: Send + 'a>() -> Act<'a, Result<T, Problem>> {
    Box::pin(async { Err(Problem::new(ProblemClass::Local, "fake", HOSTILE)) })
}

#[rustfmt::skip]
impl CertificateAuthority for Nothing {
    fn directory(&self, _: AccountId) -> Act<'_, Result<Directory, Problem>> { no() }
    fn register<'a>(&'a self, _: AccountId, _: &'a Durable<AccountRequest>) -> Act<'a, Result<RegisteredAccount, Problem>> { no() }
    fn update_contacts<'a>(&'a self, _: AccountId, _: &'a Durable<Hash>) -> Act<'a, Result<(), Problem>> { no() }
    fn new_order<'a>(&'a self, _: &'a Durable<NewOrder>) -> Act<'a, Result<OrderLook, Problem>> { no() }
    fn find_order<'a>(&'a self, _: &'a NewOrder, _: &'a [String]) -> Act<'a, Result<FoundOrder, Problem>> { no() }
    fn look_at_order<'a>(&'a self, _: AccountId, _: &'a str) -> Act<'a, Result<OrderLook, Problem>> { no() }
    fn look_at_authorizations<'a>(&'a self, _: AccountId, _: &'a str, _: bool) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> { no() }
    fn make_ready<'a>(&'a self, _: AccountId, _: &'a str, _: &'a Durable<Challenge>) -> Act<'a, Result<(), Problem>> { no() }
    fn finalize<'a>(&'a self, _: AccountId, _: &'a str, _: &'a Durable<Hash>, _: &'a [u8]) -> Act<'a, Result<OrderLook, Problem>> { no() }
    fn download<'a>(&'a self, _: AccountId, _: &'a str) -> Act<'a, Result<Leaf, Problem>> { no() }
    fn renewal_window<'a>(&'a self, _: AccountId, _: &'a str) -> Act<'a, Result<RenewalWindow, Problem>> { no() }
    fn forget_order(&self, _: &str) {}
    fn clock(&self, _: AccountId) -> Option<WallMs> { None }
}

#[rustfmt::skip]
impl Vault for Nothing {
    fn ensure_account_key<'a>(&'a self, _: &'a KeyRef) -> Act<'a, Result<String, Problem>> { no() }
    fn ensure_certificate_key<'a>(&'a self, _: &'a KeyRequest) -> Act<'a, Result<KeyFacts, Problem>> { no() }
}

#[rustfmt::skip]
impl Prober for Nothing {
    fn probe<'a>(&'a self, _: &'a str, _: &'a Challenge) -> Act<'a, Probe> { Box::pin(async { Probe::Seen }) }
    fn visits(&self, _: &str) -> u32 { 0 }
}

#[rustfmt::skip]
impl BindingTarget for Nothing {
    fn deploy<'a>(&'a self, _: BindingId, _: &'a Target, _: &'a Issue, _: &'a Durable<Deployment>) -> Act<'a, Result<(), Problem>> { no() }
    fn reload<'a>(&'a self, _: BindingId, _: &'a Durable<Generation>) -> Act<'a, Result<(), Problem>> { no() }
    fn handshake<'a>(&'a self, _: &'a Target, _: &'a str) -> Act<'a, Result<(String, Fingerprint), Problem>> { no() }
}

#[rustfmt::skip]
impl HostProcess for Nothing {
    fn identity(&self) -> ProcessIdentity { ProcessIdentity::default() }
    fn open_listener<'a>(&'a self, _: &'a str) -> Act<'a, Result<(), ListenerRefused>> { Box::pin(async { Ok(()) }) }
    fn restart_method(&self) -> Option<Method> { None }
    fn restart<'a>(&'a self, _: RestartId, _: &'a Durable<ProcessIdentity>) -> Act<'a, Result<(), Problem>> { no() }
}

impl TimeSource for Nothing {
    fn now(&self) -> WallMs {
        WallMs(1_795_000_000_000)
    }
}

fn said(stream: StreamId, event: Event) -> NewEvent {
    NewEvent { stream, event, renewal: None, cause: None }
}

/// A running engine with one certificate that nobody can order.
pub(crate) async fn engine() -> (Engine, Disk) {
    engine_on(Seat::Thread, Vec::new()).await
}

/// The same with its journal on this seat, and others told of events.
pub(crate) async fn engine_on(seat: Seat, observers: Vec<Observer>) -> (Engine, Disk) {
    let full = Arc::new(AtomicBool::new(false));
    let nothing = Arc::new(Nothing);
    let account = AccountId::derive(&[b"none"]);
    let account_declared = AccountEvent::AccountDeclared {
        directory_url: "https://ca.invalid/directory".to_owned(),
        contacts_hash: Hash::default(),
        contacts: 0,
    };
    let declared = CertificateEvent::CertificateDeclared(Declaration {
        name: "web".to_owned(),
        account,
        identifiers: vec![DnsName::parse("example.org").unwrap()],
        profile: None,
        ari: false,
        life_left: LifeLeft::Share(1, 3),
    });
    let id = CertificateName::parse("web").unwrap().id();
    let engine = Engine::start(Start {
        store: Box::new(Full(MemoryStore::default(), Arc::clone(&full))),
        facts: Arc::new(RwLock::new(Facts::default())),
        ports: Ports {
            ca: nothing.clone(),
            vault: nothing.clone(),
            prober: nothing.clone(),
            bindings: nothing.clone(),
            host: nothing.clone(),
            time: nothing,
        },
        rules: Rules {
            parallel_max: 1,
            retry_first: Duration::from_secs(60),
            retry_max: Duration::from_secs(3600),
            restart: None,
            identity: ProcessIdentity::default(),
        },
        observers,
        version: "test".to_owned(),
        declarations: Box::new(move |_| {
            vec![
                said(account.into(), account_declared.clone().into()),
                said(id.into(), declared.clone().into()),
            ]
        }),
        seat,
    });
    (engine.await.unwrap(), Disk(full))
}
