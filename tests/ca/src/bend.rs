//! Playing a fault: what happens before a request is acted on, and what becomes of the answer.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::authority::Authority;
use crate::body::Shaped;
use crate::fault::FaultKind;
use crate::gate;
use crate::ledger::Endpoint;
use crate::problem::Problem;
use crate::reply::Reply;

/// The connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a scripted fault")]
pub(crate) struct Cut;

/// What to do with a request that met a fault.
#[derive(Debug)]
pub(crate) enum Before {
    /// Act as always.
    Act,
    /// Close at once.
    Cut,
    /// Answer this, do nothing.
    Answer(Reply),
}

/// Before acting.
pub(crate) async fn before(authority: &Authority, kind: &FaultKind) -> Before {
    match kind {
        FaultKind::Problem { .. } => match as_problem(kind) {
            Some(problem) => Before::Answer(problem.into()),
            None => Before::Act,
        },
        FaultKind::Raw { status, content_type, body, headers } => {
            Before::Answer(raw(*status, content_type, body, headers))
        }
        FaultKind::BadNonce => Before::Answer(gate::bad_nonce(authority, "scripted").into()),
        FaultKind::CutBeforeActing => Before::Cut,
        FaultKind::Delay(wait) => {
            tokio::time::sleep(*wait).await;
            Before::Act
        }
        FaultKind::CutAfterActing
        | FaultKind::CutThenActing(_)
        | FaultKind::SlowDrip { .. }
        | FaultKind::Truncated
        | FaultKind::Oversized(_)
        | FaultKind::WrongContentType
        | FaultKind::StuckProcessing
        | FaultKind::OmitHeader(_) => Before::Act,
    }
}

/// After acting: the answer on its way.
pub(crate) fn after(
    authority: &Authority,
    endpoint: Endpoint,
    kind: &FaultKind,
    mut reply: Reply,
) -> Result<Response<Shaped>, Cut> {
    match kind {
        FaultKind::Problem { .. }
        | FaultKind::Raw { .. }
        | FaultKind::BadNonce
        | FaultKind::CutBeforeActing
        | FaultKind::Delay(_)
        | FaultKind::StuckProcessing => Ok(plain(reply)),
        FaultKind::CutAfterActing | FaultKind::CutThenActing(_) => {
            forget_answer(authority, endpoint, &reply);
            Err(Cut)
        }
        FaultKind::SlowDrip { bytes, every } => {
            let body = Shaped::dripping(reply.body.clone(), *bytes, *every);
            Ok(shaped(reply, body))
        }
        FaultKind::Truncated => {
            // The length promised is the whole, so the client can tell.
            let length = HeaderValue::from(reply.body.len());
            reply.headers.insert(CONTENT_LENGTH, length);
            let body = Shaped::truncated(reply.body.clone());
            Ok(shaped(reply, body))
        }
        FaultKind::Oversized(bytes) => {
            let body = Shaped::oversized(reply.body.clone(), *bytes);
            Ok(shaped(reply, body))
        }
        FaultKind::WrongContentType => {
            reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            Ok(plain(reply))
        }
        FaultKind::OmitHeader(name) => {
            if name.eq_ignore_ascii_case("location") {
                forget_answer(authority, endpoint, &reply);
            }
            reply.headers.remove(name.as_str());
            Ok(plain(reply))
        }
    }
}

/// The answer as it is.
pub(crate) fn plain(reply: Reply) -> Response<Shaped> {
    let body = Shaped::plain(reply.body.clone());
    shaped(reply, body)
}

/// Whether an endpoint shows how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Shown,
    /// As [`FaultKind::StuckProcessing`] says.
    Hidden,
}

/// What the fault wants of the endpoint.
pub(crate) fn progress(fault: Option<&FaultKind>) -> Progress {
    match fault {
        Some(FaultKind::StuckProcessing) => Progress::Hidden,
        Some(_) | None => Progress::Shown,
    }
}

/// Whether the answer must go out as scripted, without the CA's usual headers.
pub(crate) fn is_exact(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::Raw { .. })
}

/// The problem a [`FaultKind::Problem`] describes; also the outcome of a struck validation.
pub(crate) fn as_problem(kind: &FaultKind) -> Option<Problem> {
    let FaultKind::Problem { status, kind, detail, retry_after } = kind else {
        return None;
    };
    let mut problem = Problem::new(*status, kind, detail.clone());
    problem.retry_after.clone_from(retry_after);
    Some(problem)
}

/// The client never learns the URL of the order just made: another newOrder may be its only way.
fn forget_answer(authority: &Authority, endpoint: Endpoint, reply: &Reply) {
    let Some(url) = reply.headers.get(LOCATION).and_then(|url| url.to_str().ok()) else {
        return;
    };
    let id = url.rsplit('/').next().unwrap_or_default();
    if endpoint == Endpoint::NewOrder
        && let Some(order) = authority.store().orders.get_mut(id)
    {
        order.answered = false;
    }
}

fn raw(status: u16, content_type: &str, body: &[u8], headers: &[(String, String)]) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::empty(status);
    reply.body = Bytes::copy_from_slice(body);
    if !content_type.is_empty() {
        reply = reply.with(CONTENT_TYPE, content_type);
    }
    for (name, value) in headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            reply = reply.with(name, value);
        }
    }
    reply
}

fn shaped(reply: Reply, body: Shaped) -> Response<Shaped> {
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}
