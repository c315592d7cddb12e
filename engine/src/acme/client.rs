//! The port to the CAs, for all accounts of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use instant_acme::{CertificateIdentifier, Identifier};
use renewd_actors::ports::{
    Act, AuthorizationLook, CertificateAuthority, FoundOrder, OrderLook, RegisteredAccount,
    RenewalWindow,
};
use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::{AccountId, Hash};
use renewd_events::order::NewOrder;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, WallMs};
use tokio::sync::OwnedMutexGuard;

use super::order::{Live, Source};
use super::orders::Orders;
use super::seat::{Seat, patiently};
use super::settings::{AccountConfig, AccountFacts, AccountKeys, Bounds, ChainSink};
use super::transport::usable;
use super::wire::Wire;
use super::{call, chain, lost, problem, renewal_info, roots};

/// All accounts at their CAs.
pub struct AcmeClient {
    seats: BTreeMap<AccountId, Seat>,
    chains: Arc<dyn ChainSink>,
    orders: Orders,
    bounds: Bounds,
}

impl std::fmt::Debug for AcmeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AcmeClient({} accounts)", self.seats.len())
    }
}

impl AcmeClient {
    /// For these accounts. Nothing is sent yet.
    ///
    /// # Errors
    /// When a directory URL is not https, or the roots cannot be read.
    pub fn new(
        accounts: &BTreeMap<AccountId, AccountConfig>,
        keys: &Arc<dyn AccountKeys>,
        chains: Arc<dyn ChainSink>,
        facts: &Arc<AccountFacts>,
    ) -> Result<Self, Problem> {
        Self::with_bounds(accounts, keys, (chains, facts), Bounds::default())
    }

    /// The same with other bounds, for tests that cannot wait a minute.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_bounds(
        accounts: &BTreeMap<AccountId, AccountConfig>,
        keys: &Arc<dyn AccountKeys>,
        (chains, facts): (Arc<dyn ChainSink>, &Arc<AccountFacts>),
        bounds: Bounds,
    ) -> Result<Self, Problem> {
        let mut tls = BTreeMap::new(); // the system's roots are read once, not once per account
        let mut seats = BTreeMap::new();
        for (id, config) in accounts {
            if !config.directory_url.starts_with("https://") {
                let detail = "the directory URL is not https; ACME is spoken over TLS only";
                return Err(Problem::new(ProblemClass::Local, "not-https", detail)
                    .about(&config.directory_url));
            }
            if !tls.contains_key(&config.roots) {
                tls.insert(config.roots.clone(), roots::tls(&config.roots)?);
            }
            if let Some(tls) = tls.get(&config.roots) {
                let world = (Arc::clone(keys), Arc::clone(facts));
                seats.insert(
                    *id,
                    Seat::new(*id, config, Wire::sockets(tls.clone(), &bounds), bounds, world),
                );
            }
        }
        Ok(Self { seats, chains, orders: Orders::default(), bounds })
    }

    /// The same with a function in place of sockets.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn scripted(
        (id, config): (AccountId, &AccountConfig),
        keys: &Arc<dyn AccountKeys>,
        (chains, facts): (Arc<dyn ChainSink>, &Arc<AccountFacts>),
        script: super::wire::Script,
    ) -> Self {
        let (bounds, world) = (Bounds::default(), (Arc::clone(keys), Arc::clone(facts)));
        let seat = Seat::new(id, config, Wire::Script(script), bounds, world);
        Self { seats: BTreeMap::from([(id, seat)]), chains, orders: Orders::default(), bounds }
    }

    fn seat(&self, account: AccountId) -> Result<&Seat, Problem> {
        self.seats.get(&account).ok_or_else(|| {
            let detail = "the configuration does not name this account";
            Problem::new(ProblemClass::Local, "account-unknown", detail).about(&account.to_string())
        })
    }

    /// The order, alone. Second: whether it was looked at just now.
    async fn live(
        &self,
        account: AccountId,
        url: &str,
    ) -> Result<(OwnedMutexGuard<Option<Live>>, bool), Problem> {
        let mut held = self.orders.slot(url).lock_owned().await;
        if held.is_some() {
            return Ok((held, false));
        }
        let account = self.seat(account)?.account().await?;
        *held = Some(Live::open(&account, url).await?);
        Ok((held, true))
    }

    async fn post_new_order(&self, order: &NewOrder) -> Result<OrderLook, Problem> {
        let seat = self.seat(order.account)?;
        let account = seat.account().await?;
        let names: Vec<Identifier> = order
            .identifiers
            .iter()
            .map(|name| Identifier::Dns(name.as_str().to_owned()))
            .collect();
        let mut request = instant_acme::NewOrder::new(&names);
        if let Some(profile) = &order.profile {
            request = request.profile(profile);
        }
        // A CA without renewal information does not know `replaces` either.
        let renewal_info = seat.urls().await?.renewal_info.is_some();
        if let Some(replaces) = order.replaces.as_deref().filter(|_| renewal_info) {
            request = request.replaces(replaced(replaces)?);
        }
        let mut live = match patiently!(account.new_order(&request)) {
            Ok(order) => Live::new(order, &account),
            Err(error) => {
                let call = call::seen();
                let refusal = problem::of(&error);
                // The CA made the order, only its answer is of no use: the Location is enough, now or when
                // the order is looked for.
                let Some(url) = call.location.as_deref().filter(|_| call.succeeded()) else {
                    return Err(seat.heard(refusal).await);
                };
                seat.unread().note(order, url);
                Live::open(&account, url).await.map_err(|_| refusal)?
            }
        };
        let look = live.look()?;
        seat.unread().forget(order);
        let slot = self.orders.slot(&look.url);
        *slot.lock().await = Some(live);
        Ok(look)
    }

    async fn look(&self, account: AccountId, url: &str) -> Result<OrderLook, Problem> {
        let (mut held, looked) = self.live(account, url).await?;
        let live = present(&mut held)?;
        if !looked {
            live.refresh().await?;
        }
        live.look()
    }

    async fn store(&self, pem: String) -> Result<Leaf, Problem> {
        let url = call::seen().url;
        let leaf = chain::read(&pem).map_err(|problem| problem.about(&url))?;
        let chains = Arc::clone(&self.chains);
        let stored = tokio::task::spawn_blocking(move || chains.put(&pem)).await;
        let stored = stored.map_err(|cause| local("chain-store", &cause.to_string()))??;
        match stored == leaf.chain {
            true => Ok(leaf),
            false => Err(local(
                "chain-store",
                &format!("the chain {} was stored as {stored}", leaf.chain),
            )),
        }
    }

    async fn window(&self, account: AccountId, ari_id: &str) -> Result<RenewalWindow, Problem> {
        let seat = self.seat(account)?;
        let directory = seat.urls().await?;
        let Some(base) = directory.renewal_info.as_deref() else {
            let detail = "the CA does not offer renewal information (RFC 9773)";
            return Err(
                problem::protocol("unsupported", detail).about(seat.transport().directory_url())
            );
        };
        let url = renewal_info::url(base, ari_id)?;
        let fault = |fault| problem::of_fault(&fault);
        let answer = seat.transport().get(&url).await.map_err(fault)?;
        if answer.status().as_u16() >= 400 {
            return Err(problem::of_answer(answer.body()));
        }
        let body = usable(answer).map_err(fault)?;
        renewal_info::read(&body, call::seen().retry_after_ms)
    }
}

/// RFC 9773 §4.1: two parts with a dot between them.
fn replaced(ari_id: &str) -> Result<CertificateIdentifier<'_>, Problem> {
    let (key, serial) = ari_id.split_once('.').ok_or_else(|| {
        let detail = "not a certificate's name for renewal information (RFC 9773 §4.1)";
        local("ari-id", detail).about(ari_id)
    })?;
    Ok(CertificateIdentifier { authority_key_identifier: key.into(), serial: serial.into() })
}

fn present(held: &mut Option<Live>) -> Result<&mut Live, Problem> {
    held.as_mut().ok_or_else(|| local("order-not-open", "the order's handle is gone; ask again"))
}

fn local(kind: &str, detail: &str) -> Problem {
    Problem::new(ProblemClass::Local, kind, detail)
}

impl CertificateAuthority for AcmeClient {
    fn directory(&self, account: AccountId) -> Act<'_, Result<Directory, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move { self.seat(account)?.directory().await }))
    }

    fn register<'a>(
        &'a self,
        account: AccountId,
        request: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let (seat, key) = (self.seat(account)?, &request.intent().key_ref);
            match seat.register(key).await {
                Ok(registered) => Ok(registered),
                Err(problem) => Err(seat.heard(problem::mask(problem, seat.contacts())).await),
            }
        }))
    }

    fn update_contacts<'a>(
        &'a self,
        account: AccountId,
        _contacts: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let seat = self.seat(account)?;
            let updated = seat.update_contacts().await;
            updated.map_err(|problem| problem::mask(problem, seat.contacts()))
        }))
    }

    fn new_order<'a>(
        &'a self,
        order: &'a Durable<NewOrder>,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        Box::pin(call::recorded(
            &self.bounds,
            async move { self.post_new_order(order.intent()).await },
        ))
    }

    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            lost::find(self.seat(order.account)?, order, known).await
        }))
    }

    fn look_at_order<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        Box::pin(call::recorded(&self.bounds, self.look(account, url)))
    }

    fn look_at_authorizations<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        fresh: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let (mut held, _) = self.live(account, order_url).await?;
            let source = if fresh { Source::Ca } else { Source::Memory };
            present(&mut held)?.authorizations(source).await
        }))
    }

    fn make_ready<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let (mut held, _) = self.live(account, order_url).await?;
            let url = &challenge.intent().url;
            present(&mut held)?.make_ready(url).await
        }))
    }

    fn finalize<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        _intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let (mut held, _) = self.live(account, order_url).await?;
            let live = present(&mut held)?;
            live.finalize(csr).await?;
            live.look()
        }))
    }

    fn download<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
    ) -> Act<'a, Result<Leaf, Problem>> {
        Box::pin(call::recorded(&self.bounds, async move {
            let (mut held, _) = self.live(account, order_url).await?;
            let pem = present(&mut held)?.certificate().await?;
            self.store(pem).await
        }))
    }

    fn renewal_window<'a>(
        &'a self,
        account: AccountId,
        ari_id: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>> {
        Box::pin(call::recorded(&self.bounds, self.window(account, ari_id)))
    }

    fn forget_order(&self, order_url: &str) {
        self.orders.forget(order_url);
    }

    fn clock(&self, account: AccountId) -> Option<WallMs> {
        self.seats.get(&account)?.transport().clock()
    }
}
