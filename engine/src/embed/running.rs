//! The running engine, as the embedding program holds it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, Weak};

use renewd_actors::Handle;
use renewd_events::process::StopReason;
use rustls::server::ResolvesServerCert;
use tokio::sync::RwLock;

use super::builder::Builder;
use super::error::EmbedError;
use super::events::{Events, Names, Source, channel};
use super::http01::Http01Or;
use super::status::{CertificateStatus, status};
use super::tls::TlsListener;
use crate::challenge::Responder;
use crate::settings::Settings;
use crate::start::{Extras, Running, start};

/// Who asked for a renewal, as the log has it.
const BY: &str = "embedding program";

/// A running engine. Clones are the same engine. It runs until [`Renewd::shutdown`] or the end of the
/// runtime; an end without shutdown is like a crash, which the next start mends.
#[derive(Clone)]
pub struct Renewd {
    running: Arc<RwLock<Option<Running>>>,
    resolver: Arc<dyn ResolvesServerCert>,
    responder: Weak<Responder>,
    events: Source,
}

impl fmt::Debug for Renewd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewd").finish_non_exhaustive()
    }
}

impl Renewd {
    /// Says what is wanted.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) async fn start(settings: Settings) -> Result<Self, EmbedError> {
        let names = Names::default();
        let (events, observer) = channel(names.clone());
        let extras = Extras { observers: vec![observer], page: None, lines: false };
        let running = start(&settings, extras)
            .await
            .map_err(|error| EmbedError::start(error, settings.state_dir.clone()))?;
        names.fill(running.engine().facts());
        Ok(Self {
            resolver: running.bindings().resolver(),
            responder: Arc::downgrade(running.responder()),
            running: Arc::new(RwLock::new(Some(running))),
            events,
        })
    }

    /// For the [`rustls::ServerConfig`] of the host: shows each certificate for its names, and a new
    /// one from the next handshake on. Until the first issue a handshake ends with an alert.
    pub fn cert_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.resolver)
    }

    /// What to answer to `GET path` on the host's own port 80, with status 200 and type `text/plain`:
    /// the key authorization (RFC 8555 §8.3). `None` for every path that is no pending challenge.
    pub fn http01_response(&self, path: &str) -> Option<String> {
        self.responder.upgrade()?.key_authorization(path)
    }

    /// A hyper service that answers challenges and leaves all else to `service`. tower services come
    /// in through `hyper_util::service::TowerToHyperService`.
    pub fn http01_or<S>(&self, service: S) -> Http01Or<S> {
        Http01Or::new(self.responder.clone(), service)
    }

    /// Opens an HTTPS listener that shows the certificates; `[::]` takes IPv4 too.
    ///
    /// # Errors
    /// [`EmbedError::Listener`] says who holds the address, or what else is wrong with it.
    pub fn tls_acceptor(&self, address: SocketAddr) -> Result<TlsListener, EmbedError> {
        TlsListener::open(address, self.cert_resolver())
    }

    /// Events from now on.
    pub fn events(&self) -> Events {
        self.events.reader()
    }

    /// How the certificates are, by name.
    ///
    /// # Errors
    /// [`EmbedError::ShutDown`].
    pub async fn status(&self) -> Result<Vec<CertificateStatus>, EmbedError> {
        let facts = self.handle().await?.facts();
        let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
        Ok(status(&facts))
    }

    /// Asks for a renewal of this certificate now. The wish is durable when this returns; follow it
    /// through [`Renewd::events`].
    ///
    /// # Errors
    /// There is no such certificate, the log cannot be written, or the engine was shut down.
    pub async fn renew(&self, certificate: &str) -> Result<(), EmbedError> {
        self.handle().await?.renew(certificate, BY).await?;
        Ok(())
    }

    /// Returns when the engine cannot go on, with the reason: then shut it down and start it again.
    /// Also returns after [`Renewd::shutdown`].
    pub async fn failed(&self) -> String {
        let fatal = {
            let running = self.running.read().await;
            running.as_ref().map(|running| running.engine().fatal())
        };
        match fatal {
            Some(mut fatal) => match fatal.wait_for(Option::is_some).await {
                Ok(cause) => cause.clone().unwrap_or_default(),
                Err(_) => EmbedError::ShutDown.to_string(),
            },
            None => EmbedError::ShutDown.to_string(),
        }
    }

    /// Where the builder's challenge listeners really are.
    pub fn http01_addresses(&self) -> Vec<SocketAddr> {
        self.responder.upgrade().map_or_else(Vec::new, |responder| responder.addresses())
    }

    /// Ends the engine cleanly: no new work, what is under way is left to the next start, the log is
    /// closed, the challenge listeners are. The resolver goes on showing what it has. Once is enough.
    ///
    /// # Errors
    /// When the clean end could not be recorded; the next start finds a crash, which is safe.
    pub async fn shutdown(&self) -> Result<(), EmbedError> {
        let running = self.running.write().await.take();
        match running {
            Some(running) => Ok(running.stop(StopReason::Asked).await?),
            None => Ok(()),
        }
    }

    async fn handle(&self) -> Result<Handle, EmbedError> {
        let running = self.running.read().await;
        let running = running.as_ref().ok_or(EmbedError::ShutDown)?;
        Ok(running.handle())
    }
}
