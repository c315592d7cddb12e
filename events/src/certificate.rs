//! A certificate lineage: what is configured, what was issued, and the renewal in progress.

mod issue;

use serde::{Deserialize, Serialize};

use crate::id::{
    AccountId, CertificateId, DnsName, Fingerprint, Generation, KeyRef, OrderId, RenewalId,
};
use crate::intent::{Anomaly, Durable, Meta};
use crate::planted::{self, Bug};
use crate::problem::Problem;
use crate::schedule::Cause;
use crate::time::WallMs;

pub use issue::{Issue, Leaf};

/// The kind of problem of a renewal that ends because the configuration no longer names its certificate.
pub const NOT_CONFIGURED: &str = "not-configured";

/// What can happen to a certificate.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum CertificateEvent {
    /// The configuration wants it so; again whenever that changes.
    CertificateDeclared(Declaration),
    /// The configuration no longer names it. It is kept and no longer renewed.
    CertificateOrphaned,
    /// A renewal has begun.
    RenewalStarted {
        /// Its number in this lineage, from 1.
        number: u32,
        /// Why now.
        cause: Cause,
        /// Which try since the last success, from 1.
        attempt: u32,
        /// The certificate it replaces (RFC 9773 §5), when the CA may know it.
        replaces: Option<String>,
    },
    /// Intent: make a key in the vault and a CSR with it. Outcomes: created, failed. Idempotent:
    /// a key of that name is used as it is.
    CertificateKeyRequested(KeyRequest),
    /// The key is durable in the vault, and here is the CSR.
    CertificateKeyCreated {
        /// The vault's name of the key.
        key_ref: KeyRef,
        /// SHA-256 of the public key (SPKI).
        spki: Fingerprint,
        /// PKCS#10, DER: stored, so that a repeated finalize sends the same bytes.
        csr: Vec<u8>,
    },
    /// The vault could not make the key.
    CertificateKeyFailed {
        /// Why.
        problem: Problem,
    },
    /// A new issue is checked and becomes the one to serve.
    GenerationAdopted(Issue),
    /// The new issue is served and verified; the renewal is over.
    RenewalSucceeded {
        /// Which issue.
        generation: Generation,
    },
    /// The renewal is over without a certificate.
    RenewalFailed {
        /// The cause, as a code that `renewd explain` knows.
        code: String,
        /// The evidence.
        problem: Problem,
    },
    /// The new issue is there, but not everywhere served within the time for that. The renewal is over
    /// all the same: the Binder goes on trying, and the next renewal must not wait for it.
    RenewalEndedUnserved {
        /// Which issue.
        generation: Generation,
    },
}

/// What the configuration says about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// Its configured name.
    pub name: String,
    /// The account that orders it.
    pub account: AccountId,
    /// The names in it, sorted.
    pub identifiers: Vec<DnsName>,
    /// The profile asked for; absent: the CA's default.
    pub profile: Option<String>,
    /// Whether the CA's suggested window (RFC 9773) is followed.
    pub ari: bool,
    /// When to renew otherwise.
    pub life_left: LifeLeft,
}

impl Declaration {
    /// Whether the CA is asked for the same: what is left of the declaration is this host's own business.
    pub fn asks_the_same_as(&self, other: &Self) -> bool {
        (self.account, &self.identifiers, &self.profile)
            == (other.account, &other.identifiers, &other.profile)
    }
}

/// How much life is left when a renewal is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifeLeft {
    /// A share of the lifetime: numerator and denominator.
    Share(u16, u16),
    /// A time, looked at once per period: the classic policy.
    Time {
        /// Renew when less than this is left, in milliseconds.
        left_ms: u64,
        /// The period of looking, in milliseconds.
        check_every_ms: u64,
    },
}

/// What a key is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    /// The vault's name of the key.
    pub key_ref: KeyRef,
    /// The names of the CSR.
    pub identifiers: Vec<DnsName>,
}

/// How far the key of a renewal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// Not asked for yet.
    Absent,
    /// Asked for.
    Requested(Durable<KeyRequest>),
    /// Durable.
    Created {
        /// Its name.
        key_ref: KeyRef,
        /// Its public key.
        spki: Fingerprint,
        /// The CSR.
        csr: Vec<u8>,
    },
    /// Not to be had.
    Failed(Problem),
}

/// A renewal in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub renewal: RenewalId,
    /// Its number in the lineage.
    pub number: u32,
    /// Why it began.
    pub cause: Cause,
    /// Which try.
    pub attempt: u32,
    /// When it began.
    pub started: WallMs,
    /// The certificate it replaces.
    pub replaces: Option<String>,
    /// The names its key was asked for, and its order is for.
    pub identifiers: Vec<DnsName>,
    /// Its key.
    pub key: KeyStep,
    /// Its present order.
    pub order: Option<OrderId>,
    /// How many orders it has asked for.
    pub orders: u32,
    /// The issue it brought.
    pub adopted: Option<Generation>,
}

/// What an issue was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The account that ordered it.
    pub account: AccountId,
    /// The names asked for; a CA may add some.
    pub identifiers: Vec<DnsName>,
    /// The profile asked for.
    pub profile: Option<String>,
    /// Why its renewal began.
    pub cause: Cause,
}

/// A renewal that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub code: String,
    /// The evidence.
    pub problem: Problem,
    /// When.
    pub at: WallMs,
    /// The renewal.
    pub renewal: Option<RenewalId>,
    /// Which try it was.
    pub attempt: u32,
}

/// The state of a lineage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// What the configuration says.
    pub declared: Option<Declaration>,
    /// Since when the configuration no longer names it.
    pub orphaned: Option<WallMs>,
    /// How many renewals were begun.
    pub renewals: u32,
    /// The renewal in progress.
    pub run: Option<Run>,
    /// The newest issue.
    pub current: Option<Issue>,
    /// What the newest issue was asked for with, and why.
    pub asked: Option<Asked>,
    /// When it was last renewed.
    pub renewed_at: Option<WallMs>,
    /// When it was renewed before that.
    pub renewed_before: Option<WallMs>,
    /// The last failure since the last success.
    pub failure: Option<Failure>,
    /// Failures since the last success.
    pub failures: u32,
    /// An impossible event.
    pub anomaly: Option<Anomaly>,
}

impl Certificate {
    /// Its configured name; empty before it was declared.
    pub fn name(&self) -> &str {
        self.declared.as_ref().map_or("", |declared| declared.name.as_str())
    }

    /// The id of the renewal with this number.
    pub fn renewal_id(certificate: CertificateId, number: u32) -> RenewalId {
        RenewalId::derive(&[&certificate.0, &number.to_le_bytes()])
    }

    /// The id of the `number`th order of a renewal.
    pub fn order_id(renewal: RenewalId, number: u32) -> OrderId {
        OrderId::derive(&[&renewal.0, &number.to_le_bytes()])
    }

    /// The newest issue was asked for with other names or another profile than are configured.
    pub fn names_changed(&self) -> bool {
        match (&self.asked, &self.declared) {
            (Some(asked), Some(declared)) => {
                asked.identifiers != declared.identifiers || asked.profile != declared.profile
            }
            (None, _) | (_, None) => false,
        }
    }

    /// When the newest issue expires.
    pub fn expires(&self) -> Option<WallMs> {
        self.current.as_ref().map(|issue| issue.leaf.not_after)
    }

    /// The newest issue is of another CA than the configured one.
    pub fn ca_changed(&self) -> bool {
        match (&self.asked, &self.declared) {
            (Some(asked), Some(declared)) => asked.account != declared.account,
            (None, _) | (_, None) => false,
        }
    }

    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &CertificateEvent) {
        match event {
            CertificateEvent::CertificateDeclared(declared) => {
                // Another request is another thing: what was said of the last one holds no more. Any other
                // edit leaves the CA's Retry-After and the back-off as they are.
                let same = self.declared.as_ref().is_some_and(|it| it.asks_the_same_as(declared));
                let failed = self.failure.as_ref().map(|it| it.problem.kind.as_str());
                if !same || failed == Some(NOT_CONFIGURED) {
                    self.failure = None;
                    self.failures = 0;
                }
                self.declared = Some(declared.clone());
                self.orphaned = None;
            }
            CertificateEvent::CertificateOrphaned => self.orphaned = Some(meta.at),
            CertificateEvent::RenewalStarted { number, cause, attempt, replaces } => {
                self.renewals = *number;
                self.run = Some(Run {
                    renewal: meta.renewal.unwrap_or_default(),
                    number: *number,
                    cause: *cause,
                    attempt: *attempt,
                    started: meta.at,
                    replaces: replaces.clone(),
                    identifiers: Vec::new(),
                    key: KeyStep::Absent,
                    order: None,
                    orders: 0,
                    adopted: None,
                });
            }
            CertificateEvent::CertificateKeyRequested(request) => {
                if let Some(run) = &mut self.run {
                    run.identifiers.clone_from(&request.identifiers);
                }
                self.key_step(meta, event, KeyStep::Requested(Durable::of(meta, request.clone())));
            }
            CertificateEvent::CertificateKeyCreated { key_ref, spki, csr } => {
                let created =
                    KeyStep::Created { key_ref: key_ref.clone(), spki: *spki, csr: csr.clone() };
                self.key_step(meta, event, created);
            }
            CertificateEvent::CertificateKeyFailed { problem } => {
                self.key_step(meta, event, KeyStep::Failed(problem.clone()));
            }
            CertificateEvent::GenerationAdopted(issue) => self.adopt(meta, issue),
            CertificateEvent::RenewalSucceeded { generation: _ }
            | CertificateEvent::RenewalEndedUnserved { generation: _ } => {
                self.run = None;
                self.failure = None;
                self.failures = 0;
            }
            CertificateEvent::RenewalFailed { code, problem } => {
                if planted::is(Bug::FailureRemovesCurrent) {
                    self.current = None;
                }
                let run = self.run.take();
                self.failures = self.failures.saturating_add(1);
                self.failure = Some(Failure {
                    code: code.clone(),
                    problem: problem.clone(),
                    at: meta.at,
                    renewal: meta.renewal,
                    attempt: run.map_or(0, |run| run.attempt),
                });
            }
        }
    }

    fn adopt(&mut self, meta: &Meta, issue: &Issue) {
        if let Some(run) = &mut self.run {
            run.adopted = Some(issue.generation);
        }
        self.current = Some(issue.clone());
        self.renewed_before = self.renewed_at.replace(meta.at);
    }

    fn key_step(&mut self, meta: &Meta, event: &CertificateEvent, step: KeyStep) {
        match &mut self.run {
            Some(run) => run.key = step,
            None => self.anomaly = Some(Anomaly { event: event.into(), seq: meta.seq }),
        }
    }
}
