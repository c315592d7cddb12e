//! The Validator: authorizations and their http-01 challenges (RFC 8555 §7.5, §8.3).

mod decide;
#[cfg(test)]
mod decide_tests;
mod observe;
#[cfg(test)]
mod observe_tests;
#[cfg(test)]
mod waiting_tests;

use renewd_events::event::NewEvent;
use renewd_events::{ActorName, Facts, Subject};

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

/// The Validator's part.
#[derive(Debug)]
pub(crate) struct Validator;

impl Role for Validator {
    const NAME: ActorName = ActorName::Validator;

    fn concerns(subject: Subject) -> bool {
        matches!(subject, Subject::Certificate(_))
    }

    fn subjects(facts: &Facts) -> Vec<Subject> {
        facts.certificates.keys().copied().map(Subject::Certificate).collect()
    }

    fn decide(facts: &Facts, subject: Subject, session: &Session, cx: &Context) -> Decision {
        match subject {
            Subject::Certificate(id) => decide::decide(facts, id, session, cx),
            Subject::Engine | Subject::Account(_) | Subject::Listener(_) | Subject::Restart(_) => {
                Decision::none()
            }
        }
    }

    fn observe(
        facts: &Facts,
        effect: &Effect,
        outcome: &Outcome,
        session: &Session,
        cx: &Context,
    ) -> Vec<NewEvent> {
        observe::observe(facts, effect, outcome, session, cx)
    }
}
