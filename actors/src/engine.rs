//! The six actors and their journal as one thing that starts and stops.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use renewd_events::account::{Account, AccountEvent};
use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, BootNo, CertificateId, ListenerId, Seq, StreamId};
use renewd_events::listener::ListenerEvent;
use renewd_events::planted::{self, Bug};
use renewd_events::process::{ClockEvent, EngineEvent, Previous, StopReason};
use renewd_events::schedule::ScheduleEvent;
use renewd_events::store::EventStore;
use renewd_events::{ActorName, Envelope, Facts, Subject, WallMs};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::bounds::DRAIN_MAX;
use crate::clock::run_timers;
use crate::decision::{Rules, fact};
use crate::hive::{ACTORS, Hive, Inboxes, Message, Queued};
use crate::journal::{Announcer, AppendError, Batch, Hearers, Journal, Observer, Seat};
use crate::life::{Beginning, Crew, Declarations, Late};
use crate::ports::Ports;

/// How long an actor has to answer a heartbeat: a handler waits for one commit at most.
const BEAT_MAX: Duration = Duration::from_secs(2);

/// Why the engine did not start, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The log could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// No thread, no task.
    #[error("the engine could not start: {0}")]
    Start(String),
    /// There is no certificate of that name.
    #[error("there is no certificate `{0}`")]
    NoCertificate(String),
    /// An actor is not there to take the command.
    #[error("{0} does not take commands now; try again in a second")]
    Busy(ActorName),
}

/// The running engine.
#[derive(Debug)]
pub struct Engine {
    hive: Arc<Hive>,
    life: Life,
    fatal: watch::Receiver<Option<String>>,
    begun: watch::Receiver<bool>,
}

/// Whether the six work.
#[derive(Debug)]
enum Life {
    Begun(Crew),
    Waiting(Late),
}

/// What an engine starts with.
pub struct Start {
    /// The log, open.
    pub store: Box<dyn EventStore>,
    /// Its fold.
    pub facts: Arc<RwLock<Facts>>,
    /// The world.
    pub ports: Ports,
    /// The rules.
    pub rules: Rules,
    /// Who else is told of events.
    pub observers: Vec<Observer>,
    /// Version of the program.
    pub version: String,
    /// What the configuration says now: facts that differ from what is known.
    pub declarations: Declarations,
    /// Where the journal's writer runs.
    pub seat: Seat,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start")
    }
}

impl Engine {
    /// Records that a life begins and what the configuration says, then starts the six. When the log
    /// cannot be written and that may pass, all of it is done as soon as it can ([`Self::begun`]); until
    /// then [`Handle::log_broken`] says why, and nothing is done.
    ///
    /// # Errors
    /// When the log cannot be written by this process, or an actor cannot start.
    pub async fn start(start: Start) -> Result<Self, EngineError> {
        let Start { store, facts, ports, mut rules, observers, version, declarations, seat } =
            start;
        let (boot, previous, tail) = {
            let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
            (facts.engine.boot.next(), previous(&facts, &rules), facts.seq)
        };
        let boot = match tail {
            Seq(1..) if planted::is(Bug::BootNotCounted) => BootNo(boot.0.saturating_sub(1)),
            _ => boot,
        };
        rules.identity.boot = boot;
        let inboxes = Arc::new(Inboxes::new());
        let hearers = Hearers::from(observers).and(announcer(Arc::clone(&inboxes)));
        let time = Arc::clone(&ports.time);
        let journal = Journal::start(store, Arc::clone(&facts), boot, time, hearers, seat)
            .map_err(|cause| EngineError::Start(cause.to_string()))?;
        let booted =
            EngineEvent::EngineBooted { identity: rules.identity.clone(), version, previous, tail };
        let booted = Some(fact(StreamId::ENGINE, booted, None, None));
        let hive = Arc::new(Hive::new(facts, journal, ports, rules, inboxes));
        let ((fatal_out, fatal), (begun_out, begun)) =
            (watch::channel(None), watch::channel(false));
        let mut beginning = Beginning {
            hive: Arc::clone(&hive),
            booted,
            declarations,
            fatal: fatal_out,
            begun: begun_out,
        };
        let life = match beginning.now().await {
            Ok(crew) => Life::Begun(crew),
            Err(cause) if beginning.may_heal(&cause) => Life::Waiting(beginning.later()),
            Err(cause) => return Err(cause),
        };
        Ok(Self { hive, life, fatal, begun })
    }

    /// The facts, folded.
    pub fn facts(&self) -> Arc<RwLock<Facts>> {
        Arc::clone(&self.hive.facts)
    }

    /// The present life.
    pub fn boot(&self) -> BootNo {
        self.hive.rules.identity.boot
    }

    /// The journal's handle, for heads and brokenness.
    pub fn journal(&self) -> &Journal {
        &self.hive.journal
    }

    /// Turns `true` when this life has begun and the six work: at once, unless the log cannot be written.
    pub fn begun(&self) -> watch::Receiver<bool> {
        self.begun.clone()
    }

    /// Set when the engine cannot go on.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.clone()
    }

    /// A handle that outlives borrows, for listeners and pages.
    pub fn handle(&self) -> Handle {
        Handle { hive: Arc::clone(&self.hive) }
    }

    /// Stops: no new work, what is under way is left to the next life, the log is closed cleanly. A life
    /// that has not begun leaves no trace in the log.
    ///
    /// # Errors
    /// When the end could not be recorded; the next start then finds a crash, which is safe.
    pub async fn stop(self, reason: StopReason) -> Result<(), EngineError> {
        let journal = self.hive.journal.clone();
        let crew = match self.life {
            Life::Begun(crew) => Some(crew),
            Life::Waiting(late) => late.end().await,
        };
        if self.hive.read().engine.boot != self.hive.rules.identity.boot {
            // Lets go of the log; its clean end is that of the last life.
            drop(journal.close().await);
            return Ok(());
        }
        let stopping = EngineEvent::EngineStopping { reason };
        let asked = journal
            .append(Batch::of_engine(vec![fact(StreamId::ENGINE, stopping, None, None)]))
            .await;
        if let Some(crew) = &crew {
            crew.timers.abort();
        }
        for actor in ACTORS {
            if let Some(address) = self.hive.inboxes().address(actor) {
                self.hive.inboxes().set_address(actor, None);
                drop(address.actor().stop_and_wait(None, Some(DRAIN_MAX)).await);
            }
        }
        if let Some(crew) = crew {
            drop(crew.supervisor.stop_and_wait(None, Some(DRAIN_MAX)).await);
        }
        asked?;
        let stopped = fact(StreamId::ENGINE, EngineEvent::EngineStopped, None, None);
        journal.append(Batch::of_engine(vec![stopped])).await?;
        journal.close().await.map_err(|cause| AppendError::ReadOnly(cause).into())
    }
}

/// A way to ask and command a running engine.
#[derive(Clone, Debug)]
pub struct Handle {
    hive: Arc<Hive>,
}

impl Handle {
    /// The facts, folded.
    pub fn facts(&self) -> Arc<RwLock<Facts>> {
        Arc::clone(&self.hive.facts)
    }

    /// A validator fetched a token.
    pub fn visited(&self, token: &str) {
        self.hive.visited(token, self.hive.ports.time.now());
    }

    /// An address for challenges is open that another program held at the start. The renewals that wait
    /// for it go on.
    ///
    /// # Errors
    /// When the log cannot be written, or nobody takes the command.
    pub async fn challenge_port_opened(&self, address: &str) -> Result<(), EngineError> {
        let address = address.to_owned();
        let stream = ListenerId::derive(&[b"http-01", address.as_bytes()]);
        let event = ListenerEvent::ListenerOpened { address };
        let recorded = self.command(ActorName::Validator, vec![fact(stream, event, None, None)]);
        recorded.await.map(drop)
    }

    /// When this certificate is looked at next, by whom, and why.
    pub fn next_wake(
        &self,
        certificate: CertificateId,
    ) -> Option<(WallMs, ActorName, &'static str)> {
        self.hive.timers.next_of(Subject::Certificate(certificate))
    }

    /// Asks for a renewal now. It is durable when this returns.
    ///
    /// # Errors
    /// When there is no such certificate, or nobody takes the command.
    pub async fn renew(&self, name: &str, by: &str) -> Result<Vec<Arc<Envelope>>, EngineError> {
        let certificate = {
            let facts = self.hive.read();
            let found =
                facts.certificates.iter().find(|(_, c)| c.name() == name && c.orphaned.is_none());
            found.map(|(id, _)| *id)
        };
        let Some(id) = certificate else {
            return Err(EngineError::NoCertificate(name.to_owned()));
        };
        let event = ScheduleEvent::RenewalRequested { by: by.to_owned() };
        let events = vec![fact(StreamId::schedule(id), event, None, None)];
        self.command(ActorName::Clock, events).await
    }

    /// Accepts the terms that the CA shows now; gives what was recorded, nothing when nothing waits for
    /// it. Terms that were not read yet are not accepted. It is durable when this returns.
    ///
    /// # Errors
    /// When the log cannot be written, or nobody takes the command.
    pub async fn accept_terms(&self, by: &str) -> Result<Vec<Arc<Envelope>>, EngineError> {
        let events: Vec<NewEvent> = {
            let facts = self.hive.read();
            let open = facts
                .accounts
                .iter()
                .filter(|(_, it)| it.directory.is_some() && !it.terms_are_accepted());
            let accept = |(id, account): (&AccountId, &Account)| {
                let directory = account.directory.as_ref();
                let terms_url = directory.and_then(|directory| directory.terms_url.clone());
                let event = AccountEvent::TermsAccepted { terms_url, by: by.to_owned() };
                fact(*id, event, None, None)
            };
            open.map(accept).collect()
        };
        if events.is_empty() {
            Ok(Vec::new())
        } else {
            self.command(ActorName::Registrar, events).await
        }
    }

    async fn command(
        &self,
        actor: ActorName,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Arc<Envelope>>, EngineError> {
        let busy = || match self.log_broken() {
            Some(cause) => AppendError::ReadOnly(cause).into(),
            None => EngineError::Busy(actor),
        };
        let place = Arc::clone(&self.hive.commands).try_acquire_owned().map_err(|_| busy())?;
        let address = self.hive.inboxes().address(actor).ok_or_else(busy)?;
        let (reply, answer) = oneshot::channel();
        if !address.put(Message::Command(events, reply, place)) {
            return Err(busy());
        }
        Ok(answer.await.map_err(|_| busy())??)
    }

    /// Which actors answer a heartbeat now, in two seconds at most.
    pub async fn beats(&self) -> Vec<(ActorName, bool)> {
        let asked = ACTORS.map(|actor| (actor, self.hive.inboxes().ask_beat(actor)));
        let until = Instant::now() + BEAT_MAX;
        let mut beats = Vec::new();
        for (actor, answer) in asked {
            let alive = match answer {
                Some(mut beat) => {
                    matches!(tokio::time::timeout_at(until, beat.changed()).await, Ok(Ok(())))
                }
                None => false,
            };
            beats.push((actor, alive));
        }
        beats
    }

    /// What waits for each actor.
    pub fn queued(&self) -> Vec<Queued> {
        self.hive.inboxes().queued()
    }

    /// Why the log cannot be written, when that is so.
    pub fn log_broken(&self) -> Option<String> {
        self.hive.journal.broken().borrow().clone()
    }
}

fn previous(facts: &Facts, rules: &Rules) -> Previous {
    let engine = &facts.engine;
    if engine.boot == BootNo(0) {
        Previous::None
    } else if engine.stopped {
        Previous::Clean
    } else if engine.identity.os_boot == rules.identity.os_boot {
        Previous::Crashed
    } else {
        Previous::PowerLost
    }
}

fn announcer(inboxes: Arc<Inboxes>) -> Announcer {
    Box::new(move |facts, folded| inboxes.announce(facts, folded))
}

/// The timers belong to no actor: what is told of their failures is told in the engine's name.
pub(crate) async fn timers(hive: Arc<Hive>, fatal: watch::Sender<Option<String>>) {
    let record = |events: Vec<EngineEvent>| {
        let journal = hive.journal.clone();
        let events = events.into_iter().map(|event| fact(StreamId::ENGINE, event, None, None));
        let batch = Batch::of_engine(events.collect());
        tokio::spawn(async move { drop(journal.append(batch).await) });
    };
    let actor = ActorName::Engine;
    let failed = |incarnation: u16| {
        tracing::error!(incarnation, "the timers failed; they are started again");
        let text = "the task of all timers panicked".to_owned();
        record(vec![EngineEvent::ActorFailed { actor, incarnation, text }]);
    };
    let (waker, teller) = (Arc::clone(&hive), Arc::clone(&hive));
    let wake = move |actor, subject| waker.inboxes().nudge(actor, subject);
    let jumped = move |delta_ms| {
        tracing::warn!(delta_ms, "the wall clock jumped");
        let journal = teller.journal.clone();
        tokio::spawn(async move {
            let event = ClockEvent::WallClockJumped { delta_ms };
            drop(
                journal
                    .append(Batch::of_engine(vec![fact(StreamId::CLOCK, event, None, None)]))
                    .await,
            );
        });
    };
    let count = run_timers(&hive.timers, hive.ports.time.as_ref(), wake, jumped, failed).await;
    let failures = u32::try_from(count).unwrap_or(u32::MAX);
    record(vec![EngineEvent::RestartIntensityExceeded { actor, failures }]);
    fatal.send_replace(Some(format!("the timers failed {count} times within a minute")));
}
