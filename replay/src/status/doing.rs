//! What is going on in a renewal right now, read off account, order, authorizations and bindings.

use renewd_events::authorization::{self, Authorization};
use renewd_events::binding::Target;
use renewd_events::certificate::{KeyStep, Run};
use renewd_events::id::CertificateId;
use renewd_events::order::{Order, Phase};
use renewd_events::{Facts, WallMs};
use serde::Serialize;

use crate::renewals::shown;
use crate::sentence;

/// What is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doing {
    /// In words.
    pub what: String,
    /// Since when.
    #[serde(serialize_with = "shown")]
    pub since: WallMs,
    /// When the renewal began.
    #[serde(serialize_with = "shown")]
    pub started: WallMs,
    /// Which try.
    pub attempt: u32,
}

/// What is going on with this certificate, if a renewal is under way.
pub fn doing(facts: &Facts, id: CertificateId) -> Option<Doing> {
    let run = facts.certificates.get(&id)?.run.as_ref()?;
    let (what, since) = match (run.adopted, facts.order_of(id)) {
        (Some(_), _) => binding(facts, id, run),
        (None, Some((_, order))) => ordering(facts, id, run, order),
        (None, None) => ("the order is about to be requested".to_owned(), run.started),
    };
    let what = match super::waiting::longest(facts, id) {
        Some((asked, _)) => format!("{what}; no usable answer to {}", sentence::asked(asked)),
        None => what,
    };
    Some(Doing { what, since, started: run.started, attempt: run.attempt })
}

fn ordering(facts: &Facts, id: CertificateId, run: &Run, order: &Order) -> (String, WallMs) {
    let what = match &order.phase {
        Phase::Absent => "the order is about to be requested",
        Phase::Requested(_) => "waiting for the CA's answer to the order",
        Phase::Pending => return validating(facts, id, order),
        Phase::Ready => match &run.key {
            KeyStep::Absent | KeyStep::Requested(_) => "waiting for the key",
            KeyStep::Created { .. } => "about to finalize",
            KeyStep::Failed(_) => "ending: the key could not be made",
        },
        Phase::Finalizing(_) => "waiting for the CA's answer to finalize",
        Phase::Processing => "the CA is issuing",
        Phase::Valid { .. } => "downloading the certificate",
        Phase::Downloaded(_) => "checking the certificate",
        Phase::Unresolved => {
            "ordering once more: it cannot be told whether the CA has the first order"
        }
        Phase::Refused(_) | Phase::FinalizeRefused(_) | Phase::Rejected(_) | Phase::Dead(_) => {
            "ending: the order came to nothing"
        }
    };
    (what.to_owned(), order.since)
}

fn validating(facts: &Facts, id: CertificateId, order: &Order) -> (String, WallMs) {
    let here = facts.order_of(id).map(|(order, _)| order);
    let all: Vec<&Authorization> = facts
        .authorizations_of(id)
        .map(|(_, authorization)| authorization)
        .filter(|authorization| Some(authorization.order) == here)
        .collect();
    let wanted = order.authorizations.len();
    if all.len() < wanted {
        return ("learning the challenges".to_owned(), order.since);
    }
    let count = |is: fn(&authorization::Phase) -> bool| {
        all.iter().filter(|authorization| is(&authorization.phase)).count()
    };
    let valid = count(|phase| matches!(phase, authorization::Phase::Valid));
    let ready = count(|phase| matches!(phase, authorization::Phase::Ready));
    let since = all.iter().map(|authorization| authorization.since).max().unwrap_or(order.since);
    let what = if ready + valid < wanted {
        format!("publishing challenges: {} of {wanted} names told to the CA", ready + valid)
    } else {
        format!("the CA is checking {ready} of {wanted} names by http-01")
    };
    (what, since)
}

fn binding(facts: &Facts, id: CertificateId, run: &Run) -> (String, WallMs) {
    let open = facts.bindings_of(id).map(|(_, binding)| binding).find(|binding| {
        binding.served.as_ref().is_none_or(|served| Some(served.generation) < run.adopted)
    });
    let Some(binding) = open else {
        return ("ending: it is served everywhere".to_owned(), run.started);
    };
    let at = binding
        .target
        .as_ref()
        .map(|target| crate::escape::field(&target.label(), 120))
        .unwrap_or_default();
    if let Some(listener) = binding.listener.and_then(|listener| facts.listeners.get(&listener))
        && let Some(setback) = &listener.setback
    {
        return (format!("issued; not yet served at {at}: it is not open"), setback.at);
    }
    if let Some(setback) = &binding.setback {
        return (format!("issued; not yet served at {at}"), setback.at);
    }
    if let Some(intent) = &binding.deploying {
        return (format!("putting it in place at {at}"), intent.meta().at);
    }
    if let Some(intent) = &binding.reloading {
        return (format!("reloading what serves {at}"), intent.meta().at);
    }
    let what = match &binding.target {
        Some(Target::Files { verify: None, .. }) => format!("reading back the files at {at}"),
        Some(Target::Files { verify: Some(address), .. }) => {
            format!("verifying with a handshake at {}", crate::escape::field(address, 80))
        }
        Some(Target::Builtin { .. } | Target::Library) | None => {
            format!("verifying with a handshake at {at}")
        }
    };
    (what, run.started)
}
