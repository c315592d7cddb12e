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

    fn subjects(facts: &Facts) -> Vec<Subject> {
        facts.accounts.keys().copied().map(Subject::Account).collect()
    }

    fn decide(facts: &Facts, subject: Subject, session: &Session, cx: &Context) -> Decision {
        match subject {
            Subject::Account(id) if is_wanted(facts, id) => {
                let account = facts.accounts.get(&id);
                let wanted = facts.wants_person(id);
                let heard = Heard {
                    forgotten: facts.is_forgotten(id),
                    wants_person: wanted.map(|failure| (&failure.problem, failure.at)),
                };
                account
                    .map_or_else(Decision::none, |account| decide(id, account, heard, session, cx))
            }
            Subject::Account(_)
            | Subject::Engine
            | Subject::Certificate(_)
            | Subject::Listener(_)
            | Subject::Restart(_) => Decision::none(),
        }
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
    let declared = facts.certificates.values().filter(|certificate| !certificate.orphaned);
    declared.filter_map(|certificate| certificate.declared.as_ref()).any(|d| d.account == account)
}
