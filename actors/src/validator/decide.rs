//! What to do about the authorizations of a renewal's order.

use renewd_events::Facts;
use renewd_events::authorization::{Authorization, AuthorizationEvent, Phase, Probe};
use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, AuthorizationId, CertificateId, OrderId, RenewalId};
use renewd_events::order;
use renewd_events::problem::{Problem, ProblemClass};

use crate::decision::{Context, Decision, Session, fact, may_do};
use crate::effect::{AuthorizationStage, Effect, Outcome};
use crate::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus};

/// The order whose authorizations are looked after.
struct Place<'a> {
    renewal: RenewalId,
    order: OrderId,
    account: AccountId,
    url: &'a str,
}

/// What to do.
pub(super) fn decide(
    facts: &Facts,
    id: CertificateId,
    session: &Session,
    cx: &Context,
) -> Decision {
    let leftovers = withdraw_leftovers(facts, id);
    if !leftovers.is_empty() {
        return Decision::record(leftovers);
    }
    let Some(run) = facts.certificates.get(&id).and_then(|c| c.run.as_ref()) else {
        return Decision::none();
    };
    let Some((order_id, order)) = facts.order_of(id) else {
        return Decision::none();
    };
    let (Some(request), Some(url)) = (&order.request, &order.url) else {
        return Decision::none();
    };
    let place = Place {
        renewal: run.renewal,
        order: order_id,
        account: request.account,
        url,
    };
    match &order.phase {
        order::Phase::Pending => pending(facts, id, &place, order, session, cx),
        order::Phase::Dead(_) => verdict(facts, id, &place, session, cx),
        order::Phase::Ready
        | order::Phase::Finalizing(_)
        | order::Phase::FinalizeRefused(_)
        | order::Phase::Processing
        | order::Phase::Valid { .. }
        | order::Phase::Downloaded(_)
        | order::Phase::Rejected(_) => Decision::record(all_valid(facts, id, &place)),
        order::Phase::Absent
        | order::Phase::Requested(_)
        | order::Phase::Refused(_)
        | order::Phase::Unresolved => Decision::none(),
    }
}

/// Tokens of orders that are no longer the renewal's order are withdrawn.
fn withdraw_leftovers(facts: &Facts, id: CertificateId) -> Vec<NewEvent> {
    let present = facts.order_of(id).map(|(order, _)| order);
    facts
        .authorizations_of(id)
        .filter(|(_, authorization)| authorization.answered)
        .filter(|(_, authorization)| Some(authorization.order) != present)
        .map(|(id, _)| fact(id, AuthorizationEvent::ChallengeWithdrawn, None, None))
        .take(crate::bounds::EVENTS_PER_BATCH_MAX)
        .collect()
}

fn of_order(
    facts: &Facts,
    id: CertificateId,
    order: OrderId,
) -> impl Iterator<Item = (AuthorizationId, &Authorization)> {
    facts
        .authorizations_of(id)
        .filter(move |(_, authorization)| authorization.order == order)
}

fn pending(
    facts: &Facts,
    id: CertificateId,
    place: &Place<'_>,
    order: &order::Order,
    session: &Session,
    cx: &Context,
) -> Decision {
    let see =
        |stage| Effect::SeeAuthorizations(place.order, place.account, place.url.to_owned(), stage);
    let mut decision = Decision::none();
    if of_order(facts, id, place.order).count() < order.authorizations.len() {
        let effect = see(AuthorizationStage::Learning);
        decision.when_due(effect, session, cx, "the authorizations could not be read");
        return decision;
    }
    let mut ready = Vec::new();
    for (authorization_id, authorization) in of_order(facts, id, place.order) {
        let Some(challenge) = &authorization.challenge else {
            continue;
        };
        match &authorization.phase {
            Phase::Chosen => decision.effects.push(Effect::ProbeChallenge(
                authorization_id,
                authorization.identifier.clone(),
                challenge.clone(),
            )),
            Phase::Published => {
                let challenge_url = challenge.url.clone();
                let event = AuthorizationEvent::ReadinessRequested { challenge_url };
                ready.push(fact(authorization_id, event, Some(place.renewal), None));
            }
            Phase::ReadinessRequested(intent) => {
                // The CA refuses a second POST while it looks, so the settling look comes first;
                // what it shows as untouched is then sent.
                let settle = see(AuthorizationStage::Settling);
                if may_do(intent, session, cx) || session.looks(&settle.key()).count > 0 {
                    let effect = Effect::MakeReady(
                        authorization_id,
                        place.account,
                        place.url.to_owned(),
                        intent.clone(),
                    );
                    decision.when_due(effect, session, cx, "the CA did not take the challenge");
                } else {
                    decision.when_due(settle, session, cx, "the CA is asked what it has seen");
                }
            }
            Phase::Seen
            | Phase::Ready
            | Phase::ReadinessRefused(_)
            | Phase::Valid
            | Phase::Invalid(_) => {}
        }
    }
    decision.effects.dedup_by_key(|effect| effect.key());
    // All are answered before the CA is told of any: one batch, and the CA's views are the same.
    let waiting = decision
        .effects
        .iter()
        .any(|e| matches!(e, Effect::ProbeChallenge(..)));
    if !ready.is_empty() && !waiting {
        decision.records = ready;
    }
    decision
}

/// The order went on, so all its authorizations are valid (RFC 8555 §7.1.6), and the tokens can go.
fn all_valid(facts: &Facts, id: CertificateId, place: &Place<'_>) -> Vec<NewEvent> {
    let mut records = Vec::new();
    for (authorization_id, authorization) in of_order(facts, id, place.order) {
        let renewal = Some(place.renewal);
        match &authorization.phase {
            Phase::Valid | Phase::Invalid(_) => {}
            Phase::Seen
            | Phase::Chosen
            | Phase::Published
            | Phase::ReadinessRequested(_)
            | Phase::Ready
            | Phase::ReadinessRefused(_) => {
                let event = AuthorizationEvent::AuthorizationBecameValid { visits: 0 };
                records.push(fact(authorization_id, event, renewal, None));
            }
        }
        if authorization.answered {
            let event = AuthorizationEvent::ChallengeWithdrawn;
            records.push(fact(authorization_id, event, renewal, None));
        }
    }
    records.truncate(crate::bounds::EVENTS_PER_BATCH_MAX);
    records
}

/// The order died: the authorizations tell why.
fn verdict(
    facts: &Facts,
    id: CertificateId,
    place: &Place<'_>,
    session: &Session,
    cx: &Context,
) -> Decision {
    let open = of_order(facts, id, place.order).any(|(_, authorization)| {
        matches!(
            &authorization.phase,
            Phase::Ready | Phase::ReadinessRequested(_)
        )
    });
    let mut decision = Decision::none();
    if open {
        let effect = Effect::SeeAuthorizations(
            place.order,
            place.account,
            place.url.to_owned(),
            AuthorizationStage::Verdict,
        );
        decision.when_due(effect, session, cx, "the authorizations could not be read");
    }
    decision
}

/// What an outcome says.
pub(super) fn observe(facts: &Facts, effect: &Effect, outcome: &Outcome) -> Vec<NewEvent> {
    match (effect, outcome) {
        (Effect::SeeAuthorizations(order, _, _, stage), Outcome::Authorizations(result)) => {
            let Some(place) = facts
                .orders
                .get(order)
                .and_then(|order| order.request.as_ref())
            else {
                return Vec::new();
            };
            let id = place.certificate;
            match (result, stage) {
                (Ok(looks), AuthorizationStage::Learning) => learnt(facts, id, *order, looks),
                (Ok(looks), AuthorizationStage::Settling) => settled(facts, id, *order, looks),
                (Ok(looks), AuthorizationStage::Verdict) => judged(facts, id, *order, Ok(looks)),
                (Err(problem), AuthorizationStage::Verdict)
                    if problem.class == ProblemClass::Acme || problem.status == 404 =>
                {
                    judged(facts, id, *order, Err(problem))
                }
                (Err(_), _) => Vec::new(),
            }
        }
        (Effect::ProbeChallenge(id, _, _), Outcome::Probed(probe)) => {
            let chosen = phase(facts, *id) == Some(&Phase::Chosen);
            let event = AuthorizationEvent::Published {
                probe: bounded(probe),
            };
            if chosen {
                vec![on(facts, *id, event)]
            } else {
                Vec::new()
            }
        }
        (Effect::MakeReady(id, _, _, intent), Outcome::Done(result)) => {
            let open =
                matches!(phase(facts, *id), Some(Phase::ReadinessRequested(now)) if now == intent);
            let event = match result {
                Ok(()) => AuthorizationEvent::ReadinessAccepted { inferred: false },
                Err(problem) if problem.class == ProblemClass::Acme && problem.status < 500 => {
                    AuthorizationEvent::ReadinessRefused {
                        problem: problem.clone(),
                    }
                }
                Err(_) => return Vec::new(),
            };
            if open {
                vec![on(facts, *id, event)]
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

fn bounded(probe: &Probe) -> Probe {
    match probe {
        Probe::Seen => Probe::Seen,
        Probe::NotSeen(text) => Probe::NotSeen(renewd_events::problem::cut(text, 256)),
    }
}

fn phase(facts: &Facts, id: AuthorizationId) -> Option<&Phase> {
    facts
        .authorizations
        .get(&id)
        .map(|authorization| &authorization.phase)
}

fn renewal_of(facts: &Facts, certificate: CertificateId) -> Option<RenewalId> {
    Some(facts.certificates.get(&certificate)?.run.as_ref()?.renewal)
}

fn on(facts: &Facts, id: AuthorizationId, event: AuthorizationEvent) -> NewEvent {
    let certificate = facts
        .authorizations
        .get(&id)
        .map(|a| a.certificate)
        .unwrap_or_default();
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
) -> Vec<NewEvent> {
    let renewal = renewal_of(facts, certificate);
    let mut records = Vec::new();
    for look in looks {
        let id = AuthorizationId::derive(&[&order.0, look.url.as_bytes()]);
        if facts.authorizations.contains_key(&id) {
            continue;
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
                let text = format!(
                    "the CA offers {} for {}",
                    look.offers.join(", "),
                    look.identifier
                );
                let problem = Problem::new(ProblemClass::Acme, "no-http-01", &text);
                let event = AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: 0 };
                records.push(fact(id, event, renewal, None));
            }
            (AuthorizationStatus::Invalid, _) => {
                records.push(fact(id, invalid(look), renewal, None))
            }
            (AuthorizationStatus::Valid, _) => {}
        }
    }
    // What does not fit is learnt by the next look: authorizations already seen are skipped.
    records.truncate(crate::bounds::EVENTS_PER_BATCH_MAX / 2 * 2);
    records
}

fn invalid(look: &AuthorizationLook) -> AuthorizationEvent {
    let unsaid = || Problem::new(ProblemClass::Acme, "invalid", "the CA gave no reason");
    AuthorizationEvent::AuthorizationBecameInvalid {
        problem: look
            .problem
            .clone()
            .unwrap_or_else(unsaid)
            .about(&look.identifier),
        visits: 0,
    }
}

/// A readiness without answer: what the CA has taken is accepted; the rest is sent by the next step.
fn settled(
    facts: &Facts,
    certificate: CertificateId,
    order: OrderId,
    looks: &[AuthorizationLook],
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
            (AuthorizationStatus::Invalid, _) => records.push(on(facts, id, invalid(look))),
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
) -> Vec<NewEvent> {
    let mut records = Vec::new();
    for (id, authorization) in of_order(facts, certificate, order) {
        let open = matches!(
            &authorization.phase,
            Phase::Ready | Phase::ReadinessRequested(_)
        );
        if open {
            let found = match looks {
                Ok(looks) => looks.iter().find(|look| look.url == authorization.url),
                Err(_) => None,
            };
            let event = match (found, looks) {
                (Some(look), _) if look.status == AuthorizationStatus::Valid => {
                    AuthorizationEvent::AuthorizationBecameValid { visits: 0 }
                }
                (Some(look), _) if look.status == AuthorizationStatus::Invalid => invalid(look),
                (_, Err(problem)) => AuthorizationEvent::AuthorizationBecameInvalid {
                    problem: problem.clone(),
                    visits: 0,
                },
                // Another name failed; this one was never decided.
                (_, Ok(_)) => AuthorizationEvent::ReadinessRefused {
                    problem: Problem::new(
                        ProblemClass::Acme,
                        "undecided",
                        "the order died before this name was decided",
                    ),
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
