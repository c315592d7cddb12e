//! The other end of the Unix socket: one request to the engine that runs on a state directory.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// One exchange: `/readyz` waits 2 s for its actors, a command for one commit of the log.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// An answer: the status of a thousand certificates has some 800 KiB.
const ANSWER_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no engine answers on {path}: {cause}")]
    NoEngine {
        /// The socket.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// Somebody listens, but the socket is closed to us.
    #[error("the socket {path} is closed to this user")]
    Permission {
        /// The socket.
        path: String,
    },
    /// It did not answer as it should.
    #[error("the engine on {path} did not answer: {what}")]
    Broken {
        /// The socket.
        path: String,
        /// What happened.
        what: String,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The sentence of a problem document (RFC 9457), else the whole body.
    pub fn detail(&self) -> String {
        let json = self.json();
        json.get("detail")
            .and_then(Value::as_str)
            .map_or_else(|| self.body.trim().to_owned(), str::to_owned)
    }
}

/// Asks the engine whose socket this is.
///
/// # Errors
/// See [`ClientError`]. An answer with an error status is an answer.
pub async fn ask(socket: &Path, method: Method, path: &str) -> Result<Answer, ClientError> {
    let shown = socket.display().to_string();
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            return Err(ClientError::Permission { path: shown });
        }
        Err(cause) => return Err(ClientError::NoEngine { path: shown, cause }),
    };
    match tokio::time::timeout(EXCHANGE_TIME_MAX, exchange(stream, method, path)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(what)) => Err(ClientError::Broken { path: shown, what }),
        Err(_) => {
            let what = format!("nothing within {} s", EXCHANGE_TIME_MAX.as_secs());
            Err(ClientError::Broken { path: shown, what })
        }
    }
}

async fn exchange(stream: UnixStream, method: Method, path: &str) -> Result<Answer, String> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|cause| cause.to_string())?;
    let answer = once(stream, request, ANSWER_OCTETS_MAX).await?;
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    Ok(Answer { status: answer.status(), body })
}

/// One request and its answer, of at most so many octets, on a connection of its own. The caller
/// bounds the time.
pub(crate) async fn once<I>(
    io: I,
    request: Request<Empty<Bytes>>,
    octets_max: usize,
) -> Result<Response<Bytes>, String>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = http1::handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(|cause| causes(&cause))?;
    let asking = async {
        let answer = sender.send_request(request).await;
        let (parts, body) = answer.map_err(|cause| causes(&cause))?.into_parts();
        let body = Limited::new(body, octets_max).collect().await;
        let body = body.map_err(|cause| cause.to_string())?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    // The connection moves only while it is polled; it may end before the answer is taken.
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => answer,
        end = connection => match end {
            Ok(()) => asking.await,
            Err(cause) => Err(causes(&cause)),
        },
    }
}

/// An error with what is behind it: "client error" alone helps nobody.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
