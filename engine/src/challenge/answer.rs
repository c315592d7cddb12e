//! One request, one answer. Nothing of the request is echoed, except the path of a redirect.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use renewd_events::id::DnsName;

use super::visits::Visits;

/// The key authorization of a pending token (RFC 8555 §8.1); absent for any other text. Called on
/// every fetch: quick, and without waiting for a writer.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where challenges are fetched (RFC 8555 §8.3).
pub(super) const PATH: &str = "/.well-known/acme-challenge/";
/// Marks our own fetch, so that it is not counted as the CA's.
pub(super) const PROBE: HeaderName = HeaderName::from_static("renewd-probe");
/// A token has at least 128 bits (RFC 8555 §8.3): 22 base64url characters.
const TOKEN_OCTETS_MIN: usize = 22;
/// What Boulder reads at most.
const TOKEN_OCTETS_MAX: usize = 128;

/// Sends everything that is no challenge to HTTPS, for these names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// The names, as configured; a wildcard stands for one label.
    pub names: BTreeSet<DnsName>,
    /// The HTTPS port as the world sees it.
    pub port: u16,
}

impl Redirect {
    /// The target for a Host header of ours. What is not one of our names gets none, so that nobody
    /// is sent elsewhere by a forged header.
    fn location(&self, headers: &HeaderMap, path: &str) -> Option<HeaderValue> {
        let host = headers.get(HOST)?.to_str().ok()?.to_ascii_lowercase();
        let name = host.split_once(':').map_or(host.as_str(), |(name, _)| name);
        let name = DnsName::parse(name.strip_suffix('.').unwrap_or(name)).ok()?;
        let wildcard = name
            .as_str()
            .split_once('.')
            .and_then(|(_, parent)| DnsName::parse(&format!("*.{parent}")).ok());
        let ours = !name.is_wildcard()
            && (self.names.contains(&name)
                || wildcard.is_some_and(|wildcard| self.names.contains(&wildcard)));
        let port = match self.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        // `*`, or a query without a path (RFC 9112 §3.2), would run into the name or its port; and raw
        // octets, which the parser lets in, are no part of a URL.
        let whole = path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic());
        (ours && whole)
            .then(|| HeaderValue::from_str(&format!("https://{name}{port}{path}")).ok())
            .flatten()
    }
}

/// Whether this text can be a token at all.
pub(super) fn is_token(text: &str) -> bool {
    (TOKEN_OCTETS_MIN..=TOKEN_OCTETS_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

/// What all connections share.
pub(super) struct Desk {
    pub(super) lookup: Lookup,
    pub(super) visits: Visits,
    pub(super) redirect: RwLock<Arc<Redirect>>,
    /// The value of [`PROBE`] that only we know.
    pub(super) probe: String,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = empty(StatusCode::METHOD_NOT_ALLOWED);
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        if let Some((token, authorization)) = self.pending(request.uri().path()) {
            let probe = request.headers().get(PROBE);
            if probe.is_none_or(|value| value != self.probe.as_str()) {
                self.visits.count(token);
            }
            return found(authorization);
        }
        self.elsewhere(request)
    }

    /// The token of a challenge path and its key authorization, while it is pending.
    pub(super) fn pending<'a>(&self, path: &'a str) -> Option<(&'a str, String)> {
        let token = path.strip_prefix(PATH).filter(|token| is_token(token))?;
        Some((token, (self.lookup)(token)?))
    }

    fn elsewhere<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let redirect = Arc::clone(&self.redirect.read().unwrap_or_else(PoisonError::into_inner));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if path.starts_with(PATH) {
            // A validator that asks for a token which is not ours, or not any more, must not be led
            // to another place: what it meets there would be told as the cause.
            return empty(StatusCode::NOT_FOUND);
        }
        match redirect.location(request.headers(), path) {
            Some(location) => {
                let mut answer = empty(StatusCode::PERMANENT_REDIRECT);
                answer.headers_mut().insert(LOCATION, location);
                answer
            }
            None => empty(StatusCode::NOT_FOUND),
        }
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// The key authorization, without a line end: Boulder compares the bytes.
fn found(authorization: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(authorization)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect() -> Redirect {
        let names = ["example.com", "*.example.org"];
        Redirect {
            names: names.iter().map(|name| DnsName::parse(name).unwrap()).collect(),
            port: 443,
        }
    }

    fn location(host: &str, path: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        let to = redirect().location(&headers, path)?;
        Some(to.to_str().unwrap().to_owned())
    }

    #[test]
    fn redirect_host_is_ours() {
        let to = |host| location(host, "/a?b");
        assert_eq!(to("Example.com:80").unwrap(), "https://example.com/a?b");
        assert_eq!(to("www.example.org").unwrap(), "https://www.example.org/a?b");
        for foreign in [
            "evil.test",
            "example.com.evil.test",
            "a.b.example.org",
            "example.org",
            "*.example.org",
            "x@example.com",
            "example.com/",
        ] {
            assert_eq!(to(foreign), None, "{foreign}");
        }
        assert_eq!(location("example.com", "*"), None);
        assert_eq!(location("example.com", "?@evil.test"), None);
        assert_eq!(location("example.com", "/\u{278}"), None);
        let other = Redirect { port: 8443, ..redirect() };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("example.com"));
        assert_eq!(other.location(&headers, "/").unwrap(), "https://example.com:8443/");
    }

    #[test]
    fn tokens_are_base64url_of_bounded_length() {
        assert!(is_token("abcdefghijklmnopqrstu-_"));
        assert!(!is_token("short"));
        assert!(!is_token(&"a".repeat(129)));
        assert!(!is_token("abcdefghijklmnopqrstuvw/"));
        assert!(!is_token("abcdefghijklmnopqrstuv.."));
    }
}
