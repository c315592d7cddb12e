//! What to do about an account, and what an outcome says about it.

use renewd_events::account::{
    Account, AccountEvent, AccountKey, AccountRequest, Agreement, Registration,
};
use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, KeyRef};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Facts};

use super::agreement::{self, Heard};
use crate::bounds;
use crate::decision::{Context, Decision, Session, backoff, fact};
use crate::effect::{Effect, Outcome};

/// The vault's name of an account's key.
pub fn account_key_ref(account: AccountId) -> KeyRef {
    KeyRef(format!("account-{account}"))
}

/// What to do about an account.
pub fn decide(
    id: AccountId,
    account: &Account,
    heard: Heard<'_>,
    session: &Session,
    cx: &Context,
) -> Decision {
    let mut decision = Decision::none();
    directory(id, account, session, cx, &mut decision);
    if account.anomaly.is_some() {
        return decision;
    }
    if planted::is(Bug::AccountBegunAnew)
        && let Some(again) = begun_anew(id, account, session, cx)
    {
        return again;
    }
    let Some(key) = &account.key else {
        let effect = Effect::EnsureAccountKey(id, account_key_ref(id));
        decision.when_due(effect, session, cx, "the vault could not make the account key");
        return decision;
    };
    if let Some((problem, failed_at)) = agreement::wants_person(account, heard) {
        let event = AccountEvent::PersonRequired { problem: problem.clone(), failed_at };
        return Decision::record(vec![fact(id, event, None, None)]);
    }
    let ask = || {
        let event = AccountEvent::AccountRequested(request(account, key));
        Decision::record(vec![fact(id, event, None, None)])
    };
    match &account.registration {
        Registration::Absent if may_register(account) => return ask(),
        Registration::Absent => {}
        Registration::Requested(intent) => {
            let effect = Effect::Register(id, intent.clone());
            decision.when_due(effect, session, cx, "the CA did not answer");
        }
        Registration::Refused { problem, at } => {
            let own = backoff(cx.rules.retry_first, cx.rules.retry_max, account.failures);
            let asked = problem.retry_after_ms.map_or(own, std::time::Duration::from_millis);
            // What a person did since changes the answer.
            // Once: an acceptance that lies ahead stays later than every refusal to come.
            let accepted = account.accepted_at > *at && !cx.is_ahead(account.accepted_at);
            let next = if accepted { cx.now } else { cx.due(*at, own.max(asked)) };
            if next <= cx.now && may_register(account) {
                return ask();
            }
            decision.wake_at(next.max(cx.now), "the CA refused the account");
        }
        // The same key gives the same account where the CA still has it (RFC 8555 §7.3.1), and a new
        // one where it lost its memory; once per failed renewal, so paced by their retries.
        Registration::Registered { .. } if heard.forgotten && may_register(account) => {
            return ask();
        }
        Registration::Registered { .. } => {
            agreement::tell(id, account, request(account, key), session, cx, &mut decision);
            contacts(id, account, session, cx, &mut decision);
        }
    }
    decision
}

/// As a person would write it who mistrusts what an earlier life left ([`Bug::AccountBegunAnew`]).
fn begun_anew(
    id: AccountId,
    account: &Account,
    session: &Session,
    cx: &Context,
) -> Option<Decision> {
    let Registration::Requested(intent) = &account.registration else {
        return None;
    };
    if intent.meta().boot == cx.boot {
        return None;
    }
    let own = KeyRef(format!("{}-{}", account_key_ref(id).0, cx.boot));
    let key = account.key.as_ref().filter(|key| key.key_ref == own);
    let mut decision = Decision::none();
    match key {
        Some(key) => {
            let event = AccountEvent::AccountRequested(request(account, key));
            decision.records.push(fact(id, event, None, None));
        }
        None => {
            let effect = Effect::EnsureAccountKey(id, own);
            decision.when_due(effect, session, cx, "the vault could not make the account key");
        }
    }
    Some(decision)
}

fn request(account: &Account, key: &AccountKey) -> AccountRequest {
    AccountRequest {
        key_ref: key.key_ref.clone(),
        thumbprint: key.thumbprint.clone(),
        contacts_hash: account.contacts_wanted,
    }
}

fn may_register(account: &Account) -> bool {
    account.terms_are_accepted()
        && account.directory.as_ref().is_some_and(|known| !known.external_account_required)
}

fn directory(
    id: AccountId,
    account: &Account,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    let effect = Effect::ReadDirectory(id);
    let looks = session.looks(&effect.key());
    // A CA that asks for a person has new terms, and the directory names them.
    let wanted = account.person.as_ref().map(|person| person.since);
    let stale = wanted.is_some_and(|since| looks.last < since && !cx.is_ahead(since));
    let at = if looks.count == 0 || looks.failures > 0 || stale {
        looks.not_before
    } else {
        looks.last.after(bounds::DIRECTORY_AGE_MAX)
    };
    if at <= cx.now {
        decision.effects.push(effect);
    } else {
        decision.wake_at(at, "the directory is read once a day");
    }
}

fn contacts(
    id: AccountId,
    account: &Account,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    match &account.contacts_change {
        Some(change) => {
            let effect = Effect::UpdateContacts(id, change.clone());
            decision.when_due(effect, session, cx, "the CA did not take the contacts");
        }
        None if account.contacts_known != Some(account.contacts_wanted) => {
            let event =
                AccountEvent::ContactsChangeRequested { contacts_hash: account.contacts_wanted };
            decision.records.push(fact(id, event, None, None));
        }
        None => {}
    }
}

/// The CA has seen the request and said no; anything else gives no verdict.
pub(super) fn is_verdict(problem: &Problem) -> bool {
    problem.class == ProblemClass::Acme && problem.status < 500
}

/// What an outcome says.
pub(super) fn observe(
    facts: &Facts,
    effect: &Effect,
    outcome: &Outcome,
    session: &Session,
    cx: &Context,
) -> Vec<NewEvent> {
    match (effect, outcome) {
        (Effect::ReadDirectory(id), Outcome::Directory(result)) => {
            let account = facts.accounts.get(id);
            match result {
                Ok(seen) => {
                    let known = account.and_then(|account| account.directory.as_ref());
                    let down = account.is_some_and(|account| account.unreachable.is_some());
                    let news = known != Some(seen) || down;
                    let event = AccountEvent::DirectoryObserved(seen.clone());
                    if news { vec![fact(*id, event, None, None)] } else { Vec::new() }
                }
                Err(problem) => {
                    let first = account.is_some_and(|account| account.unreachable.is_none());
                    let event = AccountEvent::DirectoryUnreachable { problem: problem.clone() };
                    if first { vec![fact(*id, event, None, None)] } else { Vec::new() }
                }
            }
        }
        (Effect::EnsureAccountKey(id, key_ref), Outcome::AccountKey(Ok(thumbprint))) => {
            let event = AccountEvent::AccountKeyCreated {
                key_ref: key_ref.clone(),
                thumbprint: thumbprint.clone(),
            };
            vec![fact(*id, event, None, None)]
        }
        (Effect::Register(id, intent), Outcome::Registered(result)) => {
            let open = facts.accounts.get(id).is_some_and(
                |account| matches!(&account.registration, Registration::Requested(now) if now == intent),
            );
            let known = facts.accounts.get(id).filter(|_| open);
            known.map_or_else(Vec::new, |account| registered(*id, account, intent, result))
        }
        (Effect::Agree(id, intent), Outcome::Registered(result)) => {
            let open = facts.accounts.get(id).is_some_and(
                |account| matches!(&account.agreement, Agreement::Requested(now) if now == intent),
            );
            let tries = session.looks(&effect.key()).failures.saturating_add(1);
            if open { agreement::observe(*id, intent, result, tries, cx) } else { Vec::new() }
        }
        (Effect::UpdateContacts(id, intent), Outcome::Done(result)) => {
            let contacts_hash = *intent.intent();
            let event = match result {
                Ok(()) => AccountEvent::ContactsChanged { contacts_hash },
                Err(problem) if is_verdict(problem) => {
                    AccountEvent::ContactsChangeFailed { contacts_hash, problem: problem.clone() }
                }
                Err(_) => return Vec::new(),
            };
            vec![fact(*id, event, None, Some(intent.meta().seq))]
        }
        _ => Vec::new(),
    }
}

fn registered(
    id: AccountId,
    account: &Account,
    intent: &Durable<AccountRequest>,
    result: &Result<crate::ports::RegisteredAccount, Problem>,
) -> Vec<NewEvent> {
    let event = match result {
        Ok(account) => AccountEvent::AccountRegistered {
            url: account.url.clone(),
            already_existed: account.already_existed,
        },
        Err(problem) if is_verdict(problem) => {
            AccountEvent::AccountRefused { problem: problem.clone() }
        }
        // No verdict: the same request again gives the same account (RFC 8555 §7.3.1). It may take
        // long, so the log says why, once.
        Err(problem) if account.unreachable.is_none() => {
            AccountEvent::RegistrationUnanswered { problem: problem.clone() }
        }
        Err(_) => return Vec::new(),
    };
    vec![fact(id, event, None, Some(intent.meta().seq))]
}
