//! The CA of the world: orders in memory, with a list, and checks of what a client may do.

use std::collections::BTreeSet;
use std::time::Duration;

use renewd_actors::ports::*;
use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::*;
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, WallMs};

use super::{Placed, World};

pub(super) fn soon<T: Send + 'static>(value: T) -> Act<'static, T> {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        value
    })
}

fn look(url: &str, placed: &Placed) -> OrderLook {
    OrderLook {
        url: url.to_owned(),
        status: placed.status,
        authorizations: placed.names.iter().map(|name| format!("{url}/authz/{name}")).collect(),
        expires: None,
        certificate: (placed.status == OrderStatus::Valid).then(|| format!("{url}/cert")),
        problem: (placed.status == OrderStatus::Invalid).then(|| {
            Problem::new(ProblemClass::Acme, "urn:ietf:params:acme:error:connection", "refused")
        }),
        retry_after_ms: None,
    }
}

fn lost() -> Problem {
    Problem::new(ProblemClass::Transport, "timeout", "no answer")
}

impl CertificateAuthority for World {
    fn directory(&self, _: AccountId) -> Act<'_, Result<Directory, Problem>> {
        let renewal_info = self.state().stumbles_over_replaces;
        soon(Ok(Directory { renewal_info, ..Directory::default() }))
    }

    fn register<'a>(
        &'a self,
        _: AccountId,
        _: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>> {
        let mut state = self.state();
        state.registrations += 1;
        let already_existed = state.registrations > 1;
        soon(Ok(RegisteredAccount { url: "https://ca.test/account/1".to_owned(), already_existed }))
    }

    fn update_contacts<'a>(
        &'a self,
        _: AccountId,
        _: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>> {
        soon(Ok(()))
    }

    fn new_order<'a>(
        &'a self,
        order: &'a Durable<NewOrder>,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        if state.stumbles_over_replaces && order.intent().replaces.is_some() {
            let kind = "urn:ietf:params:acme:error:serverInternal";
            let mut problem = Problem::new(ProblemClass::Acme, kind, "no such certificate");
            problem.status = 500;
            return soon(Err(problem));
        }
        state.new_orders += 1;
        let url = format!("https://ca.test/order/{}", state.new_orders);
        let placed = Placed {
            names: order.intent().identifiers.clone(),
            status: OrderStatus::Pending,
            ready: BTreeSet::new(),
            processing: false,
        };
        let answer = look(&url, &placed);
        state.orders.insert(url, placed);
        if state.lose_new_orders > 0 {
            state.lose_new_orders -= 1;
            return soon(Err(lost()));
        }
        soon(Ok(answer))
    }

    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>> {
        if !self.has_list {
            return soon(Ok(FoundOrder::NoList("the account has no orders URL".to_owned())));
        }
        let state = self.state();
        let open = |status| matches!(status, OrderStatus::Pending | OrderStatus::Ready);
        let found = state.orders.iter().rev().find(|(url, placed)| {
            placed.names == order.identifiers && open(placed.status) && !known.contains(url)
        });
        soon(Ok(found.map_or(FoundOrder::NotThere, |(url, placed)| {
            FoundOrder::Found(Box::new(look(url, placed)))
        })))
    }

    fn look_at_order<'a>(
        &'a self,
        _: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        let placed = state.orders.get_mut(url).unwrap();
        if placed.processing {
            placed.status = OrderStatus::Valid;
        }
        let answer = look(url, placed);
        soon(Ok(answer))
    }

    fn look_at_authorizations<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        _: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> {
        let state = self.state();
        let placed = state.orders.get(order_url).unwrap().clone();
        let looks = placed.names.iter().map(|name| {
            let url = format!("{order_url}/authz/{name}");
            let failing = state.failing.contains(name.as_str());
            let ready = placed.ready.contains(&url);
            let status = match (ready, failing) {
                (false, _) => AuthorizationStatus::Pending,
                (true, true) => AuthorizationStatus::Invalid,
                (true, false) => AuthorizationStatus::Valid,
            };
            AuthorizationLook {
                status,
                identifier: name.as_str().to_owned(),
                expires: None,
                offers: vec!["http-01".to_owned()],
                http01: Some(Challenge {
                    url: url.clone(),
                    token: format!("token-{}", Hash::of(url.as_bytes())),
                    thumbprint: "thumb".to_owned(),
                }),
                challenge: if ready { ChallengeStatus::Taken } else { ChallengeStatus::Pending },
                problem: (ready && failing).then(|| {
                    let kind = "urn:ietf:params:acme:error:connection";
                    let mut problem = Problem::new(ProblemClass::Acme, kind, "connection refused");
                    problem.detail.push_str(&state.failing_words);
                    problem
                }),
                url,
            }
        });
        soon(Ok(looks.collect()))
    }

    fn make_ready<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>> {
        let mut state = self.state();
        let failing = state.failing.clone();
        let url = challenge.intent().url.clone();
        let placed = state.orders.get_mut(order_url).unwrap();
        placed.ready.insert(url);
        if let Some(engine) = self.visits.lock().unwrap().as_ref() {
            engine.visited(&challenge.intent().token);
        }
        if placed.names.iter().any(|name| failing.contains(name.as_str())) {
            placed.status = OrderStatus::Invalid;
        } else if placed.ready.len() == placed.names.len() && placed.status == OrderStatus::Pending
        {
            placed.status = OrderStatus::Ready;
        }
        soon(Ok(()))
    }

    fn finalize<'a>(
        &'a self,
        _: AccountId,
        order_url: &'a str,
        intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let mut state = self.state();
        if Hash::of(csr) != *intent.intent() {
            state.violations.push("finalize with another CSR than intended".to_owned());
        }
        if state
            .finalized
            .insert(order_url.to_owned(), Hash::of(csr))
            .is_some_and(|old| old != Hash::of(csr))
        {
            state.violations.push("finalized twice with different CSRs".to_owned());
        }
        let key = String::from_utf8_lossy(csr).into_owned();
        if !state.keys.contains(&KeyRef(key)) {
            state.violations.push("finalized with a key that is not in the vault".to_owned());
        }
        let placed = state.orders.get_mut(order_url).unwrap();
        if placed.status == OrderStatus::Ready {
            placed.status = OrderStatus::Processing;
            placed.processing = true;
        }
        let answer = look(order_url, placed);
        soon(Ok(answer))
    }

    fn download<'a>(&'a self, _: AccountId, order_url: &'a str) -> Act<'a, Result<Leaf, Problem>> {
        let state = self.state();
        let placed = state.orders.get(order_url).unwrap();
        let csr = state.finalized.get(order_url).copied().unwrap_or_default();
        let now = self.now();
        soon(Ok(Leaf {
            chain: csr,
            fingerprint: csr,
            spki: csr,
            serial: format!("{csr}"),
            ari_id: state.stumbles_over_replaces.then(|| format!("{csr}")),
            not_before: now,
            not_after: now.after(Duration::from_secs(90 * 86_400)),
            issuer: "test".to_owned(),
            names: placed.names.iter().map(|name| name.as_str().to_owned()).collect(),
            certificates: 2,
        }))
    }

    fn renewal_window<'a>(
        &'a self,
        _: AccountId,
        _: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>> {
        soon(Err(lost()))
    }

    fn forget_order(&self, _: &str) {}

    fn clock(&self, _: AccountId) -> Option<WallMs> {
        None
    }
}
