//! From settings to a running engine, in an order that a crash cannot hurt: log, responder, what was
//! served before, then the actors.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use renewd_actors::journal::Observer;
use renewd_actors::ports::ListenerRefused;
use renewd_actors::{Engine, EngineError, Handle, Start};
use renewd_events::id::Seq;
use renewd_events::log::{self, Leftover, MirrorReader, Opened, Placed, SledLog};
use renewd_events::problem::Problem;
use renewd_events::process::StopReason;
use renewd_events::store::{EventStore, StoreError};
use renewd_events::{Envelope, Facts};
use tokio::task::JoinHandle;

use crate::again::serve_again;
use crate::awake::{Awaking, declared};
use crate::bind::{Bindings, Page};
use crate::challenge::Responder;
use crate::host::OwnProcess;
use crate::settings::Settings;
use crate::telemetry::{History, Lines, Traces};
use crate::vault::{ChainStore, FileVault, VaultError};
use crate::wire::{Awake, Wired, wire};

/// The log's folder inside the state directory.
pub const LOG: &str = "log";
/// The vault's folder inside the state directory.
pub const VAULT: &str = "vault";
/// The chains' folder inside the state directory.
pub const CHAINS: &str = "chains";

/// Events that an index may lack after a crash: it is made durable every 256 commits, most of them of
/// one event.
const LAGGING_MAX: u64 = 1024;

/// Why an engine did not start. Nothing was asked of a CA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log is damaged, held, or cannot be read.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// There are keys but no log: starting afresh would register and order everything again.
    #[error(
        "R0605: {vault} holds keys, but there is no log beside it at {log}. A fresh start would order \
         everything again. Restore the log from a backup or an export; to start over on purpose, move \
         {vault} away first"
    )]
    LogMissing {
        /// Where the keys are.
        vault: PathBuf,
        /// Where the log should be.
        log: PathBuf,
    },
    /// There is no log, and what a repair or a restore that was cut short left says that there should be.
    #[error(
        "R0605: there is no log at {log}, and beside its place lies what a command did not finish: {left}. \
         A fresh start would order everything again. Say that command again; to start over on purpose, move \
         it away first"
    )]
    LogUnfinished {
        /// Where the log should be.
        log: PathBuf,
        /// What is there.
        left: Leftover,
    },
    /// The vault cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The challenge responder's address can never be opened as things are: not an address of this
    /// machine, or a port without the privilege. One that another program holds is tried again instead.
    #[error("the challenge responder cannot listen on {subject}: {detail}", subject = .0.problem.subject, detail = .0.problem.detail)]
    Listener(ListenerRefused),
    /// Something else of our own side.
    #[error("{}: {}", .0.kind, .0.detail)]
    Problem(Problem),
    /// The actors.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A running engine with its adapters.
#[derive(Debug)]
pub struct Running {
    engine: Engine,
    responder: Arc<Responder>,
    bindings: Arc<Bindings>,
    host: Arc<OwnProcess>,
    awake: Awake,
    /// Fills `awake` once a life that waits for its log has begun.
    late: Option<JoinHandle<()>>,
    traces: Option<Traces>,
}

/// Everything for a start that is not in the settings.
pub struct Extras {
    /// Who else is told of events.
    pub observers: Vec<Observer>,
    /// What the built-in listeners serve.
    pub page: Option<Page>,
    /// Whether each event is a log line (`tracing`). A host has its own way of telling.
    pub lines: bool,
}

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Extras")
    }
}

/// Opens the log and folds it. One that holds events and cannot be written for want of room is given
/// too: it takes commits once there is room ([`SledLog::wait`]).
///
/// # Errors
/// [`StartError::Log`], [`StartError::LogMissing`] and [`StartError::LogUnfinished`].
pub fn open_log(state_dir: &Path) -> Result<(SledLog, Facts), StartError> {
    open_log_with(state_dir, |_| {})
}

/// The same, and shows each event to `reader`.
fn open_log_with(
    state_dir: &Path,
    mut reader: impl FnMut(&Envelope),
) -> Result<(SledLog, Facts), StartError> {
    let (dir, vault) = (state_dir.join(LOG), state_dir.join(VAULT));
    let unfinished = finish_mending(&dir)?;
    let mut facts = fold(&dir, &mut reader)?;
    let log = match SledLog::open(&dir) {
        Ok((log, opened)) => {
            if !opened.clean {
                let log = crash(&opened);
                tracing::warn!("the last life of the process did not end cleanly: {log}");
            }
            tell_of_the_index(&opened);
            log
        }
        // There are facts to serve by.
        Err(unopened @ StoreError::NoRoom { .. }) if facts.seq > Seq(0) => {
            tracing::error!(
                cause = %unopened,
                cure = unopened.cure(),
                "the log cannot be opened for writing; no new act is begun, what was published is served on"
            );
            SledLog::wait(&dir, unopened)?
        }
        Err(StoreError::Absent { .. }) => match unfinished {
            Some(left) => return Err(StartError::LogUnfinished { log: dir, left }),
            None if has_records(&vault) => return Err(StartError::LogMissing { vault, log: dir }),
            None => SledLog::create(&dir)?,
        },
        Err(other) => return Err(other.into()),
    };
    if log.head().seq > facts.seq {
        // Its end was recovered, or another engine wrote until a moment ago.
        for envelope in log.replay_envelopes(facts.seq.next())? {
            let envelope = envelope?;
            facts.apply(&envelope);
            reader(&envelope);
        }
    }
    Ok((log, facts))
}

/// Ends a repair or a restore that was killed just before its log came into its place, and says what else
/// such a command left; gives the first of that.
fn finish_mending(dir: &Path) -> Result<Option<Leftover>, StoreError> {
    if let Some(Placed { from, by, head }) = log::put_in_place(dir)? {
        let from = from.display();
        tracing::warn!(%from, %by, events = head.0, "the log of a command that was cut short is in its place now");
    }
    let left = log::leftovers(dir);
    for leftover in &left {
        tracing::warn!("{leftover}");
    }
    Ok(left.into_iter().next())
}

/// What the crash cost the log, in words.
fn crash(opened: &Opened) -> String {
    let mut words = match (opened.beyond_anchor, &opened.torn) {
        (0, None) => return "no event is lost".to_owned(),
        _ => "no acknowledged event is lost".to_owned(),
    };
    if opened.beyond_anchor > 0 {
        let events = opened.beyond_anchor;
        words.push_str(&format!("; {events} that were written and not acknowledged count"));
    }
    if let Some(torn) = &opened.torn {
        let (seq, octets, kept) = (torn.seq, torn.octets, torn.kept.display());
        words.push_str(&format!(
            "; the write of event {seq} was torn, its {octets} octets are kept in {kept}"
        ));
    }
    words
}

/// sled was damaged, deleted or emptied; nothing is lost by that. After a crash it lacks a few commits,
/// which is nothing to speak of.
fn tell_of_the_index(opened: &Opened) {
    if let Some(aside) = &opened.index_set_aside {
        let aside = aside.display();
        tracing::warn!(%aside, "the index did not agree with the mirror; it was made again from it");
    } else if opened.rolled_forward > 0 && (opened.clean || opened.rolled_forward > LAGGING_MAX) {
        let events = opened.rolled_forward;
        tracing::warn!(events, "the index lacked events; they were added from the mirror");
    }
}

/// Reads the whole log before it is opened: opening writes (the anchor, a torn end), and damage
/// anywhere must leave everything as it is. No log at all gives no facts.
fn fold(dir: &Path, show: &mut impl FnMut(&Envelope)) -> Result<Facts, StoreError> {
    let mut facts = Facts::default();
    let read = MirrorReader::open(dir).and_then(|reader| {
        for envelope in reader.envelopes(Seq(1))? {
            let envelope = envelope?;
            facts.apply(&envelope);
            show(&envelope);
        }
        Ok(())
    });
    match read {
        Ok(()) | Err(StoreError::Absent { .. }) => Ok(facts),
        // The checks at open name some kinds of damage more exactly.
        Err(error) => Err(SledLog::check(dir).err().unwrap_or(error)),
    }
}

/// Whether keys lie in a vault's directory.
pub(crate) fn has_records(vault: &Path) -> bool {
    std::fs::read_dir(vault).is_ok_and(|mut entries| entries.next().is_some())
}

/// Starts an engine. Inside a tokio runtime with several threads. When the log cannot be written for want
/// of room, the engine serves what it has, does nothing else, and begins its life once there is room.
///
/// # Errors
/// See [`StartError`].
pub async fn start(settings: &Settings, extras: Extras) -> Result<Running, StartError> {
    let mut history = settings.traces.as_ref().map(|_| History::default());
    let mut lines = extras.lines.then(Lines::default);
    let (mut log, facts) = open_log_with(&settings.state_dir, |envelope| {
        if let Some(history) = &mut history {
            history.apply(envelope);
        }
        if let Some(lines) = &mut lines {
            lines.pass(envelope);
        }
    })?;
    let facts = Arc::new(RwLock::new(facts));
    let mut wired = match furnish(settings, &facts, extras.page) {
        Ok(wired) => wired,
        Err(error) => {
            // Nothing was written: the next start must not take this one for a crash. Whoever cannot
            // even be told so is told why there was no start.
            drop(log.close());
            return Err(error);
        }
    };
    serve_again(&wired, settings, &facts);
    let mut observers: Vec<Observer> = lines.map(Lines::observer).into_iter().collect();
    observers.extend(extras.observers);
    let traces = history.and_then(|history| export(settings, history, &mut observers));
    if let Some(traces) = &traces {
        let ca = Arc::clone(&wired.ports.ca);
        let directory = &settings.account.directory_url;
        wired.ports.ca = traces.watch_ca(ca, Arc::clone(&facts), directory);
    }
    let Wired { ports, rules, responder, bindings, host, handle } = wired;
    let any_held = Arc::new(AtomicBool::new(false));
    let engine = Engine::start(Start {
        store: Box::new(log),
        facts,
        ports,
        rules,
        observers,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        declarations: declared(settings, &responder, &any_held),
        seat: renewd_actors::journal::Seat::Thread,
    })
    .await?;
    let awaking = Awaking {
        handle: engine.handle(),
        awake: Arc::clone(&handle),
        responder: Arc::clone(&responder),
        any_held,
    };
    let mut begun = engine.begun();
    let late = if *begun.borrow_and_update() {
        awaking.now().await?;
        None
    } else {
        Some(tokio::spawn(async move {
            if begun.wait_for(|begun| *begun).await.is_ok()
                && let Err(cause) = awaking.now().await
            {
                tracing::error!(%cause, "the open port for challenges is not recorded; restart renewd");
            }
        }))
    };
    Ok(Running { engine, responder, bindings, host, awake: handle, late, traces })
}

/// Vault, chains, and the adapters over them. The log is locked by now: nobody else is in there.
fn furnish(
    settings: &Settings,
    facts: &Arc<RwLock<Facts>>,
    page: Option<Page>,
) -> Result<Wired, StartError> {
    let vault = FileVault::open(&settings.state_dir.join(VAULT), &settings.vault)?;
    let chains = ChainStore::open(&settings.state_dir.join(CHAINS)).map_err(StartError::Problem)?;
    match vault.remove_needless(&facts.read().unwrap_or_else(PoisonError::into_inner)) {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "removed keys of earlier renewals that nothing needs"),
        // They lie there as before; the next start tries again.
        Err(cause) => tracing::warn!(%cause, "keys that nothing needs stay in the vault"),
    }
    wire(settings, facts, vault, chains, page)
}

/// Starts the exporter of traces. Without it the engine runs all the same.
fn export(settings: &Settings, history: History, observers: &mut Vec<Observer>) -> Option<Traces> {
    let endpoint = settings.traces.as_ref()?;
    match Traces::start(endpoint, &settings.state_dir, history) {
        Ok((traces, observer)) => {
            observers.push(observer);
            Some(traces)
        }
        Err(cause) => {
            tracing::warn!(%cause, "no traces are exported");
            None
        }
    }
}

impl Running {
    /// To ask and command it.
    pub fn handle(&self) -> Handle {
        self.engine.handle()
    }

    /// The engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The responder, for its addresses, and for those who have the port-80 server themselves.
    pub fn responder(&self) -> &Arc<Responder> {
        &self.responder
    }

    /// Where certificates are served.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The process.
    pub fn host(&self) -> &OwnProcess {
        &self.host
    }

    /// Ends it cleanly. The responder ends last; then the last spans leave, within one second.
    ///
    /// # Errors
    /// When the clean end could not be recorded; the next start finds a crash, which is safe.
    pub async fn stop(self, reason: StopReason) -> Result<(), EngineError> {
        let ended = self.engine.stop(reason).await;
        if let Some(late) = self.late {
            late.abort();
            drop(late.await);
        }
        let handle = self.awake.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(handle);
        self.responder.close();
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
        ended
    }
}

#[cfg(test)]
mod tests;
