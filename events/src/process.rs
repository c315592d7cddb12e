//! The installation itself: its lives, its actors' failures, its clock.

use serde::{Deserialize, Serialize};

use crate::id::{BootNo, RestartId, Seq};
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
}

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
                };
            }
            EngineEvent::EngineStopping { reason } => self.stopping = Some(*reason),
            EngineEvent::EngineStopped => self.stopped = true,
            EngineEvent::ActorFailed { .. } => {
                self.actor_failures = self.actor_failures.saturating_add(1);
            }
            EngineEvent::ActorRestarted { .. }
            | EngineEvent::RestartIntensityExceeded { .. }
            | EngineEvent::LogWritableAgain { .. } => {}
        }
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
}

impl ClockState {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &ClockEvent) {
        match event {
            ClockEvent::DailyCheckRan { .. } => self.checked_at = Some(meta.at),
            ClockEvent::WallClockJumped { .. } => self.jumps = self.jumps.saturating_add(1),
        }
    }
}
