//! Renewal information (RFC 9773 §4).

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::clock;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::store::Certificate;

/// GET renewalInfo/ID.
pub(super) fn show(authority: &Authority, id: &str) -> Result<Reply, Problem> {
    if !authority.options.ari {
        return Err(Problem::not_found("URL"));
    }
    let store = authority.store();
    let certificate =
        store.certificates.get(id).ok_or_else(|| Problem::not_found("certificate"))?;
    let (start, end) = window(certificate, authority.options.renewal_window_percent);
    let mut document = json!({
        "suggestedWindow": { "start": clock::rfc3339(start), "end": clock::rfc3339(end) },
    });
    if let (true, Value::Object(members)) = (certificate.revoked, &mut document) {
        let why = "https://testca.invalid/revoked";
        members.insert("explanationURL".to_owned(), json!(why));
    }
    let wait = clock::retry_after_seconds(authority.options.ari_retry_after);
    Ok(Reply::json(StatusCode::OK, &document).retry_after(Some(wait)))
}

/// Revoked: in the past, so that it is renewed at once. Else as set, else by share of the life.
fn window(certificate: &Certificate, percent: (u32, u32)) -> (SystemTime, SystemTime) {
    let issued = &certificate.issued;
    if certificate.revoked {
        let start = issued.not_before;
        return (start, start + Duration::from_secs(1));
    }
    if let Some(window) = certificate.window {
        return window;
    }
    let life = issued.not_after.duration_since(issued.not_before).unwrap_or(Duration::ZERO);
    let at = |percent: u32| issued.not_before + life / 100 * percent;
    (at(percent.0), at(percent.1))
}
