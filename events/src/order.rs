//! One ACME order (RFC 8555 §7.1.3, §7.4): its facts, its state, and how a fact changes it.

use serde::{Deserialize, Serialize};

use crate::certificate::Leaf;
use crate::id::{AccountId, CertificateId, DnsName, Hash};
use crate::intent::{Anomaly, Durable, Meta};
use crate::problem::Problem;
use crate::time::WallMs;

/// The status the CA gives (RFC 8555 §7.1.6).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
#[strum(serialize_all = "lowercase")]
pub enum OrderStatus {
    /// Authorizations are open.
    Pending,
    /// It can be finalized.
    Ready,
    /// The CA is issuing.
    Processing,
    /// There is a certificate.
    Valid,
    /// It is over without one.
    Invalid,
}

/// How an order came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// newOrder answered.
    Answer,
    /// The answer was lost; the account's list of orders (RFC 8555 §7.1.2.1) has it.
    List,
}

/// What can happen to an order.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum OrderEvent {
    /// Intent: POST newOrder. Outcomes: created, refused, unresolved. **Not repeatable**: a lost
    /// answer is settled by asking the CA for its list.
    OrderRequested(NewOrder),
    /// The CA has the order.
    OrderCreated {
        /// Its URL.
        url: String,
        /// URLs of its authorizations.
        authorizations: Vec<String>,
        /// Its status.
        status: OrderStatus,
        /// When the CA forgets it.
        expires: Option<WallMs>,
        /// How it came to be known.
        found: Found,
    },
    /// The CA said no.
    OrderRefused {
        /// Its words.
        problem: Problem,
    },
    /// It cannot be told whether the CA has the order: the answer was lost and there is no list, or
    /// the list does not have it any more. One more order is the only way on.
    OrderRequestUnresolved {
        /// What was tried, and what it said.
        evidence: String,
    },
    /// All authorizations are valid.
    OrderBecameReady {
        /// How often we looked.
        looks: u32,
    },
    /// Intent: POST finalize with the stored CSR. Outcomes: accepted, refused; a lost answer is
    /// settled by looking at the order.
    FinalizationRequested {
        /// SHA-256 of the CSR.
        csr: Hash,
    },
    /// The CA took the CSR.
    FinalizationAccepted {
        /// The order's status then.
        status: OrderStatus,
    },
    /// The CA refused the CSR.
    FinalizationRefused {
        /// Its words.
        problem: Problem,
    },
    /// The certificate can be fetched.
    CertificateReady {
        /// Where.
        url: String,
        /// How often we looked.
        looks: u32,
    },
    /// The chain is in the store, durable.
    ChainDownloaded(Leaf),
    /// The chain is not what was asked for. It is never served.
    ChainRejected {
        /// Why.
        problem: Problem,
    },
    /// The CA gave the order up.
    OrderBecameInvalid {
        /// Its words.
        problem: Problem,
    },
    /// The CA no longer knows the order.
    OrderGone {
        /// Its words.
        problem: Problem,
    },
}

/// What a newOrder request says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The certificate it is for.
    pub certificate: CertificateId,
    /// The account that asks.
    pub account: AccountId,
    /// The names.
    pub identifiers: Vec<DnsName>,
    /// The profile.
    pub profile: Option<String>,
    /// The certificate it replaces (RFC 9773 §5).
    pub replaces: Option<String>,
}

/// How far an order is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was asked.
    #[default]
    Absent,
    /// newOrder is asked for.
    Requested(Durable<NewOrder>),
    /// The CA said no.
    Refused(Problem),
    /// Nobody can tell.
    Unresolved,
    /// Authorizations are open.
    Pending,
    /// It can be finalized.
    Ready,
    /// Finalize is asked for.
    Finalizing(Durable<Hash>),
    /// Finalize was refused.
    FinalizeRefused(Problem),
    /// The CA is issuing.
    Processing,
    /// The certificate can be fetched.
    Valid {
        /// Where; absent when the order was found valid without our look.
        url: Option<String>,
    },
    /// The chain is in the store.
    Downloaded(Leaf),
    /// The chain is not what was asked for.
    Rejected(Problem),
    /// The CA gave it up, or forgot it.
    Dead(Problem),
}

/// The state of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What was asked for.
    pub request: Option<NewOrder>,
    /// Its URL.
    pub url: Option<String>,
    /// URLs of its authorizations.
    pub authorizations: Vec<String>,
    /// When the CA forgets it.
    pub expires: Option<WallMs>,
    /// How far it is.
    pub phase: Phase,
    /// When it came to this phase.
    pub since: WallMs,
    /// An impossible event.
    pub anomaly: Option<Anomaly>,
}

impl Phase {
    /// The phase that a status of the CA means.
    fn of(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Ready => Self::Ready,
            OrderStatus::Processing => Self::Processing,
            OrderStatus::Valid => Self::Valid { url: None },
            OrderStatus::Invalid => Self::Dead(Problem::new(
                crate::problem::ProblemClass::Acme,
                "invalid",
                "the CA says that the order is invalid",
            )),
        }
    }
}

impl Order {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &OrderEvent) {
        self.since = meta.at;
        match event {
            OrderEvent::OrderRequested(request) => {
                self.request = Some(request.clone());
                self.phase = Phase::Requested(Durable::of(meta, request.clone()));
            }
            OrderEvent::OrderCreated { url, authorizations, status, expires, found: _ } => {
                if !matches!(self.phase, Phase::Requested(_)) {
                    self.anomaly = Some(Anomaly { event: event.into(), seq: meta.seq });
                }
                self.url = Some(url.clone());
                self.authorizations.clone_from(authorizations);
                self.expires = *expires;
                self.phase = Phase::of(*status);
            }
            OrderEvent::OrderRefused { problem } => self.phase = Phase::Refused(problem.clone()),
            OrderEvent::OrderRequestUnresolved { evidence: _ } => self.phase = Phase::Unresolved,
            OrderEvent::OrderBecameReady { looks: _ } => self.phase = Phase::Ready,
            OrderEvent::FinalizationRequested { csr } => {
                self.phase = Phase::Finalizing(Durable::of(meta, *csr));
            }
            OrderEvent::FinalizationAccepted { status } => self.phase = Phase::of(*status),
            OrderEvent::FinalizationRefused { problem } => {
                self.phase = Phase::FinalizeRefused(problem.clone());
            }
            OrderEvent::CertificateReady { url, looks: _ } => {
                self.phase = Phase::Valid { url: Some(url.clone()) };
            }
            OrderEvent::ChainDownloaded(leaf) => self.phase = Phase::Downloaded(leaf.clone()),
            OrderEvent::ChainRejected { problem } => self.phase = Phase::Rejected(problem.clone()),
            OrderEvent::OrderBecameInvalid { problem } | OrderEvent::OrderGone { problem } => {
                self.phase = Phase::Dead(problem.clone());
            }
        }
    }
}
