//! When a certificate is renewed next and why (owned by the Clock): facts, state, evolve.

use serde::{Deserialize, Serialize};

use crate::intent::Meta;
use crate::problem::Problem;
use crate::time::WallMs;

/// Why a renewal is planned for its moment.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Cause {
    /// There is no certificate yet.
    FirstIssue,
    /// The CA suggested a window (RFC 9773 §4.2).
    AriWindow,
    /// A share of the lifetime is over.
    LifeLeft,
    /// The classic policy: fewer than so many days are left.
    DaysLeft,
    /// The last try failed.
    Retry,
    /// A person asked.
    Operator,
    /// The configured names or profile changed.
    NamesChanged,
    /// The configured CA is another one than that which issued.
    CaChanged,
    /// The key or the chain of the newest issue is lost, so it cannot be served.
    Lost,
}

/// What can happen to a schedule.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum ScheduleEvent {
    /// The CA's suggested window is new or has moved (RFC 9773 §4.2).
    AriWindowLearned {
        /// The certificate it is for (RFC 9773 §4.1).
        ari_id: String,
        /// From.
        start: WallMs,
        /// To.
        end: WallMs,
        /// Why, for people.
        explanation_url: Option<String>,
    },
    /// The window could not be read; recorded once per outage.
    AriLookFailed {
        /// The certificate it is for.
        ari_id: String,
        /// What came back.
        problem: Problem,
    },
    /// The one next renewal.
    RenewalScheduled {
        /// When.
        at: WallMs,
        /// Why.
        cause: Cause,
        /// Which try since the last success, from 1.
        attempt: u32,
    },
    /// A person asked for a renewal now.
    RenewalRequested {
        /// Who: a uid or the program.
        by: String,
    },
}

/// The suggested window of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The certificate it is for.
    pub ari_id: String,
    /// From.
    pub start: WallMs,
    /// To.
    pub end: WallMs,
    /// Why, for people.
    pub explanation_url: Option<String>,
}

/// The one next renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: WallMs,
    /// Why.
    pub cause: Cause,
    /// Which try, from 1.
    pub attempt: u32,
    /// When this was decided.
    pub decided: WallMs,
}

/// The state of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The last window the CA suggested.
    pub window: Option<Window>,
    /// Why the window could not be read, while it cannot.
    pub ari_failing: Option<(Problem, WallMs)>,
    /// The next renewal.
    pub planned: Option<Planned>,
    /// A person's wish that no renewal has taken up yet.
    pub requested: Option<(String, WallMs)>,
}

impl Schedule {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &ScheduleEvent) {
        match event {
            ScheduleEvent::AriWindowLearned { ari_id, start, end, explanation_url } => {
                self.window = Some(Window {
                    ari_id: ari_id.clone(),
                    start: *start,
                    end: *end,
                    explanation_url: explanation_url.clone(),
                });
                self.ari_failing = None;
            }
            ScheduleEvent::AriLookFailed { ari_id: _, problem } => {
                self.ari_failing = Some((problem.clone(), meta.at));
            }
            ScheduleEvent::RenewalScheduled { at, cause, attempt } => {
                self.planned =
                    Some(Planned { at: *at, cause: *cause, attempt: *attempt, decided: meta.at });
            }
            ScheduleEvent::RenewalRequested { by } => {
                self.requested = Some((by.clone(), meta.at));
            }
        }
    }

    /// A renewal has succeeded: what was asked for meanwhile is met.
    pub(crate) fn met(&mut self) {
        self.requested = None;
    }

    /// A renewal has begun: what was planned and asked for is taken up.
    pub(crate) fn taken_up(&mut self) {
        self.planned = None;
        self.requested = None;
    }
}
