//! Sockets, and the road of one request: count, fault, gate, endpoint, fault again, answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, DATE, USER_AGENT};
use http::{HeaderName, Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::bend::{self, Before, Cut, Progress};
use crate::body::Shaped;
use crate::clock;
use crate::endpoints;
use crate::fault::FaultKind;
use crate::gate;
use crate::ledger::{Endpoint, Mark};
use crate::pause;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;

/// Connections at once. A client under test opens few; the next one waits in the backlog.
const CONNECTIONS_MAX: usize = 512;
/// TLS handshake. Both ends are one machine.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Idle time between two requests of a connection, and for reading a head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Reading the body of one request.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// A signed request. 100 names in a CSR need about 5 kB; Boulder reads 50 kB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Pause after `accept` failed (no file descriptors left, say), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts for ever. Dropping the future closes every connection.
pub(crate) async fn run(authority: Arc<Authority>, listener: TcpListener, tls: TlsAcceptor) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return; // the semaphore is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(Arc::clone(&authority), stream, tls.clone(), slot));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(
    authority: Arc<Authority>,
    stream: TcpStream,
    tls: TlsAcceptor,
    _slot: OwnedSemaphorePermit,
) {
    // Small answers leave at once; a delay here would be measured as the client's.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await else {
        return;
    };
    authority.ledger().mark(Mark::Connection);
    let service = service_fn(|request| road(Arc::clone(&authority), request));
    // An error here is the client's closing or a scripted cut: both are ends, not failures.
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(ended);
}

/// From head to answer. `Err` closes the connection without one.
async fn road(
    authority: Arc<Authority>,
    request: Request<Incoming>,
) -> Result<Response<Shaped>, Cut> {
    let (head, body) = request.into_parts();
    let route = Route::parse(head.uri.path(), head.uri.query(), &authority.prefix);
    let endpoint = route.as_ref().map_or(Endpoint::Unknown, Route::endpoint);
    authority.ledger().request(endpoint);
    let fault = authority.strike(endpoint);
    let before = match &fault {
        Some(kind) => bend::before(&authority, kind).await,
        None => Before::Act,
    };
    let body = match before {
        Before::Cut => return Err(Cut),
        Before::Act | Before::Answer(_) => read(body).await,
    };
    if let Ok(body) = &body {
        pause::keep(&authority, endpoint, head.uri.path(), body);
    }
    if let (Some(kind @ FaultKind::CutThenActing(wait)), Ok(body)) = (&fault, &body) {
        tokio::spawn(act_late(
            authority,
            (endpoint, route),
            head,
            body.clone(),
            (*wait, kind.clone()),
        ));
        return Err(Cut);
    }
    let reply = match (before, body) {
        (Before::Answer(reply), body) => {
            let body = body.unwrap_or_default();
            pause::ask(&authority, endpoint, head.uri.path(), &body, &reply);
            gate::spend_only(&authority, &body);
            reply
        }
        (_, Err(problem)) => problem.into(),
        (_, Ok(body)) => {
            let progress = bend::progress(fault.as_ref());
            act(&authority, route.as_ref(), &head, &body, progress).unwrap_or_else(Reply::from)
        }
    };
    let reply = match &fault {
        Some(kind) if bend::is_exact(kind) => reply,
        Some(_) | None => complete(&authority, endpoint, reply),
    };
    match fault {
        Some(kind) => bend::after(&authority, endpoint, &kind, reply),
        None => Ok(bend::plain(reply)),
    }
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIME_MAX, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(cause)) => Err(Problem::malformed(format!("request body: {cause}"))),
        Err(_) => Err(Problem::malformed("request body: timeout")),
    }
}

/// Does what was asked when nobody waits for the answer any more.
async fn act_late(
    authority: Arc<Authority>,
    (endpoint, route): (Endpoint, Option<Route>),
    head: http::request::Parts,
    body: Bytes,
    (wait, kind): (Duration, FaultKind),
) {
    tokio::time::sleep(wait).await;
    let reply = act(&authority, route.as_ref(), &head, &body, Progress::Shown);
    let answer = bend::after(&authority, endpoint, &kind, reply.unwrap_or_else(Reply::from));
    drop(answer);
}

fn act(
    authority: &Arc<Authority>,
    route: Option<&Route>,
    head: &http::request::Parts,
    body: &[u8],
    progress: Progress,
) -> Result<Reply, Problem> {
    let Some(route) = route else {
        return Err(Problem::not_found("URL"));
    };
    if head.headers.get(USER_AGENT).is_none_or(|agent| agent.is_empty()) {
        authority.violation(format!("{:?}: no User-Agent", route.endpoint()));
        return Err(Problem::malformed("RFC 8555 §6.1 demands a User-Agent"));
    }
    if route.is_plain_get() {
        return match head.method {
            Method::GET | Method::HEAD => endpoints::get(authority, route, &head.method),
            _ => Err(wrong_method(authority, route, &head.method)),
        };
    }
    if head.method != Method::POST {
        return Err(wrong_method(authority, route, &head.method));
    }
    let signed = gate::admit(authority, route, &head.headers, body)?;
    endpoints::post(authority, route, &signed, progress)
}

fn wrong_method(authority: &Authority, route: &Route, method: &Method) -> Problem {
    let detail = format!("{:?}: method {method} is not for this URL", route.endpoint());
    authority.violation(detail.clone());
    Problem::new(405, "malformed", detail)
}

/// Headers of every answer: a nonce (RFC 8555 §6.5), `no-store` with it, and the index link (§7.1).
fn complete(authority: &Authority, endpoint: Endpoint, reply: Reply) -> Reply {
    let reply = match authority.nonce() {
        Ok(nonce) => reply
            .with(HeaderName::from_static("replay-nonce"), &nonce)
            .with(DATE, &clock::http_date(authority.now()))
            .with(CACHE_CONTROL, "no-store"),
        Err(problem) => problem.into(),
    };
    if endpoint == Endpoint::Directory {
        return reply;
    }
    reply.linked(&authority.url(&Route::Directory), "index")
}
