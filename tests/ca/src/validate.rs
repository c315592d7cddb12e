//! http-01 as the CA does it (RFC 8555 §8.3), without DNS: every name is at one address.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::problem::Problem;

/// One fetch, connection included. Boulder gives 10 s; half of it keeps failing tests short.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// A key authorization has 43 + 1 + 43 characters; Boulder reads 128 bytes.
const BODY_BYTES_MAX: usize = 128;

/// What a validation looks for.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) name: String,
    pub(crate) token: String,
    /// token "." thumbprint of the account key (RFC 8555 §8.1).
    pub(crate) key_authorization: String,
}

/// Fetches three times at once, as Pebble and (from several networks) public CAs do: a responder
/// that answers only once fails here. Redirects are not followed, they are refused.
pub(crate) async fn http01(target: SocketAddr, proof: &Proof) -> Result<(), Problem> {
    let outcomes = tokio::join!(
        perspective(target, proof),
        perspective(target, proof),
        perspective(target, proof)
    );
    outcomes.0.and(outcomes.1).and(outcomes.2)
}

async fn perspective(target: SocketAddr, proof: &Proof) -> Result<(), Problem> {
    let (status, body) = match tokio::time::timeout(FETCH_TIME_MAX, fetch(target, proof)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(cause)) => return Err(unreachable(target, proof, &cause.to_string())),
        Err(_) => return Err(unreachable(target, proof, "timeout")),
    };
    if status != StatusCode::OK {
        return Err(wrong(proof, &format!("status {status}")));
    }
    // RFC 8555 §8.3: white space at the end of the body is ignored.
    let body = String::from_utf8_lossy(&body).trim_end().to_owned();
    if body == proof.key_authorization {
        Ok(())
    } else {
        Err(wrong(proof, &format!("the body `{body}`")))
    }
}

type FetchError = Box<dyn std::error::Error + Send + Sync>;

async fn fetch(target: SocketAddr, proof: &Proof) -> Result<(StatusCode, Bytes), FetchError> {
    let stream = TcpStream::connect(target).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(format!("/.well-known/acme-challenge/{}", proof.token))
        .header("host", &proof.name)
        .header("user-agent", "renewd-testca validation")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await?;
        Ok::<_, FetchError>((status, body.to_bytes()))
    };
    // The connection does the I/O; it ends with the answer because of `connection: close`.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

/// No answer at all.
pub(crate) fn unreachable(target: SocketAddr, proof: &Proof, cause: &str) -> Problem {
    let detail = format!(
        "fetching http://{}/.well-known/acme-challenge/{} at {target}: {cause}",
        proof.name, proof.token
    );
    Problem::new(400, "connection", detail)
}

fn wrong(proof: &Proof, what: &str) -> Problem {
    let detail = format!(
        "http://{}/.well-known/acme-challenge/{} answered {what}, expected `{}`",
        proof.name, proof.token, proof.key_authorization
    );
    Problem::unauthorized(detail)
}
