//! What the six actors share: facts, journal, ports, timers, and each other's inboxes.
//!
//! Messages between actors are nudges: "look at this subject again". What carries information is a
//! fact. An inbox holds each subject once, so its bound is the number of certificates, and a lost
//! nudge costs a wait, never an act. Of nudges and of heartbeats one message each waits at most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, CertificateId};
use renewd_events::listener::ListenerEvent;
use renewd_events::process::EngineEvent;
use renewd_events::{ActorName, Envelope, Event, Facts, Subject, WallMs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use crate::bounds::{CLOCK_AHEAD_MIN, COMMANDS_WAITING_MAX};
use crate::clock::Timers;
use crate::decision::{Ahead, Rules};
use crate::effect::{Effect, EffectKey, Outcome};
use crate::journal::{AppendError, Folded, Journal};
use crate::mailbox::Mailbox;
use crate::ports::Ports;

/// The six, in the order in which they are stopped: no new work first, then what is under way.
pub(crate) const ACTORS: [ActorName; 6] = [
    ActorName::Clock,
    ActorName::Registrar,
    ActorName::Validator,
    ActorName::Issuer,
    ActorName::Binder,
    ActorName::RestartCoordinator,
];

/// A message to an actor.
#[derive(Debug)]
pub(crate) enum Message {
    /// The inbox is not empty.
    Nudge,
    /// An effect ended; without outcome it panicked or took too long.
    Ended(Subject, Box<Effect>, Option<Box<Outcome>>),
    /// An effect was not begun: the log broke after it was decided.
    NotBegun(Subject, EffectKey),
    /// Record this for a person, then act on it. The place is held until then, even when the caller
    /// does not wait so long.
    Command(
        Vec<NewEvent>,
        oneshot::Sender<Result<Vec<Arc<Envelope>>, AppendError>>,
        OwnedSemaphorePermit,
    ),
    /// Show all who wait for it that the actor handles messages.
    Beat,
}

#[derive(Debug, Default)]
struct Inbox {
    subjects: Mutex<BTreeSet<Subject>>,
    nudged: AtomicBool,
    /// A heartbeat is on its way.
    beating: AtomicBool,
    beats: watch::Sender<()>,
    address: RwLock<Option<Mailbox>>,
}

/// What waits for one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Whom it waits for.
    pub actor: ActorName,
    /// Messages; at most [`MAILBOX_MAX`](crate::bounds::MAILBOX_MAX).
    pub messages: usize,
    /// The most messages that have waited in this life of the actor.
    pub messages_most: usize,
    /// Subjects to look at, each once.
    pub subjects: usize,
}

/// What the actors share.
pub(crate) struct Hive {
    pub(crate) facts: Arc<RwLock<Facts>>,
    pub(crate) journal: Journal,
    pub(crate) ports: Ports,
    pub(crate) rules: Rules,
    pub(crate) timers: Arc<Timers>,
    pub(crate) commands: Arc<Semaphore>,
    inboxes: Arc<Inboxes>,
    visits: Mutex<BTreeMap<CertificateId, WallMs>>,
    /// Since when this host's clock runs far ahead of these CAs'.
    ahead: Mutex<BTreeMap<AccountId, Instant>>,
}

impl std::fmt::Debug for Hive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hive")
    }
}

/// The inboxes by actor.
#[derive(Debug, Default)]
pub(crate) struct Inboxes(BTreeMap<ActorName, Inbox>);

impl Inboxes {
    pub(crate) fn new() -> Self {
        Self(ACTORS.into_iter().map(|actor| (actor, Inbox::default())).collect())
    }

    /// Asks an actor to look at a subject.
    pub(crate) fn nudge(&self, actor: ActorName, subject: Subject) {
        let Some(inbox) = self.0.get(&actor) else {
            return;
        };
        inbox.subjects.lock().unwrap_or_else(PoisonError::into_inner).insert(subject);
        if inbox.nudged.swap(true, Ordering::AcqRel) {
            return;
        }
        let address = inbox.address.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = address.as_ref() {
            // A dead actor is about to be started again, and then looks at everything.
            let _lives = address.put(Message::Nudge);
        }
    }

    /// Tells all whom committed events concern; the fold has said what each is about.
    pub(crate) fn announce(&self, facts: &Facts, folded: &[Folded]) {
        let mut subjects = BTreeSet::new();
        for (envelope, subject) in folded {
            if let Event::Engine(EngineEvent::LogWritableAgain { .. }) = &envelope.event {
                // Whatever was due meanwhile was dropped: everybody looks at everything, as at a start.
                for actor in ACTORS {
                    for subject in all_subjects(actor, facts) {
                        self.nudge(actor, subject);
                    }
                }
            }
            subjects.extend(facts.related(*subject));
            subjects.insert(*subject);
            if let (Event::Listener(ListenerEvent::ListenerOpened { .. }), Subject::Listener(id)) =
                (&envelope.event, subject)
                && facts.listeners.get(id).is_some_and(|listener| listener.needed.is_none())
            {
                // The port for challenges: whatever is due waited for it.
                subjects.extend(facts.certificates.keys().copied().map(Subject::Certificate));
            }
        }
        for subject in subjects {
            for actor in ACTORS {
                if concerns(actor, subject) {
                    self.nudge(actor, subject);
                }
            }
        }
    }

    pub(crate) fn set_address(&self, actor: ActorName, address: Option<Mailbox>) {
        let Some(inbox) = self.0.get(&actor) else {
            return;
        };
        *inbox.address.write().unwrap_or_else(PoisonError::into_inner) = address;
        inbox.nudged.store(false, Ordering::Release);
        inbox.beating.store(false, Ordering::Release);
    }

    pub(crate) fn address(&self, actor: ActorName) -> Option<Mailbox> {
        self.0.get(&actor)?.address.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks an actor for a heartbeat; it changes what is given back. None when the actor is not there.
    pub(crate) fn ask_beat(&self, actor: ActorName) -> Option<watch::Receiver<()>> {
        let (inbox, address) = (self.0.get(&actor)?, self.address(actor)?);
        // First, or a beat between the two would not be seen.
        let beats = inbox.beats.subscribe();
        let asked = inbox.beating.swap(true, Ordering::AcqRel);
        (asked || address.put(Message::Beat)).then_some(beats)
    }

    /// The actor beats, for all who asked until now.
    pub(crate) fn beat(&self, actor: ActorName) {
        if let Some(inbox) = self.0.get(&actor) {
            inbox.beating.store(false, Ordering::Release);
            inbox.beats.send_replace(());
        }
    }

    /// What waits for each actor that is there.
    pub(crate) fn queued(&self) -> Vec<Queued> {
        let queued = self.0.iter().filter_map(|(actor, inbox)| {
            let address = self.address(*actor)?;
            let subjects = inbox.subjects.lock().unwrap_or_else(PoisonError::into_inner).len();
            let (messages, messages_most) = (address.waiting(), address.most());
            Some(Queued { actor: *actor, messages, messages_most, subjects })
        });
        queued.collect()
    }

    /// Everything in the inbox. Nudges that come later send a message again.
    pub(crate) fn take(&self, actor: ActorName) -> BTreeSet<Subject> {
        let Some(inbox) = self.0.get(&actor) else {
            return BTreeSet::new();
        };
        inbox.nudged.store(false, Ordering::Release);
        std::mem::take(&mut *inbox.subjects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn concerns(actor: ActorName, subject: Subject) -> bool {
    use crate::decision::Role;
    match actor {
        ActorName::Engine => false,
        ActorName::Registrar => crate::registrar::Registrar::concerns(subject),
        ActorName::Validator => crate::validator::Validator::concerns(subject),
        ActorName::Issuer => crate::issuer::Issuer::concerns(subject),
        ActorName::Binder => crate::binder::Binder::concerns(subject),
        ActorName::RestartCoordinator => {
            crate::restart_coordinator::RestartCoordinator::concerns(subject)
        }
        ActorName::Clock => crate::clock::Clock::concerns(subject),
    }
}

/// Everything that concerns an actor.
fn all_subjects(actor: ActorName, facts: &Facts) -> Vec<Subject> {
    use crate::decision::Role;
    match actor {
        ActorName::Engine => Vec::new(),
        ActorName::Registrar => crate::registrar::Registrar::subjects(facts),
        ActorName::Validator => crate::validator::Validator::subjects(facts),
        ActorName::Issuer => crate::issuer::Issuer::subjects(facts),
        ActorName::Binder => crate::binder::Binder::subjects(facts),
        ActorName::RestartCoordinator => {
            crate::restart_coordinator::RestartCoordinator::subjects(facts)
        }
        ActorName::Clock => crate::clock::Clock::subjects(facts),
    }
}

impl Hive {
    pub(crate) fn new(
        facts: Arc<RwLock<Facts>>,
        journal: Journal,
        ports: Ports,
        rules: Rules,
        inboxes: Arc<Inboxes>,
    ) -> Self {
        Self {
            facts,
            journal,
            ports,
            rules,
            timers: Arc::default(),
            commands: Arc::new(Semaphore::new(COMMANDS_WAITING_MAX)),
            inboxes,
            visits: Mutex::default(),
            ahead: Mutex::default(),
        }
    }

    pub(crate) fn inboxes(&self) -> &Inboxes {
        &self.inboxes
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Facts> {
        self.facts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A validator fetched the token: its verdict is near.
    pub(crate) fn visited(&self, token: &str, now: WallMs) {
        let certificate = {
            let facts = self.read();
            let Some((id, _)) = facts.answer(token) else {
                return;
            };
            facts.authorizations.get(&id).map(|authorization| authorization.certificate)
        };
        let Some(certificate) = certificate else {
            return;
        };
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).insert(certificate, now);
        self.inboxes.nudge(ActorName::Issuer, Subject::Certificate(certificate));
    }

    /// When a validator last fetched a token of this certificate.
    pub(crate) fn visit_of(&self, subject: Subject) -> Option<WallMs> {
        let Subject::Certificate(certificate) = subject else {
            return None;
        };
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).get(&certificate).copied()
    }

    /// How far this host's clock runs ahead of the CA's of this certificate. Said when it is far.
    pub(crate) fn ahead_of(&self, facts: &Facts, subject: Subject) -> Option<Ahead> {
        let Subject::Certificate(certificate) = subject else {
            return None;
        };
        let account = facts.certificates.get(&certificate)?.declared.as_ref()?.account;
        let by = self.ports.time.now().since(self.ports.ca.clock(account)?);
        let mut seen = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if by < CLOCK_AHEAD_MIN {
            seen.remove(&account);
            return Some(Ahead { by, seen_for: Duration::ZERO });
        }
        let since = *seen.entry(account).or_insert_with(|| {
            let hours = by.as_secs() / 3600;
            tracing::warn!(
                code = "R0907",
                hours,
                "this host's clock is far ahead of the CA's: set it"
            );
            Instant::now()
        });
        Some(Ahead { by, seen_for: since.elapsed() })
    }

    /// The renewal is over: its visits mean nothing to the next one.
    pub(crate) fn forget_visits(&self, subject: Subject) {
        if let Subject::Certificate(certificate) = subject {
            self.visits.lock().unwrap_or_else(PoisonError::into_inner).remove(&certificate);
        }
    }
}
