//! newOrder (RFC 8555 §7.4) with profile and `replaces` (RFC 9773 §5).

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Deserialize;

use super::account::must_agree;
use super::order;
use crate::authority::{Authority, random_id};
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;
use crate::store::{Authorization, ORDERS_MAX, Order, Proving, Store};

/// Identifiers of one order, Let's Encrypt's bound for its default profile.
const IDENTIFIERS_MAX: usize = 100;
/// A DNS name in text form (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 253;
/// One label of it.
const LABEL_OCTETS_MAX: usize = 63;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Identifier>,
    not_before: Option<String>,
    not_after: Option<String>,
    profile: Option<String>,
    replaces: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    r#type: String,
    value: String,
}

/// POST newOrder.
pub(super) fn create(authority: &Authority, signed: &Signed) -> Result<Reply, Problem> {
    let asked: NewOrder = signed.parse()?;
    let account = signed.account()?.to_owned();
    let mut store = authority.store();
    agreed(authority, &store, &account)?;
    if asked.not_before.is_some() || asked.not_after.is_some() {
        return Err(Problem::malformed("notBefore and notAfter are not supported here"));
    }
    let names = checked_names(&asked.identifiers)?;
    check_profile(authority, asked.profile.as_deref())?;
    check_replaces(&store, asked.replaces.as_deref(), &account, &names)?;
    if store.orders.len() >= ORDERS_MAX {
        return Err(Problem::internal("this CA is full"));
    }
    let mut order = Order {
        account,
        names,
        profile: asked.profile,
        replaces: asked.replaces,
        authorizations: Vec::new(),
        expires: authority.now() + authority.options.order_lifetime,
        finalized: None,
        answered: true,
        look_after: None,
    };
    let id = match handed_back(authority, &store, &order) {
        Some(id) => id,
        None => {
            order.authorizations = authorize(authority, &mut store, &order)?;
            insert(&mut store, order)?
        }
    };
    let Some(order) = store.orders.get_mut(&id) else {
        return Err(Problem::not_found("order"));
    };
    order.answered = true;
    let order = store.order_of(&id, signed.account()?)?;
    let status = store.status(order, authority.now());
    let document = order::document(authority, &store, &id, order, status);
    let url = authority.url(&Route::Order(id));
    Ok(Reply::json(StatusCode::CREATED, &document).located(&url))
}

/// The unfinished twin, when this CA hands it back. A twin the client could have known (it got the
/// answer, or there is a list to look in) makes the request a violation: an order bought twice.
fn handed_back(authority: &Authority, store: &Store, wanted: &Order) -> Option<String> {
    let id = store.twin(wanted, authority.now())?.to_owned();
    let twin = store.orders.get(&id)?;
    let options = &authority.options;
    if twin.answered || (options.list_orders && !options.reuse_pending_orders) {
        let names = wanted.names.join(", ");
        authority.violation(format!("NewOrder: repeated for {names} while {id} is unfinished"));
    }
    options.reuse_pending_orders.then_some(id)
}

fn insert(store: &mut Store, order: Order) -> Result<String, Problem> {
    let id = random_id()?;
    if let Some(account) = store.accounts.get_mut(&order.account) {
        account.orders.push(id.clone());
    }
    store.orders.insert(id.clone(), order);
    Ok(id)
}

/// An authorization for each name, new unless a proven one may serve again.
fn authorize(
    authority: &Authority,
    store: &mut Store,
    order: &Order,
) -> Result<Vec<String>, Problem> {
    let now = authority.now();
    let mut ids = Vec::with_capacity(order.names.len());
    for name in &order.names {
        if authority.options.reuse_authorizations
            && let Some(id) = store.proven(&order.account, name, now)
        {
            ids.push(id.to_owned());
            continue;
        }
        let id = random_id()?;
        let authorization = Authorization {
            account: order.account.clone(),
            name: name.clone(),
            token: random_id()?,
            expires: order.expires,
            state: Proving::Pending,
            look_after: None,
        };
        store.authorizations.insert(id.clone(), authorization);
        ids.push(id);
    }
    Ok(ids)
}

fn agreed(authority: &Authority, store: &Store, account: &str) -> Result<(), Problem> {
    let account = store.accounts.get(account).ok_or_else(|| Problem::not_found("account"))?;
    match &store.terms {
        Some(terms) if account.agreed.as_ref() != Some(terms) => Err(must_agree(authority, terms)),
        Some(_) | None => Ok(()),
    }
}

fn checked_names(identifiers: &[Identifier]) -> Result<Vec<String>, Problem> {
    if identifiers.is_empty() || identifiers.len() > IDENTIFIERS_MAX {
        let detail = format!("an order has 1 to {IDENTIFIERS_MAX} identifiers");
        return Err(Problem::malformed(detail));
    }
    let mut seen = BTreeSet::new();
    for identifier in identifiers {
        let name = identifier.value.as_str();
        if identifier.r#type != "dns" {
            let detail = format!("identifier type `{}` of `{name}`", identifier.r#type);
            return Err(Problem::new(400, "unsupportedIdentifier", detail));
        }
        if name.starts_with("*.") {
            let detail = format!("`{name}`: a wildcard needs dns-01, this CA has only http-01");
            return Err(Problem::new(400, "rejectedIdentifier", detail));
        }
        if !is_host_name(name) {
            let detail = format!("`{name}` is no lower case DNS host name of two or more labels");
            return Err(Problem::new(400, "rejectedIdentifier", detail));
        }
        if !seen.insert(name) {
            return Err(Problem::malformed(format!("`{name}` is named twice")));
        }
    }
    Ok(identifiers.iter().map(|identifier| identifier.value.clone()).collect())
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_OCTETS_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= NAME_OCTETS_MAX && name.contains('.') && name.split('.').all(label)
}

fn check_profile(authority: &Authority, profile: Option<&str>) -> Result<(), Problem> {
    let Some(profile) = profile else {
        return Ok(());
    };
    if authority.options.profiles.iter().any(|(name, _)| name == profile) {
        return Ok(());
    }
    Err(Problem::new(400, "invalidProfile", format!("no profile `{profile}`")))
}

fn check_replaces(
    store: &Store,
    replaces: Option<&str>,
    account: &str,
    names: &[String],
) -> Result<(), Problem> {
    let Some(id) = replaces else {
        return Ok(());
    };
    let certificate = store
        .certificates
        .get(id)
        .ok_or_else(|| Problem::malformed(format!("replaces: no certificate {id}")))?;
    if certificate.account != account {
        return Err(Problem::unauthorized("replaces: another account's certificate"));
    }
    if !certificate.names.iter().any(|name| names.contains(name)) {
        return Err(Problem::malformed("replaces: no identifier in common"));
    }
    match &certificate.replaced_by {
        Some(order) => {
            let detail = format!("certificate {id} was replaced by order {order}");
            Err(Problem::new(409, "alreadyReplaced", detail))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_the_rest() {
        let long = format!("{}.example", "a".repeat(64));
        let table = [
            ("shop.example", true),
            ("xn--mnchen-3ya.example", true),
            ("1.2.example", true),
            ("localhost", false),
            ("Shop.example", false),
            ("shop..example", false),
            ("shop.example.", false),
            ("-a.example", false),
            ("a_b.example", false),
            ("https://a.example", false),
            (long.as_str(), false),
        ];
        for (name, expected) in table {
            assert_eq!(is_host_name(name), expected, "{name}");
        }
    }
}
