//! A planned restart of the host process (owned by the RestartCoordinator). The process that asks
//! dies before it can write the outcome: the next life of the process writes it.

use serde::{Deserialize, Serialize};

use crate::id::{BootNo, ListenerId};
use crate::intent::{Durable, Meta};
use crate::problem::Problem;
use crate::time::WallMs;

/// Which process this is: a pid alone is never compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The operating system's boot id.
    pub os_boot: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks since the OS booted.
    pub start_ticks: u64,
    /// Our own count of lives.
    pub boot: BootNo,
}

/// How the restart is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Method {
    /// The process replaces itself.
    Exec,
    /// The process ends with success and its supervisor starts it again.
    Exit,
    /// The embedding program is asked.
    Host,
}

/// What can happen to a restart.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum RestartEvent {
    /// A restart is needed.
    RestartPlanned {
        /// The listener that only a restart can open.
        listener: ListenerId,
        /// Its address.
        address: String,
        /// Why it cannot be opened now.
        problem: Problem,
    },
    /// Intent: restart. Outcomes: observed by the next life, or not observed.
    RestartRequested {
        /// Who asks.
        before: ProcessIdentity,
        /// How.
        method: Method,
        /// When to give up waiting for it.
        deadline: WallMs,
    },
    /// The next life of the process is here.
    RestartObserved {
        /// Who it is.
        after: ProcessIdentity,
        /// The last life ended on purpose; otherwise it crashed and the goal was reached all the same.
        attributed: bool,
    },
    /// The deadline passed in the same life.
    RestartNotObserved {
        /// What is known.
        problem: Problem,
    },
    /// The goal is reached, or given up.
    RestartFinished {
        /// The listener is open.
        verified: bool,
    },
}

/// How far a restart is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Needed.
    #[default]
    Planned,
    /// Asked for.
    Requested(Durable<ProcessIdentity>),
    /// It happened.
    Observed,
    /// It did not happen.
    NotObserved,
    /// Over.
    Finished {
        /// The listener is open.
        verified: bool,
    },
}

/// The state of a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// The listener that needs it.
    pub listener: ListenerId,
    /// Its address.
    pub address: String,
    /// How far it is.
    pub phase: Phase,
    /// How often it was asked for.
    pub requests: u32,
    /// When it was asked for last.
    pub requested_at: Option<WallMs>,
    /// When to give up waiting.
    pub deadline: Option<WallMs>,
}

impl Restart {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &RestartEvent) {
        match event {
            RestartEvent::RestartPlanned { listener, address, problem: _ } => {
                self.listener = *listener;
                self.address.clone_from(address);
                self.phase = Phase::Planned;
            }
            RestartEvent::RestartRequested { before, method: _, deadline } => {
                self.requests = self.requests.saturating_add(1);
                self.requested_at = Some(meta.at);
                self.deadline = Some(*deadline);
                self.phase = Phase::Requested(Durable::of(meta, before.clone()));
            }
            RestartEvent::RestartObserved { after: _, attributed: _ } => {
                self.phase = Phase::Observed;
            }
            RestartEvent::RestartNotObserved { problem: _ } => self.phase = Phase::NotObserved,
            RestartEvent::RestartFinished { verified } => {
                self.phase = Phase::Finished { verified: *verified };
            }
        }
    }
}
