//! Who may ask: the checks of RFC 8555 §6.2 to §6.5 on a POST, before any endpoint acts.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::authority::{Authority, random_bytes};
use crate::jws::{Jws, Key};
use crate::ledger::Mark;
use crate::nonce::Verdict;
use crate::problem::Problem;
use crate::route::Route;

/// A request whose signature, URL and nonce hold.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) key: Key,
    /// The account, when the request was signed by `kid`.
    pub(crate) account: Option<String>,
    pub(crate) payload: Vec<u8>,
}

impl Signed {
    /// The account id. Every route but newAccount and revokeCert has one.
    pub(crate) fn account(&self) -> Result<&str, Problem> {
        self.account.as_deref().ok_or_else(|| Problem::malformed("this URL wants `kid`"))
    }

    /// The payload, as JSON.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.payload)
            .map_err(|cause| Problem::malformed(format!("payload: {cause}")))
    }

    /// Refuses a payload: this URL is only read (POST-as-GET, RFC 8555 §6.3).
    pub(crate) fn must_be_empty(&self, authority: &Authority) -> Result<(), Problem> {
        if self.payload.is_empty() {
            return Ok(());
        }
        authority.violation("POST-as-GET with a payload");
        Err(Problem::malformed("POST-as-GET must have an empty payload"))
    }
}

/// Which key form the route wants (RFC 8555 §6.2).
enum KeyForm {
    Jwk,
    Kid,
    Either,
}

/// Lets a POST in or says why not. Deviations are written down; a mere unknown nonce is none.
pub(crate) fn admit(
    authority: &Authority,
    route: &Route,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Signed, Problem> {
    let deviation = |problem: Problem| {
        authority.violation(format!("{:?}: {}", route.endpoint(), problem.detail));
        problem
    };
    check_media_type(headers).map_err(deviation)?;
    let jws = Jws::parse(body).map_err(deviation)?;
    check_url(authority, route, &jws).map_err(deviation)?;
    let (key, account) = match (&jws.header.jwk, &jws.header.kid, key_form(route)) {
        (Some(jwk), None, KeyForm::Jwk | KeyForm::Either) => {
            (Key::from_jwk(jwk).map_err(deviation)?, None)
        }
        // An unknown account is no deviation: the CA may have lost it.
        (None, Some(kid), KeyForm::Kid | KeyForm::Either) => known_account(authority, kid)?,
        (Some(_), None, KeyForm::Kid) => {
            return Err(deviation(Problem::malformed("`jwk` where `kid` belongs")));
        }
        (None, Some(_), KeyForm::Jwk) => {
            return Err(deviation(Problem::malformed("`kid` where `jwk` belongs")));
        }
        (Some(_), Some(_), _) | (None, None, _) => {
            return Err(deviation(Problem::malformed("exactly one of `jwk` and `kid`")));
        }
    };
    jws.verify(&key).map_err(deviation)?;
    check_nonce(authority, route, &jws)?;
    Ok(Signed { key, account, payload: jws.payload })
}

/// Spends the nonce of a request that is refused without being looked at.
pub(crate) fn spend_only(authority: &Authority, body: &[u8]) {
    if let Ok(jws) = Jws::parse(body)
        && let Some(nonce) = &jws.header.nonce
    {
        authority.nonces().spend(nonce);
    }
}

/// A `badNonce` problem, counted.
pub(crate) fn bad_nonce(authority: &Authority, detail: &str) -> Problem {
    authority.ledger().mark(Mark::BadNonce);
    Problem::new(400, "badNonce", detail)
}

fn key_form(route: &Route) -> KeyForm {
    match route {
        Route::NewAccount => KeyForm::Jwk,
        Route::Revoke => KeyForm::Either,
        Route::Directory | Route::NewNonce | Route::RenewalInfo(_) | Route::RenewalInfoBase => {
            KeyForm::Either // not POST at all
        }
        Route::Account(_)
        | Route::Orders(_, _)
        | Route::NewOrder
        | Route::Order(_)
        | Route::Finalize(_)
        | Route::Authorization(_)
        | Route::Challenge(_)
        | Route::Certificate(_, _) => KeyForm::Kid,
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if media_type == b"application/jose+json" {
        return Ok(());
    }
    let detail = format!(
        "content type `{}`, must be application/jose+json",
        String::from_utf8_lossy(media_type)
    );
    Err(Problem::new(415, "malformed", detail))
}

fn check_url(authority: &Authority, route: &Route, jws: &Jws) -> Result<(), Problem> {
    let asked = authority.url(route);
    match &jws.header.url {
        Some(url) if *url == asked => Ok(()),
        Some(url) => {
            let detail = format!("the JWS is for {url}, the request went to {asked}");
            Err(Problem::unauthorized(detail))
        }
        None => Err(Problem::malformed("the JWS names no `url`")),
    }
}

fn known_account(authority: &Authority, kid: &str) -> Result<(Key, Option<String>), Problem> {
    let unknown = || Problem::new(400, "accountDoesNotExist", format!("no account {kid}"));
    let id = kid.rsplit('/').next().unwrap_or_default().to_owned();
    if authority.url(&Route::Account(id.clone())) != kid {
        return Err(unknown());
    }
    let store = authority.store();
    let account = store.accounts.get(&id).ok_or_else(unknown)?;
    if account.deactivated {
        return Err(Problem::new(401, "unauthorized", "the account is deactivated"));
    }
    Ok((account.key.clone(), Some(id)))
}

fn check_nonce(authority: &Authority, route: &Route, jws: &Jws) -> Result<(), Problem> {
    let Some(nonce) = &jws.header.nonce else {
        authority.violation(format!("{:?}: no nonce", route.endpoint()));
        return Err(bad_nonce(authority, "the JWS has no nonce"));
    };
    let verdict = authority.nonces().spend(nonce);
    match verdict {
        Verdict::Fresh if rejected_at_random(authority)? => {
            Err(bad_nonce(authority, "refused at random, as configured"))
        }
        Verdict::Fresh => Ok(()),
        Verdict::Reused => {
            authority.ledger().mark(Mark::NonceReused);
            authority.violation(format!("{:?}: nonce used a second time", route.endpoint()));
            Err(bad_nonce(authority, "this nonce was used before"))
        }
        Verdict::Unknown => Err(bad_nonce(authority, "this nonce was not given out here")),
    }
}

fn rejected_at_random(authority: &Authority) -> Result<bool, Problem> {
    let percent = u32::from(authority.options.nonce_reject_percent);
    let [low, high, ..] = random_bytes()?;
    let draw = u32::from(u16::from_le_bytes([low, high])) * 100 / (u32::from(u16::MAX) + 1);
    Ok(draw < percent)
}
