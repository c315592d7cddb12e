//! One ACME order (RFC 8555 §7.1.3, §7.4): its facts, its state, and how a fact changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::certificate::Leaf;
use crate::id::{AccountId, CertificateId, DnsName, Hash, Seq};
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
    /// A question about the order got no answer that can be used; recorded once per outage and kind of
    /// problem, by whoever asked (Issuer or Validator). The order stays where it is.
    AnswerMissing {
        /// What was asked.
        asked: Asked,
        /// What came in its place.
        problem: Problem,
        /// When it is asked again for the first time; absent when it is given up, and the renewal with
        /// it: the same answer came too often, and more asking would not change it.
        again: Option<WallMs>,
    },
    /// That question is answered again, and the answer moved nothing; without it the outage would seem
    /// to last.
    AnswerCame {
        /// What was asked.
        asked: Asked,
    },
}

/// What a CA is asked on the way to a certificate.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Asked {
    /// newOrder (RFC 8555 §7.4).
    NewOrder,
    /// The account's list of orders (§7.1.2.1), to settle a newOrder without answer.
    OrderList,
    /// The order (§7.1.3).
    Order,
    /// The order's authorizations (§7.5).
    Authorizations,
    /// The POST that tells the CA to look (§7.5.1).
    Challenge,
    /// finalize (§7.4).
    Finalize,
    /// The chain (§7.4.2).
    Chain,
}

/// A question that is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What came last in place of an answer, as far as it was news.
    pub problem: Problem,
    /// Since when there is no answer.
    pub since: WallMs,
    /// When the problem was told.
    pub at: WallMs,
    /// When it was asked again after that; absent when it was given up.
    pub again: Option<WallMs>,
    /// Where it was told.
    pub seq: Seq,
}

impl Missing {
    /// Whether this problem says what the one that was told says: other words or another waiting time
    /// are no news.
    pub fn is_like(&self, problem: &Problem) -> bool {
        self.problem.class == problem.class
            && self.problem.kind == problem.kind
            && self.problem.status == problem.status
    }
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
    /// Questions that are not answered at present.
    pub missing: BTreeMap<Asked, Missing>,
    /// How often a missing answer was told: there is a bound.
    pub told: u32,
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
        match event {
            OrderEvent::AnswerMissing { asked, problem, again } => {
                self.missing(meta, *asked, problem, *again);
            }
            OrderEvent::AnswerCame { asked } => drop(self.missing.remove(asked)),
            OrderEvent::OrderRequested(_)
            | OrderEvent::OrderCreated { .. }
            | OrderEvent::OrderRefused { .. }
            | OrderEvent::OrderRequestUnresolved { .. }
            | OrderEvent::OrderBecameReady { .. }
            | OrderEvent::FinalizationRequested { .. }
            | OrderEvent::FinalizationAccepted { .. }
            | OrderEvent::FinalizationRefused { .. }
            | OrderEvent::CertificateReady { .. }
            | OrderEvent::ChainDownloaded(_)
            | OrderEvent::ChainRejected { .. }
            | OrderEvent::OrderBecameInvalid { .. }
            | OrderEvent::OrderGone { .. } => {
                // The order moved: every answer that this took has come.
                self.missing.clear();
                self.since = meta.at;
                self.moved(meta, event);
            }
        }
    }

    /// The phase does not change, nor since when it lasts: what is decided by them stays as it is.
    fn missing(&mut self, meta: &Meta, asked: Asked, problem: &Problem, again: Option<WallMs>) {
        let since = self.missing.get(&asked).map_or(meta.at, |missing| missing.since);
        let problem = problem.clone();
        let missing = Missing { problem, since, at: meta.at, again, seq: meta.seq };
        self.missing.insert(asked, missing);
        self.told = self.told.saturating_add(1);
    }

    /// The CA has answered about the names: the answer is in the authorizations' streams.
    pub(crate) fn heard_of_names(&mut self) {
        self.missing.remove(&Asked::Authorizations);
        self.missing.remove(&Asked::Challenge);
    }

    /// The question that was given up, when there is one.
    pub fn given_up(&self) -> Option<(Asked, &Problem)> {
        let mut given_up = self.missing.iter().filter(|(_, missing)| missing.again.is_none());
        given_up.next().map(|(asked, missing)| (*asked, &missing.problem))
    }

    fn moved(&mut self, meta: &Meta, event: &OrderEvent) {
        match event {
            // The first intent stays: doing the second would buy another order.
            OrderEvent::OrderRequested(_) if self.request.is_some() => {
                self.anomaly = Some(Anomaly { event: event.into(), seq: meta.seq });
            }
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
            OrderEvent::AnswerMissing { .. } | OrderEvent::AnswerCame { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
