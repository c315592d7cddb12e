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
use renewd_events::id::CertificateId;
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

    fn certificate(facts: &Facts, id: CertificateId, session: &Session, cx: &Context) -> Decision {
        decide::decide(facts, id, session, cx)
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
