//! Accounts (RFC 8555 §7.3): made by key, found by key, updated; and their list of orders.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::authority::{Authority, random_id};
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;
use crate::store::{Account, Status};

/// Orders on a page of the list: Pebble's number, small enough that three pages are tested.
const ORDERS_PER_PAGE: usize = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    contact: Option<Vec<String>>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    #[serde(default)]
    only_return_existing: bool,
}

/// POST newAccount. The same key gets the same account with 200.
///
/// More liberal than RFC 8555 §7.3 in one point, where [`Options::agreement`](crate::Options) says so:
/// a known key that agrees here agrees to the terms now in force.
pub(super) fn create(authority: &Authority, signed: &Signed) -> Result<Reply, Problem> {
    let asked: NewAccount = signed.parse()?;
    let mut store = authority.store();
    let terms = store.terms.clone();
    if let Some(id) = store.account_of_key(&signed.key).map(str::to_owned) {
        let Some(account) = store.accounts.get_mut(&id) else {
            return Err(Problem::not_found("account"));
        };
        if account.deactivated {
            return Err(Problem::unauthorized("the account of this key is deactivated"));
        }
        let counts = authority.options.agreement.by_new_account();
        if asked.terms_of_service_agreed && !asked.only_return_existing && counts {
            account.agreed = terms;
        }
        return Ok(answer(authority, StatusCode::OK, &id, account));
    }
    if asked.only_return_existing {
        return Err(Problem::new(400, "accountDoesNotExist", "no account has this key"));
    }
    if let Some(terms) = &terms
        && !asked.terms_of_service_agreed
    {
        return Err(must_agree(authority, terms));
    }
    let account = Account {
        key: signed.key.clone(),
        contact: checked(asked.contact.unwrap_or_default())?,
        agreed: terms,
        deactivated: false,
        orders: Vec::new(),
    };
    let id = random_id()?;
    let reply = answer(authority, StatusCode::CREATED, &id, &account);
    store.accounts.insert(id, account);
    Ok(reply)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    contact: Option<Vec<String>>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    status: Option<String>,
}

/// POST of the account URL: a look (empty payload), new contacts (§7.3.2), agreement to new terms,
/// deactivation (§7.3.6).
pub(super) fn update(authority: &Authority, signed: &Signed, id: &str) -> Result<Reply, Problem> {
    let mut store = authority.store();
    let terms = store.terms.clone();
    let account = own(&mut store.accounts, signed, id)?;
    if !signed.payload.is_empty() {
        let asked: Update = signed.parse()?;
        let counts = authority.options.agreement.by_update();
        if asked.status.is_none() && asked.contact.is_none() && !counts {
            // As Pebble: an update of what it does not look at is none.
            return Err(Problem::malformed("an empty update; POST-as-GET shows the account"));
        }
        match asked.status.as_deref() {
            None => {}
            Some("deactivated") => account.deactivated = true,
            Some(other) => {
                return Err(Problem::malformed(format!("status `{other}` cannot be asked for")));
            }
        }
        if let Some(contact) = asked.contact {
            account.contact = checked(contact)?;
        }
        if asked.terms_of_service_agreed && counts {
            account.agreed = terms;
        }
    }
    Ok(answer(authority, StatusCode::OK, id, account))
}

/// POST-as-GET of the orders list (§7.1.2.1): oldest first unless told, invalid ones left out, paged.
pub(super) fn orders(
    authority: &Authority,
    signed: &Signed,
    id: &str,
    from: usize,
) -> Result<Reply, Problem> {
    signed.must_be_empty(authority)?;
    if !authority.options.list_orders {
        return Err(Problem::not_found("orders list"));
    }
    let mut store = authority.store();
    let ids = own(&mut store.accounts, signed, id)?.orders.clone();
    let now = authority.now();
    let mut alive: Vec<&String> = ids
        .iter()
        .filter(|id| {
            let order = store.orders.get(*id);
            order.is_some_and(|order| store.status(order, now) != Status::Invalid)
        })
        .collect();
    if authority.options.newest_first {
        alive.reverse();
    }
    let page: Vec<String> = alive
        .iter()
        .skip(from)
        .take(ORDERS_PER_PAGE)
        .map(|id| authority.url(&Route::Order((*id).clone())))
        .collect();
    let next = from.saturating_add(page.len());
    let reply = Reply::json(StatusCode::OK, &json!({ "orders": page }));
    if next < alive.len() {
        let next = authority.url(&Route::Orders(id.to_owned(), next));
        return Ok(reply.linked(&next, "next"));
    }
    Ok(reply)
}

/// Refusal until the terms are agreed to (§7.3.3).
pub(super) fn must_agree(authority: &Authority, terms: &str) -> Problem {
    let mut problem = Problem::new(
        403,
        "userActionRequired",
        format!("the terms of service at {terms} must be agreed to"),
    );
    problem.terms = Some(terms.to_owned());
    problem.instance = Some(format!("{}/agree", authority.origin));
    problem
}

fn own<'a>(
    accounts: &'a mut std::collections::BTreeMap<String, Account>,
    signed: &Signed,
    id: &str,
) -> Result<&'a mut Account, Problem> {
    if signed.account()? != id {
        return Err(Problem::unauthorized("this is another account's URL"));
    }
    accounts.get_mut(id).ok_or_else(|| Problem::not_found("account"))
}

fn checked(contact: Vec<String>) -> Result<Vec<String>, Problem> {
    for url in &contact {
        let Some(address) = url.strip_prefix("mailto:") else {
            let detail = format!("contact `{url}` is not a mailto: URL");
            return Err(Problem::new(400, "unsupportedContact", detail));
        };
        let parts = address.split_once('@');
        if !parts.is_some_and(|(name, host)| !name.is_empty() && host.contains('.')) {
            let detail = format!("contact `{url}` is no e-mail address");
            return Err(Problem::new(400, "invalidContact", detail));
        }
    }
    Ok(contact)
}

fn answer(authority: &Authority, status: StatusCode, id: &str, account: &Account) -> Reply {
    let state = if account.deactivated { "deactivated" } else { "valid" };
    let mut document = json!({
        "status": state,
        "contact": account.contact,
        "termsOfServiceAgreed": account.agreed.is_some(),
    });
    if authority.options.list_orders
        && let Value::Object(members) = &mut document
    {
        let url = authority.url(&Route::Orders(id.to_owned(), 0));
        members.insert("orders".to_owned(), json!(url));
    }
    Reply::json(status, &document).located(&authority.url(&Route::Account(id.to_owned())))
}
