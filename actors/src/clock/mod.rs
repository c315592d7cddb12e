//! The Clock: when each certificate is renewed and why, and every wait of the engine.

mod decide;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod lost_tests;
mod plan;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod retry_tests;
mod timers;
#[cfg(test)]
mod window_tests;

use renewd_events::event::NewEvent;
use renewd_events::id::CertificateId;
use renewd_events::{ActorName, Facts, Subject};

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

pub use plan::{Plan, plan};
pub(crate) use timers::{Timers, run_supervised as run_timers};

/// The Clock's part.
#[derive(Debug)]
pub struct Clock;

impl Role for Clock {
    const NAME: ActorName = ActorName::Clock;

    fn concerns(subject: Subject) -> bool {
        matches!(subject, Subject::Certificate(_) | Subject::Engine)
    }

    fn engine(facts: &Facts, cx: &Context) -> Decision {
        decide::daily(facts, cx)
    }

    fn certificate(facts: &Facts, id: CertificateId, session: &Session, cx: &Context) -> Decision {
        decide::certificate(facts, id, session, cx)
    }

    fn observe(
        facts: &Facts,
        effect: &Effect,
        outcome: &Outcome,
        _session: &Session,
        _cx: &Context,
    ) -> Vec<NewEvent> {
        decide::observe(facts, effect, outcome)
    }
}
