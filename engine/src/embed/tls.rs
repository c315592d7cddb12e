//! An HTTPS listener for a host's own service: certificates from the resolver, swapped live.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::ResolvesServerCert;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::error::EmbedError;
use crate::bind::server_config;
use crate::host::accept::accept;
use crate::host::admission::{Admission, Bounds};
use crate::host::{http as connection, socket};

/// Connections: half of the descriptors that a service has by default (1024).
const BOUNDS: Bounds = Bounds { total: 512, per_address: 64 };
/// A handshake over a bad mobile line takes a few seconds.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// An open HTTPS listener of the host. Dropping it, or the future of [`TlsListener::serve`], closes
/// it.
pub struct TlsListener {
    listener: TcpListener,
    local: SocketAddr,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsListener({})", self.local)
    }
}

impl TlsListener {
    pub(super) fn open(
        address: SocketAddr,
        resolver: Arc<dyn ResolvesServerCert>,
    ) -> Result<Self, EmbedError> {
        let refuse = |detail: String| EmbedError::Listener { address, detail };
        let listener = socket::listen(address)
            .map_err(|refused| refuse(format!("{address}: {}", refused.problem.detail)))?;
        let local = listener.local_addr().map_err(|cause| refuse(cause.to_string()))?;
        let config = server_config(resolver).map_err(|cause| refuse(cause.to_string()))?;
        Ok(Self { listener, local, acceptor: TlsAcceptor::from(config) })
    }

    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves HTTP/1.1 over TLS until the future is dropped. At most 512 connections at once, 64 from
    /// one address; a request's head comes within 5 s.
    ///
    /// # Errors
    /// [`EmbedError::Listener`] when the runtime does not take the socket. It never ends otherwise.
    pub async fn serve<S, B>(self, service: S) -> Result<Infallible, EmbedError>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let address = self.local;
        let acceptor = self.acceptor;
        let open = accept(self.listener, Admission::new(BOUNDS), move |stream| {
            one(acceptor.clone(), stream, service.clone())
        });
        let _open = open.map_err(|cause| EmbedError::Listener {
            address,
            detail: format!("cannot serve on {address}: {cause}"),
        })?;
        pending().await
    }
}

async fn one<S, B>(acceptor: TlsAcceptor, stream: TcpStream, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let handshake = tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(connection::HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(cause) = served {
        // Broken clients are everyday life on a public port.
        tracing::trace!(%cause, "a connection broke off");
    }
}
