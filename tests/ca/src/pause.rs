//! Waits that a refusal asked for: the same request before its `Retry-After` is over is a violation
//! (RFC 8555 §6.6, RFC 9110 §10.2.3).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::authority::Authority;
use crate::clock;
use crate::jws::Jws;
use crate::ledger::Endpoint;
use crate::reply::Reply;

/// Waits remembered; the next ones are not. A test asks for a few.
const PAUSES_MAX: usize = 1_000;
/// A client that waits by whole milliseconds, or whose clock ticks a little faster, is not early.
const TOLERANCE: Duration = Duration::from_millis(50);

/// What was asked for, by what must not be repeated.
#[derive(Debug, Default)]
pub(crate) struct Pauses(BTreeMap<Key, Instant>);

/// The same request: newOrder is told apart by its names, all else by its URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Endpoint, String);

/// Writes a request down that comes too early.
pub(crate) fn keep(authority: &Authority, endpoint: Endpoint, path: &str, body: &[u8]) {
    if authority.pauses().0.is_empty() {
        return;
    }
    let key = key(endpoint, path, body);
    let until = authority.pauses().0.get(&key).copied();
    if until.is_some_and(|until| Instant::now() + TOLERANCE < until) {
        authority.violation(format!("{endpoint:?}: {} asked again before Retry-After", key.1));
    }
}

/// Remembers the wait of a refusal, if it names one.
pub(crate) fn ask(
    authority: &Authority,
    endpoint: Endpoint,
    path: &str,
    body: &[u8],
    reply: &Reply,
) {
    let Some(value) = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let wait = match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => clock::from_http_date(value)
            .and_then(|until| until.duration_since(authority.now()).ok()),
    };
    let until = wait.and_then(|wait| Instant::now().checked_add(wait));
    let mut pauses = authority.pauses();
    if let Some(until) = until.filter(|_| pauses.0.len() < PAUSES_MAX) {
        pauses.0.insert(key(endpoint, path, body), until);
    }
}

fn key(endpoint: Endpoint, path: &str, body: &[u8]) -> Key {
    match endpoint {
        Endpoint::NewOrder => Key(endpoint, names(body)),
        Endpoint::Directory
        | Endpoint::NewNonce
        | Endpoint::NewAccount
        | Endpoint::Account
        | Endpoint::Orders
        | Endpoint::Order
        | Endpoint::Authorization
        | Endpoint::Challenge
        | Endpoint::Finalize
        | Endpoint::Certificate
        | Endpoint::RenewalInfo
        | Endpoint::Revoke
        | Endpoint::Unknown
        | Endpoint::Validation => Key(endpoint, path.to_owned()),
    }
}

/// The names that a newOrder asks for, sorted.
fn names(body: &[u8]) -> String {
    let payload = Jws::parse(body).map(|jws| jws.payload).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let identifiers = asked.get("identifiers").and_then(Value::as_array);
    let mut names: Vec<&str> = identifiers
        .into_iter()
        .flatten()
        .filter_map(|identifier| identifier.get("value")?.as_str())
        .collect();
    names.sort_unstable();
    names.join(", ")
}
