//! The places where a certificate is wanted: what is served there, how that is known, and what is wrong.

use renewd_events::Facts;
use renewd_events::WallMs;
use renewd_events::binding::{Binding, Target};
use renewd_events::certificate::Certificate;
use renewd_events::id::CertificateId;
use renewd_events::listener::Listener;
use serde::Serialize;

use super::{Trouble, trouble};
use crate::codes::{Step, classify};
use crate::escape;
use crate::renewals::shown_if;
use crate::sentence;

/// One place where the certificate is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindingStatus {
    /// Where.
    pub target: String,
    /// The newest issue was seen there, by a look of this kind, and nothing since says otherwise.
    pub served: bool,
    /// How it is looked at there.
    pub proof: Proof,
    /// The issue that was seen last, by its number.
    pub generation: Option<u32>,
    /// SHA-256 of the certificate that was seen last.
    #[serde(serialize_with = "shown_if")]
    pub fingerprint: Option<renewd_events::id::Fingerprint>,
    /// When it was seen.
    #[serde(serialize_with = "shown_if")]
    pub seen: Option<WallMs>,
    /// What is wrong.
    pub trouble: Option<Trouble>,
}

/// How a place is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A server is asked by a TLS handshake.
    Handshake,
    /// The files are read back. Whether a server shows them, nobody has asked.
    Files,
}

impl Proof {
    /// How a place of this target is looked at.
    fn of(target: Option<&Target>) -> Self {
        match target {
            Some(Target::Files { verify: None, .. }) => Self::Files,
            Some(Target::Files { .. } | Target::Builtin { .. } | Target::Library) | None => {
                Self::Handshake
            }
        }
    }
}

/// What is served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Served {
    /// There is no certificate, or no place wants it.
    Nothing,
    /// The newest issue, everywhere.
    Everywhere,
    /// The newest issue is in place everywhere; but for files without `verify` no server was asked.
    OnDisk,
    /// An older issue somewhere.
    Older,
    /// Not seen somewhere.
    Partly,
}

/// What is served at all places together.
pub(super) fn all(it: &Certificate, bindings: &[BindingStatus]) -> Served {
    let Some(issue) = &it.current else {
        return Served::Nothing;
    };
    if bindings.is_empty() {
        Served::Nothing
    } else if bindings.iter().all(|binding| binding.served) {
        match bindings.iter().any(|binding| binding.proof == Proof::Files) {
            true => Served::OnDisk,
            false => Served::Everywhere,
        }
    } else if bindings
        .iter()
        .any(|binding| binding.generation.is_some_and(|seen| seen < issue.generation.0))
    {
        Served::Older
    } else {
        Served::Partly
    }
}

/// One place.
pub(super) fn of(facts: &Facts, it: &Certificate, binding: &Binding) -> BindingStatus {
    let newest = it.current.as_ref().map(|issue| issue.generation);
    let seen = binding.served.as_ref();
    let own = binding.setback.as_ref().map(|setback| {
        let code = classify(Step::Binding, &setback.problem);
        trouble(code, &sentence::problem(&setback.problem), setback.at, setback.count)
    });
    let target = binding.target.as_ref();
    BindingStatus {
        target: target.map(|target| escape::field(&target.label(), 120)).unwrap_or_default(),
        // What a handshake showed and a later one did not is not served.
        served: newest.is_some()
            && seen.map(|served| served.generation) >= newest
            && binding.mismatched.is_none()
            && !is_closed(facts, binding),
        proof: Proof::of(target),
        generation: seen.map(|served| served.generation.0),
        fingerprint: seen.map(|served| served.fingerprint),
        seen: seen.map(|served| served.at),
        trouble: own.or_else(|| listener_trouble(facts, binding)),
    }
}

/// One of our own listeners that is not open: its socket could not be opened, or not yet in this life of
/// the process, or this life is over. What an earlier handshake showed says nothing then.
fn is_closed(facts: &Facts, binding: &Binding) -> bool {
    let Some(id) = binding.listener else { return false };
    let opened = |listener: &Listener| {
        listener.opened == Some(facts.engine.boot) && listener.setback.is_none()
    };
    facts.engine.stopped || !facts.listeners.get(&id).is_some_and(opened)
}

/// The engine has ended, and with it a listener that serves the certificate.
pub(super) fn is_shut(facts: &Facts, id: CertificateId) -> bool {
    facts.engine.stopped && facts.bindings_of(id).any(|(_, binding)| binding.listener.is_some())
}

/// What is wrong with the listener that a binding needs.
fn listener_trouble(facts: &Facts, binding: &Binding) -> Option<Trouble> {
    let listener = facts.listeners.get(&binding.listener?)?;
    let setback = listener.setback.as_ref()?;
    let code = classify(Step::Listener, &setback.problem);
    let mut said = sentence::problem(&setback.problem);
    if let Some(holder) = &listener.holder {
        said = format!("{said}; held by {}", escape::field(holder, 60));
    }
    Some(trouble(code, &said, setback.at, setback.count))
}
