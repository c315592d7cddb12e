//! One authorization of an order and its http-01 challenge (RFC 8555 §7.1.4, §8.3).

use serde::{Deserialize, Serialize};

use crate::id::{CertificateId, OrderId};
use crate::intent::{Durable, Meta};
use crate::problem::Problem;
use crate::time::WallMs;

/// What can happen to an authorization.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum AuthorizationEvent {
    /// The CA showed it.
    AuthorizationSeen {
        /// The order it belongs to.
        order: OrderId,
        /// The certificate behind the order.
        certificate: CertificateId,
        /// Its URL.
        url: String,
        /// The name.
        identifier: String,
        /// When the CA forgets it.
        expires: Option<WallMs>,
        /// Challenge types on offer.
        offers: Vec<String>,
        /// It was valid already: no challenge is needed.
        valid: bool,
    },
    /// The challenge is chosen, and the responder answers it from this moment on: it is a
    /// projection of these events, so publishing is this append.
    ChallengeChosen(Challenge),
    /// Our own fetch through the responder's socket.
    Published {
        /// What it saw.
        probe: Probe,
    },
    /// Intent: tell the CA to look (RFC 8555 §7.5.1). Outcomes: accepted, refused; a lost answer is
    /// settled by looking at the authorization.
    ReadinessRequested {
        /// Where.
        challenge_url: String,
    },
    /// The CA will look.
    ReadinessAccepted {
        /// The CA said so, or it was found out by looking.
        inferred: bool,
    },
    /// The CA did not take it.
    ReadinessRefused {
        /// Its words.
        problem: Problem,
    },
    /// The CA is satisfied.
    AuthorizationBecameValid {
        /// Fetches of the token that the responder saw.
        visits: u32,
    },
    /// The CA is not.
    AuthorizationBecameInvalid {
        /// Its words about this challenge.
        problem: Problem,
        /// Fetches of the token that the responder saw.
        visits: u32,
    },
    /// The token is no longer answered.
    ChallengeWithdrawn,
}

impl AuthorizationEvent {
    /// Whether it holds an answer of the CA; the rest is what we did.
    pub(crate) fn tells_of_the_ca(&self) -> bool {
        match self {
            Self::AuthorizationSeen { .. }
            | Self::ReadinessAccepted { .. }
            | Self::ReadinessRefused { .. }
            | Self::AuthorizationBecameValid { .. }
            | Self::AuthorizationBecameInvalid { .. } => true,
            Self::ChallengeChosen(_)
            | Self::Published { .. }
            | Self::ReadinessRequested { .. }
            | Self::ChallengeWithdrawn => false,
        }
    }
}

/// The kind of problem of a name that the CA lets nobody prove by http-01.
pub const NO_HTTP_01: &str = "no-http-01";
/// The problem of an authorization that ended because its order did: it says nothing about why.
pub const UNDECIDED: &str = "undecided";

/// An http-01 challenge (RFC 8555 §8.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Where readiness is posted.
    pub url: String,
    /// The token: base64url, checked before it came here.
    pub token: String,
    /// The account key's thumbprint; `token.thumbprint` is the public answer.
    pub thumbprint: String,
}

impl Challenge {
    /// The key authorization (RFC 8555 §8.1).
    pub fn key_authorization(&self) -> String {
        format!("{}.{}", self.token, self.thumbprint)
    }
}

/// What our own fetch of the token saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// The right answer.
    Seen,
    /// Something else: text for people. It does not stop the order; the CA decides.
    NotSeen(String),
}

/// How far an authorization is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Seen, no challenge chosen.
    #[default]
    Seen,
    /// The responder answers.
    Chosen,
    /// Our own fetch was made.
    Published,
    /// Readiness is asked for.
    ReadinessRequested(Durable<Challenge>),
    /// The CA will look, or is looking.
    Ready,
    /// Readiness was refused.
    ReadinessRefused(Problem),
    /// The CA is satisfied.
    Valid,
    /// The CA is not.
    Invalid(Problem),
}

/// The state of an authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// The order it belongs to.
    pub order: OrderId,
    /// The certificate behind it.
    pub certificate: CertificateId,
    /// Its URL.
    pub url: String,
    /// The name.
    pub identifier: String,
    /// Challenge types on offer.
    pub offers: Vec<String>,
    /// The chosen challenge.
    pub challenge: Option<Challenge>,
    /// How far it is.
    pub phase: Phase,
    /// The responder answers the token.
    pub answered: bool,
    /// When it came to this phase.
    pub since: WallMs,
}

impl Authorization {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &AuthorizationEvent) {
        self.since = meta.at;
        match event {
            AuthorizationEvent::AuthorizationSeen {
                order,
                certificate,
                url,
                identifier,
                expires: _,
                offers,
                valid,
            } => {
                self.order = *order;
                self.certificate = *certificate;
                self.url.clone_from(url);
                self.identifier.clone_from(identifier);
                self.offers.clone_from(offers);
                self.phase = if *valid { Phase::Valid } else { Phase::Seen };
            }
            AuthorizationEvent::ChallengeChosen(challenge) => {
                self.challenge = Some(challenge.clone());
                self.answered = true;
                self.phase = Phase::Chosen;
            }
            AuthorizationEvent::Published { probe: _ } => self.phase = Phase::Published,
            AuthorizationEvent::ReadinessRequested { challenge_url: _ } => {
                if let Some(challenge) = &self.challenge {
                    self.phase = Phase::ReadinessRequested(Durable::of(meta, challenge.clone()));
                }
            }
            AuthorizationEvent::ReadinessAccepted { inferred: _ } => self.phase = Phase::Ready,
            AuthorizationEvent::ReadinessRefused { problem } => {
                self.phase = Phase::ReadinessRefused(problem.clone());
            }
            AuthorizationEvent::AuthorizationBecameValid { visits: _ } => self.phase = Phase::Valid,
            AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: _ } => {
                self.phase = Phase::Invalid(problem.clone());
            }
            AuthorizationEvent::ChallengeWithdrawn => self.answered = false,
        }
    }
}
