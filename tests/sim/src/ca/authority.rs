//! What the CA knows: account, orders, authorizations, certificates. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use renewd_actors::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus, OrderLook};
use renewd_events::WallMs;
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::{Hash, OrderId};
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::Problem;

use super::problems::acme;
use crate::plan::{Ca, DAY};

/// A pending order is forgotten after this.
const ORDER_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// A name is validated again after this, where validations are kept at all.
const REUSE: Duration = Duration::from_secs(30 * 86_400);
/// Certificates for the same set of names within [`SAME_NAMES_WINDOW`] (Let's Encrypt).
pub(crate) const SAME_NAMES_MAX: usize = 5;
/// See [`SAME_NAMES_MAX`].
pub(crate) const SAME_NAMES_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// The CA.
#[derive(Debug, Default)]
pub(crate) struct Authority {
    /// It forgot the account, or deactivated it, and with it its orders, at this time.
    forgot_at: WallMs,
    /// How often its terms changed.
    pub(crate) terms: u32,
    /// A person must agree to the terms before it takes orders, from this time on somebody does.
    pub(crate) agreed_at: Option<WallMs>,
    pub(crate) orders: BTreeMap<String, Placed>,
    /// The URLs of the orders for the same names, oldest first.
    of_names: BTreeMap<Vec<String>, Vec<String>>,
    /// Orders by the intent that asked for them.
    pub(crate) by_intent: BTreeMap<OrderId, u32>,
    /// Validations to come: when, order, authorization, try.
    pub(crate) jobs: BTreeSet<(WallMs, String, usize, u32)>,
    /// Orders whose request came late.
    pub(crate) came_late: BTreeSet<OrderId>,
    /// Orders are answered with 404 until then.
    pub(crate) missing_until: WallMs,
    /// What was open, with the names of this order, when it came.
    pub(crate) open_before: BTreeMap<OrderId, Vec<String>>,
    validated: BTreeMap<String, WallMs>,
    /// Certificates issued, by their name for renewal information.
    pub(crate) issued: BTreeMap<String, Issued>,
    /// One authorization may be in several orders.
    shares: bool,
    /// All windows begin here, for what was issued before.
    pub(crate) windows_moved: Option<WallMs>,
}

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) intent: OrderId,
    pub(crate) names: Vec<String>,
    /// It names what it replaces.
    exempt: bool,
    pub(crate) created: WallMs,
    pub(crate) authorizations: Vec<Authorization>,
    pub(crate) csr: Option<Vec<u8>>,
    pub(crate) valid_at: Option<WallMs>,
    pub(crate) leaf: Option<Leaf>,
}

/// An authorization.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) status: AuthorizationStatus,
    /// Readiness was posted.
    pub(crate) taken: bool,
    pub(crate) problem: Option<Problem>,
}

/// A certificate.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) leaf: Leaf,
    /// The order that replaces it.
    pub(crate) replaced_by: Option<String>,
}

impl Placed {
    pub(crate) fn status(&self, now: WallMs) -> OrderStatus {
        let any = |status| self.authorizations.iter().any(|a| a.status == status);
        if any(AuthorizationStatus::Invalid) {
            OrderStatus::Invalid
        } else if let Some(at) = self.valid_at {
            if at <= now { OrderStatus::Valid } else { OrderStatus::Processing }
        } else if now.since(self.created) > ORDER_LIFE {
            OrderStatus::Invalid
        } else if any(AuthorizationStatus::Pending) {
            OrderStatus::Pending
        } else {
            OrderStatus::Ready
        }
    }

    /// It can still become a certificate by what we do.
    pub(crate) fn is_open(&self, now: WallMs) -> bool {
        matches!(self.status(now), OrderStatus::Pending | OrderStatus::Ready)
    }

    pub(crate) fn look(&self, url: &str, now: WallMs) -> OrderLook {
        let status = self.status(now);
        let problem = self.authorizations.iter().find_map(|a| a.problem.clone());
        OrderLook {
            url: url.to_owned(),
            status,
            authorizations: self.authorizations.iter().map(|a| a.url.clone()).collect(),
            expires: Some(self.created.after(ORDER_LIFE)),
            certificate: (status == OrderStatus::Valid).then(|| format!("{url}/certificate")),
            problem: problem.filter(|_| status == OrderStatus::Invalid),
            retry_after_ms: None,
        }
    }
}

impl Authority {
    /// With an account its orders are gone, and nobody validates them any more.
    pub(crate) fn forget(&mut self, now: WallMs) {
        self.forgot_at = now;
        self.jobs.clear();
    }

    /// The order is of an account that is there still.
    pub(crate) fn has(&self, order: &Placed) -> bool {
        order.created > self.forgot_at
    }

    pub(crate) fn new_order(
        &mut self,
        ca: &Ca,
        intent: OrderId,
        wanted: &NewOrder,
        now: WallMs,
    ) -> Result<OrderLook, Problem> {
        if let Some(replaced) = wanted.replaces.as_ref().filter(|_| ca.renewal_info) {
            let taken = self.issued.get(replaced).and_then(|issued| issued.replaced_by.clone());
            let alive = taken.and_then(|url| self.orders.get(&url));
            if alive.is_some_and(|order| order.status(now) != OrderStatus::Invalid) {
                return Err(acme("alreadyReplaced", 409));
            }
        }
        self.shares = ca.share;
        let url = format!("https://ca.test/order/{}", self.orders.len() + 1);
        *self.by_intent.entry(intent).or_default() += 1;
        let names: Vec<String> =
            wanted.identifiers.iter().map(|name| name.as_str().to_owned()).collect();
        let open =
            self.orders_of(&names).filter(|(_, order)| self.has(order) && order.is_open(now));
        let open = open.map(|(url, _)| url.clone()).collect();
        self.open_before.insert(intent, open);
        let authorizations = names.iter().enumerate().map(|(index, name)| {
            if ca.share
                && let Some(shared) = self.pending(name, now)
            {
                return shared;
            }
            let fresh = self.validated.get(name).is_some_and(|at| now.since(*at) < REUSE);
            Authorization {
                url: format!("{url}/authorization/{index}"),
                name: name.clone(),
                status: if ca.reuse && fresh {
                    AuthorizationStatus::Valid
                } else {
                    AuthorizationStatus::Pending
                },
                taken: false,
                problem: None,
            }
        });
        let placed = Placed {
            intent,
            authorizations: authorizations.collect(),
            names,
            exempt: wanted.replaces.is_some(),
            created: now,
            csr: None,
            valid_at: None,
            leaf: None,
        };
        if let Some(issued) = wanted.replaces.as_ref().and_then(|id| self.issued.get_mut(id)) {
            issued.replaced_by = Some(url.clone());
        }
        let look = placed.look(&url, now);
        self.of_names.entry(placed.names.clone()).or_default().push(url.clone());
        self.orders.insert(url, placed);
        Ok(look)
    }

    pub(crate) fn authorizations(&self, url: &str) -> Result<Vec<AuthorizationLook>, Problem> {
        let order = self.orders.get(url).ok_or_else(|| acme("malformed", 404))?;
        let looks = order.authorizations.iter().map(|authorization| AuthorizationLook {
            url: authorization.url.clone(),
            identifier: authorization.name.clone(),
            status: authorization.status,
            expires: Some(order.created.after(ORDER_LIFE)),
            offers: vec!["http-01".to_owned(), "dns-01".to_owned()],
            http01: Some(Challenge {
                url: authorization.url.clone(),
                token: token(&authorization.url),
                thumbprint: "thumbprint".to_owned(),
            }),
            challenge: if authorization.taken {
                ChallengeStatus::Taken
            } else {
                ChallengeStatus::Pending
            },
            problem: authorization.problem.clone(),
        });
        Ok(looks.collect())
    }

    /// A validator's verdict. Gives the order's url and index back when another try follows.
    pub(crate) fn validated(&mut self, url: &str, index: usize, reached: bool, now: WallMs) {
        let Some(order) = self.orders.get_mut(url) else {
            return;
        };
        let Some(authorization) = order.authorizations.get_mut(index) else {
            return;
        };
        if reached {
            authorization.status = AuthorizationStatus::Valid;
            self.validated.insert(authorization.name.clone(), now);
        } else {
            authorization.status = AuthorizationStatus::Invalid;
            authorization.problem = Some(acme("connection", 400).about(&authorization.name));
        }
        let changed = authorization.clone();
        self.share(&changed);
    }

    /// What the validator of this job fetches.
    pub(crate) fn token_of(&self, url: &str, index: usize) -> String {
        let order = self.orders.get(url);
        let authorization = order.and_then(|order| order.authorizations.get(index));
        authorization.map_or(String::new(), |it| token(&it.url))
    }

    /// The same authorization in other orders is as it is here.
    pub(crate) fn share(&mut self, changed: &Authorization) {
        if !self.shares {
            return;
        }
        let all = self.orders.values_mut().flat_map(|order| &mut order.authorizations);
        for twin in all.filter(|twin| twin.url == changed.url) {
            twin.clone_from(changed);
        }
    }

    /// A pending authorization of this name in another order (RFC 8555 §7.4 lets the CA use it again).
    fn pending(&self, name: &str, now: WallMs) -> Option<Authorization> {
        let of_account = |order: &&Placed| self.has(order) && order.is_open(now);
        let open = self.orders.values().filter(of_account);
        let mut names = open.flat_map(|order| &order.authorizations);
        let pending =
            |it: &&Authorization| it.name == name && it.status == AuthorizationStatus::Pending;
        names.find(pending).cloned()
    }

    pub(crate) fn finalize(
        &mut self,
        url: &str,
        csr: &[u8],
        valid_at: WallMs,
        validity: Duration,
        now: WallMs,
    ) -> Result<OrderLook, Problem> {
        let serial = self.issued.len() + 1;
        let order = self.orders.get_mut(url).ok_or_else(|| acme("malformed", 404))?;
        if order.status(now) != OrderStatus::Ready {
            return Err(acme("orderNotReady", 403));
        }
        let spki = Hash::of(csr);
        let fingerprint = Hash::of(format!("{url} {spki}").as_bytes());
        let ari_id = format!("ari.{serial}");
        let leaf = Leaf {
            chain: fingerprint,
            fingerprint,
            spki,
            serial: format!("{serial:x}"),
            ari_id: Some(ari_id.clone()),
            not_before: now,
            not_after: now.after(validity),
            issuer: "Simulated CA".to_owned(),
            names: order.names.clone(),
            certificates: 2,
        };
        order.csr = Some(csr.to_vec());
        order.valid_at = Some(valid_at);
        order.leaf = Some(leaf.clone());
        self.issued.insert(ari_id, Issued { leaf, replaced_by: None });
        Ok(order.look(url, now))
    }

    /// Certificates for these names, issued within the window before `now`.
    pub(crate) fn same_names(&self, names: &[String], now: WallMs) -> usize {
        let young = |order: &&Placed| now.since(order.created) < SAME_NAMES_WINDOW;
        // Renewals that name what they replace are exempt from limits (Let's Encrypt).
        let same = self.orders_of(names).map(|(_, order)| order).filter(|order| !order.exempt);
        same.filter(|order| order.leaf.is_some()).filter(young).count()
    }

    /// The orders for exactly these names, oldest first: looked up, since a large world has thousands.
    pub(crate) fn orders_of(&self, names: &[String]) -> impl Iterator<Item = (&String, &Placed)> {
        let urls = self.of_names.get(names).into_iter().flatten();
        urls.filter_map(|url| self.orders.get_key_value(url))
    }

    /// The suggested window: the last third of the life, two days of it; or now, once moved.
    pub(crate) fn window(&self, ari_id: &str) -> Result<(WallMs, WallMs), Problem> {
        let issued = self.issued.get(ari_id).ok_or_else(|| acme("malformed", 404))?;
        let leaf = &issued.leaf;
        match self.windows_moved {
            Some(moved) if leaf.not_before < moved => Ok((moved, moved.after(DAY))),
            Some(_) | None => {
                let start = leaf.not_after.before(leaf.not_after.since(leaf.not_before) / 3);
                Ok((start, start.after(2 * DAY)))
            }
        }
    }
}

/// The token of an authorization.
pub(crate) fn token(url: &str) -> String {
    Hash::of(url.as_bytes()).to_string()
}
