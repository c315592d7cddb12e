//! The installation itself: its lives, its actors' failures, its clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{BootNo, RestartId, Seq, StreamId};
use crate::intent::{ActorName, Meta};
use crate::restart::ProcessIdentity;
use crate::time::WallMs;

/// What can happen to the installation.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum EngineEvent {
    /// A life begins. Always the first event of a life.
    EngineBooted {
        /// Who it is.
        identity: ProcessIdentity,
        /// Version of the program.
        version: String,
        /// How the last life ended.
        previous: Previous,
        /// The last event found.
        tail: Seq,
    },
    /// The end was asked for.
    EngineStopping {
        /// Why.
        reason: StopReason,
    },
    /// The clean end: always the last event of a life.
    EngineStopped,
    /// An actor panicked or could not start.
    ActorFailed {
        /// Which.
        actor: ActorName,
        /// Which life of it.
        incarnation: u16,
        /// What it said; cut.
        text: String,
    },
    /// An actor was started again from its streams.
    ActorRestarted {
        /// Which.
        actor: ActorName,
        /// Which life of it.
        incarnation: u16,
    },
    /// An actor failed too often; the process ends so that its supervisor can start it afresh.
    RestartIntensityExceeded {
        /// Which.
        actor: ActorName,
        /// Failures within the window.
        failures: u32,
    },
    // New variants go to the end: their place is their number on disk.
    /// The log could not be written for a while, and nothing was begun meanwhile.
    LogWritableAgain {
        /// When the first commit failed.
        since: WallMs,
        /// Why, in words; cut.
        cause: String,
        /// Appends that were refused meanwhile, the failed commit's included.
        refused: u32,
    },
    /// A person let `renewd log repair` or `renewd log restore` write this log anew. Whatever the world
    /// may have been asked for in events that are gone is asked about before it is asked for again.
    LogMended {
        /// By which command.
        by: Mending,
        /// The last event that was kept: the one before this.
        kept: Seq,
        /// The last event that is known to have been; `kept`, when none is known to be lost.
        lost_to: Seq,
        /// `lost_to` was the end. Otherwise more may be lost, and nobody can tell.
        end_known: bool,
        /// What was found; cut.
        evidence: String,
    },
    /// An actor panicked over one subject, or did not come to rest with it, too often: it leaves it
    /// alone until it is started again, and goes on with the others.
    SubjectSetAside {
        /// Which actor.
        actor: ActorName,
        /// The subject, by its main stream.
        stream: StreamId,
        /// How often it failed over it.
        strikes: u32,
        /// How, the last time; cut.
        text: String,
    },
}

/// Which command wrote a log anew.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumIter,
)]
#[strum(serialize_all = "lowercase")]
pub enum Mending {
    /// `renewd log repair`: a damaged log, as far as it could be proven.
    Repair,
    /// `renewd log restore`: an export or a backup became the log.
    Restore,
}

/// What an actor leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// How it failed over it the last time.
    pub text: String,
    /// How often it did.
    pub strikes: u32,
    /// Since when.
    pub at: WallMs,
    /// Where that is in the log.
    pub seq: Seq,
}

/// How the last life ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Previous {
    /// There was none.
    #[default]
    None,
    /// With its last event.
    Clean,
    /// Without it: killed, or crashed.
    Crashed,
    /// Without it, and the operating system was started since.
    PowerLost,
}

/// Why an end was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// A signal, or the embedding program.
    Asked,
    /// A planned restart.
    Restart(RestartId),
    /// The engine cannot go on.
    Fatal,
}

/// The state of the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// The present life.
    pub boot: BootNo,
    /// Who it is.
    pub identity: ProcessIdentity,
    /// When it began.
    pub booted_at: WallMs,
    /// How the life before ended.
    pub previous: Previous,
    /// The end that was asked for in this life.
    pub stopping: Option<StopReason>,
    /// The end that was asked for in the life before.
    pub stopped_for: Option<StopReason>,
    /// This life has ended.
    pub stopped: bool,
    /// Failures of actors in this life.
    pub actor_failures: u32,
    /// What is left alone in this life, and by whom.
    pub set_aside: BTreeMap<(StreamId, ActorName), Aside>,
    /// When events were last lost, or may have been: orders that those asked for may still be open.
    pub lost_at: Option<WallMs>,
}

/// How long an order of a lost event is looked for. Let's Encrypt gives up an open order after a week,
/// other CAs have at most a month; what is older cannot be found, nor hurt.
pub const LOST_ORDERS_MATTER: Duration = Duration::from_secs(30 * 24 * 3600);

impl Engine {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &EngineEvent) {
        match event {
            EngineEvent::EngineBooted { identity, version: _, previous, tail: _ } => {
                *self = Self {
                    boot: identity.boot,
                    identity: identity.clone(),
                    booted_at: meta.at,
                    previous: *previous,
                    stopping: None,
                    stopped_for: self.stopping,
                    stopped: false,
                    actor_failures: 0,
                    set_aside: BTreeMap::new(),
                    lost_at: self.lost_at,
                };
            }
            EngineEvent::EngineStopping { reason } => self.stopping = Some(*reason),
            EngineEvent::EngineStopped => self.stopped = true,
            EngineEvent::ActorFailed { .. } => {
                self.actor_failures = self.actor_failures.saturating_add(1);
            }
            EngineEvent::LogMended { by: _, kept, lost_to, end_known, evidence: _ } => {
                if lost_to > kept || !end_known {
                    self.lost_at = Some(meta.at);
                }
            }
            EngineEvent::SubjectSetAside { actor, stream, strikes, text } => {
                let (text, strikes) = (text.clone(), *strikes);
                let aside = Aside { text, strikes, at: meta.at, seq: meta.seq };
                self.set_aside.insert((*stream, *actor), aside);
            }
            // A new life of an actor looks at everything again.
            EngineEvent::ActorRestarted { actor, incarnation: _ } => {
                self.set_aside.retain(|(_, by), _| by != actor);
            }
            EngineEvent::RestartIntensityExceeded { .. } | EngineEvent::LogWritableAgain { .. } => {
            }
        }
    }

    /// Whether an order that is asked for now may have been asked for in a lost event.
    pub fn may_have_forgotten_orders(&self, now: WallMs) -> bool {
        self.lost_at.is_some_and(|lost| now <= lost.after(LOST_ORDERS_MATTER))
    }
}

/// What the clock notices.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum ClockEvent {
    /// Once a day every certificate was looked at.
    DailyCheckRan {
        /// Certificates in all.
        certificates: u32,
        /// Renewals in progress.
        renewing: u32,
        /// Certificates whose last renewal failed.
        failing: u32,
    },
    /// The wall clock jumped against the monotonic one, or the host was suspended.
    WallClockJumped {
        /// Forward (positive) or backward, in milliseconds.
        delta_ms: i64,
    },
}

/// What is known about the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// The last daily check.
    pub checked_at: Option<WallMs>,
    /// Jumps noticed.
    pub jumps: u32,
    /// When the last one was, by the clock after it.
    pub jumped_at: Option<WallMs>,
}

impl ClockState {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &ClockEvent) {
        match event {
            ClockEvent::DailyCheckRan { .. } => self.checked_at = Some(meta.at),
            ClockEvent::WallClockJumped { .. } => {
                self.jumps = self.jumps.saturating_add(1);
                self.jumped_at = Some(meta.at);
            }
        }
    }
}
