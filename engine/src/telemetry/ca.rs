//! Calls of the CA as CLIENT spans in the renewal's trace: how long the CA took, and what it said.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use renewd_actors::ports::{
    Act, AuthorizationLook, CertificateAuthority, FoundOrder, OrderLook, RegisteredAccount,
    RenewalWindow,
};
use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::Challenge;
use renewd_events::certificate::Leaf;
use renewd_events::id::{AccountId, Hash, RenewalId};
use renewd_events::order::NewOrder;
use renewd_events::problem::Problem;
use renewd_events::{Durable, Facts, WallMs};
use tracing::field::Empty;

use super::live::{LEVEL, LiveSpans};

/// The CA, watched. Calls that belong to no renewal (directory, account, renewal windows) pass by.
pub(crate) struct WatchedCa {
    ca: Arc<dyn CertificateAuthority>,
    facts: Arc<RwLock<Facts>>,
    server: String,
    spans: LiveSpans,
}

impl fmt::Debug for WatchedCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedCa").field("server", &self.server).finish_non_exhaustive()
    }
}

/// One call.
struct Call<'a> {
    /// As RFC 8555 names it.
    name: &'static str,
    /// The order it is about; none has a URL before the answer to newOrder.
    order_url: Option<&'a str>,
}

impl WatchedCa {
    pub(super) fn new(
        ca: Arc<dyn CertificateAuthority>,
        facts: Arc<RwLock<Facts>>,
        directory_url: &str,
        spans: LiveSpans,
    ) -> Self {
        let uri: Option<http::Uri> = directory_url.parse().ok();
        let server = uri.and_then(|uri| uri.host().map(str::to_owned));
        Self { ca, facts, server: server.unwrap_or_default(), spans }
    }

    /// The renewal under way whose order has this URL.
    fn renewal_of(&self, order_url: &str) -> Option<RenewalId> {
        let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
        facts.runs.iter().find_map(|id| {
            let (_, order) = facts.order_of(*id)?;
            let run = facts.certificates.get(id)?.run.as_ref()?;
            (order.url.as_deref() == Some(order_url)).then_some(run.renewal)
        })
    }

    fn watch<'a, T: Send + 'a>(
        &self,
        call: &Call<'_>,
        renewal: Option<RenewalId>,
        act: Act<'a, Result<T, Problem>>,
    ) -> Act<'a, Result<T, Problem>> {
        let span = renewal.and_then(|renewal| {
            self.spans.within(renewal, || {
                tracing::span!(
                    LEVEL,
                    "acme",
                    otel.name = format!("POST {}", call.name),
                    otel.kind = "client",
                    otel.status_code = Empty,
                    otel.status_description = Empty,
                    error.type = Empty,
                    http.request.method = "POST",
                    http.response.status_code = Empty,
                    acme.order.url = call.order_url,
                    server.address = self.server.as_str(),
                    acme.call = call.name,
                    renewd.renewal.id = %renewal,
                )
            })
        });
        let Some(span) = span else {
            return act;
        };
        Box::pin(async move {
            let answer = act.await;
            if let Err(problem) = &answer {
                span.record("otel.status_code", "ERROR");
                span.record("otel.status_description", problem.short_kind());
                span.record("error.type", problem.kind.as_str());
                if problem.status != 0 {
                    // The layer keeps signed numbers as numbers, others as text.
                    span.record("http.response.status_code", i64::from(problem.status));
                }
            }
            answer
        })
    }
}

impl CertificateAuthority for WatchedCa {
    fn directory(&self, account: AccountId) -> Act<'_, Result<Directory, Problem>> {
        self.ca.directory(account)
    }

    fn register<'a>(
        &'a self,
        account: AccountId,
        request: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>> {
        self.ca.register(account, request)
    }

    fn update_contacts<'a>(
        &'a self,
        account: AccountId,
        contacts: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>> {
        self.ca.update_contacts(account, contacts)
    }

    fn new_order<'a>(
        &'a self,
        order: &'a Durable<NewOrder>,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let call = Call { name: "newOrder", order_url: None };
        self.watch(&call, order.meta().renewal, self.ca.new_order(order))
    }

    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>> {
        let renewal = {
            let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
            let certificate = facts.certificates.get(&order.certificate);
            certificate.and_then(|certificate| Some(certificate.run.as_ref()?.renewal))
        };
        let call = Call { name: "orders", order_url: None };
        self.watch(&call, renewal, self.ca.find_order(order, known))
    }

    fn look_at_order<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let call = Call { name: "order", order_url: Some(url) };
        let act = self.ca.look_at_order(account, url);
        self.watch(&call, self.renewal_of(url), act)
    }

    fn look_at_authorizations<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        fresh: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>> {
        let call = Call { name: "authorizations", order_url: Some(order_url) };
        let act = self.ca.look_at_authorizations(account, order_url, fresh);
        self.watch(&call, self.renewal_of(order_url), act)
    }

    fn make_ready<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>> {
        let call = Call { name: "challenge", order_url: Some(order_url) };
        let act = self.ca.make_ready(account, order_url, challenge);
        self.watch(&call, challenge.meta().renewal, act)
    }

    fn finalize<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>> {
        let call = Call { name: "finalize", order_url: Some(order_url) };
        let act = self.ca.finalize(account, order_url, intent, csr);
        self.watch(&call, intent.meta().renewal, act)
    }

    fn download<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
    ) -> Act<'a, Result<Leaf, Problem>> {
        let call = Call { name: "certificate", order_url: Some(order_url) };
        let act = self.ca.download(account, order_url);
        self.watch(&call, self.renewal_of(order_url), act)
    }

    fn renewal_window<'a>(
        &'a self,
        account: AccountId,
        ari_id: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>> {
        self.ca.renewal_window(account, ari_id)
    }

    fn forget_order(&self, order_url: &str) {
        self.ca.forget_order(order_url);
    }

    fn clock(&self, account: AccountId) -> Option<WallMs> {
        self.ca.clock(account)
    }
}
