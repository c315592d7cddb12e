//! Our own HTTPS listeners: opened and given certificates while the process runs.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use renewd_actors::ports::ListenerRefused;
use renewd_events::problem::{Problem, ProblemClass};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::ResolvesServerCert;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::resolver::CertResolver;
use crate::host::accept::{OpenListener, accept};
use crate::host::admission::{Admission, Bounds};
use crate::host::{http as connection, socket};

/// Well below the descriptors that a service has by default (1024), with room for everything else.
const BOUNDS: Bounds = Bounds { total: 512, per_address: 64 };
/// A handshake over a bad mobile line takes a few seconds.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// What an HTTPS listener answers.
pub type Page = Arc<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>
        + Send
        + Sync,
>;

/// A page that says who serves it. `hsts` is the value of Strict-Transport-Security (RFC 6797 §6.1),
/// where the operator wants it.
pub fn status_page(hsts: Option<HeaderValue>) -> Page {
    Arc::new(move |_request| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"served by renewd\n")));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Some(hsts) = &hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        Box::pin(ready(answer))
    })
}

/// HTTPS listeners, each with its own table of certificates. Dropping it closes them.
pub struct TlsServer {
    page: Page,
    admission: Arc<Admission>,
    listeners: Mutex<HashMap<SocketAddr, OpenListener>>,
    resolvers: Mutex<HashMap<SocketAddr, Arc<CertResolver>>>,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("listeners", &*self.open_listeners())
            .finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Without listeners yet.
    pub fn new(page: Page) -> Arc<Self> {
        Arc::new(Self {
            page,
            admission: Admission::new(BOUNDS),
            listeners: Mutex::default(),
            resolvers: Mutex::default(),
        })
    }

    /// Opens a listener, or finds it open; gives its address with the real port. Inside a tokio
    /// runtime. Until a certificate is put there, every handshake ends with an alert.
    ///
    /// # Errors
    /// The address cannot be opened, and who holds it.
    pub fn open(&self, address: SocketAddr) -> Result<SocketAddr, ListenerRefused> {
        let mut listeners = self.open_listeners();
        if let Some(there) = listeners.get(&address) {
            return Ok(there.local);
        }
        let refuse = |text: String| ListenerRefused {
            problem: Problem::new(ProblemClass::Local, "listen", &text).about(&address.to_string()),
            holder: None,
            needs_restart: false,
        };
        let config = server_config(self.resolver(address)).map_err(|e| refuse(e.to_string()))?;
        let acceptor = TlsAcceptor::from(config);
        let page = Arc::clone(&self.page);
        let listener = socket::listen(address)?;
        let open = accept(listener, Arc::clone(&self.admission), move |stream| {
            serve(acceptor.clone(), Arc::clone(&page), stream)
        })
        .map_err(|cause| refuse(cause.to_string()))?;
        let local = open.local;
        listeners.insert(address, open);
        Ok(local)
    }

    /// Whether the listener is open.
    pub fn is_open(&self, address: SocketAddr) -> bool {
        self.open_listeners().contains_key(&address)
    }

    /// Closes a listener; connections end by themselves.
    pub fn close(&self, address: SocketAddr) {
        self.open_listeners().remove(&address);
    }

    /// Where a listener really is, when it is open.
    pub fn local(&self, address: SocketAddr) -> Option<SocketAddr> {
        self.open_listeners().get(&address).map(|open| open.local)
    }

    /// The certificates of a listener; it need not be open yet.
    pub fn resolver(&self, address: SocketAddr) -> Arc<CertResolver> {
        let mut resolvers = self.resolvers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(resolvers.entry(address).or_default())
    }

    fn open_listeners(&self) -> MutexGuard<'_, HashMap<SocketAddr, OpenListener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(acceptor: TlsAcceptor, page: Page, stream: TcpStream) {
    let handshake = acceptor.accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await {
        connection::serve(stream, |request| page(request)).await;
    }
}

/// TLS 1.2 and 1.3 with rustls' defaults, and HTTP/1.1.
pub(crate) fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
