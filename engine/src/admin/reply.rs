//! Answers with the headers that keep a browser from doing anything but show them.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// An answer, whole in memory.
pub(super) type Answer = Response<Full<Bytes>>;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Nothing is loaded, run, framed or sent.
const CLOSED: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// A picture with its own style sheet inside and nothing else.
const PICTURE: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// OpenMetrics 1.0 in text form.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn answer(status: StatusCode, media: &'static str, policy: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Text of this media type.
pub(super) fn text(status: StatusCode, media: &'static str, body: String) -> Answer {
    answer(status, media, HeaderValue::from_static(CLOSED), body.into())
}

/// Plain text.
pub(super) fn plain(status: StatusCode, body: String) -> Answer {
    text(status, "text/plain; charset=utf-8", body)
}

/// A page; `policy` names the hash of its style sheet.
pub(super) fn html(status: StatusCode, policy: &HeaderValue, body: String) -> Answer {
    answer(status, "text/html; charset=utf-8", policy.clone(), body.into())
}

/// A picture.
pub(super) fn svg(body: String) -> Answer {
    let policy = HeaderValue::from_static(PICTURE);
    answer(StatusCode::OK, "image/svg+xml; charset=utf-8", policy, body.into())
}

/// `data` in the envelope of all our JSON.
pub(super) fn json(status: StatusCode, schema: &str, data: Value) -> Answer {
    let mut body = crate::cli::exit::json(schema, data);
    body.push('\n');
    text(status, "application/json", body)
}

/// What went wrong (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    text(status, "application/problem+json", format!("{body}\n"))
}

/// This path has no such method here (RFC 9110 §15.5.6).
pub(super) fn method_not_allowed(allowed: &'static str, detail: &str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, detail);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Not now; the same may work in a second.
pub(super) fn unavailable(detail: &str) -> Answer {
    let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}
