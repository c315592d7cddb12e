//! The CA behind its port.

use std::time::Duration;

use renewd_actors::ports::{
    Act, AuthorizationLook, CertificateAuthority, FoundOrder, OrderLook, RegisteredAccount,
    RenewalWindow,
};
use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::{AccountId, Hash, OrderId};
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::Problem;
use renewd_events::{Durable, WallMs};

use super::authority::{SAME_NAMES_MAX, SAME_NAMES_WINDOW};
use super::late::Late;
use super::problems::{acme, instead, missing, silence};
use crate::fate::{Fault, Harm, Place};
use crate::invariant::Invariant;
use crate::plan::DAY;
use crate::world::{State, World};

/// The ports' promise: every call ends within a minute.
const CALL_MAX: Duration = Duration::from_secs(60);

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It changes nothing.
    Read,
    /// It changes something.
    Act,
    /// A newOrder.
    NewOrder,
}

impl World {
    fn request<'a, T: Send + 'a>(
        &'a self,
        kind: Kind,
        (account, late): (Option<AccountId>, Option<Late>),
        act: impl FnOnce(&mut State, WallMs) -> Result<T, Problem> + Send + 'a,
    ) -> Act<'a, Result<T, Problem>> {
        Box::pin(async move {
            let _under_way = self.call();
            if let Some(account) = account {
                // What cannot be signed is not sent: no boundary to end a life at.
                self.living().await;
                if let Err(unsigned) = self.signs(account) {
                    self.pause(self.plan.disk_ms).await;
                    self.living().await;
                    return Err(unsigned);
                }
            }
            let crash = kind != Kind::Read && self.act_begins().await;
            self.living().await;
            let harm = match (kind, self.fate(Place::Request)) {
                (Kind::NewOrder, None) => self.fate(Place::NewOrder),
                (_, harm) => harm,
            };
            if harm.is_some_and(|harm| harm.fault == Fault::Panic) {
                #[expect(
                    clippy::panic,
                    reason = "a port that panics must not cost more than a look"
                )]
                {
                    panic!("a port panics because fate says so");
                }
            }
            self.pause(self.plan.network_ms).await;
            let delayed = harm.filter(|harm| harm.fault == Fault::Late);
            if let Some((harm, late)) = delayed.zip(late) {
                let at = self.time().after(Duration::from_secs(harm.seconds));
                self.state().arrives(at, late);
                self.news.notify_one();
            }
            let answer = self.answer(harm, act);
            self.act_ends(crash).await;
            let slow = harm.filter(|harm| harm.fault == Fault::Slow);
            let slow = Duration::from_secs(slow.map_or(0, |harm| harm.seconds));
            let slow = if delayed.is_some() { CALL_MAX } else { slow };
            tokio::time::sleep(self.delay(self.plan.network_ms).saturating_add(slow).min(CALL_MAX))
                .await;
            self.living().await;
            if slow >= CALL_MAX || harm.is_some_and(|harm| harm.fault == Fault::Lost) {
                return Err(silence());
            }
            self.ca_answered();
            answer
        })
    }

    fn answer<T>(
        &self,
        harm: Option<Harm>,
        act: impl FnOnce(&mut State, WallMs) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let now = self.time();
        if let Some(harm) = harm {
            self.account_harmed(harm);
        }
        let mut state = self.state();
        match harm {
            Some(Harm { fault: Fault::Terms, seconds }) => {
                state.ca.terms += 1;
                state.ca.agreed_at = Some(now.after(Duration::from_secs(seconds)));
            }
            Some(Harm { fault: Fault::Missing, seconds }) => {
                state.ca.missing_until = now.after(Duration::from_secs(seconds));
            }
            Some(_) | None => {}
        }
        if let Some(problem) = harm.and_then(instead) {
            return Err(problem);
        }
        act(&mut state, now)
    }

    /// A request of the account on an order.
    fn on_order<'a, T: Send + 'a>(
        &'a self,
        kind: Kind,
        (account, url): (AccountId, &'a str),
        late: Option<Late>,
        act: impl FnOnce(&mut State, WallMs) -> Result<T, Problem> + Send + 'a,
    ) -> Act<'a, Result<T, Problem>> {
        self.request(kind, (Some(account), late), move |state, now| {
            state.accounts.known(account)?;
            if now < state.ca.missing_until {
                return Err(missing());
            }
            if let Some(intent) = state.ca.orders.get(url).map(|order| order.intent) {
                state.count_request(intent);
            }
            if state.ca.orders.get(url).is_some_and(|order| !state.ca.has(order)) {
                return Err(acme("malformed", 404));
            }
            act(state, now)
        })
    }

    pub(super) fn place_order(
        &self,
        state: &mut State,
        order: &Durable<NewOrder>,
        now: WallMs,
    ) -> Result<OrderLook, Problem> {
        let intent = OrderId(order.meta().stream.id);
        let wanted = order.intent();
        state.accounts.known(wanted.account)?;
        if state.ca.terms > 0 && state.ca.agreed_at.is_some() {
            return Err(acme("userActionRequired", 403));
        }
        let names: Vec<String> = wanted.identifiers.iter().map(|n| n.as_str().to_owned()).collect();
        // Renewals that name what they replace are exempt from limits (Let's Encrypt), and what a
        // person asks for is the person's.
        let free = wanted.replaces.is_some() || state.person_asked;
        if !free && state.ca.same_names(&names, now) >= SAME_NAMES_MAX {
            // A clock that has just leapt ahead cannot be told from a host that slept as long.
            let leapt = self.wall().since(now) > DAY && now.since(state.set_at) < SAME_NAMES_WINDOW;
            if !leapt {
                let what = "a sixth certificate of the same names in a week";
                state.broken(Invariant::BudgetKept, what);
            }
            let retry_after_ms = Some(86_400_000);
            return Err(Problem { retry_after_ms, ..acme("rateLimited", 429) });
        }
        let look = state.ca.new_order(&self.plan.ca, intent, wanted, now)?;
        if state.ca.by_intent.get(&intent).is_some_and(|count| *count > 1) {
            let what = format!("order {intent} was bought twice for one intent");
            state.broken(Invariant::OneOrderPerIntent, what);
        }
        Ok(look)
    }

    /// The CA is told to look at a challenge.
    pub(super) fn take_challenge(
        &self,
        state: &mut State,
        (url, challenge): (&str, &Durable<Challenge>),
        delay: Duration,
        now: WallMs,
    ) -> Result<(), Problem> {
        let order = state.ca.orders.get_mut(url).ok_or_else(|| acme("malformed", 404))?;
        let at = order.authorizations.iter().position(|a| a.url == challenge.intent().url);
        let index = at.ok_or_else(|| acme("malformed", 404))?;
        if let Some(authorization) = order.authorizations.get_mut(index) {
            if authorization.taken {
                return Err(acme("malformed", 400));
            }
            authorization.taken = true;
            let taken = authorization.clone();
            state.ca.share(&taken);
        }
        state.ca.jobs.insert((now.after(delay), url.to_owned(), index, 1));
        self.news.notify_one();
        Ok(())
    }

    /// The CA is told to issue.
    pub(super) fn finish(
        &self,
        state: &mut State,
        (url, intent, csr): (&str, &Durable<Hash>, &[u8]),
        processing: Duration,
        now: WallMs,
    ) -> Result<OrderLook, Problem> {
        if Hash::of(csr) != *intent.intent() {
            state.broken(Invariant::OneCsr, format!("{url}: another CSR than intended"));
        }
        if !state.keys.contains(csr) {
            state.broken(Invariant::KeyFirst, format!("{url}: the vault has no such key"));
        }
        let validity = self.plan.ca.validity;
        state.ca.finalize(url, csr, now.after(processing), validity, now)
    }
}

impl CertificateAuthority for World {
    fn directory(&self, _: AccountId) -> Act<'_, Result<Directory, Problem>> {
        self.request(Kind::Read, (None, None), |state, _| {
            Ok(Directory {
                terms_url: Some(format!("https://ca.test/terms/{}", state.ca.terms)),
                renewal_info: self.plan.ca.renewal_info,
                ..Directory::default()
            })
        })
    }

    fn register<'a>(
        &'a self,
        account: AccountId,
        request: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>> {
        self.witness(request.meta());
        self.request(Kind::Act, (Some(account), None), move |state, _| {
            state.accounts.register(request.intent())
        })
    }

    fn update_contacts<'a>(
        &'a self,
        account: AccountId,
        contacts: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>> {
        self.witness(contacts.meta());
        self.request(Kind::Act, (Some(account), None), move |state, _| {
            state.accounts.known(account)
        })
    }

    fn new_order<'a>(
        &'a self,
        order: &'a Durable<NewOrder>,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        self.witness(order.meta());
        let late = Late::Order(order.clone());
        let from = (Some(order.intent().account), Some(late));
        self.request(Kind::NewOrder, from, |state, now| self.place_order(state, order, now))
    }

    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known_urls: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>> {
        self.request(Kind::Read, (Some(order.account), None), move |state, now| {
            state.accounts.known(order.account)?;
            if !self.plan.ca.list {
                return Ok(FoundOrder::NoList("the account has no orders URL".to_owned()));
            }
            let wanted = order.identifiers.iter().map(|name| name.as_str().to_owned());
            let wanted: Vec<String> = wanted.collect();
            let found = state
                .ca
                .orders_of(&wanted)
                .filter(|(url, placed)| placed.is_open(now) && !known_urls.contains(url))
                .filter(|(_, placed)| state.ca.has(placed));
            let newest = found.max_by_key(|(_, placed)| placed.created);
            Ok(newest.map_or(FoundOrder::NotThere, |(url, placed)| {
                FoundOrder::Found(Box::new(placed.look(url, now)))
            }))
        })
    }

    fn look_at_order<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        self.on_order(Kind::Read, (account, url), None, move |state, now| {
            let order = state.ca.orders.get(url).ok_or_else(|| acme("malformed", 404))?;
            Ok(order.look(url, now))
        })
    }

    fn look_at_authorizations<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
        _: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> {
        self.on_order(Kind::Read, (account, url), None, move |state, _| {
            state.ca.authorizations(url)
        })
    }

    fn make_ready<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>> {
        self.witness(challenge.meta());
        let delay = self.delay(self.plan.ca.validation_ms);
        let late = Late::Ready(url.to_owned(), challenge.clone());
        self.on_order(Kind::Act, (account, url), Some(late), move |state, now| {
            self.take_challenge(state, (url, challenge), delay, now)
        })
    }

    fn finalize<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
        intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>> {
        self.witness(intent.meta());
        let processing = self.delay(self.plan.ca.processing_ms);
        let late = Late::Finalize(url.to_owned(), intent.clone(), csr.to_vec());
        self.on_order(Kind::Act, (account, url), Some(late), move |state, now| {
            self.finish(state, (url, intent, csr), processing, now)
        })
    }

    fn download<'a>(&'a self, account: AccountId, url: &'a str) -> Act<'a, Result<Leaf, Problem>> {
        self.on_order(Kind::Read, (account, url), None, move |state, now| {
            let order = state.ca.orders.get(url).ok_or_else(|| acme("malformed", 404))?;
            let valid = order.status(now) == OrderStatus::Valid;
            let leaf = order.leaf.clone().filter(|_| valid);
            leaf.ok_or_else(|| acme("orderNotReady", 403))
        })
    }

    fn renewal_window<'a>(
        &'a self,
        _: AccountId,
        ari_id: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>> {
        Box::pin(async move {
            let floor = self.state().ari_floors.get(ari_id).copied().unwrap_or_default();
            if self.wall() < floor && !self.is_dead() {
                let what = format!("renewal information of {ari_id} sooner than the CA had asked");
                self.broken(Invariant::RetryAfterKept, what);
            }
            let window = self.request(Kind::Read, (None, None), move |state, _| {
                let (start, end) = state.ca.window(ari_id)?;
                let retry_after_ms = Some(self.plan.ca.window_every_ms);
                Ok(RenewalWindow { start, end, explanation_url: None, retry_after_ms })
            });
            let window = window.await?;
            let asked = Duration::from_millis(window.retry_after_ms.unwrap_or(0));
            let floor = self.wall().after(asked);
            self.state().ari_floors.insert(ari_id.to_owned(), floor);
            Ok(window)
        })
    }

    fn forget_order(&self, _: &str) {}

    fn clock(&self, _: AccountId) -> Option<WallMs> {
        self.ca_has_answered().then(|| self.time())
    }
}
