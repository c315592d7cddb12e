//! The Binder: puts an issue where it is served, and looks whether it is (listeners included).

mod decide;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod observe_tests;

use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateId, ListenerId};
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

    fn certificate(facts: &Facts, id: CertificateId, session: &Session, cx: &Context) -> Decision {
        decide::certificate(facts, id, session, cx)
    }

    fn listener(facts: &Facts, id: ListenerId, session: &Session, cx: &Context) -> Decision {
        decide::listener(facts, id, session, cx)
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
