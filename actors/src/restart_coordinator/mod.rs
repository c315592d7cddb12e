//! The RestartCoordinator: a restart only when a listener cannot be added live, planned, asked for
//! once, and recognised by the next life of the process.

mod decide;
#[cfg(test)]
mod decide_tests;

use renewd_events::event::NewEvent;
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

    fn subjects(facts: &Facts) -> Vec<Subject> {
        let restarts = facts.restarts.keys().copied().map(Subject::Restart);
        restarts.chain(facts.listeners.keys().copied().map(Subject::Listener)).collect()
    }

    fn decide(facts: &Facts, subject: Subject, session: &Session, cx: &Context) -> Decision {
        match subject {
            Subject::Listener(id) => decide::listener(facts, id, cx),
            Subject::Restart(id) => decide::restart(facts, id, session, cx),
            Subject::Engine | Subject::Account(_) | Subject::Certificate(_) => Decision::none(),
        }
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
