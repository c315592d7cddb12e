//! The RestartCoordinator: a restart only when a listener cannot be added live, planned, asked for
//! once, and recognised by the next life of the process.

mod decide;
#[cfg(test)]
mod decide_tests;

use renewd_events::event::NewEvent;
use renewd_events::id::{ListenerId, RestartId};
use renewd_events::{ActorName, Facts, Subject};

pub(crate) use decide::deadline;

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

/// The RestartCoordinator's part.
#[derive(Debug)]
pub(crate) struct RestartCoordinator;

impl Role for RestartCoordinator {
    const NAME: ActorName = ActorName::RestartCoordinator;

    fn concerns(subject: Subject) -> bool {
        matches!(subject, Subject::Listener(_) | Subject::Restart(_))
    }

    fn listener(facts: &Facts, id: ListenerId, _: &Session, cx: &Context) -> Decision {
        decide::listener(facts, id, cx)
    }

    fn restart(facts: &Facts, id: RestartId, session: &Session, cx: &Context) -> Decision {
        decide::restart(facts, id, session, cx)
    }

    fn observe(
        _facts: &Facts,
        _effect: &Effect,
        _outcome: &Outcome,
        _session: &Session,
        _cx: &Context,
    ) -> Vec<NewEvent> {
        // The process that asks dies; the next life sees the intent and writes the outcome.
        Vec::new()
    }
}
