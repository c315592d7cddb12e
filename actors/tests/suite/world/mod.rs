//! A small world for the actors: a CA that keeps a list of orders, a vault, targets and a disk, all in
//! memory and all outliving the engine, so that an engine can be ended anywhere and started again.

mod ca;
mod hold;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use renewd_actors::decision::Rules;
use renewd_actors::journal::Seat;
use renewd_actors::ports::*;
use renewd_actors::{Engine, Start};
use renewd_events::account::AccountEvent;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, Declaration, LifeLeft};
use renewd_events::codec::Frame;
use renewd_events::event::NewEvent;
use renewd_events::id::*;
use renewd_events::order::OrderStatus;
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::store::{EventStore, Frames, Head, StoreError};
use renewd_events::{Envelope, Facts};

/// How long a test waits for the engine before it fails: a wait ends at once when what it waits for is
/// there, so this is far beyond what the slowest machine with a hundred engines beside needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// See [`State::same_names`].
pub(crate) const SAME: &str = "same.test";

#[derive(Default)]
pub(crate) struct State {
    pub(crate) orders: BTreeMap<String, Placed>,
    pub(crate) new_orders: u32,
    pub(crate) finalized: BTreeMap<String, Hash>,
    pub(crate) served: BTreeMap<BindingId, Fingerprint>,
    /// How often something was put in place.
    pub(crate) deployments: u32,
    /// Deployments that somebody undoes at once.
    pub(crate) overwrite: u32,
    /// How often the other program was told to read its files again.
    pub(crate) reloads: u32,
    pub(crate) keys: BTreeSet<KeyRef>,
    pub(crate) registrations: u32,
    /// Answers of newOrder that are lost on their way back.
    pub(crate) lose_new_orders: u32,
    /// It offers renewal information, and answers 500 to a newOrder with `replaces`.
    pub(crate) stumbles_over_replaces: bool,
    /// Orders whose names fail their challenge.
    pub(crate) failing: BTreeSet<String>,
    /// In which words beside the usual ones.
    pub(crate) failing_words: String,
    pub(crate) violations: Vec<String>,
    /// All certificates are for the same name, whatever theirs is.
    pub(crate) same_names: bool,
}

#[derive(Clone)]
pub(crate) struct Placed {
    pub(crate) names: Vec<DnsName>,
    pub(crate) status: OrderStatus,
    pub(crate) ready: BTreeSet<String>,
    pub(crate) processing: bool,
}

pub(crate) struct World {
    pub(crate) state: Mutex<State>,
    pub(crate) disk: Arc<Mutex<Vec<Frame>>>,
    /// How many of its events were acknowledged; a failed commit may have left more.
    pub(crate) acknowledged: Arc<AtomicUsize>,
    /// How much it takes; for an outage that ends.
    pub(crate) space: Arc<Mutex<Space>>,
    pub(crate) panic_next: AtomicBool,
    pub(crate) panics: AtomicU64,
    /// The actor that asks the responder next panics.
    pub(crate) panic_at_visits: AtomicBool,
    /// The timers panic before they sleep next.
    pub(crate) panic_at_nap: AtomicBool,
    /// Whoever reads the clock panics, the journal excepted: no actor starts, and none lives on.
    pub(crate) panic_always: AtomicBool,
    pub(crate) has_list: bool,
    /// The listener can only be opened by a restart.
    pub(crate) needs_restart: AtomicBool,
    /// Restarts that were begun.
    pub(crate) restarts: Mutex<Vec<RestartId>>,
    /// The engine that is told when the CA's validator fetches a token, as a responder does.
    pub(crate) visits: Mutex<Option<renewd_actors::Handle>>,
    /// One actor stands still.
    pub(crate) hold: hold::Hold,
}

/// When the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Space {
    /// Never.
    #[default]
    Enough,
    /// A commit that would go beyond so many events fails, and nothing of it is kept.
    Until(usize),
    /// The same, but the first commit that fails is on the disk all the same, as when the index or the
    /// anchor meets the full disk and the mirror did not.
    KeptBeyond(usize),
    /// Commits succeed, but beyond so many events hardly any room is left.
    Short(usize),
}

/// Room that is not enough for new acts.
const SHORT_OCTETS: u64 = 100_000;
/// Little room, which is looked at with every commit, and still enough.
const LOW_OCTETS: u64 = 32 * 1024 * 1024;

/// A disk that holds `limit` events and then fails for ever, as a process that dies there would leave it.
struct Disk {
    frames: Arc<Mutex<Vec<Frame>>>,
    limit: usize,
    space: Arc<Mutex<Space>>,
    count: Arc<AtomicUsize>,
    /// What was acknowledged, while a commit failed.
    acknowledged: Option<Head>,
}

impl Disk {
    fn last(&self) -> Head {
        let frames = self.frames.lock().unwrap();
        frames.last().map_or_else(Head::default, |frame| Head { seq: frame.seq, hash: frame.hash })
    }

    fn no_space(&self) -> StoreError {
        StoreError::NoRoom {
            code: renewd_events::store::FULL,
            what: "appending to",
            path: "/disk".into(),
            cause: std::io::ErrorKind::StorageFull.into(),
        }
    }
}

impl EventStore for Disk {
    fn head(&self) -> Head {
        self.acknowledged.unwrap_or_else(|| self.last())
    }

    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        let space = *self.space.lock().unwrap();
        if self.acknowledged.is_some() {
            return Err(StoreError::Poisoned("a write failed".to_owned()));
        }
        let mut disk = self.frames.lock().unwrap();
        if disk.len() + frames.len() > self.limit {
            return Err(StoreError::Poisoned("the disk ends here".to_owned()));
        }
        let beyond = |events| disk.len() + frames.len() > events;
        let kept = match space {
            Space::Enough | Space::Short(_) => None,
            Space::Until(events) => beyond(events).then_some(false),
            Space::KeptBeyond(events) => beyond(events).then_some(true),
        };
        if let Some(kept) = kept {
            let last = disk.last();
            let head = last.map(|frame| Head { seq: frame.seq, hash: frame.hash });
            self.acknowledged = Some(head.unwrap_or_default());
            if kept {
                disk.extend_from_slice(frames);
            }
            drop(disk);
            return Err(self.no_space());
        }
        disk.extend_from_slice(frames);
        self.count.store(disk.len(), Ordering::Release);
        Ok(())
    }

    fn reopen(&mut self) -> Result<Head, StoreError> {
        if matches!(*self.space.lock().unwrap(), Space::Until(_) | Space::KeptBeyond(_)) {
            return Err(self.no_space());
        }
        self.acknowledged = None;
        self.count.store(self.frames.lock().unwrap().len(), Ordering::Release);
        Ok(self.last())
    }

    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        let frames = self.frames.lock().unwrap().clone();
        Ok(Box::new(frames.into_iter().filter(move |frame| frame.seq >= from).map(Ok)))
    }

    fn room(&self) -> Option<u64> {
        let Space::Short(events) = *self.space.lock().unwrap() else {
            return Some(LOW_OCTETS);
        };
        Some(if self.frames.lock().unwrap().len() > events { SHORT_OCTETS } else { LOW_OCTETS })
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(crate) fn account() -> AccountId {
    AccountId::derive(&[b"https://ca.test/dir"])
}

/// Every certificate is served by the same listener, except those of another program.
fn target(name: &str) -> Target {
    if name.starts_with("files.") {
        return Target::Files { directory: format!("/tls/{name}"), reload: true, verify: None };
    }
    Target::Builtin { address: "127.0.0.1:443".to_owned() }
}

/// What the configuration of these certificates says.
pub(crate) fn declarations(names: &[&str], same: bool, facts: &Facts) -> Vec<NewEvent> {
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
    let terms = AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() };
    let mut events =
        vec![new(account().into(), declared.into()), new(account().into(), terms.into())];
    for name in names {
        let id = CertificateName::parse(name).unwrap().id();
        let declaration = Declaration {
            name: (*name).to_owned(),
            account: account(),
            identifiers: vec![DnsName::parse(if same { SAME } else { name }).unwrap()],
            profile: None,
            ari: false,
            life_left: LifeLeft::Share(1, 3),
        };
        events.push(new(id.into(), CertificateEvent::CertificateDeclared(declaration).into()));
        let binding = BindingId::derive(&[&id.0]);
        let declared = BindingEvent::BindingDeclared { certificate: id, target: target(name) };
        events.push(new(binding.into(), declared.into()));
    }
    events
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_list(true)
    }

    pub(crate) fn with_list(has_list: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            disk: Arc::default(),
            acknowledged: Arc::default(),
            space: Arc::default(),
            panic_next: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            panic_at_visits: AtomicBool::new(false),
            panic_at_nap: AtomicBool::new(false),
            panic_always: AtomicBool::new(false),
            has_list,
            needs_restart: AtomicBool::new(false),
            restarts: Mutex::default(),
            visits: Mutex::default(),
            hold: hold::Hold::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        self.disk.lock().unwrap().iter().map(|f| Frame::decode(&f.bytes).unwrap()).collect()
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.envelopes().iter().map(|envelope| envelope.event.name()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|held| **held == name).count()
    }

    /// The CA saw no more acts than the log had announced to it, whenever this is asked.
    pub(crate) fn acts_are_announced(&self) {
        let (orders, finalized) = {
            let state = self.state();
            (usize::try_from(state.new_orders).unwrap(), state.finalized.len())
        };
        let mut names = self.names();
        names.truncate(self.acknowledged.load(Ordering::Acquire));
        let count = |name| names.iter().filter(|held| **held == name).count();
        let announced = (count("OrderRequested"), count("FinalizationRequested"));
        assert!(orders <= announced.0, "{orders} orders: {names:#?}");
        assert!(finalized <= announced.1, "{finalized} finalized: {names:#?}");
    }

    /// Starts a life on this world's disk.
    pub(crate) async fn start(
        self: &Arc<Self>,
        names: &[&str],
        parallel: usize,
        limit: usize,
    ) -> Option<Engine> {
        self.try_start(names, parallel, limit).await.ok()
    }

    /// The same, and says why not.
    pub(crate) async fn try_start(
        self: &Arc<Self>,
        names: &[&str],
        parallel: usize,
        limit: usize,
    ) -> Result<Engine, renewd_actors::EngineError> {
        self.start_on(Seat::Thread, names, parallel, limit).await
    }

    /// The same with the journal on this seat.
    pub(crate) async fn start_on(
        self: &Arc<Self>,
        seat: Seat,
        names: &[&str],
        parallel: usize,
        limit: usize,
    ) -> Result<Engine, renewd_actors::EngineError> {
        let mut facts = Facts::default();
        for envelope in self.envelopes() {
            facts.apply(&envelope);
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let same = self.state().same_names;
        let declarations: renewd_actors::Declarations = Box::new(move |facts| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            declarations(&names, same, facts)
        });
        let ports = Ports {
            ca: self.clone(),
            vault: self.clone(),
            prober: self.clone(),
            bindings: self.clone(),
            host: self.clone(),
            time: self.clone(),
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
                space: Arc::clone(&self.space),
                count: Arc::clone(&self.acknowledged),
                acknowledged: None,
            }),
            facts: Arc::new(RwLock::new(facts)),
            ports,
            rules,
            observers: Vec::new(),
            version: "test".to_owned(),
            declarations,
            seat,
        })
        .await
    }

    /// From now on the disk takes so much.
    pub(crate) fn set_space(&self, space: Space) {
        *self.space.lock().unwrap() = space;
    }

    /// Waits until something holds; fails the test otherwise.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waited).await;
        assert!(done.is_ok(), "{what} did not come; the log: {:#?}", self.names());
    }
}
