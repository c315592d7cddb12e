//! The Registrar: one account per CA, its key made once and reused (RFC 8555 §7.3).

mod agreement;
#[cfg(test)]
mod agreement_tests;
mod decide;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod observe_tests;

use renewd_events::event::NewEvent;
use renewd_events::id::AccountId;
use renewd_events::{ActorName, Facts, Subject};

use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, Outcome};

pub use agreement::Heard;
pub use decide::{account_key_ref, decide};

/// The Registrar's part.
#[derive(Debug)]
pub struct Registrar;

impl Role for Registrar {
    const NAME: ActorName = ActorName::Registrar;

    fn concerns(subject: Subject) -> bool {
        matches!(subject, Subject::Account(_))
    }

    fn account(facts: &Facts, id: AccountId, session: &Session, cx: &Context) -> Decision {
        let Some(account) = facts.accounts.get(&id).filter(|_| is_wanted(facts, id)) else {
            return Decision::none();
        };
        let wanted = facts.wants_person(id);
        let heard = Heard {
            forgotten: facts.is_forgotten(id),
            wants_person: wanted.map(|failure| (&failure.problem, failure.at)),
        };
        decide(id, account, heard, session, cx)
    }

    fn observe(
        facts: &Facts,
        effect: &Effect,
        outcome: &Outcome,
        session: &Session,
        cx: &Context,
    ) -> Vec<NewEvent> {
        decide::observe(facts, effect, outcome, session, cx)
    }
}

/// An account of a CA that no certificate is configured with any more is left alone.
fn is_wanted(facts: &Facts, account: AccountId) -> bool {
    let declared = facts.certificates.values().filter(|certificate| certificate.orphaned.is_none());
    declared.filter_map(|certificate| certificate.declared.as_ref()).any(|d| d.account == account)
}
