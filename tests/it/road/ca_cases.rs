//! The broken answers: where each strikes, where it lands in the log, and what is said of it. Here the
//! way to an order; from there on in `ca_cases_order`.

use std::time::{Duration, SystemTime};

use renewd_testca::Endpoint::{Directory, NewAccount, NewNonce, NewOrder};
use renewd_testca::{ERROR_TYPES, Endpoint, FaultKind};

use crate::ca_cases_order;

/// What a fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lands {
    /// In no failure: the first try ends with the certificate.
    Nowhere,
    /// In this event; `why` says this code (empty: the one in the log) and these words.
    In(&'static str, &'static str, &'static [&'static str]),
    /// The renewal waits after this event; the row of `status` holds these words.
    Waiting(&'static str, &'static [&'static str]),
}

/// Made when a case begins: it may hold a date.
pub(crate) type Make = Box<dyn Fn() -> FaultKind + Send>;

/// One broken answer; it strikes every request to its endpoint until it is lifted.
pub(crate) struct Case {
    /// What a person would call it.
    pub(crate) name: String,
    /// Where it strikes.
    pub(crate) endpoint: Endpoint,
    /// What it is.
    pub(crate) kind: Make,
    /// What comes of it.
    pub(crate) lands: Lands,
    /// Orders at the CA in the end: the good one, and those that the fault spoilt.
    pub(crate) orders_max: usize,
}

/// A renewal that ends for this cause, before there is an order, or with one given up per try.
pub(crate) fn fails(
    (name, endpoint): (&'static str, Endpoint),
    kind: impl Fn() -> FaultKind + Send + 'static,
    (code, words): (&'static str, &'static [&'static str]),
) -> Case {
    let orders_max = if endpoint == NewOrder { 1 } else { 5 };
    let (name, kind) = (name.to_owned(), Box::new(kind));
    Case { name, endpoint, kind, lands: Lands::In("RenewalFailed", code, words), orders_max }
}

/// A renewal that goes on where it is, more and more slowly.
pub(crate) fn waits(
    (name, endpoint): (&'static str, Endpoint),
    kind: impl Fn() -> FaultKind + Send + 'static,
    (event, words): (&'static str, &'static [&'static str]),
) -> Case {
    let (name, kind) = (name.to_owned(), Box::new(kind));
    Case { name, endpoint, kind, lands: Lands::Waiting(event, words), orders_max: 1 }
}

/// What renewd takes as it comes.
pub(crate) fn passes((name, endpoint): (&'static str, Endpoint), kind: fn() -> FaultKind) -> Case {
    let (name, kind) = (name.to_owned(), Box::new(kind));
    Case { name, endpoint, kind, lands: Lands::Nowhere, orders_max: 1 }
}

/// Before there is an account.
fn account(
    (name, endpoint): (&'static str, Endpoint),
    kind: impl Fn() -> FaultKind + Send + 'static,
    (code, words): (&'static str, &'static [&'static str]),
) -> Case {
    let directory = endpoint == Directory;
    let event = if directory { "DirectoryUnreachable" } else { "AccountRefused" };
    let (name, kind) = (name.to_owned(), Box::new(kind));
    Case { name, endpoint, kind, lands: Lands::In(event, code, words), orders_max: 1 }
}

pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> FaultKind {
    let (kind, detail) = (kind.to_owned(), detail.to_owned());
    FaultKind::Problem { status, kind, detail, retry_after: None }
}

fn limited(retry_after: String) -> FaultKind {
    FaultKind::Problem {
        status: 429,
        kind: "rateLimited".to_owned(),
        detail: "too many new orders (300) from this account in the last 3h0m0s".to_owned(),
        retry_after: Some(retry_after),
    }
}

pub(crate) fn raw(status: u16, content_type: &str, body: &str) -> FaultKind {
    let (content_type, body) = (content_type.to_owned(), body.as_bytes().to_vec());
    FaultKind::Raw { status, content_type, body, headers: Vec::new() }
}

pub(crate) fn page(status: u16) -> FaultKind {
    raw(status, "text/html", "<html><h1>Sorry</h1></html>")
}

fn maintenance() -> FaultKind {
    FaultKind::Raw {
        status: 503,
        content_type: "text/html".to_owned(),
        body: b"<h1>Back soon</h1>".to_vec(),
        headers: vec![("retry-after".to_owned(), "4".to_owned())],
    }
}

/// As a `Retry-After` has it.
fn in_four_seconds() -> String {
    renewd_testca::http_date(SystemTime::now() + Duration::from_secs(4))
}

pub(crate) fn too_large() -> FaultKind {
    FaultKind::Oversized(400_000)
}

pub(crate) fn without_location() -> FaultKind {
    FaultKind::OmitHeader("location".to_owned())
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = directory();
    all.extend(new_account());
    all.extend(new_order());
    all.extend(error_types());
    all.extend(ca_cases_order::cases());
    all
}

fn directory() -> Vec<Case> {
    let empty = || raw(200, "application/json", "{}");
    let cut = || FaultKind::CutBeforeActing;
    vec![
        account(
            ("directory: html", Directory),
            || page(200),
            ("R0327", &["Sorry", "not an ACME directory"]),
        ),
        account(("directory: 503", Directory), || page(503), ("R0325", &["503", "Sorry"])),
        account(("directory: {}", Directory), empty, ("R0327", &["directory"])),
        account(("directory: cut", Directory), cut, ("R0906", &["cut"])),
        account(("directory: too large", Directory), too_large, ("R0326", &["larger than"])),
    ]
}

fn new_account() -> Vec<Case> {
    let lost = |at, kind: fn() -> FaultKind, (code, words): (&'static str, _)| Case {
        lands: Lands::In("RegistrationUnanswered", code, words),
        ..account(at, kind, (code, words))
    };
    let no_nonce = || FaultKind::OmitHeader("replay-nonce".to_owned());
    let oops = || problem(500, "serverInternal", "oops");
    let bound = || problem(403, "externalAccountRequired", "bring a customer account");
    let contact = || problem(400, "invalidContact", "no such domain");
    vec![
        // Every answer brings a nonce (RFC 8555 §6.5), so newNonce is hardly needed.
        passes(("newNonce: no nonce", NewNonce), no_nonce),
        lost(("newAccount: 500", NewAccount), oops, ("R0324", &["oops"])),
        lost(("newAccount: 502 html", NewAccount), || page(502), ("R0325", &["502", "Sorry"])),
        lost(("newAccount: no Location", NewAccount), without_location, ("R0326", &["Location"])),
        account(("newAccount: binding", NewAccount), bound, ("R0303", &["customer account"])),
        account(("newAccount: contact", NewAccount), contact, ("R0306", &["no such domain"])),
    ]
}

fn new_order() -> Vec<Case> {
    let oops = || problem(500, "serverInternal", "oops");
    let malformed = || problem(400, "malformed", "no verb in this request");
    let rejected = || problem(400, "rejectedIdentifier", "policy forbids it");
    let unknown = || problem(403, "brandNew", "never heard of");
    let bad_nonce = || FaultKind::BadNonce;
    let cut = || FaultKind::CutBeforeActing;
    let dated = || limited(in_four_seconds());
    let limit = || limited("4".to_owned());
    let media = || FaultKind::WrongContentType;
    let lost = || FaultKind::CutAfterActing;
    let truncated = || FaultKind::Truncated;
    vec![
        fails(("newOrder: 429, seconds", NewOrder), limit, ("R0401", &["too many new orders"])),
        fails(("newOrder: 429, a date", NewOrder), dated, ("R0401", &["too many new orders"])),
        fails(("newOrder: maintenance", NewOrder), maintenance, ("R0325", &["503", "Back soon"])),
        fails(("newOrder: 503 html", NewOrder), || page(503), ("R0330", &["503", "Sorry"])),
        fails(("newOrder: 502 html", NewOrder), || page(502), ("R0330", &["502", "Sorry"])),
        fails(("newOrder: 500", NewOrder), oops, ("R0330", &["500", "oops"])),
        fails(("newOrder: malformed", NewOrder), malformed, ("R0310", &["no verb in this"])),
        fails(("newOrder: rejected", NewOrder), rejected, ("R0321", &["policy forbids it"])),
        fails(("newOrder: badNonce", NewOrder), bad_nonce, ("R0307", &["nonces"])),
        fails(("newOrder: a redirect", NewOrder), || page(301), ("R0330", &["redirect"])),
        fails(("newOrder: cut", NewOrder), cut, ("R0330", &["lost"])),
        fails(("newOrder: unknown type", NewOrder), unknown, ("R0399", &["never heard of"])),
        passes(("newOrder: truncated, with Location", NewOrder), truncated),
        passes(("newOrder: too large, with Location", NewOrder), too_large),
        passes(("newOrder: another media type", NewOrder), media),
        passes(("newOrder: answer lost", NewOrder), lost),
        passes(("newOrder: no Location", NewOrder), without_location),
    ]
}

/// The types of RFC 8555 §6.7 and its extensions that have no case of their own, all at newOrder. A new
/// type must not surprise: it lands with some code and the CA's own words.
fn error_types() -> Vec<Case> {
    // The terms need a person (`terms`), a nonce is asked for again.
    const ELSEWHERE: [&str; 3] = ["userActionRequired", "badNonce", "rateLimited"];
    let types = ERROR_TYPES.iter().filter(|(kind, _)| !ELSEWHERE.contains(kind));
    let of = |(kind, status): &(&'static str, u16)| {
        let (kind, status) = (*kind, *status);
        Case {
            name: format!("newOrder: {kind}"),
            endpoint: NewOrder,
            kind: Box::new(move || problem(status, kind, "in the words of the CA")),
            lands: Lands::In("RenewalFailed", "", &["in the words of the CA"]),
            orders_max: 1,
        }
    };
    types.map(of).collect()
}
