//! A certificate that is issued and somewhere not served: its binding's own trouble, the listener that
//! is not open, or the restart that this one waits for.

use renewd_events::Facts;
use renewd_events::binding::{Binding, Target};
use renewd_events::certificate::Certificate;
use renewd_events::id::{CertificateId, StreamId};
use renewd_events::listener::Listener;
use renewd_events::restart::Phase;

use super::Evidence;
use super::case::{Found, place, told};
use super::looked;
use super::rules::{self, Case};
use super::witness::Witnesses;
use crate::codes::{self, Step};
use crate::escape;

/// It is issued and somewhere not served.
pub(super) fn find(
    facts: &Facts,
    witnesses: &Witnesses,
    id: CertificateId,
    it: &Certificate,
) -> Option<Found> {
    it.current.as_ref()?;
    facts.bindings_of(id).find_map(|(binding_id, binding)| {
        listener_of(facts, binding)
            .and_then(|(stream, listener)| closed(facts, witnesses, stream, listener))
            .or_else(|| {
                let setback = binding.setback.as_ref()?;
                let name = looked::place(binding);
                let case = Case { name, ..Case::of(Step::Binding, &setback.problem) };
                let place = place(witnesses, binding_id.into(), setback.at);
                let found = told(&case, rules::find(&case), place, setback.count);
                Some(looked::amended(found, binding))
            })
    })
}

fn listener_of<'a>(facts: &'a Facts, binding: &Binding) -> Option<(StreamId, &'a Listener)> {
    let Target::Builtin { address } = binding.target.as_ref()? else {
        return None;
    };
    let (id, listener) =
        facts.listeners.iter().find(|(_, listener)| listener.address == *address)?;
    Some(((*id).into(), listener))
}

/// A listener that is not open: its own cause, or the restart it waits for.
fn closed(
    facts: &Facts,
    witnesses: &Witnesses,
    stream: StreamId,
    listener: &Listener,
) -> Option<Found> {
    let setback = listener.setback.as_ref()?;
    let case = Case {
        name: listener.address.clone(),
        holder: listener.holder.as_deref(),
        ..Case::of(Step::Listener, &setback.problem)
    };
    let mut found =
        told(&case, rules::find(&case), place(witnesses, stream, setback.at), setback.count);
    if let Some(holder) = &listener.holder {
        let text = format!("held by {}", escape::field(holder, 80));
        found.evidence.push(Evidence { seq: None, at: None, text });
    }
    let restart = facts.restarts.values().rev().find(|restart| restart.address == listener.address);
    let (code, said, remedy) = match restart.map(|restart| &restart.phase) {
        Some(Phase::Planned | Phase::Requested(_) | Phase::Observed) => (
            codes::RESTART_WAITS,
            "waits for a restart",
            "nothing, unless it takes long: renewd timeline shows the deadline",
        ),
        Some(Phase::NotObserved) => (
            codes::RESTART_NOT_SEEN,
            "waits for a restart that was asked for and did not happen",
            "restart the service by hand; check what its supervisor does when the program ends",
        ),
        Some(Phase::Finished { verified: false }) => (
            codes::RESTART_IN_VAIN,
            "is still not open after the restart",
            "see the error below: another restart would not help",
        ),
        Some(Phase::Finished { verified: true }) | None => return Some(found),
    };
    let address = escape::field(&listener.address, 80);
    let text = format!("{} {}", found.code, found.sentence);
    found.evidence.push(Evidence { seq: None, at: None, text });
    found.code = code;
    found.sentence = format!("The listener on {address} {said}.");
    found.remedy = remedy.to_owned();
    Some(found)
}
