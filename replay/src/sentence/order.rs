//! Sentences of orders and authorizations.

use super::*;
use crate::escape::field;
use renewd_events::authorization::{AuthorizationEvent, Probe};
use renewd_events::order::{Asked, Found, OrderEvent};

pub(super) fn order(event: &OrderEvent) -> String {
    match event {
        OrderEvent::OrderRequested(order) => {
            format!("order requested for {}", names(&order.identifiers))
        }
        OrderEvent::OrderCreated { url: at, authorizations: _, status, expires: _, found } => {
            match found {
                Found::Answer => format!("order created, {status}: {}", url(at)),
                Found::List => format!("order found in the account's list, {status}: {}", url(at)),
            }
        }
        OrderEvent::OrderRefused { problem: said } => format!("order refused: {}", problem(said)),
        OrderEvent::OrderRequestUnresolved { evidence } => format!(
            "nobody can tell whether the CA has the order: {}",
            field(evidence, SAID_CHARACTERS_MAX)
        ),
        OrderEvent::OrderBecameReady { looks } => {
            format!("order ready: every name is proven ({})", times(*looks, "look"))
        }
        OrderEvent::FinalizationRequested { .. } => "finalize requested".to_owned(),
        OrderEvent::FinalizationAccepted { status } => format!("finalize accepted, {status}"),
        OrderEvent::FinalizationRefused { problem: said } => {
            format!("finalize refused: {}", problem(said))
        }
        OrderEvent::CertificateReady { url: _, looks } => {
            format!("certificate issued ({})", times(*looks, "look"))
        }
        OrderEvent::ChainDownloaded(leaf) => format!(
            "chain of {} is durable; issuer {}",
            times(leaf.certificates.into(), "certificate"),
            field(&leaf.issuer, 60)
        ),
        OrderEvent::ChainRejected { problem: said } => {
            format!("chain rejected, never served: {}", problem(said))
        }
        OrderEvent::OrderBecameInvalid { problem: said } => {
            format!("order INVALID: {}", problem(said))
        }
        OrderEvent::OrderGone { problem: said } => {
            format!("the CA no longer knows the order: {}", problem(said))
        }
        OrderEvent::AnswerMissing { asked: what, problem: said, again } => match again {
            Some(at) => format!(
                "no usable answer to {}: {}; asked again at {}",
                asked(*what),
                problem(said),
                when::moment(*at)
            ),
            None => format!("{} is given up: {}", asked(*what), problem(said)),
        },
        OrderEvent::AnswerCame { asked: what } => format!("{} is answered again", asked(*what)),
    }
}

/// What the CA was asked, as a thing that is answered.
pub fn asked(asked: Asked) -> &'static str {
    match asked {
        Asked::NewOrder => "the request for an order",
        Asked::OrderList => "the question for the account's orders",
        Asked::Order => "the look at the order",
        Asked::Authorizations => "the look at the authorizations",
        Asked::Challenge => "the request to check a name",
        Asked::Finalize => "the request to issue",
        Asked::Chain => "the download of the chain",
    }
}

pub(super) fn authorization(event: &AuthorizationEvent) -> String {
    match event {
        AuthorizationEvent::AuthorizationSeen { identifier, offers, valid, .. } => {
            let name = field(identifier, 80);
            if *valid {
                format!("{name} is proven already: no challenge needed")
            } else {
                format!("{name} is to be proven; offered: {}", field(&offers.join(", "), 80))
            }
        }
        AuthorizationEvent::ChallengeChosen(_) => {
            "http-01 chosen: the responder answers from now on".to_owned()
        }
        AuthorizationEvent::Published { probe } => match probe {
            Probe::Seen => "published; our own fetch saw the answer".to_owned(),
            Probe::NotSeen(what) => format!(
                "published; our own fetch did not see the answer: {}",
                field(what, SAID_CHARACTERS_MAX)
            ),
        },
        AuthorizationEvent::ReadinessRequested { .. } => "ready requested".to_owned(),
        AuthorizationEvent::ReadinessAccepted { inferred } => {
            if *inferred {
                "ready settled; inferred: the CA's answer shows that it had arrived".to_owned()
            } else {
                "ready accepted: the CA will look".to_owned()
            }
        }
        AuthorizationEvent::ReadinessRefused { problem: said } => {
            format!("ready refused: {}", problem(said))
        }
        AuthorizationEvent::AuthorizationBecameValid { visits } => match visits {
            0 => "VALID".to_owned(),
            n => format!(
                "VALID ({} seen)",
                times(*n, "fetch of the token")
                    .replace("fetch of the tokens", "fetches of the token")
            ),
        },
        AuthorizationEvent::AuthorizationBecameInvalid { problem: said, visits: _ } => {
            format!("INVALID: {}", problem(said))
        }
        AuthorizationEvent::ChallengeWithdrawn => "the token is no longer answered".to_owned(),
    }
}
