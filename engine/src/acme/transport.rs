//! Requests to one CA: https only, bounded, one pool of connections and nonces. `instant-acme` sits
//! on top of it through its `HttpClient`.
//!
//! It never sees a Replay-Nonce: all of them go into the pool, and its HEAD newNonce is answered from
//! there. So a nonce is never held by an order that has no use for it, and none is fetched while one
//! is at hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use renewd_events::WallMs;
use renewd_events::problem::cut;
use tokio::time::Instant;

use super::call;
use super::directory::Document;
use super::fault::Fault;
use super::nonces::{Nonces, is_nonce};
use super::settings::Bounds;
use super::wire::Wire;

/// Who we are (RFC 8555 §6.1).
const AGENT: &str = concat!("renewd/", env!("CARGO_PKG_VERSION"));
/// How old the directory may be for its URLs. They change about never.
pub(super) const DIRECTORY_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How old it may be when somebody asks for the directory itself.
pub(super) const DIRECTORY_FRESH: Duration = Duration::from_secs(60);
/// Octets of a body that is no problem document, as evidence.
const BEGINNING_OCTETS: usize = 160;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Requests to one CA.
pub(super) struct Transport {
    wire: Wire,
    directory_url: String,
    bounds: Bounds,
    nonces: Nonces,
    directory: tokio::sync::Mutex<Option<Known>>,
    /// What the CA's clock showed with its last answer, and when that was.
    date: Mutex<Option<(WallMs, Instant)>>,
}

/// The directory as it was read last.
#[derive(Clone)]
struct Known {
    at: Instant,
    raw: Bytes,
    document: Arc<Document>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({})", self.directory_url)
    }
}

impl Transport {
    pub(super) fn new(directory_url: &str, wire: Wire, bounds: Bounds) -> Self {
        Self {
            wire,
            directory_url: directory_url.to_owned(),
            bounds,
            nonces: Nonces::default(),
            directory: tokio::sync::Mutex::new(None),
            date: Mutex::default(),
        }
    }

    /// The directory's URL.
    pub(super) fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// What the CA's clock shows now, by its last answer. Time in which this host sleeps is not counted:
    /// the next answer mends that.
    pub(super) fn clock(&self) -> Option<WallMs> {
        let date = *self.date.lock().unwrap_or_else(PoisonError::into_inner);
        date.map(|(shown, heard)| shown.after(heard.elapsed()))
    }

    /// The directory, not older than `age`. Those who ask at the same time share one request.
    pub(super) async fn directory(&self, age: Duration) -> Result<Arc<Document>, Fault> {
        Ok(self.known(age).await?.document)
    }

    /// The next one who asks for the directory gets it from the CA.
    pub(super) async fn forget_directory(&self) {
        *self.directory.lock().await = None;
    }

    async fn known(&self, age: Duration) -> Result<Known, Fault> {
        let mut held = self.directory.lock().await;
        if let Some(known) = held.as_ref().filter(|known| known.at.elapsed() < age) {
            return Ok(known.clone());
        }
        let answer = self.get(&self.directory_url).await?;
        let raw = usable(answer)?;
        let document: Document =
            serde_json::from_slice(&raw).map_err(|e| no_directory(&e, &raw))?;
        if let Some(bad) = document.bad_url() {
            return Err(Fault::NotHttps(cut(bad, BEGINNING_OCTETS)));
        }
        let known = Known { at: Instant::now(), raw, document: Arc::new(document) };
        *held = Some(known.clone());
        Ok(known)
    }

    /// A nonce: at hand, or from the CA.
    pub(super) async fn nonce(&self) -> Result<String, Fault> {
        if let Some(nonce) = self.nonces.take() {
            return Ok(nonce);
        }
        let url = &self.directory(DIRECTORY_AGE_MAX).await?.new_nonce;
        let answer = self.send(request(Method::HEAD, url, Bytes::new())?).await?;
        let nonce = answer.headers().get(REPLAY_NONCE);
        nonce
            .and_then(|nonce| nonce.to_str().ok())
            .filter(|nonce| is_nonce(nonce))
            .map(str::to_owned)
            .ok_or(Fault::NoNonce)
    }

    /// A plain GET.
    pub(super) async fn get(&self, url: &str) -> Result<Response<Bytes>, Fault> {
        self.send(request(Method::GET, url, Bytes::new())?).await
    }

    /// A POST of a JWS.
    pub(super) async fn post(&self, url: &str, jws: Vec<u8>) -> Result<Response<Bytes>, Fault> {
        let mut post = request(Method::POST, url, Bytes::from(jws))?;
        let jose = HeaderValue::from_static("application/jose+json");
        post.headers_mut().insert(CONTENT_TYPE, jose);
        self.send(post).await
    }

    /// One request and its whole answer, which is a success or carries a problem document.
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Fault> {
        let url = request.uri().to_string();
        if request.uri().scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Err(Fault::NotHttps(url));
        }
        let agent = HeaderValue::from_static(AGENT);
        request.headers_mut().insert(USER_AGENT, agent);
        let method = request.method().clone();
        call::begin(&url);
        let exchange = self.exchange(request);
        let answer = match tokio::time::timeout(self.bounds.request, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Timeout(self.bounds.request)),
        };
        let mut answer = answer.inspect_err(|fault| tracing::debug!(%method, url, %fault))?;
        let status = answer.status().as_u16();
        tracing::debug!(%method, url, status);
        call::read(answer.body());
        if method != Method::HEAD
            && let Some(nonce) = answer.headers_mut().remove(REPLAY_NONCE)
            && let Ok(nonce) = nonce.to_str()
        {
            self.nonces.put(nonce);
        }
        judge(answer)
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Fault> {
        let (parts, body) = self.wire.carry(request).await?.into_parts();
        call::answered(parts.status.as_u16(), &parts.headers);
        if let Some(date) = call::date(&parts.headers) {
            let heard = Some((date, Instant::now()));
            *self.date.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        }
        let body =
            Limited::new(body, self.bounds.body).collect().await.map_err(|error| {
                match error.is::<LengthLimitError>() {
                    true => Fault::TooLarge(self.bounds.body),
                    false => Fault::Cut(error.to_string()),
                }
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// What `instant-acme` asks for: the directory and nonces from memory, the rest from the CA.
    async fn answer(&self, asked: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, Fault> {
        let (parts, body) = asked.into_parts();
        if parts.method == Method::HEAD {
            let nonce = self.nonce().await?;
            let nonce = HeaderValue::from_str(&nonce).map_err(|_| Fault::NoNonce)?;
            let mut answer = Response::new(Bytes::new());
            answer.headers_mut().insert(REPLAY_NONCE, nonce);
            return Ok(answer);
        }
        if parts.method == Method::GET && parts.uri == *self.directory_url {
            return Ok(Response::new(self.known(DIRECTORY_AGE_MAX).await?.raw));
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        self.send(Request::from_parts(parts, body)).await
    }
}

fn request(method: Method, url: &str, body: Bytes) -> Result<Request<Bytes>, Fault> {
    Request::builder()
        .method(method)
        .uri(url)
        .body(body)
        .map_err(|_| Fault::NotHttps(url.to_owned()))
}

/// An error must come with a problem document, else it is not the CA that speaks.
fn judge(answer: Response<Bytes>) -> Result<Response<Bytes>, Fault> {
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION);
        return Err(Fault::Redirect {
            status: status.as_u16(),
            to: to
                .and_then(|to| to.to_str().ok())
                .map(|to| cut(to, BEGINNING_OCTETS))
                .unwrap_or_default(),
        });
    }
    if status.as_u16() < 400 || is_problem_document(&answer) {
        return Ok(answer);
    }
    Err(unexpected(&answer))
}

/// The body of a success.
pub(super) fn usable(answer: Response<Bytes>) -> Result<Bytes, Fault> {
    match answer.status().is_success() {
        true => Ok(answer.into_body()),
        false => Err(unexpected(&answer)),
    }
}

fn unexpected(answer: &Response<Bytes>) -> Fault {
    let text = String::from_utf8_lossy(answer.body());
    Fault::Status {
        status: answer.status().as_u16(),
        beginning: cut(text.trim(), BEGINNING_OCTETS),
    }
}

/// RFC 7807. Plain `application/json` is tolerated, as some CAs send it; the body must be an object.
fn is_problem_document(answer: &Response<Bytes>) -> bool {
    let media = answer.headers().get(CONTENT_TYPE);
    let media = media.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = media.split(';').next().unwrap_or("").trim();
    let named = ["application/problem+json", "application/json"]
        .iter()
        .any(|name| essence.eq_ignore_ascii_case(name));
    let object =
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(answer.body());
    named && object.is_ok()
}

/// The transport as `instant-acme` wants it.
pub(super) struct Shared(pub(super) Arc<Transport>);

impl HttpClient for Shared {
    fn request(
        &self,
        asked: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let transport = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = transport.answer(asked).await;
            answer
                .map(|answer| BytesResponse::from(answer.map(Full::new)))
                .map_err(|fault| Error::Other(Box::new(fault)))
        })
    }
}

/// Something else answers at the directory's URL, whatever its status says: a web page, say.
fn no_directory(cause: &serde_json::Error, body: &[u8]) -> Fault {
    let body = String::from_utf8_lossy(body);
    let beginning = cut(body.trim(), BEGINNING_OCTETS);
    Fault::Json(format!(
        "{cause}; this is no directory (RFC 8555 §7.1.1), it begins: `{beginning}`"
    ))
}
