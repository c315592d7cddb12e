//! Terms that changed (RFC 8555 §7.3.3): hearing that the CA wants a person, and telling it that one
//! agreed.

use renewd_events::account::{Account, AccountEvent, AccountRequest, Agreement, Registration};
use renewd_events::event::NewEvent;
use renewd_events::id::AccountId;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, WallMs};

use super::decide::is_verdict;
use crate::decision::{Context, Decision, Session, fact};
use crate::effect::Effect;
use crate::ports::RegisteredAccount;

/// Answers without a verdict before the CA is no longer told of an agreement: it is idempotent and
/// changes nothing where the CA does not care, so a broken newAccount must not hold up renewals.
pub(super) const AGREEMENT_TRIES_MAX: u32 = 5;

/// What a certificate's failure, or the lack of one, says about its account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard<'f> {
    /// The CA said that it does not know the account.
    pub forgotten: bool,
    /// The CA refused an order until a person acts: its words, and when.
    pub wants_person: Option<(&'f Problem, WallMs)>,
}

/// `userActionRequired` that nobody has heard yet, to an order or to the registration itself.
pub(super) fn wants_person<'f>(
    account: &'f Account,
    heard: Heard<'f>,
) -> Option<(&'f Problem, WallMs)> {
    if account.person.is_some() {
        return None;
    }
    let after = account.accepted_at.max(account.person_heard);
    let refused = match &account.registration {
        Registration::Refused { problem, at } => {
            (problem.is_acme("userActionRequired") && *at > after).then_some((problem, *at))
        }
        Registration::Absent | Registration::Requested(_) | Registration::Registered { .. } => None,
    };
    refused.or(heard.wants_person)
}

/// Tells the CA that a person agreed since the registration. RFC 8555 §7.3.3 sends the person to a web
/// page, and some CAs want no more; others take the word of the client, so it is given once.
pub(super) fn tell(
    id: AccountId,
    account: &Account,
    request: AccountRequest,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    match &account.agreement {
        Agreement::Settled => {}
        Agreement::Due if !account.terms_are_accepted() => {}
        Agreement::Due => {
            let event = AccountEvent::AgreementRequested(request);
            decision.records.push(fact(id, event, None, None));
        }
        Agreement::Requested(intent) => {
            let effect = Effect::Agree(id, intent.clone());
            decision.when_due(effect, session, cx, "the CA did not answer the agreement");
        }
    }
}

/// What the CA's answer says.
pub(super) fn observe(
    id: AccountId,
    intent: &Durable<AccountRequest>,
    result: &Result<RegisteredAccount, Problem>,
    tries: u32,
    cx: &Context,
) -> Vec<NewEvent> {
    let cause = Some(intent.meta().seq);
    let problem = match result {
        Ok(account) => {
            let event = AccountEvent::AgreementTaken { url: account.url.clone() };
            return vec![fact(id, event, None, cause)];
        }
        Err(problem) => problem,
    };
    // A rate limit passes, an outage too; nothing else is waited for without an end.
    let passes = problem.class == ProblemClass::Transport || problem.is_acme("rateLimited");
    if passes || (!is_verdict(problem) && tries < AGREEMENT_TRIES_MAX) {
        return Vec::new();
    }
    let refused = AccountEvent::AgreementRefused { problem: problem.clone() };
    let mut events = vec![fact(id, refused, None, cause)];
    if problem.is_acme("userActionRequired") {
        let event = AccountEvent::PersonRequired { problem: problem.clone(), failed_at: cx.now };
        events.push(fact(id, event, None, cause));
    }
    events
}
