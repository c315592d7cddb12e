//! The Binder: puts an issue where it is served, and looks whether it is (listeners included).

mod decide;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod observe_tests;

use renewd_events::event::NewEvent;
use renewd_events::{ActorName, Facts, Subject};

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

/// The Binder's part.
#[derive(Debug)]
pub(crate) struct Binder;

impl Role for Binder {
    const NAME: ActorName = ActorName::Binder;

    fn concerns(subject: Subject) -> bool {
        matches!(subject, Subject::Certificate(_) | Subject::Listener(_))
    }

    fn subjects(facts: &Facts) -> Vec<Subject> {
        let listeners = facts.listeners.keys().copied().map(Subject::Listener);
        listeners.chain(facts.certificates.keys().copied().map(Subject::Certificate)).collect()
    }

    fn decide(facts: &Facts, subject: Subject, session: &Session, cx: &Context) -> Decision {
        match subject {
            Subject::Certificate(id) => decide::certificate(facts, id, session, cx),
            Subject::Listener(id) => decide::listener(facts, id, session, cx),
            Subject::Engine | Subject::Account(_) | Subject::Restart(_) => Decision::none(),
        }
    }

    fn observe(
        facts: &Facts,
        effect: &Effect,
        outcome: &Outcome,
        _session: &Session,
        cx: &Context,
    ) -> Vec<NewEvent> {
        decide::observe(facts, effect, outcome, cx)
    }
}
