//! What to do about the authorizations of a renewal's order.

use renewd_events::Facts;
use renewd_events::authorization::{Authorization, AuthorizationEvent, Phase};
use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, AuthorizationId, CertificateId, OrderId, RenewalId};
use renewd_events::order::{self, Asked};
use renewd_events::planted::{self, Bug};
use renewd_replay::status::challenge_port_held;

use crate::decision::{Context, Decision, Session, fact, may_do};
use crate::effect::{
    AuthorizationStage, Effect, EffectKey, MAKE_READY, SEE_LEARNING, SEE_SETTLING, SEE_VERDICT,
};
use crate::issuer::outlasts_order;
use crate::waiting::{self, Question};

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
    let place = Place { renewal: run.renewal, order: order_id, account: request.account, url };
    let decision = match &order.phase {
        // The Issuer ends it: the CA must not begin to look for what is about to go.
        order::Phase::Pending if order.given_up().is_some() => Decision::none(),
        order::Phase::Pending => pending(facts, id, &place, order, session, cx),
        order::Phase::Dead(_) => verdict(facts, id, &place, session, cx),
        order::Phase::Ready
        | order::Phase::Finalizing(_)
        | order::Phase::FinalizeRefused(_)
        | order::Phase::Processing
        | order::Phase::Valid { .. }
        | order::Phase::Downloaded(_)
        | order::Phase::Rejected(_) => Decision::record(all_valid(facts, id, &place, session)),
        order::Phase::Absent
        | order::Phase::Requested(_)
        | order::Phase::Refused(_)
        | order::Phase::Unresolved => Decision::none(),
    };
    let questions = questions(facts, id, order_id, order);
    waiting::told(decision, (order_id, order, run.renewal), &questions, session)
}

/// What the CA is asked about the names in this phase.
fn questions(
    facts: &Facts,
    id: CertificateId,
    order_id: OrderId,
    order: &order::Order,
) -> Vec<Question> {
    let see = |kind| {
        let key = EffectKey { kind, stream: order_id.into(), version: 0 };
        Question::new(Asked::Authorizations, vec![key])
    };
    if let order::Phase::Dead(_) = order.phase {
        return vec![see(SEE_VERDICT)];
    }
    if !matches!(order.phase, order::Phase::Pending) {
        return Vec::new();
    }
    if of_order(facts, id, order_id).count() < order.authorizations.len() {
        return vec![see(SEE_LEARNING)];
    }
    let open = of_order(facts, id, order_id).filter_map(|(_, it)| match &it.phase {
        Phase::ReadinessRequested(intent) => {
            let id = intent.effect_id();
            Some(EffectKey { kind: MAKE_READY, stream: id.stream, version: id.version })
        }
        Phase::Seen
        | Phase::Chosen
        | Phase::Published
        | Phase::Ready
        | Phase::ReadinessRefused(_)
        | Phase::Valid
        | Phase::Invalid(_) => None,
    });
    let told: Vec<EffectKey> = open.collect();
    if told.is_empty() {
        return Vec::new();
    }
    vec![Question::new(Asked::Challenge, told), see(SEE_SETTLING)]
}

/// Tokens of orders that are no longer the renewal's order are withdrawn.
fn withdraw_leftovers(facts: &Facts, id: CertificateId) -> Vec<NewEvent> {
    if planted::is(Bug::TokenKept) {
        return Vec::new();
    }
    let present = facts.order_of(id).map(|(order, _)| order);
    facts
        .authorizations_of(id)
        .filter(|(_, authorization)| authorization.answered)
        .filter(|(_, authorization)| Some(authorization.order) != present)
        .map(|(id, _)| fact(id, AuthorizationEvent::ChallengeWithdrawn, None, None))
        .take(crate::bounds::EVENTS_PER_BATCH_MAX)
        .collect()
}

pub(super) fn of_order(
    facts: &Facts,
    id: CertificateId,
    order: OrderId,
) -> impl Iterator<Item = (AuthorizationId, &Authorization)> {
    facts.authorizations_of(id).filter(move |(_, authorization)| authorization.order == order)
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
    let at = (place.order, order, place.renewal);
    if of_order(facts, id, place.order).count() < order.authorizations.len() {
        let effect = see(AuthorizationStage::Learning);
        if let Some(problem) = session.looks(&effect.key()).hopeless() {
            let event = waiting::given_up(at, Asked::Authorizations, problem);
            return Decision::record(event);
        }
        decision.when_due(effect, session, cx, "the authorizations could not be read");
        return decision;
    }
    if challenge_port_held(facts).is_some() {
        // The CA is not told to look where another program answers. When the port is free we are nudged.
        let at = cx.now.after(crate::bounds::LOOK_IDLE);
        decision.wake_at(at, "another program holds the port for challenges");
        return decision;
    }
    let (mut ready, mut unprobed) = (Vec::new(), false);
    for (authorization_id, authorization) in of_order(facts, id, place.order) {
        let Some(challenge) = &authorization.challenge else {
            continue;
        };
        match &authorization.phase {
            Phase::Chosen => {
                unprobed = true;
                let effect = Effect::ProbeChallenge(
                    authorization_id,
                    authorization.identifier.clone(),
                    challenge.clone(),
                );
                decision.when_due(effect, session, cx, "our own fetch of the token is tried again");
            }
            Phase::Published => {
                let challenge_url = challenge.url.clone();
                let event = AuthorizationEvent::ReadinessRequested { challenge_url };
                ready.push(fact(authorization_id, event, Some(place.renewal), None));
                if planted::is(Bug::OutcomeBeforeAct) {
                    let event = AuthorizationEvent::ReadinessAccepted { inferred: false };
                    ready.push(fact(authorization_id, event, Some(place.renewal), None));
                }
            }
            Phase::ReadinessRequested(intent) => {
                let settle = see(AuthorizationStage::Settling);
                if let Some(problem) = session.looks(&settle.key()).hopeless() {
                    return Decision::record(waiting::given_up(at, Asked::Authorizations, problem));
                }
                let url = place.url.to_owned();
                let tell = Effect::MakeReady(authorization_id, place.account, url, intent.clone());
                let in_vain = outlasts_order(order, &tell, session);
                if let Some(problem) = in_vain.filter(|_| is_untouched(&tell, &settle, session)) {
                    return Decision::record(waiting::given_up(at, Asked::Challenge, &problem));
                }
                readiness(tell, settle, may_do(intent, session, cx), session, cx, &mut decision);
            }
            Phase::Seen
            | Phase::Ready
            | Phase::ReadinessRefused(_)
            | Phase::Valid
            | Phase::Invalid(_) => {}
        }
    }
    one_at_a_time(&mut decision, session);
    decision.effects.dedup_by_key(|effect| effect.key());
    // All are answered before the CA is told of any: one batch, and the CA's views are the same.
    if !ready.is_empty() && !unprobed {
        decision.records = ready;
    }
    decision
}

/// The CA refuses a second POST while it looks, so a look comes between two of them: what it shows as
/// untouched is then sent again.
fn readiness(
    tell: Effect,
    settle: Effect,
    may_do: bool,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    if session.running.contains(&settle.key()) || session.running.contains(&tell.key()) {
        return;
    }
    if may_do || is_untouched(&tell, &settle, session) {
        decision.when_due(tell, session, cx, "the CA did not take the challenge");
    } else {
        decision.when_due(settle, session, cx, "the CA is asked what it has seen");
    }
}

/// Seen untouched since the last try: one look serves all names, so a name that was tried after it has to
/// be looked at again.
fn is_untouched(tell: &Effect, settle: &Effect, session: &Session) -> bool {
    let (told, seen) = (session.looks(&tell.key()), session.looks(&settle.key()));
    seen.answered() && (told.count == 0 || seen.last > told.last)
}

/// Whatever the CA shows while it is being told of a name settles nothing: the look waits.
fn one_at_a_time(decision: &mut Decision, session: &Session) {
    let begins = decision.effects.iter().any(|effect| matches!(effect, Effect::MakeReady(..)));
    if begins || session.running.iter().any(|key| key.kind == MAKE_READY) {
        decision.effects.retain(|effect| effect.key().kind != SEE_SETTLING);
    }
}

/// The order went on, so all its authorizations are valid (RFC 8555 §7.1.6), and the tokens can go.
fn all_valid(
    facts: &Facts,
    id: CertificateId,
    place: &Place<'_>,
    session: &Session,
) -> Vec<NewEvent> {
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
                let event = AuthorizationEvent::AuthorizationBecameValid {
                    visits: session.visits_of(authorization_id),
                };
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
        matches!(&authorization.phase, Phase::Ready | Phase::ReadinessRequested(_))
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
