//! What single events of the log say, held against what came before and against the world.

use renewd_events::Facts;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::event::{Envelope, Event};
use renewd_events::id::{AuthorizationId, BindingId, CertificateId, Generation, OrderId};
use renewd_events::order::OrderEvent;

use crate::invariant::Invariant;
use crate::world::World;

/// The issue that a certificate has, for what must not change it.
pub(crate) fn served(facts: &Facts, envelope: &Envelope) -> Option<Generation> {
    let certificate = facts.certificates.get(&CertificateId(envelope.stream.id))?;
    certificate.current.as_ref().map(|issue| issue.generation)
}

/// Looks at one event, already folded; `before` is what [`served`] said without it.
pub(crate) fn judge(world: &World, facts: &Facts, envelope: &Envelope, before: Option<Generation>) {
    let said = match &envelope.event {
        Event::Certificate(CertificateEvent::RenewalFailed { .. }) => {
            let lost = before.is_some() && served(facts, envelope) != before;
            lost.then_some((Invariant::FailureKeepsServing, "a failure took the certificate away"))
        }
        Event::Authorization(AuthorizationEvent::ReadinessAccepted { .. }) => {
            untold(world, facts, AuthorizationId(envelope.stream.id))
                .then_some((Invariant::SettledTruly, "the CA was never told of this challenge"))
        }
        Event::Order(OrderEvent::OrderRefused { .. }) => {
            let bought = world.state().ca.by_intent.contains_key(&OrderId(envelope.stream.id));
            bought.then_some((Invariant::SettledTruly, "the CA has the order, nobody refused it"))
        }
        Event::Binding(BindingEvent::ServedVerified { generation, fingerprint, .. }) => {
            let binding = facts.bindings.get(&BindingId(envelope.stream.id));
            let certificate = binding.and_then(|it| facts.certificates.get(&it.certificate));
            let issue = certificate.and_then(|certificate| certificate.current.as_ref());
            // A handshake may have begun before the newest issue was adopted, not before it was put there.
            let deployed = binding.and_then(|binding| binding.deployed);
            let older = deployed.is_some_and(|(deployed, _)| *generation < deployed);
            let other = issue.is_none_or(|issue| {
                issue.generation == *generation && issue.leaf.fingerprint != *fingerprint
            });
            (older || other)
                .then_some((Invariant::NeverOlder, "what was seen is not the newest issue"))
        }
        Event::Engine(_)
        | Event::Clock(_)
        | Event::Account(_)
        | Event::Certificate(_)
        | Event::Schedule(_)
        | Event::Order(_)
        | Event::Authorization(_)
        | Event::Binding(_)
        | Event::Listener(_)
        | Event::Restart(_) => None,
    };
    if let Some((invariant, what)) = said {
        world.broken(invariant, format!("event {}: {what}", envelope.seq));
    }
}

/// The CA has this authorization, and nobody asked it to look.
fn untold(world: &World, facts: &Facts, id: AuthorizationId) -> bool {
    use renewd_actors::ports::AuthorizationStatus;
    let Some(known) = facts.authorizations.get(&id) else {
        return false;
    };
    let order = facts.orders.get(&known.order).and_then(|order| order.url.as_ref());
    let state = world.state();
    let placed = order.and_then(|url| state.ca.orders.get(url));
    placed.is_some_and(|placed| {
        placed.authorizations.iter().any(|authorization| {
            authorization.url == known.url
                && !authorization.taken
                && authorization.status == AuthorizationStatus::Pending
        })
    })
}
