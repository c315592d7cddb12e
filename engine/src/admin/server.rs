//! The two sockets: a Unix socket in the state directory, where commands are taken, and a TCP port,
//! by default on loopback, that only shows.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use renewd_actors::Handle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::asked::Caller;
use super::guard::{Hosts, Refusal};
use super::metrics::Counters;
use super::port::Port;
use super::reply::{self, Answer};
use super::routes::Desk;
use crate::challenge::Waiting;
use crate::host::http::serve;

/// Connections to the Unix socket at once: people and scripts of this machine.
pub const SOCKET_CONNECTIONS_MAX: usize = 32;
/// Connections to the page at once: some browsers and a scraper. Heads are bounded to 5 s and each
/// connection to a minute, as on every listener of ours.
pub const PAGE_CONNECTIONS_MAX: usize = 64;
/// Of these, from one address that is not loopback.
pub const PAGE_CONNECTIONS_PER_ADDRESS_MAX: usize = 16;
/// A request's body; the one command needs none.
pub const BODY_OCTETS_MAX: usize = 64 * 1024;
/// For that body: it comes from this machine.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// After a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Root may do everything.
const ROOT: u32 = 0;

/// What the admin server is told.
#[derive(Debug)]
pub struct Options {
    /// Where the Unix socket is made; absent: nowhere.
    pub socket: Option<PathBuf>,
    /// Where the page listens; absent: nowhere.
    pub listen: Option<SocketAddr>,
    /// The log's folder, for past renewals; absent: there is none to read (a log in memory).
    pub log: Option<PathBuf>,
    /// Where challenges are answered, for `/readyz`.
    pub responder: Vec<SocketAddr>,
    /// Which of these are not open yet, and why.
    pub waiting: Arc<Waiting>,
    /// The counters that the journal feeds.
    pub counters: Counters,
}

/// The open sockets. Dropping it closes them.
#[derive(Debug)]
pub struct Admin {
    page: Option<Port>,
    socket: Option<OpenSocket>,
    /// The socket that could not be opened.
    missing: Option<(PathBuf, Arc<Desk>)>,
    /// What could not be opened at first, in words. The engine runs on: certificates come first.
    pub refused: Vec<String>,
}

#[derive(Debug)]
struct OpenSocket {
    path: PathBuf,
    task: AbortHandle,
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.task.abort();
        drop(std::fs::remove_file(&self.path));
    }
}

impl Admin {
    /// Opens what the options name. What cannot be opened is told in [`Admin::refused`]: the page is
    /// tried again until it is open, the Unix socket stays closed. Inside a tokio runtime.
    pub fn start(options: Options, handle: Handle) -> Self {
        let Options { socket, listen, log, responder, waiting, counters } = options;
        let desk = Arc::new(Desk::new(handle, log, (responder, waiting), &counters));
        let mut admin = Self { page: None, socket: None, missing: None, refused: Vec::new() };
        admin.missing = socket.map(|path| (path, Arc::clone(&desk)));
        let refused = admin.open_missing();
        admin.refused.extend(refused.err());
        if let Some(address) = listen {
            let (port, refused) = Port::open(address, desk);
            admin.page = Some(port);
            admin.refused.extend(refused.map(|cause| {
                format!("there is no status page at {address} yet, it is tried again: {cause}")
            }));
        }
        admin
    }

    /// Opens the socket, if it is not open: a state directory that could not be written at the start may
    /// be writable now.
    ///
    /// # Errors
    /// Why there is still none, in words.
    pub fn open_missing(&mut self) -> Result<(), String> {
        let Some((path, desk)) = &self.missing else {
            return Ok(());
        };
        let opened = open_socket(path.clone(), Arc::clone(desk)).map_err(|cause| {
            let path = path.display();
            format!("no commands are taken: the socket {path} cannot be opened: {cause}")
        });
        self.socket = Some(opened?);
        self.missing = None;
        Ok(())
    }

    /// Where the page is, with the real port; `None` as long as it could not be opened.
    pub fn page(&self) -> Option<SocketAddr> {
        self.page.as_ref().and_then(Port::local)
    }

    /// Where commands are taken.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(|open| open.path.as_path())
    }
}

/// One connection to the page.
pub(super) async fn page(io: impl AsyncRead + AsyncWrite + Unpin, desk: &Arc<Desk>, hosts: Hosts) {
    serve(io, |request| {
        let (desk, admitted) = (Arc::clone(desk), hosts.admit(&request));
        async move {
            match admitted {
                Ok(()) => desk.answer(request, Caller::Page).await,
                Err(refusal) => refused(refusal),
            }
        }
    })
    .await;
}

fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => {
            reply::problem(StatusCode::BAD_REQUEST, "one readable Host header is needed")
        }
        Refusal::Foreign => reply::problem(
            StatusCode::MISDIRECTED_REQUEST,
            "this Host is not answered: use localhost or the address that [admin] listen names",
        ),
    }
}

/// Makes the socket. One that nobody answers is of an earlier life and is replaced.
fn open_socket(path: PathBuf, desk: Arc<Desk>) -> io::Result<OpenSocket> {
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            let what = "another process answers on it";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, what));
        }
        std::fs::remove_file(&path)?;
    }
    // The state directory is closed to others, so nobody comes between this and the mode.
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let places = Arc::new(Semaphore::new(SOCKET_CONNECTIONS_MAX));
    let task = tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let desk = Arc::clone(&desk);
                    tokio::spawn(async move {
                        let _place = place;
                        command(stream, desk).await;
                    });
                }
                Err(cause) => {
                    tracing::debug!(%cause, "accept failed on the admin socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(OpenSocket { path, task: task.abort_handle() })
}

/// One connection on the Unix socket. The kernel says who it is (SO_PEERCRED).
async fn command(stream: UnixStream, desk: Arc<Desk>) {
    let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else {
        return;
    };
    commands_of(uid, stream, &desk).await;
}

/// Commands of this user; only root and the engine's own user are listened to, whatever the mode of
/// the socket's file has become.
pub(super) async fn commands_of(
    uid: u32,
    io: impl AsyncRead + AsyncWrite + Unpin,
    desk: &Arc<Desk>,
) {
    let admitted = uid == ROOT || uid == rustix::process::geteuid().as_raw();
    serve(io, |request| {
        let desk = Arc::clone(desk);
        async move {
            if !admitted {
                let detail = format!("uid {uid} may not command this engine");
                return reply::problem(StatusCode::FORBIDDEN, &detail);
            }
            desk.answer(request, Caller::Socket { uid }).await
        }
    })
    .await;
}
