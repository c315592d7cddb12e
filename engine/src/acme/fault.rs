//! Why a request has no usable answer: the transport's own errors, before anybody looks at ACME.

use std::error::Error;
use std::io;
use std::time::Duration;

use renewd_events::problem::{Problem, ProblemClass};

/// Sources of an error that are read for its text; real ones have three or four.
const SOURCES_MAX: usize = 8;

/// A request without a usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Not https.
    #[error("`{0}` is not an https URL; ACME is spoken over TLS only (RFC 8555 §6.1)")]
    NotHttps(String),
    /// The name of the CA does not resolve. Nothing was sent.
    #[error("the CA's name does not resolve: {0}")]
    Name(String),
    /// No TCP connection. Nothing was sent.
    #[error("no connection to the CA: {0}")]
    Connect(String),
    /// No trusted TLS session. Nothing was sent.
    #[error(
        "no trusted TLS session with the CA: {0}; a private CA needs its root in `ca_root_file`"
    )]
    Tls(String),
    /// Silence.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended before the answer did.
    #[error("the connection broke before the whole answer was here: {0}")]
    Cut(String),
    /// More than we are ready to read.
    #[error("the answer is larger than {0} octets")]
    TooLarge(usize),
    /// An error status, and the body is no problem document.
    #[error("HTTP {status} without a problem document (RFC 7807); the body begins: `{beginning}`")]
    Status {
        /// The status.
        status: u16,
        /// The first characters of the body.
        beginning: String,
    },
    /// A redirect: never followed, since the JWS names its URL (RFC 8555 §6.2).
    #[error(
        "HTTP {status} redirects to `{to}`, which is not followed: a signed request names its own URL"
    )]
    Redirect {
        /// The status.
        status: u16,
        /// Where it points.
        to: String,
    },
    /// The body is not the JSON that RFC 8555 asks for.
    #[error("the answer is not the JSON that was expected: {0}")]
    Json(String),
    /// No usable Replay-Nonce.
    #[error("newNonce answered without a usable Replay-Nonce (RFC 8555 §7.2)")]
    NoNonce,
}

impl Fault {
    /// Who failed.
    pub(super) fn class(&self) -> ProblemClass {
        match self {
            Self::Name(_) | Self::Connect(_) | Self::Tls(_) | Self::Timeout(_) | Self::Cut(_) => {
                ProblemClass::Transport
            }
            Self::Status { .. } | Self::Redirect { .. } => ProblemClass::Http,
            Self::NotHttps(_) | Self::TooLarge(_) | Self::Json(_) | Self::NoNonce => {
                ProblemClass::Protocol
            }
        }
    }

    /// One word for it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::NotHttps(_) => "not-https",
            Self::Name(_) => "name",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Cut(_) => "cut",
            Self::TooLarge(_) => "too-large",
            Self::Status { .. } => "no-problem-document",
            Self::Redirect { .. } => "redirect",
            Self::Json(_) => "json",
            Self::NoNonce => "no-nonce",
        }
    }

    /// What the client library says about a request that got no answer.
    pub(super) fn of_client(error: &hyper_util::client::legacy::Error) -> Self {
        let text = told(error);
        if !error.is_connect() {
            return Self::Cut(text);
        }
        if is_tls(error) {
            return Self::Tls(text);
        }
        match text.contains("dns error") {
            true => Self::Name(text),
            false => Self::Connect(text),
        }
    }
}

/// A request that got no answer, as the adapter would tell it: its kind decides the code.
pub(crate) fn unanswered(error: &hyper_util::client::legacy::Error) -> Problem {
    let fault = Fault::of_client(error);
    Problem::new(fault.class(), fault.kind(), &fault.to_string())
}

/// An error with its sources, each once.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in sources(error).map(ToString::to_string) {
        if !parts.iter().any(|earlier| earlier.contains(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

fn sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(SOURCES_MAX)
}

/// The TLS layer hides its error inside I/O errors, and those do not name it as their source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|part| {
        let inside = std::iter::successors(Some(part), |part| {
            let inner = part.downcast_ref::<io::Error>()?.get_ref()?;
            Some(inner)
        });
        inside.take(SOURCES_MAX).any(|part| part.is::<rustls::Error>())
    })
}
