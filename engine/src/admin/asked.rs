//! What a request asks for: by whom, which command, with which parameter.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::reply::{self, Answer};
use super::server::{BODY_OCTETS_MAX, BODY_TIME_MAX};

/// Where certificates are, as JSON.
pub(super) const API: &str = "/api/v1/certificates/";
/// Where the CA's terms are accepted.
pub(crate) const ACCEPT_TERMS: &str = "/api/v1/accept-terms";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A browser or a scraper on the TCP port.
    Page,
    /// A process of this machine on the Unix socket.
    Socket {
        /// Its user, as the kernel says.
        uid: u32,
    },
}

/// What may be asked of the engine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command<'p> {
    /// A renewal of this certificate.
    Renew(&'p str),
    /// The terms that the CA shows now are accepted.
    AcceptTerms,
}

impl<'p> Command<'p> {
    /// The command of this path.
    pub(super) fn of(path: &'p str) -> Option<Self> {
        if path == ACCEPT_TERMS {
            return Some(Self::AcceptTerms);
        }
        let name = path.strip_prefix(API)?.strip_suffix("/renew")?;
        Some(Self::Renew(name))
    }
}

/// `?name` or `?name=value`. Our values are plain words and hexadecimal, so nothing is decoded.
pub(super) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// Reads the body away, within its bounds: the commands need none.
pub(super) async fn drain(request: Request<Incoming>) -> Result<(), Answer> {
    let body = Limited::new(request.into_body(), BODY_OCTETS_MAX).collect();
    match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => {
            let detail = format!("a body of more than {BODY_OCTETS_MAX} octets is not read");
            Err(reply::problem(StatusCode::PAYLOAD_TOO_LARGE, &detail))
        }
        Err(_) => Err(reply::problem(StatusCode::REQUEST_TIMEOUT, "the body does not end")),
    }
}
