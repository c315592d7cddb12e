//! The CA's state: accounts, orders, authorizations, certificates. No I/O; `now` is an argument.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use crate::issue::Issued;
use crate::jws::Key;
use crate::problem::Problem;

/// Orders one CA keeps: ten times the largest benchmark; each is some kilobytes.
pub(crate) const ORDERS_MAX: usize = 100_000;

/// Everything that one CA knows, by id (the last part of the URL).
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) orders: BTreeMap<String, Order>,
    pub(crate) authorizations: BTreeMap<String, Authorization>,
    /// By RFC 9773 identifier.
    pub(crate) certificates: BTreeMap<String, Certificate>,
    /// Terms now in force.
    pub(crate) terms: Option<String>,
    /// Root of the chain that a certificate's own URL gives.
    pub(crate) default_root: Root,
}

/// The two roots, each certifying the one intermediate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Root {
    /// [`TestCa::issuer_root_pem`](crate::TestCa::issuer_root_pem).
    #[default]
    A,
    /// [`TestCa::alternate_root_pem`](crate::TestCa::alternate_root_pem).
    B,
}

/// An account (RFC 8555 §7.1.2).
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) key: Key,
    pub(crate) contact: Vec<String>,
    /// The terms it agreed to.
    pub(crate) agreed: Option<String>,
    pub(crate) deactivated: bool,
    /// Ids, oldest first.
    pub(crate) orders: Vec<String>,
}

/// An order (RFC 8555 §7.1.3). Its status is computed, see [`Store::status`].
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) account: String,
    /// In the order asked for.
    pub(crate) names: Vec<String>,
    pub(crate) profile: Option<String>,
    pub(crate) replaces: Option<String>,
    pub(crate) authorizations: Vec<String>,
    pub(crate) expires: SystemTime,
    pub(crate) finalized: Option<Finalized>,
    /// `false`: the answer to its newOrder was cut, so the client cannot know its URL.
    pub(crate) answered: bool,
    /// With `Retry-After`: no look before this.
    pub(crate) look_after: Option<Instant>,
}

/// What finalize made.
#[derive(Debug, Clone)]
pub(crate) struct Finalized {
    pub(crate) csr: Vec<u8>,
    /// RFC 9773 identifier.
    pub(crate) certificate: String,
    /// When the order turns `valid`; `None`: never (a fault).
    pub(crate) valid_at: Option<Instant>,
}

/// An authorization (RFC 8555 §7.1.4) with its one challenge, which has the same id.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) expires: SystemTime,
    pub(crate) state: Proving,
    /// With `Retry-After`: no look before this.
    pub(crate) look_after: Option<Instant>,
}

/// How far an authorization is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proving {
    /// The client has not answered the challenge.
    Pending,
    /// The CA is fetching.
    Validating,
    /// Proven then.
    Valid(SystemTime),
    /// Failed with this.
    Invalid(Problem),
    /// Given up by the client.
    Deactivated,
}

impl Proving {
    /// Whether the CA has come to an end with it.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Valid(_) | Self::Invalid(_) | Self::Deactivated => true,
            Self::Pending | Self::Validating => false,
        }
    }
}

/// A certificate and what became of it.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) account: String,
    pub(crate) names: Vec<String>,
    pub(crate) issued: Issued,
    pub(crate) revoked: bool,
    /// The finalized order that said `replaces` (RFC 9773 §5).
    pub(crate) replaced_by: Option<String>,
    /// A window set by hand.
    pub(crate) window: Option<(SystemTime, SystemTime)>,
}

/// Status of an order (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
}

impl Status {
    /// As written in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }

    /// Whether work may still go on with it.
    pub(crate) fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Ready | Self::Processing => true,
            Self::Valid | Self::Invalid => false,
        }
    }
}

impl Store {
    /// Puts so many copies of each finalized order before the orders of its account.
    pub(crate) fn age(
        &mut self,
        count: usize,
        id: impl Fn() -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        let finalized = self.orders.values().filter(|order| order.finalized.is_some());
        let originals: Vec<Order> = finalized.cloned().collect();
        for order in originals {
            let copies: Vec<String> = (0..count).map(|_| id()).collect::<Result<_, _>>()?;
            self.orders.extend(copies.iter().map(|id| (id.clone(), order.clone())));
            if let Some(account) = self.accounts.get_mut(&order.account) {
                account.orders.splice(0..0, copies);
            }
        }
        Ok(())
    }

    /// The status of an order now: a function of what happened, never stored.
    pub(crate) fn status(&self, order: &Order, now: SystemTime) -> Status {
        if let Some(finalized) = &order.finalized {
            return match finalized.valid_at {
                Some(at) if at <= Instant::now() => Status::Valid,
                Some(_) | None => Status::Processing,
            };
        }
        let ran_out = |authorization: &Authorization| authorization.expires <= now;
        let ran_out = order.expires <= now || self.authorizations_of(order).any(ran_out);
        if ran_out || self.failure(order).is_some() {
            return Status::Invalid;
        }
        let proven = |authorization: &Authorization| match authorization.state {
            Proving::Valid(_) => true,
            Proving::Pending | Proving::Validating => false,
            Proving::Invalid(_) | Proving::Deactivated => false,
        };
        if self.authorizations_of(order).all(proven) { Status::Ready } else { Status::Pending }
    }

    /// Why an order is dead, when an authorization killed it.
    pub(crate) fn failure(&self, order: &Order) -> Option<Problem> {
        self.authorizations_of(order).find_map(|authorization| match &authorization.state {
            Proving::Invalid(problem) => Some(problem.clone()),
            Proving::Deactivated => Some(Problem::unauthorized(format!(
                "the authorization of {} was deactivated",
                authorization.name
            ))),
            Proving::Pending | Proving::Validating | Proving::Valid(_) => None,
        })
    }

    /// Id of the account with that key.
    pub(crate) fn account_of_key(&self, key: &Key) -> Option<&str> {
        self.accounts.iter().find(|(_, account)| account.key == *key).map(|(id, _)| id.as_str())
    }

    /// The order, if that account owns it.
    pub(crate) fn order_of(&self, id: &str, account: &str) -> Result<&Order, Problem> {
        let order = self.orders.get(id).ok_or_else(|| Problem::not_found("order"))?;
        if order.account == account {
            Ok(order)
        } else {
            Err(Problem::unauthorized("the order belongs to another account"))
        }
    }

    /// The authorization, if that account owns it.
    pub(crate) fn authorization_of(
        &mut self,
        id: &str,
        account: &str,
    ) -> Result<&mut Authorization, Problem> {
        let authorization =
            self.authorizations.get_mut(id).ok_or_else(|| Problem::not_found("authorization"))?;
        if authorization.account == account {
            Ok(authorization)
        } else {
            Err(Problem::unauthorized("the authorization belongs to another account"))
        }
    }

    /// An unfinished order of that account for the same names, profile and predecessor.
    pub(crate) fn twin(&self, wanted: &Order, now: SystemTime) -> Option<&str> {
        let mut names = wanted.names.clone();
        names.sort();
        let account = self.accounts.get(&wanted.account)?;
        account.orders.iter().rev().find_map(|id| {
            let order = self.orders.get(id)?;
            let mut others = order.names.clone();
            others.sort();
            let same = others == names
                && order.profile == wanted.profile
                && order.replaces == wanted.replaces
                && self.status(order, now).is_open();
            same.then_some(id.as_str())
        })
    }

    /// A valid authorization of that account for that name.
    pub(crate) fn proven(&self, account: &str, name: &str, now: SystemTime) -> Option<&str> {
        self.authorizations
            .iter()
            .find(|(_, authorization)| {
                authorization.account == account
                    && authorization.name == name
                    && authorization.expires > now
                    && matches!(authorization.state, Proving::Valid(_))
            })
            .map(|(id, _)| id.as_str())
    }

    fn authorizations_of<'s>(
        &'s self,
        order: &'s Order,
    ) -> impl Iterator<Item = &'s Authorization> {
        order.authorizations.iter().filter_map(|id| self.authorizations.get(id))
    }
}
