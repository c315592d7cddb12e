//! What an outcome says about authorizations.

use renewd_events::Facts;
use renewd_events::authorization::{AuthorizationEvent, NO_HTTP_01, Phase, Probe, UNDECIDED};
use renewd_events::event::NewEvent;
use renewd_events::id::{AuthorizationId, CertificateId, OrderId, RenewalId};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::of_order;
use crate::bounds;
use crate::decision::{Context, Looks, Session, fact};
use crate::effect::{AuthorizationStage, Effect, Outcome};
use crate::issuer::refuses_for_good;
use crate::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus};

/// Facts of a name that is learnt, at most: it is seen, and its challenge is chosen.
const EVENTS_OF_A_NAME: usize = 2;

/// What an outcome says.
pub(super) fn observe(
    facts: &Facts,
    effect: &Effect,
    outcome: &Outcome,
    session: &Session,
    cx: &Context,
) -> Vec<NewEvent> {
    match (effect, outcome) {
        (Effect::SeeAuthorizations(order, _, _, stage), Outcome::Authorizations(result)) => {
            let Some(place) = facts.orders.get(order).and_then(|order| order.request.as_ref())
            else {
                return Vec::new();
            };
            let id = place.certificate;
            match (result, stage) {
                (Ok(looks), AuthorizationStage::Learning) => learnt(facts, id, *order, looks, cx),
                (Ok(looks), AuthorizationStage::Settling) => {
                    settled(facts, id, *order, looks, (session, cx))
                }
                (Ok(looks), AuthorizationStage::Verdict) => {
                    judged(facts, id, *order, Ok(looks), (session, cx))
                }
                (Err(problem), AuthorizationStage::Verdict)
                    if problem.class == ProblemClass::Acme || problem.status == 404 =>
                {
                    judged(facts, id, *order, Err(problem), (session, cx))
                }
                (Err(_), _) => Vec::new(),
            }
        }
        (Effect::ProbeChallenge(id, _, _), Outcome::Probed(probe)) => {
            let chosen = phase(facts, *id) == Some(&Phase::Chosen);
            let event = AuthorizationEvent::Published { probe: bounded(probe) };
            if chosen { vec![on(facts, *id, event)] } else { Vec::new() }
        }
        (Effect::MakeReady(id, _, _, intent), Outcome::Done(result)) => {
            let open =
                matches!(phase(facts, *id), Some(Phase::ReadinessRequested(now)) if now == intent);
            let event = match result {
                Ok(()) => AuthorizationEvent::ReadinessAccepted { inferred: false },
                Err(problem) if may_be_taken(problem, session.looks(&effect.key())) => {
                    return Vec::new();
                }
                Err(problem) if refuses_for_good(problem) => {
                    AuthorizationEvent::ReadinessRefused { problem: problem.clone() }
                }
                Err(_) => return Vec::new(),
            };
            if open && planted::is(Bug::TokenWithdrawnEarly) {
                let withdrawn = AuthorizationEvent::ChallengeWithdrawn;
                return vec![on(facts, *id, event), on(facts, *id, withdrawn)];
            }
            if open { vec![on(facts, *id, event)] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// A CA that has taken the challenge refuses to be told again, as malformed: it may have been told for
/// another order that shows the same authorization (RFC 8555 §7.1.3). So it is asked what it has seen
/// before the refusal counts.
fn may_be_taken(problem: &Problem, before: &Looks) -> bool {
    problem.is_acme("malformed") && before.failures.saturating_add(1) < bounds::HOPELESS_AFTER
}

fn bounded(probe: &Probe) -> Probe {
    match probe {
        Probe::Seen => Probe::Seen,
        Probe::NotSeen(text) => Probe::NotSeen(renewd_events::problem::cut(text, 256)),
    }
}

fn phase(facts: &Facts, id: AuthorizationId) -> Option<&Phase> {
    facts.authorizations.get(&id).map(|authorization| &authorization.phase)
}

fn renewal_of(facts: &Facts, certificate: CertificateId) -> Option<RenewalId> {
    Some(facts.certificates.get(&certificate)?.run.as_ref()?.renewal)
}

fn on(facts: &Facts, id: AuthorizationId, event: AuthorizationEvent) -> NewEvent {
    let certificate = facts.authorizations.get(&id).map(|a| a.certificate).unwrap_or_default();
    let cause = match phase(facts, id) {
        Some(Phase::ReadinessRequested(intent)) => Some(intent.meta().seq),
        Some(_) | None => None,
    };
    fact(id, event, renewal_of(facts, certificate), cause)
}

fn learnt(
    facts: &Facts,
    certificate: CertificateId,
    order: OrderId,
    looks: &[AuthorizationLook],
    cx: &Context,
) -> Vec<NewEvent> {
    let renewal = renewal_of(facts, certificate);
    let mut records = Vec::new();
    for look in looks {
        let id = AuthorizationId::derive(&[&order.0, look.url.as_bytes()]);
        if facts.authorizations.contains_key(&id) {
            continue;
        }
        // What does not fit is learnt by the next look, a name as a whole: one that is already seen is
        // skipped there, so its challenge would be missing for ever.
        if records.len() + EVENTS_OF_A_NAME > crate::bounds::EVENTS_PER_BATCH_MAX {
            break;
        }
        let seen = AuthorizationEvent::AuthorizationSeen {
            order,
            certificate,
            url: look.url.clone(),
            identifier: look.identifier.clone(),
            expires: look.expires,
            offers: look.offers.iter().take(8).cloned().collect(),
            valid: look.status == AuthorizationStatus::Valid,
        };
        records.push(fact(id, seen, renewal, None));
        match (look.status, &look.http01) {
            (AuthorizationStatus::Pending, Some(challenge)) => {
                let event = AuthorizationEvent::ChallengeChosen(challenge.clone());
                records.push(fact(id, event, renewal, None));
            }
            (AuthorizationStatus::Pending, None) => {
                let text =
                    format!("the CA offers {} for {}", look.offers.join(", "), look.identifier);
                let problem = Problem::new(ProblemClass::Acme, NO_HTTP_01, &text);
                let event = AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: 0 };
                records.push(fact(id, event, renewal, None));
            }
            (AuthorizationStatus::Invalid, _) => {
                records.push(fact(id, invalid(look, 0, cx), renewal, None))
            }
            (AuthorizationStatus::Valid, _) => {}
        }
    }
    records
}

/// The CA's words; where it has none, and its own time for the name is over, that is the reason.
fn invalid(look: &AuthorizationLook, visits: u32, cx: &Context) -> AuthorizationEvent {
    let unsaid = || Problem::new(ProblemClass::Acme, "invalid", "the CA gave no reason");
    let mut problem = look.problem.clone().unwrap_or_else(unsaid);
    if problem.kind == "invalid"
        && let Some(at) = look.expires.filter(|at| *at <= cx.now)
    {
        let text = format!("the CA gave no reason, but its time for the name ended at {at}");
        problem = Problem::new(ProblemClass::Acme, "expired", &text);
    }
    let problem = problem.about(&look.identifier);
    AuthorizationEvent::AuthorizationBecameInvalid { problem, visits }
}

/// A readiness without answer: what the CA has taken is accepted; the rest is sent by the next step.
fn settled(
    facts: &Facts,
    certificate: CertificateId,
    order: OrderId,
    looks: &[AuthorizationLook],
    (session, cx): (&Session, &Context),
) -> Vec<NewEvent> {
    let mut records = Vec::new();
    for (id, authorization) in of_order(facts, certificate, order) {
        let Phase::ReadinessRequested(_) = &authorization.phase else {
            continue;
        };
        let Some(look) = looks.iter().find(|look| look.url == authorization.url) else {
            continue;
        };
        match (look.status, look.challenge) {
            (AuthorizationStatus::Pending, ChallengeStatus::Pending) => {}
            (AuthorizationStatus::Pending, ChallengeStatus::Taken)
            | (AuthorizationStatus::Valid, _) => {
                let event = AuthorizationEvent::ReadinessAccepted { inferred: true };
                records.push(on(facts, id, event));
            }
            (AuthorizationStatus::Invalid, _) => {
                records.push(on(facts, id, invalid(look, session.visits_of(id), cx)))
            }
        }
    }
    records
}

/// The order is dead: every authorization gets its end, and the tokens go.
fn judged(
    facts: &Facts,
    certificate: CertificateId,
    order: OrderId,
    looks: Result<&Vec<AuthorizationLook>, &Problem>,
    (session, cx): (&Session, &Context),
) -> Vec<NewEvent> {
    let mut records = Vec::new();
    for (id, authorization) in of_order(facts, certificate, order) {
        let open = matches!(&authorization.phase, Phase::Ready | Phase::ReadinessRequested(_));
        if open {
            let visits = session.visits_of(id);
            let found = match looks {
                Ok(looks) => looks.iter().find(|look| look.url == authorization.url),
                Err(_) => None,
            };
            let event = match (found, looks) {
                (Some(look), _) if look.status == AuthorizationStatus::Valid => {
                    AuthorizationEvent::AuthorizationBecameValid { visits }
                }
                (Some(look), _) if look.status == AuthorizationStatus::Invalid => {
                    invalid(look, visits, cx)
                }
                (_, Err(problem)) => AuthorizationEvent::AuthorizationBecameInvalid {
                    problem: problem.clone(),
                    visits,
                },
                // Another name failed; this one was never decided.
                (_, Ok(_)) => AuthorizationEvent::AuthorizationBecameInvalid {
                    problem: Problem::new(
                        ProblemClass::Acme,
                        UNDECIDED,
                        "the order died before this name was decided",
                    ),
                    visits,
                },
            };
            records.push(on(facts, id, event));
        }
        if authorization.answered {
            records.push(on(facts, id, AuthorizationEvent::ChallengeWithdrawn));
        }
    }
    records.truncate(crate::bounds::EVENTS_PER_BATCH_MAX);
    records
}
