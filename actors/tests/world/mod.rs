//! A small world for the actors: a CA that keeps a list of orders, a vault, targets and a disk, all in
//! memory and all outliving the engine, so that an engine can be ended anywhere and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd_actors::decision::Rules;
use renewd_actors::ports::*;
use renewd_actors::{Engine, Start};
use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{BindingEvent, Deployment, Target};
use renewd_events::certificate::{
    CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft,
};
use renewd_events::codec::Frame;
use renewd_events::event::NewEvent;
use renewd_events::id::*;
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::store::{EventStore, Frames, Head, StoreError};
use renewd_events::{Durable, Envelope, Facts, WallMs};

/// How long a test waits for the engine before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub struct State {
    pub orders: BTreeMap<String, Placed>,
    pub new_orders: u32,
    pub finalized: BTreeMap<String, Hash>,
    pub served: BTreeMap<BindingId, Fingerprint>,
    pub keys: BTreeSet<KeyRef>,
    pub registrations: u32,
    /// Answers of newOrder that are lost on their way back.
    pub lose_new_orders: u32,
    /// Orders whose names fail their challenge.
    pub failing: BTreeSet<String>,
    pub violations: Vec<String>,
}

#[derive(Clone)]
pub struct Placed {
    pub names: Vec<DnsName>,
    pub status: OrderStatus,
    pub ready: BTreeSet<String>,
    pub processing: bool,
}

pub struct World {
    pub state: Mutex<State>,
    pub disk: Arc<Mutex<Vec<Frame>>>,
    pub panic_next: AtomicBool,
    pub panics: AtomicU64,
    pub has_list: bool,
    /// The listener can only be opened by a restart.
    pub needs_restart: AtomicBool,
    /// Restarts that were begun.
    pub restarts: Mutex<Vec<RestartId>>,
}

/// A disk that holds `limit` events and then fails for ever, as a process that dies there would leave it.
struct Disk {
    frames: Arc<Mutex<Vec<Frame>>>,
    limit: usize,
}

impl EventStore for Disk {
    fn head(&self) -> Head {
        let frames = self.frames.lock().unwrap();
        frames.last().map_or_else(Head::default, |frame| Head {
            seq: frame.seq,
            hash: frame.hash,
        })
    }

    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        let mut disk = self.frames.lock().unwrap();
        if disk.len() + frames.len() > self.limit {
            return Err(StoreError::Poisoned("the disk ends here".to_owned()));
        }
        disk.extend_from_slice(frames);
        Ok(())
    }

    fn scan(&self, _from: Seq) -> Result<Frames<'_>, StoreError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

pub fn account() -> AccountId {
    AccountId::derive(&[b"https://ca.test/dir"])
}

/// Every certificate is served by the same listener.
fn target() -> Target {
    Target::Builtin {
        address: "127.0.0.1:443".to_owned(),
    }
}

/// What the configuration of these certificates says.
pub fn declarations(names: &[&str], facts: &Facts) -> Vec<NewEvent> {
    if !facts.accounts.is_empty() {
        return Vec::new();
    }
    let new = |stream: StreamId, event: renewd_events::Event| NewEvent {
        stream,
        event,
        renewal: None,
        cause: None,
    };
    let declared = AccountEvent::AccountDeclared {
        directory_url: "https://ca.test/dir".to_owned(),
        contacts_hash: Hash::default(),
        contacts: 0,
    };
    let terms = AccountEvent::TermsAccepted {
        terms_url: None,
        by: "test".to_owned(),
    };
    let mut events = vec![
        new(account().into(), declared.into()),
        new(account().into(), terms.into()),
    ];
    for name in names {
        let id = CertificateName::parse(name).unwrap().id();
        let declaration = Declaration {
            name: (*name).to_owned(),
            account: account(),
            identifiers: vec![DnsName::parse(name).unwrap()],
            profile: None,
            ari: false,
            life_left: LifeLeft::Share(1, 3),
        };
        events.push(new(
            id.into(),
            CertificateEvent::CertificateDeclared(declaration).into(),
        ));
        let binding = BindingId::derive(&[&id.0]);
        let declared = BindingEvent::BindingDeclared {
            certificate: id,
            target: target(),
        };
        events.push(new(binding.into(), declared.into()));
    }
    events
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::with_list(true)
    }

    pub fn with_list(has_list: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            disk: Arc::default(),
            panic_next: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            has_list,
            needs_restart: AtomicBool::new(false),
            restarts: Mutex::default(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn envelopes(&self) -> Vec<Envelope> {
        self.disk
            .lock()
            .unwrap()
            .iter()
            .map(|f| Frame::decode(&f.bytes).unwrap())
            .collect()
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.envelopes()
            .iter()
            .map(|envelope| envelope.event.name())
            .collect()
    }

    pub fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|held| **held == name).count()
    }

    /// Starts a life on this world's disk.
    pub async fn start(
        self: &Arc<Self>,
        names: &[&str],
        parallel: usize,
        limit: usize,
    ) -> Option<Engine> {
        let mut facts = Facts::default();
        for envelope in self.envelopes() {
            facts.apply(&envelope);
        }
        let declarations = declarations(names, &facts);
        let ports = Ports {
            ca: Arc::clone(self) as _,
            vault: Arc::clone(self) as _,
            prober: Arc::clone(self) as _,
            bindings: Arc::clone(self) as _,
            host: Arc::clone(self) as _,
            time: Arc::clone(self) as _,
        };
        let rules = Rules {
            parallel_max: parallel,
            retry_first: Duration::from_millis(50),
            retry_max: Duration::from_secs(1),
            restart: Some(Method::Exec),
            identity: ProcessIdentity::default(),
        };
        Engine::start(Start {
            store: Box::new(Disk {
                frames: Arc::clone(&self.disk),
                limit,
            }),
            facts: Arc::new(RwLock::new(facts)),
            ports,
            rules,
            observers: Vec::new(),
            version: "test".to_owned(),
            declarations,
        })
        .await
        .ok()
    }

    /// Waits until something holds; fails the test otherwise.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waited).await;
        assert!(
            done.is_ok(),
            "{what} did not come; the log: {:#?}",
            self.names()
        );
    }
}

fn soon<T: Send + 'static>(value: T) -> Act<'static, T> {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        value
    })
}

fn look(url: &str, placed: &Placed) -> OrderLook {
    OrderLook {
        url: url.to_owned(),
        status: placed.status,
        authorizations: placed
            .names
            .iter()
            .map(|name| format!("{url}/authz/{name}"))
            .collect(),
        expires: None,
        certificate: (placed.status == OrderStatus::Valid).then(|| format!("{url}/cert")),
        problem: (placed.status == OrderStatus::Invalid).then(|| {
            Problem::new(
                ProblemClass::Acme,
                "urn:ietf:params:acme:error:connection",
                "refused",
            )
        }),
        retry_after_ms: None,
    }
}

fn lost() -> Problem {
    Problem::new(ProblemClass::Transport, "timeout", "no answer")
}

impl CertificateAuthority for World {
    fn directory(&self, _: AccountId) -> Act<'_, Result<Directory, Problem>> {
        soon(Ok(Directory::default()))
    }

    fn register<'a>(
        &'a self,
        _: AccountId,
        _: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>> {
        let mut state = self.state();
        state.registrations += 1;
        let already_existed = state.registrations > 1;
        soon(Ok(RegisteredAccount {
            url: "https://ca.test/account/1".to_owned(),
            already_existed,
        }))
    }

    fn update_contacts<'a>(
        &'a self,
        _: AccountId,
        _: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>> {
        soon(Ok(()))
    }

    fn new_order<'a>(
        &'a self,
        order: &'a Durable<NewOrder>,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        state.new_orders += 1;
        let url = format!("https://ca.test/order/{}", state.new_orders);
        let placed = Placed {
            names: order.intent().identifiers.clone(),
            status: OrderStatus::Pending,
            ready: BTreeSet::new(),
            processing: false,
        };
        let answer = look(&url, &placed);
        state.orders.insert(url, placed);
        if state.lose_new_orders > 0 {
            state.lose_new_orders -= 1;
            return soon(Err(lost()));
        }
        soon(Ok(answer))
    }

    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>> {
        if !self.has_list {
            return soon(Ok(FoundOrder::NoList(
                "the account has no orders URL".to_owned(),
            )));
        }
        let state = self.state();
        let open = |status| matches!(status, OrderStatus::Pending | OrderStatus::Ready);
        let found = state.orders.iter().rev().find(|(url, placed)| {
            placed.names == order.identifiers && open(placed.status) && !known.contains(url)
        });
        soon(Ok(found.map_or(FoundOrder::NotThere, |(url, placed)| {
            FoundOrder::Found(Box::new(look(url, placed)))
        })))
    }

    fn look_at_order<'a>(
        &'a self,
        _: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        let placed = state.orders.get_mut(url).unwrap();
        if placed.processing {
            placed.status = OrderStatus::Valid;
        }
        let answer = look(url, placed);
        soon(Ok(answer))
    }

    fn look_at_authorizations<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        _: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> {
        let state = self.state();
        let placed = state.orders.get(order_url).unwrap().clone();
        let looks = placed.names.iter().map(|name| {
            let url = format!("{order_url}/authz/{name}");
            let failing = state.failing.contains(name.as_str());
            let ready = placed.ready.contains(&url);
            let status = match (ready, failing) {
                (false, _) => AuthorizationStatus::Pending,
                (true, true) => AuthorizationStatus::Invalid,
                (true, false) => AuthorizationStatus::Valid,
            };
            AuthorizationLook {
                status,
                identifier: name.as_str().to_owned(),
                expires: None,
                offers: vec!["http-01".to_owned()],
                http01: Some(Challenge {
                    url: url.clone(),
                    token: format!("token-{}", Hash::of(url.as_bytes())),
                    thumbprint: "thumb".to_owned(),
                }),
                challenge: if ready {
                    ChallengeStatus::Taken
                } else {
                    ChallengeStatus::Pending
                },
                problem: (ready && failing).then(|| {
                    let kind = "urn:ietf:params:acme:error:connection";
                    Problem::new(ProblemClass::Acme, kind, "connection refused")
                }),
                url,
            }
        });
        soon(Ok(looks.collect()))
    }

    fn make_ready<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>> {
        let mut state = self.state();
        let failing = state.failing.clone();
        let url = challenge.intent().url.clone();
        let placed = state.orders.get_mut(order_url).unwrap();
        placed.ready.insert(url);
        if placed
            .names
            .iter()
            .any(|name| failing.contains(name.as_str()))
        {
            placed.status = OrderStatus::Invalid;
        } else if placed.ready.len() == placed.names.len() && placed.status == OrderStatus::Pending
        {
            placed.status = OrderStatus::Ready;
        }
        soon(Ok(()))
    }

    fn finalize<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        if Hash::of(csr) != *intent.intent() {
            state
                .violations
                .push("finalize with another CSR than intended".to_owned());
        }
        if state
            .finalized
            .insert(order_url.to_owned(), Hash::of(csr))
            .is_some_and(|old| old != Hash::of(csr))
        {
            state
                .violations
                .push("finalized twice with different CSRs".to_owned());
        }
        let key = String::from_utf8_lossy(csr).into_owned();
        if !state.keys.contains(&KeyRef(key)) {
            state
                .violations
                .push("finalized with a key that is not in the vault".to_owned());
        }
        let placed = state.orders.get_mut(order_url).unwrap();
        if placed.status == OrderStatus::Ready {
            placed.status = OrderStatus::Processing;
            placed.processing = true;
        }
        let answer = look(order_url, placed);
        soon(Ok(answer))
    }

    fn download<'a>(&'a self, _: AccountId, order_url: &'a str) -> Act<'a, Result<Leaf, Problem>> {
        let state = self.state();
        let placed = state.orders.get(order_url).unwrap();
        let csr = state.finalized.get(order_url).copied().unwrap_or_default();
        let now = self.now();
        soon(Ok(Leaf {
            chain: csr,
            fingerprint: csr,
            spki: csr,
            serial: format!("{csr}"),
            ari_id: None,
            not_before: now,
            not_after: now.after(Duration::from_secs(90 * 86_400)),
            issuer: "test".to_owned(),
            names: placed
                .names
                .iter()
                .map(|name| name.as_str().to_owned())
                .collect(),
            certificates: 2,
        }))
    }

    fn renewal_window<'a>(
        &'a self,
        _: AccountId,
        _: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>> {
        soon(Err(lost()))
    }

    fn forget_order(&self, _: &str) {}
}

impl Vault for World {
    fn ensure_account_key<'a>(&'a self, _: &'a KeyRef) -> Act<'a, Result<String, Problem>> {
        soon(Ok("thumb".to_owned()))
    }

    fn ensure_certificate_key<'a>(
        &'a self,
        request: &'a KeyRequest,
    ) -> Act<'a, Result<KeyFacts, Problem>> {
        self.state().keys.insert(request.key_ref.clone());
        let csr = request.key_ref.0.clone().into_bytes();
        soon(Ok(KeyFacts {
            spki: Hash::of(&csr),
            csr,
        }))
    }
}

impl Prober for World {
    fn probe<'a>(&'a self, _: &'a str, _: &'a Challenge) -> Act<'a, Probe> {
        soon(Probe::Seen)
    }

    fn visits(&self, _: &str) -> u32 {
        0
    }
}

impl BindingTarget for World {
    fn deploy<'a>(
        &'a self,
        binding: BindingId,
        _: &'a Target,
        issue: &'a Issue,
        _: &'a Durable<Deployment>,
    ) -> Act<'a, Result<(), Problem>> {
        self.state().served.insert(binding, issue.leaf.fingerprint);
        soon(Ok(()))
    }

    fn reload<'a>(
        &'a self,
        _: BindingId,
        _: &'a Durable<Generation>,
    ) -> Act<'a, Result<(), Problem>> {
        soon(Ok(()))
    }

    fn handshake<'a>(
        &'a self,
        _: &'a Target,
        name: &'a str,
    ) -> Act<'a, Result<(String, Fingerprint), Problem>> {
        let certificate = CertificateName::parse(name).unwrap().id();
        let binding = BindingId::derive(&[&certificate.0]);
        let seen = self
            .state()
            .served
            .get(&binding)
            .copied()
            .unwrap_or_default();
        soon(Ok(("memory".to_owned(), seen)))
    }
}

impl HostProcess for World {
    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::default()
    }

    fn open_listener<'a>(&'a self, address: &'a str) -> Act<'a, Result<(), ListenerRefused>> {
        if !self.needs_restart.load(Ordering::Acquire) {
            return soon(Ok(()));
        }
        let text = "permission denied";
        let problem = Problem::new(ProblemClass::Local, "listenNotPermitted", text).about(address);
        soon(Err(ListenerRefused {
            problem,
            holder: None,
            needs_restart: true,
        }))
    }

    fn restart_method(&self) -> Option<Method> {
        Some(Method::Exec)
    }

    fn restart<'a>(
        &'a self,
        restart: RestartId,
        _: &'a Durable<ProcessIdentity>,
    ) -> Act<'a, Result<(), Problem>> {
        self.restarts.lock().unwrap().push(restart);
        soon(Ok(()))
    }
}

impl TimeSource for World {
    fn now(&self) -> WallMs {
        if self.panic_next.swap(false, Ordering::AcqRel) {
            // The journal's thread reads the clock as well; it must not be the one that dies.
            if std::thread::current().name() != Some("journal") {
                self.panics.fetch_add(1, Ordering::AcqRel);
                panic!("a planted panic");
            }
            self.panic_next.store(true, Ordering::Release);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        WallMs(u64::try_from(since.as_millis()).unwrap())
    }
}
