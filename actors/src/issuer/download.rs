//! Fetching the chain of an order that is valid, and when that is given up.

use renewd_events::Facts;
use renewd_events::certificate::Run;
use renewd_events::id::CertificateId;
use renewd_events::order::{NewOrder, Order};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_replay::codes::Step;

use super::decide::fail;
use super::pace::in_vain_for;
use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session};
use crate::effect::Effect;

/// The kind of problem of a port that has no such account: the configuration names another.
const ACCOUNT_UNKNOWN: &str = "account-unknown";

/// Fetches it, or ends the renewal.
pub(super) fn download(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    (order, request): (&Order, &NewOrder),
    effect: Effect,
    session: &Session,
    cx: &Context,
) -> Decision {
    let looks = session.looks(&effect.key());
    // What this host cannot store stays at the CA and is fetched again: another order would cost
    // another certificate and end at the same disk.
    let hopeless = looks.hopeless().filter(|problem| problem.class != ProblemClass::Local);
    if let Some(problem) = hopeless {
        return fail(id, run, Step::Chain, problem);
    }
    if let Some(problem) = account_is_gone(facts, id, request, looks) {
        return fail(id, run, Step::Chain, &problem);
    }
    if let Some(last) = looks.problem.as_ref()
        && in_vain_for(bounds::DOWNLOAD_MAX, order.since, looks, cx)
    {
        let hours = bounds::DOWNLOAD_MAX.as_secs() / 3600;
        let text = format!("the chain could not be fetched for {hours} hours: {}", last.detail);
        let detail =
            renewd_events::problem::cut(&text, renewd_events::problem::EVIDENCE_OCTETS_MAX);
        return fail(id, run, Step::Chain, &Problem { detail, ..last.clone() });
    }
    let mut decision = Decision::none();
    decision.when_due(effect, session, cx, "the chain could not be fetched");
    decision
}

/// Nobody here can ask for it any more. A try comes first: while the account's place is still there, a
/// certificate that is paid for is not thrown away.
fn account_is_gone(
    facts: &Facts,
    id: CertificateId,
    request: &NewOrder,
    looks: &Looks,
) -> Option<Problem> {
    let last = looks.problem.as_ref().filter(|_| looks.failures > 0)?;
    let unknown = last.class == ProblemClass::Local && last.kind == ACCOUNT_UNKNOWN;
    let declared = facts.certificates.get(&id).and_then(|it| it.declared.as_ref());
    let other = declared.is_some_and(|declared| declared.account != request.account);
    if !unknown && !other {
        return None;
    }
    let text = "the configuration names another CA or account than the one that issued the \
                certificate, so its chain is not fetched any more; the next renewal orders at the \
                configured one";
    let problem = Problem::new(ProblemClass::Local, ACCOUNT_UNKNOWN, text);
    Some(problem.about(&request.account.to_string()))
}
