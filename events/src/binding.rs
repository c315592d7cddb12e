//! One place where a certificate is served: facts, state, evolve (owned by the Binder).

use serde::{Deserialize, Serialize};

use crate::id::{BootNo, CertificateId, Fingerprint, Generation, ListenerId};
use crate::intent::{Durable, Meta};
use crate::problem::{Problem, ProblemClass};
use crate::time::WallMs;

/// Where a certificate is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// Our own HTTPS listener on this socket address.
    Builtin {
        /// `address:port`, as the socket is opened.
        address: String,
    },
    /// Files for another program.
    Files {
        /// The directory that holds `current` and the generations.
        directory: String,
        /// Whether a reload command follows.
        reload: bool,
        /// Where the other program serves, for the verifying handshake.
        verify: Option<String>,
    },
    /// A resolver that the embedding program holds.
    Library,
}

impl Target {
    /// The listener it needs, if it is one of ours.
    pub fn listener(&self) -> Option<ListenerId> {
        match self {
            Self::Builtin { address } => Some(ListenerId::derive(&[address.as_bytes()])),
            Self::Files { .. } | Self::Library => None,
        }
    }

    /// A short name for people.
    pub fn label(&self) -> String {
        match self {
            Self::Builtin { address } => address.clone(),
            Self::Files { directory, .. } => directory.clone(),
            Self::Library => "library".to_owned(),
        }
    }
}

/// What can happen to a binding.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum BindingEvent {
    /// The configuration wants the certificate served here.
    BindingDeclared {
        /// Which certificate.
        certificate: CertificateId,
        /// Where.
        target: Target,
    },
    /// The configuration no longer wants it.
    BindingRemoved,
    /// Intent: put this issue in place. Outcomes: deployed, failed. Idempotent.
    DeploymentRequested(Deployment),
    /// It is in place.
    Deployed {
        /// Which issue.
        generation: Generation,
    },
    /// It could not be put in place. The earlier issue stays.
    DeploymentFailed {
        /// Which issue.
        generation: Generation,
        /// Why.
        problem: Problem,
    },
    /// Intent: tell the other program to read its files again. Outcomes: finished. Run again when the
    /// outcome is lost: reload commands are idempotent, the documentation says so.
    ReloadRequested {
        /// For which issue.
        generation: Generation,
    },
    /// The reload command ended.
    ReloadFinished {
        /// For which issue.
        generation: Generation,
        /// Why it failed; absent when it succeeded.
        problem: Option<Problem>,
    },
    /// A handshake showed the issue.
    ServedVerified {
        /// Which issue.
        generation: Generation,
        /// Which address answered.
        address: String,
        /// SHA-256 of the certificate it showed.
        fingerprint: Fingerprint,
    },
    /// A handshake showed something else, or failed.
    ServedMismatch {
        /// Which issue was expected.
        generation: Generation,
        /// Which address answered.
        address: String,
        /// What was seen.
        problem: Problem,
    },
}

/// What is put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Which issue.
    pub generation: Generation,
    /// SHA-256 of its certificate.
    pub fingerprint: Fingerprint,
}

/// A failure and when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// Why.
    pub problem: Problem,
    /// When.
    pub at: WallMs,
    /// How often in a row.
    pub count: u32,
}

/// Mismatches of one issue in a row from which its files are put in place again. One alone is only
/// looked at again: a program that was just told to reload may show the old issue for a moment. What
/// this process shows itself has no such moment, and is put in place again at once.
pub const MISMATCHES_MIN: u32 = 2;

/// Kinds of a [`Setback`]'s problem that say that the issue itself cannot be served any more, here or
/// anywhere: its key or its chain is gone or damaged. Only another issue helps.
const LOST: [&str; 4] = ["vaultKeyAbsent", "vaultDamaged", "chainAbsent", "chainDamaged"];

impl Setback {
    /// The key or the chain of the issue is gone or damaged.
    pub fn is_loss(&self) -> bool {
        self.problem.class == ProblemClass::Local && LOST.contains(&self.problem.kind.as_str())
    }
}

/// A verified handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Which issue.
    pub generation: Generation,
    /// Which address.
    pub address: String,
    /// What it showed.
    pub fingerprint: Fingerprint,
    /// When it was seen.
    pub at: WallMs,
    /// In which life of the process.
    pub boot: BootNo,
}

/// The state of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Which certificate.
    pub certificate: CertificateId,
    /// Where; absent once removed.
    pub target: Option<Target>,
    /// The listener it needs, if it is one of ours: [`Target::listener`], kept since each decision asks.
    pub listener: Option<ListenerId>,
    /// Being put in place.
    pub deploying: Option<Durable<Deployment>>,
    /// In place, and since which life of the process.
    pub deployed: Option<(Generation, BootNo)>,
    /// A reload on its way.
    pub reloading: Option<Durable<Generation>>,
    /// The last issue that was reloaded.
    pub reloaded: Option<Generation>,
    /// The last verified handshake.
    pub served: Option<Served>,
    /// What went wrong last, until something goes right.
    pub setback: Option<Setback>,
    /// The issue that handshakes did not show, and how often in a row. A deployment does not end the
    /// row, only a verified handshake does: so mending that does not help grows slower.
    pub mismatched: Option<(Generation, u32)>,
}

impl Binding {
    fn set_back(&mut self, meta: &Meta, problem: &Problem) {
        let count = self.setback.as_ref().map_or(0, |setback| setback.count).saturating_add(1);
        self.setback = Some(Setback { problem: problem.clone(), at: meta.at, count });
    }

    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &BindingEvent) {
        match event {
            BindingEvent::BindingDeclared { certificate, target } => {
                self.certificate = *certificate;
                self.target = Some(target.clone());
                self.listener = target.listener();
            }
            BindingEvent::BindingRemoved => (self.target, self.listener) = (None, None),
            BindingEvent::DeploymentRequested(deployment) => {
                self.deploying = Some(Durable::of(meta, deployment.clone()));
            }
            BindingEvent::Deployed { generation } => {
                self.deploying = None;
                self.deployed = Some((*generation, meta.boot));
                self.setback = None;
            }
            BindingEvent::DeploymentFailed { generation: _, problem } => {
                self.deploying = None;
                self.set_back(meta, problem);
            }
            BindingEvent::ReloadRequested { generation } => {
                self.reloading = Some(Durable::of(meta, *generation));
            }
            BindingEvent::ReloadFinished { generation, problem } => {
                self.reloading = None;
                match problem {
                    None => {
                        self.reloaded = Some(*generation);
                        self.setback = None;
                    }
                    Some(problem) => self.set_back(meta, problem),
                }
            }
            BindingEvent::ServedVerified { generation, address, fingerprint } => {
                self.setback = None;
                self.mismatched = None;
                self.served = Some(Served {
                    generation: *generation,
                    address: address.clone(),
                    fingerprint: *fingerprint,
                    at: meta.at,
                    boot: meta.boot,
                });
            }
            BindingEvent::ServedMismatch { generation, address: _, problem } => {
                self.mismatch(meta, *generation, problem)
            }
        }
    }

    /// Something else is shown. Files may have been overwritten or deleted, and a new life may not have
    /// had what it should show: it counts as not in place, so that it is put there again, as often as the
    /// back-off allows; files from the second time on.
    fn mismatch(&mut self, meta: &Meta, generation: Generation, problem: &Problem) {
        let before = self.mismatched.filter(|(of, _)| *of == generation);
        let count = before.map_or(0, |(_, count)| count).saturating_add(1);
        self.mismatched = Some((generation, count));
        self.setback = Some(Setback { problem: problem.clone(), at: meta.at, count });
        if matches!(self.target, Some(Target::Files { .. })) && count < MISMATCHES_MIN {
            return;
        }
        self.deployed = None;
        // Whoever does not answer has nothing to read again; a wrong `verify` must not mean reloads.
        if problem.class != ProblemClass::Transport {
            self.reloaded = None;
        }
    }
}
