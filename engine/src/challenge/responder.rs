//! The challenge server: HTTP/1.1 on its own listeners, bounded so that slow or many clients do not
//! keep the CA out.

use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use renewd_actors::ports::{Act, ListenerRefused, Prober};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::problem::{Problem, ProblemClass};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Desk, Lookup, Redirect};
use super::probe;
use super::visits::{Visited, Visits};
use super::waiting::Waiting;
use crate::host::accept::{OpenListener, accept};
use crate::host::admission::{Admission, Bounds};
use crate::host::{http, socket};
use crate::vault::durable::random_name;

/// Let's Encrypt asks from six places at once; the rest is room for others.
const BOUNDS: Bounds = Bounds { total: 256, per_address: 16 };
/// What a probe says in a program that answers challenges on its own server.
const NOT_OURS: &str =
    "renewd has no challenge listener of its own open; the program around it has to answer";
/// What a responder is made of.
pub struct ResponderOptions {
    /// Where pending tokens are looked up.
    pub lookup: Lookup,
    /// Told about fetches, so that the engine can look at the CA soon after.
    pub visited: Option<Visited>,
    /// Told when an address is open that another program held.
    pub opened: Option<Opened>,
    /// Names that are sent to HTTPS; none by default.
    pub redirect: Redirect,
}

/// Told of an address.
pub type Opened = Arc<dyn Fn(SocketAddr) + Send + Sync>;

impl std::fmt::Debug for ResponderOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponderOptions").field("redirect", &self.redirect).finish_non_exhaustive()
    }
}

/// The challenge responder. Dropping it closes its listeners.
pub struct Responder {
    desk: Arc<Desk>,
    admission: Arc<Admission>,
    listeners: Mutex<Vec<OpenListener>>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) opened: Option<Opened>,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Responder {
    /// A responder without a listener.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(options: ResponderOptions) -> Result<Self, Problem> {
        let probe = random_name()
            .map_err(|cause| Problem::new(ProblemClass::Local, "random", &cause.to_string()))?;
        Ok(Self {
            desk: Arc::new(Desk {
                lookup: options.lookup,
                visits: Visits::new(options.visited),
                redirect: RwLock::new(Arc::new(options.redirect)),
                probe,
            }),
            admission: Admission::new(BOUNDS),
            listeners: Mutex::default(),
            waiting: Arc::default(),
            opened: options.opened,
        })
    }

    /// A responder on these addresses. Inside a tokio runtime.
    ///
    /// # Errors
    /// The first address that cannot be opened, and who holds it.
    pub fn start(
        listen: &[SocketAddr],
        options: ResponderOptions,
    ) -> Result<Self, ListenerRefused> {
        let responder = Self::new(options).map_err(|problem| ListenerRefused {
            problem,
            holder: None,
            needs_restart: false,
        })?;
        for address in listen {
            responder.open(*address)?;
        }
        Ok(responder)
    }

    /// Opens one more listener; gives the address with the real port. Inside a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be opened, and who holds it.
    pub fn open(&self, address: SocketAddr) -> Result<SocketAddr, ListenerRefused> {
        let listener = socket::listen(address)?;
        self.adopt(listener).map_err(|problem| ListenerRefused {
            problem,
            holder: None,
            needs_restart: false,
        })
    }

    /// Serves on a socket that is open already, for instance one that systemd passed on.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn adopt(&self, listener: TcpListener) -> Result<SocketAddr, Problem> {
        let desk = Arc::clone(&self.desk);
        let open = accept(listener, Arc::clone(&self.admission), move |stream| {
            let desk = Arc::clone(&desk);
            async move { connection(&desk, stream).await }
        })
        .map_err(|cause| Problem::new(ProblemClass::Local, "listen", &cause.to_string()))?;
        let local = open.local;
        self.open_listeners().push(open);
        Ok(local)
    }

    /// Answers on one connection that somebody else has accepted.
    #[cfg(feature = "fuzzing")]
    pub(crate) async fn connection(&self, io: impl AsyncRead + AsyncWrite + Unpin) {
        connection(&self.desk, io).await;
    }

    /// The key authorization (RFC 8555 §8.1) to answer for this path, while its token is pending. For a
    /// program that has the port-80 server itself; the fetch is counted like one on our own listener.
    pub fn key_authorization(&self, path: &str) -> Option<String> {
        let (token, authorization) = self.desk.pending(path)?;
        self.desk.visits.count(token);
        Some(authorization)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open_listeners().iter().map(|open| open.local).collect()
    }

    /// Where it is to listen and does not yet.
    pub fn waiting(&self) -> &Arc<Waiting> {
        &self.waiting
    }

    /// Closes its listeners, whoever else still holds it; connections end by themselves.
    pub fn close(&self) {
        self.waiting.clear();
        self.open_listeners().clear();
    }

    /// From now on these names are sent to HTTPS, and no others.
    pub fn set_redirect(&self, redirect: Redirect) {
        let mut current = self.desk.redirect.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(redirect);
    }

    /// Why there is nothing of ours to probe.
    fn not_open(&self) -> String {
        let why: Vec<String> = self.waiting.all().into_values().collect();
        if why.is_empty() { NOT_OURS.to_owned() } else { why.join("; ") }
    }

    fn open_listeners(&self) -> std::sync::MutexGuard<'_, Vec<OpenListener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(desk: &Desk, io: impl AsyncRead + AsyncWrite + Unpin) {
    http::serve(io, |request| ready(desk.answer(&request))).await;
}

impl Prober for Responder {
    fn probe<'a>(&'a self, identifier: &'a str, challenge: &'a Challenge) -> Act<'a, Probe> {
        let first = self.addresses().first().copied();
        Box::pin(async move {
            match first {
                Some(address) => {
                    let address = socket::reachable(address);
                    probe::fetch(address, identifier, challenge, &self.desk.probe).await
                }
                None => Probe::NotSeen(self.not_open()),
            }
        })
    }

    fn visits(&self, token: &str) -> u32 {
        self.desk.visits.of(token)
    }
}
