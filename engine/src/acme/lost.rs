//! Finds an order whose answer was lost: where that answer said it is, or by the account's list of orders (RFC 8555 §7.1.2.1), read with
//! requests that we sign ourselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renewd_actors::ports::{FoundOrder, OrderLook};
use renewd_events::id::Hash;
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::{EVIDENCE_OCTETS_MAX, Problem, cut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::call;
use super::jws::Signer;
use super::limits;
use super::problem;
use super::renewal_info::moment;
use super::seat::Seat;

/// Pages of the list that are read: Pebble shows three orders on each and keeps valid ones for ever.
pub(super) const PAGES_MAX: usize = 400;
/// Orders of the list that are read, and so the most that are ever looked at: far more than a CA that
/// leaves out what is over ever lists. Of each a few dozen octets stay in memory ([`Learnt`]).
pub(super) const LISTED_MAX: usize = 4096;
/// Reading the list takes half of a call at most ([`super::settings::CALL_TIME_MAX`]); the looks have
/// the other half, and go on in the next call where they stopped.
pub(super) const LIST_TIME_MAX: Duration = Duration::from_secs(30);

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

/// What was learnt of an account's orders. RFC 8555 §7.1.6: a valid or invalid order stays so; and the
/// names of an order never change. So no order is looked at twice in one life of the process unless it
/// may be the lost one, and a search that ran out of time goes on where it stopped.
#[derive(Default)]
pub(super) struct Learnt(Mutex<BTreeMap<Hash, Nature>>);

/// What does not change about an order.
#[derive(Clone, Copy)]
enum Nature {
    /// It is gone, or has an end.
    Over,
    /// It was open when it was looked at, and has these names.
    Named(Hash),
}

impl Learnt {
    /// Forgets what the list does not have any more, so that no more is kept than [`LISTED_MAX`].
    fn keep(&self, listed: &[String]) {
        let listed: BTreeSet<Hash> = listed.iter().map(|url| Hash::of(url.as_bytes())).collect();
        self.all().retain(|url, _| listed.contains(url));
    }

    fn note(&self, url: &str, nature: Nature) {
        self.all().insert(Hash::of(url.as_bytes()), nature);
    }

    /// Whether this can be an open order with these names.
    fn may_be(&self, url: &str, names: Hash) -> bool {
        match self.all().get(&Hash::of(url.as_bytes())) {
            Some(Nature::Over) => false,
            Some(Nature::Named(its)) => *its == names,
            None => true,
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Hash, Nature>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list, or why there is none.
enum Listed {
    Orders(Vec<String>, Read),
    Not(String),
}

/// How much of the list was read.
enum Read {
    All,
    /// Up to one of the bounds; the text says which list.
    Beginning(String),
}

/// The order that newOrder's own answer named, if that much of it was seen; else the newest open order
/// with exactly these names that is not in `known`, wherever the list has it: RFC
/// 8555 §7.1.2.1 gives the list no order. One that is being issued or has a certificate is not it:
/// nobody could have finalized a lost one.
pub(super) async fn find(
    seat: &Seat,
    order: &NewOrder,
    known: &[String],
) -> Result<FoundOrder, Problem> {
    let (signer, account_url) = seat.signer()?;
    let wanted = names(order.identifiers.iter().map(|name| ("dns", name.as_str())));
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    if let Some(url) = seat.unread().of(order) {
        let look = match known.contains(url.as_str()) {
            true => None,
            false => look(seat, &signer, &url, wanted).await?.1,
        };
        match look {
            Some(look) => return Ok(FoundOrder::Answered(Box::new(look))),
            // Of an earlier renewal, or the CA knows nothing of it.
            None => seat.unread().forget(order),
        }
    }
    let (listed, extent) = match list(seat, &signer, &account_url).await? {
        Listed::Orders(listed, extent) => (listed, extent),
        Listed::Not(evidence) => {
            // It names an URL of the CA's.
            return Ok(FoundOrder::NoList(cut(&evidence, EVIDENCE_OCTETS_MAX)));
        }
    };
    let learnt = seat.learnt();
    learnt.keep(&listed);
    let mut newest: Option<OrderLook> = None;
    // From the end: where CAs add to it, so that a call cut short has seen the likely ones.
    for url in listed.iter().rev().filter(|url| !known.contains(url.as_str())) {
        if !learnt.may_be(url, wanted) {
            continue;
        }
        let (nature, look) = look(seat, &signer, url, wanted).await?;
        learnt.note(url, nature);
        let newer = |look: &OrderLook| newest.as_ref().is_none_or(|n| look.expires > n.expires);
        if let Some(look) = look.filter(newer) {
            newest = Some(look);
        }
    }
    Ok(match (newest, extent) {
        (Some(look), _) => FoundOrder::Found(Box::new(look)),
        (None, Read::All) => FoundOrder::NotThere,
        (None, Read::Beginning(list)) => {
            let evidence = format!(
                "{list} goes on after the {} orders that were read, as many as are read at most; \
                 none of them is an open order of these names that is not known already",
                listed.len()
            );
            FoundOrder::NoList(cut(&evidence, EVIDENCE_OCTETS_MAX))
        }
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
    let began = Instant::now();
    for page in 0..PAGES_MAX {
        let Some(url) = next.take_if(|_| page == 0 || began.elapsed() < LIST_TIME_MAX) else {
            break;
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
        let room = LISTED_MAX.saturating_sub(listed.len());
        if orders.orders.len() > room {
            next = next.or(Some(url));
        }
        listed.extend(orders.orders.into_iter().take(room));
        if listed.len() >= LISTED_MAX {
            break;
        }
    }
    Ok(Listed::Orders(
        listed,
        match next {
            None => Read::All,
            Some(_) => Read::Beginning(format!("the list of orders {first}")),
        },
    ))
}

/// What the order is, and its look if it is open and has the names that are wanted.
async fn look(
    seat: &Seat,
    signer: &Signer,
    url: &str,
    wanted: Hash,
) -> Result<(Nature, Option<OrderLook>), Problem> {
    let shown: Shown = match read(seat, signer, url).await {
        Ok(shown) => shown,
        Err(problem) if problem.status == 404 => return Ok((Nature::Over, None)),
        Err(problem) => return Err(problem),
    };
    let its = names(shown.identifiers.iter().map(|name| (&*name.r#type, &*name.value)));
    let status = match shown.status.as_str() {
        "pending" => OrderStatus::Pending,
        "ready" => OrderStatus::Ready,
        "valid" | "invalid" => return Ok((Nature::Over, None)),
        _ => return Ok((Nature::Named(its), None)),
    };
    if its != wanted {
        return Ok((Nature::Named(its), None));
    }
    let authorizations = shown.authorizations.iter().map(String::as_str);
    limits::order(url, authorizations, shown.certificate.as_deref())?;
    let error = shown.error.map(|error| error.to_string());
    let look = OrderLook {
        url: url.to_owned(),
        status,
        authorizations: shown.authorizations,
        expires: shown.expires.as_deref().and_then(moment),
        certificate: shown.certificate,
        problem: error.and_then(|error| problem::of_document(error.as_bytes())),
        retry_after_ms: call::seen().retry_after_ms,
    };
    Ok((Nature::Named(its), Some(look)))
}

/// Stands for a set of identifiers: their types and values, whatever their order and case.
fn names<'n>(identifiers: impl Iterator<Item = (&'n str, &'n str)>) -> Hash {
    let sorted: BTreeSet<String> = identifiers
        .map(|(kind, value)| format!("{kind} {}\n", value.to_ascii_lowercase()))
        .collect();
    Hash::of(sorted.into_iter().collect::<String>().as_bytes())
}

async fn read<T: DeserializeOwned>(seat: &Seat, signer: &Signer, url: &str) -> Result<T, Problem> {
    let body = seat.fetch(signer, url).await?;
    serde_json::from_slice(&body).map_err(|cause| problem::broken("json", &cause.to_string()))
}
