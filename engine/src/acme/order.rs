//! One live order: what can be asked about it, in our words.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use instant_acme::{Account, AuthorizationStatus as Theirs, ChallengeStatus as Progress, Error};
use renewd_actors::ports::{AuthorizationLook, OrderLook};
use renewd_events::order::OrderStatus;
use renewd_events::problem::Problem;
use renewd_events::time::WallMs;
use serde::Deserialize;

use super::authorization;
use super::call::{self, Call};
use super::limits;
use super::problem;
use super::renewal_info::moment;
use super::seat::patiently;

/// An order and what `instant-acme` does not keep of it.
pub(super) struct Live {
    order: instant_acme::Order,
    thumbprint: String,
    expires: Option<WallMs>,
    retry_after_ms: Option<u64>,
    authorizations_expire: BTreeMap<String, WallMs>,
}

/// Where authorizations are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What is known is good enough.
    Memory,
    /// The CA is asked for all of them.
    Ca,
}

/// What became of a wish to be validated.
enum Readiness {
    /// The CA took it now, or had taken it.
    Taken,
    /// The order has no such challenge.
    NoSuchChallenge,
}

impl Live {
    /// An order that newOrder has just shown.
    pub(super) fn new(order: instant_acme::Order, account: &Account) -> Self {
        let mut live = Self {
            order,
            thumbprint: account.key_thumbprint().to_owned(),
            expires: None,
            retry_after_ms: None,
            authorizations_expire: BTreeMap::new(),
        };
        live.note_order();
        live
    }

    /// An order by its URL: one request, which is a look at it too.
    pub(super) async fn open(account: &Account, url: &str) -> Result<Self, Problem> {
        let order = patiently!(account.order(url.to_owned()));
        Ok(Self::new(order.map_err(|e| problem::of(&e))?, account))
    }

    /// What the CA showed last.
    ///
    /// # Errors
    /// When it is more than an order can be, or names what cannot be asked.
    pub(super) fn look(&mut self) -> Result<OrderLook, Problem> {
        let url = self.order.url().to_owned();
        let state = self.order.state();
        let authorizations = state.authorizations.iter().map(|one| one.url.as_str());
        limits::order(&url, authorizations, state.certificate.as_deref())?;
        Ok(OrderLook {
            url,
            status: status(state.status),
            authorizations: state
                .authorizations
                .iter()
                .map(|authorization| authorization.url.clone())
                .collect(),
            expires: self.expires,
            certificate: state.certificate.clone(),
            problem: state.error.as_ref().map(problem::of_library),
            retry_after_ms: self.retry_after_ms,
        })
    }

    /// Looks at the order.
    pub(super) async fn refresh(&mut self) -> Result<(), Problem> {
        patiently!(self.order.refresh().await_unit()).map_err(|e| problem::of(&e))?;
        self.note_order();
        Ok(())
    }

    /// All authorizations: from the CA where they are not known, or all of them.
    pub(super) async fn authorizations(
        &mut self,
        source: Source,
    ) -> Result<Vec<AuthorizationLook>, Problem> {
        self.look()?;
        let mut loaded = BTreeSet::new();
        patiently!(self.load(&mut loaded)).map_err(|e| problem::of(&e))?;
        let mut looks = Vec::new();
        let mut all = self.order.authorizations();
        while let Some(next) = all.next().await {
            let mut authorization = next.map_err(|e| problem::of(&e))?;
            let url = authorization.url().to_owned();
            if source == Source::Ca && !loaded.contains(&url) {
                patiently!(authorization.refresh().await_unit()).map_err(|e| problem::of(&e))?;
                note(&mut self.authorizations_expire, &url, &call::seen());
            }
            let expires = self.authorizations_expire.get(&url).copied();
            looks.push(authorization::look(&url, &authorization, expires, &self.thumbprint)?);
        }
        Ok(looks)
    }

    /// Fetches the authorizations that are not known. After an error it can be called again: what is
    /// there is not fetched twice.
    async fn load(&mut self, loaded: &mut BTreeSet<String>) -> Result<(), Error> {
        let mut all = self.order.authorizations();
        loop {
            let before = call::seen().requests;
            let Some(next) = all.next().await else {
                return Ok(());
            };
            let authorization = next?;
            let call = call::seen();
            if call.requests != before {
                let url = authorization.url();
                note(&mut self.authorizations_expire, url, &call);
                loaded.insert(url.to_owned());
            }
        }
    }

    /// Tells the CA to validate (RFC 8555 §7.5.1), unless it does so already.
    pub(super) async fn make_ready(&mut self, challenge_url: &str) -> Result<(), Problem> {
        let outcome = match patiently!(self.post_ready(challenge_url)) {
            Ok(readiness) => readiness,
            // The answer was a success: the CA has taken it, and its error shows in the authorization.
            Err(Error::Api(_)) if call::seen().succeeded() => Readiness::Taken,
            Err(error) => {
                let refusal = problem::of(&error);
                if !refusal.is_acme("malformed") {
                    return Err(refusal);
                }
                // Pebble and Boulder say so when it is under way or over. The authorization tells.
                match patiently!(self.is_taken(challenge_url)) {
                    Ok(true) => Readiness::Taken,
                    Ok(false) | Err(_) => return Err(refusal),
                }
            }
        };
        match outcome {
            Readiness::Taken => Ok(()),
            Readiness::NoSuchChallenge => {
                let detail = "the order's authorizations have no challenge with this URL";
                Err(problem::protocol("no-such-challenge", detail).about(challenge_url))
            }
        }
    }

    async fn post_ready(&mut self, challenge_url: &str) -> Result<Readiness, Error> {
        let mut all = self.order.authorizations();
        while let Some(next) = all.next().await {
            let mut authorization = next?;
            let mut challenges = authorization.challenges.iter();
            let Some(challenge) = challenges.find(|challenge| challenge.url == challenge_url)
            else {
                continue;
            };
            if challenge.status != Progress::Pending {
                return Ok(Readiness::Taken);
            }
            let kind = challenge.r#type.clone();
            let Some(mut challenge) = authorization.challenge(kind) else {
                continue;
            };
            challenge.set_ready().await?;
            return Ok(Readiness::Taken);
        }
        Ok(Readiness::NoSuchChallenge)
    }

    /// Whether the CA has begun with this challenge, from the CA itself.
    async fn is_taken(&mut self, challenge_url: &str) -> Result<bool, Error> {
        let mut all = self.order.authorizations();
        while let Some(next) = all.next().await {
            let mut authorization = next?;
            let ours = |url: &str| url == challenge_url;
            if !authorization.challenges.iter().any(|c| ours(&c.url)) {
                continue;
            }
            let state = authorization.refresh().await?;
            let challenge = state.challenges.iter().find(|c| ours(&c.url));
            let begun = challenge.is_none_or(|c| c.status != Progress::Pending);
            return Ok(begun || state.status != Theirs::Pending);
        }
        Ok(false)
    }

    /// Sends the CSR. An order that is not ready (any more) is looked at instead.
    pub(super) async fn finalize(&mut self, csr: &[u8]) -> Result<(), Problem> {
        match patiently!(self.order.finalize_csr(csr)) {
            Ok(()) => {
                self.note_order();
                Ok(())
            }
            Err(error) => {
                let refusal = problem::of(&error);
                match refusal.is_acme("orderNotReady") {
                    true => self.refresh().await,
                    false => Err(refusal),
                }
            }
        }
    }

    /// The chain, PEM.
    pub(super) async fn certificate(&mut self) -> Result<String, Problem> {
        if self.order.state().status != instant_acme::OrderStatus::Valid {
            self.refresh().await?;
        }
        let status = status(self.order.state().status);
        if status != OrderStatus::Valid {
            let detail = format!("the order is {status}; there is a certificate when it is valid");
            return Err(problem::broken("order-not-valid", &detail));
        }
        let chain = patiently!(self.order.certificate()).map_err(|e| problem::of(&e))?;
        chain.ok_or_else(|| problem::broken("missing", "the valid order has no certificate"))
    }

    fn note_order(&mut self) {
        let call = call::seen();
        self.expires = expires(&call.body).or(self.expires);
        self.retry_after_ms = call.retry_after_ms;
    }
}

/// Drops the borrowed answer of a future, so that the call can be repeated.
trait AwaitUnit {
    async fn await_unit(self) -> Result<(), Error>;
}

impl<T, F: Future<Output = Result<T, Error>>> AwaitUnit for F {
    async fn await_unit(self) -> Result<(), Error> {
        self.await.map(drop)
    }
}

fn note(all: &mut BTreeMap<String, WallMs>, url: &str, call: &Call) {
    if let Some(expires) = expires(&call.body) {
        all.insert(url.to_owned(), expires);
    }
}

/// `expires` of an order or an authorization, which `instant-acme` does not read.
fn expires(body: &Bytes) -> Option<WallMs> {
    #[derive(Deserialize)]
    struct Expiring {
        expires: Option<String>,
    }
    let expiring: Expiring = serde_json::from_slice(body).ok()?;
    moment(&expiring.expires?)
}

/// Their status in our words.
fn status(status: instant_acme::OrderStatus) -> OrderStatus {
    match status {
        instant_acme::OrderStatus::Pending => OrderStatus::Pending,
        instant_acme::OrderStatus::Ready => OrderStatus::Ready,
        instant_acme::OrderStatus::Processing => OrderStatus::Processing,
        instant_acme::OrderStatus::Valid => OrderStatus::Valid,
        instant_acme::OrderStatus::Invalid => OrderStatus::Invalid,
    }
}
