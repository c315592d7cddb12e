//! Finds an order whose answer was lost: the account's list of orders (RFC 8555 §7.1.2.1), read with
//! requests that we sign ourselves.

use std::collections::BTreeSet;

use renewd_actors::ports::{FoundOrder, OrderLook};
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::{EVIDENCE_OCTETS_MAX, Problem, cut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call;
use super::jws::Signer;
use super::limits;
use super::problem;
use super::renewal_info::moment;
use super::seat::Seat;

/// Pages of the list; Pebble shows three orders on each, and drops what is over.
pub(super) const PAGES_MAX: usize = 100;
/// Unknown orders that are looked at: other clients of the account may have made some.
pub(super) const LOOKS_MAX: usize = 32;

#[derive(Deserialize)]
struct AccountObject {
    orders: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    orders: Vec<String>,
}

/// An order as the CA shows it (RFC 8555 §7.1.3), with what we compare.
#[derive(Deserialize)]
struct Shown {
    status: String,
    identifiers: Vec<Name>,
    #[serde(default)]
    authorizations: Vec<String>,
    expires: Option<String>,
    certificate: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Name {
    r#type: String,
    value: String,
}

/// The list, or why there is none.
enum Listed {
    Orders(Vec<String>),
    Not(String),
}

/// The newest open order with exactly these names that is not in `known`. An order that is being
/// issued or has a certificate is not it: nobody could have finalized a lost one.
pub(super) async fn find(
    seat: &Seat,
    order: &NewOrder,
    known: &[String],
) -> Result<FoundOrder, Problem> {
    let (signer, account_url) = seat.signer()?;
    let listed = match list(seat, &signer, &account_url).await? {
        Listed::Orders(listed) => listed,
        Listed::Not(evidence) => {
            // It names an URL of the CA's.
            return Ok(FoundOrder::NoList(cut(&evidence, EVIDENCE_OCTETS_MAX)));
        }
    };
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let unknown: Vec<&String> = listed.iter().filter(|url| !known.contains(url.as_str())).collect();
    let mut newest: Option<OrderLook> = None;
    for url in unknown.iter().rev().take(LOOKS_MAX) {
        let Some(look) = look(seat, &signer, url, order).await? else {
            continue;
        };
        let newer = newest.as_ref().is_none_or(|other| look.expires > other.expires);
        if newer {
            newest = Some(look);
        }
    }
    Ok(match newest {
        Some(look) => FoundOrder::Found(Box::new(look)),
        None if unknown.len() > LOOKS_MAX => FoundOrder::NoList(format!(
            "the account's list has {} orders that we did not make; {LOOKS_MAX} of them were looked at",
            unknown.len()
        )),
        None => FoundOrder::NotThere,
    })
}

async fn list(seat: &Seat, signer: &Signer, account_url: &str) -> Result<Listed, Problem> {
    let account: AccountObject = read(seat, signer, account_url).await?;
    let Some(first) = account.orders else {
        let evidence = format!("the account object {account_url} names no list of orders");
        return Ok(Listed::Not(evidence));
    };
    let mut listed = Vec::new();
    let mut next = Some(first.clone());
    for page in 0..PAGES_MAX {
        let Some(url) = next else {
            return Ok(Listed::Orders(listed));
        };
        let orders: Page = match read(seat, signer, &url).await {
            Ok(orders) => orders,
            Err(problem) if page == 0 && [404, 405, 501].contains(&problem.status) => {
                let evidence = format!("the list of orders {url} answered HTTP {}", problem.status);
                return Ok(Listed::Not(evidence));
            }
            Err(problem) => return Err(problem),
        };
        next = call::seen().link("next").map(str::to_owned);
        listed.extend(orders.orders);
    }
    let evidence = format!("the list of orders {first} has more than {PAGES_MAX} pages");
    match next {
        Some(_) => Ok(Listed::Not(evidence)),
        None => Ok(Listed::Orders(listed)),
    }
}

/// The order, if it is open and has exactly our names. One that is gone is not it.
async fn look(
    seat: &Seat,
    signer: &Signer,
    url: &str,
    order: &NewOrder,
) -> Result<Option<OrderLook>, Problem> {
    let shown: Shown = match read(seat, signer, url).await {
        Ok(shown) => shown,
        Err(problem) if problem.status == 404 => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let status = match shown.status.as_str() {
        "pending" => OrderStatus::Pending,
        "ready" => OrderStatus::Ready,
        _ => return Ok(None),
    };
    if !same_names(&shown.identifiers, order) {
        return Ok(None);
    }
    let authorizations = shown.authorizations.iter().map(String::as_str);
    limits::order(url, authorizations, shown.certificate.as_deref())?;
    let error = shown.error.map(|error| error.to_string());
    Ok(Some(OrderLook {
        url: url.to_owned(),
        status,
        authorizations: shown.authorizations,
        expires: shown.expires.as_deref().and_then(moment),
        certificate: shown.certificate,
        problem: error.and_then(|error| problem::of_document(error.as_bytes())),
        retry_after_ms: call::seen().retry_after_ms,
    }))
}

fn same_names(shown: &[Name], order: &NewOrder) -> bool {
    let ours: BTreeSet<&str> = order.identifiers.iter().map(|name| name.as_str()).collect();
    let theirs: BTreeSet<String> =
        shown.iter().map(|name| name.value.to_ascii_lowercase()).collect();
    shown.iter().all(|name| name.r#type == "dns")
        && theirs.len() == ours.len()
        && theirs.iter().all(|name| ours.contains(name.as_str()))
}

async fn read<T: DeserializeOwned>(seat: &Seat, signer: &Signer, url: &str) -> Result<T, Problem> {
    let body = seat.fetch(signer, url).await?;
    serde_json::from_slice(&body).map_err(|cause| problem::broken("json", &cause.to_string()))
}
