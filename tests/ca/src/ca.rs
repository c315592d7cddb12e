//! The handle: starting a CA, watching it, steering it, ending it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, random_id};
use crate::clock::ClockSkew;
use crate::fault::Fault;
use crate::issue::Issuing;
use crate::ledger::Counts;
use crate::options::Options;
use crate::route::Route;
use crate::store::{Certificate, Order, Root};
use crate::{server, tls};

/// A running CA. Dropping it closes its listener and every connection.
#[derive(Debug)]
pub struct TestCa {
    authority: Arc<Authority>,
    server: Option<JoinHandle<()>>,
    address: SocketAddr,
    web_root_pem: String,
}

/// An order, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSummary {
    /// Its URL.
    pub url: String,
    /// The URL of its account.
    pub account: String,
    /// Names in the order asked for.
    pub identifiers: Vec<String>,
    /// `pending`, `ready`, `processing`, `valid` or `invalid`, as of now.
    pub status: String,
    /// The profile asked for.
    pub profile: Option<String>,
    /// The RFC 9773 identifier it replaces.
    pub replaces: Option<String>,
    /// The RFC 9773 identifier of what it issued.
    pub certificate: Option<String>,
    /// `false` when a fault kept its URL from the client.
    pub answered: bool,
}

/// A certificate, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// RFC 9773 identifier.
    pub ari_id: String,
    /// Its names.
    pub names: Vec<String>,
    /// The leaf.
    pub der: Vec<u8>,
    /// Begin of its life.
    pub not_before: SystemTime,
    /// End of its life.
    pub not_after: SystemTime,
    /// Whether it was revoked.
    pub revoked: bool,
    /// URL of the finalized order that replaced it.
    pub replaced_by: Option<String>,
}

impl TestCa {
    /// Makes keys, binds the listener and serves from now on, on the current tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound, or a key or certificate cannot be made.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let mut address = listener.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into()); // URLs must lead somewhere
        }
        let (config, web_root_pem) = tls::server(address.ip())?;
        let issuing = Issuing::new().map_err(io::Error::other)?;
        let authority = Authority::new(options, format!("https://{address}"), issuing)
            .map_err(|problem| io::Error::other(problem.detail))?;
        let authority = Arc::new(authority);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = tokio::spawn(server::run(Arc::clone(&authority), listener, acceptor));
        Ok(Self { authority, server: Some(server), address, web_root_pem })
    }

    /// Where clients begin.
    #[must_use]
    pub fn directory_url(&self) -> String {
        self.authority.url(&Route::Directory)
    }

    /// The address HTTPS listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// PEM of the root that certified the HTTPS server itself.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.web_root_pem
    }

    /// PEM of the root of issued certificates (default chain).
    #[must_use]
    pub fn issuer_root_pem(&self) -> &str {
        &self.authority.issuing.root_pem
    }

    /// PEM of the root of the alternate chain.
    #[must_use]
    pub fn alternate_root_pem(&self) -> &str {
        &self.authority.issuing.alternate_root_pem
    }

    /// How often each thing happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.authority.ledger().counts()
    }

    /// Every deviation of the clients from RFC 8555 so far, oldest first (the first 1,000).
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.authority.ledger().violations()
    }

    /// Takes the deviations out of the list, after they were looked at; their count stays.
    #[must_use]
    pub fn forgive(&self) -> Vec<String> {
        self.authority.ledger().forgive()
    }

    /// Arms a fault. Several at one endpoint play in the order armed.
    pub fn inject(&self, fault: Fault) {
        self.authority.script().arm(fault);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.authority.script().clear();
    }

    /// Sets the renewal window of a certificate; `false` when there is none with that identifier.
    pub fn set_renewal_window(&self, ari_id: &str, start: SystemTime, end: SystemTime) -> bool {
        self.change(ari_id, |certificate| certificate.window = Some((start, end)))
    }

    /// Revokes a certificate on the CA's own account; `false` when there is none.
    pub fn revoke(&self, ari_id: &str) -> bool {
        self.change(ari_id, |certificate| certificate.revoked = true)
    }

    /// New terms: accounts that agreed to others meet `userActionRequired` at newOrder.
    pub fn set_terms(&self, url: &str) {
        self.authority.store().terms = Some(url.to_owned());
    }

    /// A person visits the `instance` URL and agrees there, for every account.
    pub fn agree_by_hand(&self) {
        let mut store = self.authority.store();
        let terms = store.terms.clone();
        for account in store.accounts.values_mut() {
            account.agreed.clone_from(&terms);
        }
    }

    /// Sets the CA's clock from now on; what was issued keeps its dates.
    pub fn set_clock(&self, skew: ClockSkew) {
        self.authority.set_skew(skew);
    }

    /// Every authorization runs out now, and with it each order that is not finalized.
    pub fn expire_authorizations(&self) {
        let now = self.authority.now();
        let mut store = self.authority.store();
        for authorization in store.authorizations.values_mut() {
            authorization.expires = authorization.expires.min(now);
        }
    }

    /// Years go by: each account gets this many copies of each order that has a certificate, as if it had
    /// renewed so often. They are valid, and the list of orders shows them before the others.
    ///
    /// # Errors
    /// When the system gives no random ids.
    pub fn age(&self, count: usize) -> io::Result<()> {
        let mut store = self.authority.store();
        store.age(count, random_id).map_err(|problem| io::Error::other(problem.detail))
    }

    /// From now on the chain under this root is the default one, for every download.
    pub fn serve_chain(&self, root: Root) {
        self.authority.store().default_root = root;
    }

    /// All orders, account by account, oldest first.
    #[must_use]
    pub fn orders(&self) -> Vec<OrderSummary> {
        let store = self.authority.store();
        let now = self.authority.now();
        let ids = store.accounts.values().flat_map(|account| &account.orders);
        ids.filter_map(|id| Some((id, store.orders.get(id)?)))
            .map(|(id, order)| self.summary(id, order, store.status(order, now).as_str()))
            .collect()
    }

    /// All certificates.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        let store = self.authority.store();
        let order_url = |id: &String| self.authority.url(&Route::Order(id.clone()));
        let summary = |certificate: &Certificate| CertificateSummary {
            ari_id: certificate.issued.ari_id.clone(),
            names: certificate.names.clone(),
            der: certificate.issued.der.clone(),
            not_before: certificate.issued.not_before,
            not_after: certificate.issued.not_after,
            revoked: certificate.revoked,
            replaced_by: certificate.replaced_by.as_ref().map(order_url),
        };
        store.certificates.values().map(summary).collect()
    }

    /// Ends the CA and returns when its port is free again.
    pub async fn shutdown(mut self) {
        self.authority.abort();
        if let Some(server) = self.server.take() {
            server.abort();
            // Aborted on purpose: the outcome is known.
            drop(server.await);
        }
    }

    fn change(&self, ari_id: &str, change: impl FnOnce(&mut Certificate)) -> bool {
        let mut store = self.authority.store();
        let found = store.certificates.get_mut(ari_id);
        found.map(change).is_some()
    }

    fn summary(&self, id: &str, order: &Order, status: &str) -> OrderSummary {
        let finalized = order.finalized.as_ref();
        OrderSummary {
            url: self.authority.url(&Route::Order(id.to_owned())),
            account: self.authority.url(&Route::Account(order.account.clone())),
            identifiers: order.names.clone(),
            status: status.to_owned(),
            profile: order.profile.clone(),
            replaces: order.replaces.clone(),
            certificate: finalized.map(|finalized| finalized.certificate.clone()),
            answered: order.answered,
        }
    }
}

impl Drop for TestCa {
    fn drop(&mut self) {
        self.authority.abort();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}
