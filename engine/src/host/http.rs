//! One HTTP/1.1 connection, bounded in time and size.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

/// A request's head comes within this, also on a connection that waits for its next request.
pub(crate) const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// A request's head: a CA sends some 300 octets, a browser with cookies some thousand.
const HEAD_OCTETS_MAX: usize = 8 * 1024;
/// Header fields: a CA sends five, a browser and a proxy some twenty.
const HEADERS_MAX: usize = 32;
/// After this a connection takes no new request: bounds clients that never read or never end.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);
/// For the answer under way when [`CONNECTION_TIME_MAX`] is over.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);

/// Serves one connection to its end. No request body is read, none is upgraded.
pub(crate) async fn serve<I, A, F>(io: I, answer: A)
where
    I: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    if let Ok(end) = tokio::time::timeout(CONNECTION_TIME_MAX, connection.as_mut()).await {
        note(end);
        return;
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(end) = tokio::time::timeout(GOODBYE_TIME_MAX, connection).await {
        note(end);
    }
}

/// Broken clients are everyday life on a public port.
fn note(end: Result<(), hyper::Error>) {
    if let Err(cause) = end {
        tracing::trace!(%cause, "a connection broke off");
    }
}
