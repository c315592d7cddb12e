//! The Issuer: renewals and their orders (RFC 8555 §7.4), from the start of a renewal to its end.

#[cfg(test)]
mod clock_ahead_tests;
mod decide;
#[cfg(test)]
mod decide_tests;
mod download;
#[cfg(test)]
mod in_vain_tests;
mod observe;
#[cfg(test)]
mod observe_tests;
mod order;
#[cfg(test)]
mod order_tests;
mod pace;
#[cfg(test)]
mod pace_tests;
mod questions;
mod request;
#[cfg(test)]
mod set_back_tests;
#[cfg(test)]
mod settling_tests;

pub(crate) use self::decide::EXPIRED_ON_ARRIVAL;
pub(crate) use self::observe::refuses_for_good;
pub(crate) use self::order::EXPIRED_WHEN_MADE;
pub(crate) use self::pace::outlasts_order;

use renewd_events::event::NewEvent;
use renewd_events::id::CertificateId;
use renewd_events::{ActorName, Facts, Subject};

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

/// The Issuer's part.
#[derive(Debug)]
pub struct Issuer;

impl Role for Issuer {
    const NAME: ActorName = ActorName::Issuer;

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
