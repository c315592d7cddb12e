//! Orders as clients see them (RFC 8555 §7.1.3, §7.4).

use std::time::Instant;

use http::StatusCode;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::bend::Progress;
use crate::clock;
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Chain, Route};
use crate::store::{Order, Status, Store};

/// POST-as-GET of an order. Hidden progress shows a finalized order as `processing` once more.
pub(super) fn look(
    authority: &Authority,
    signed: &Signed,
    id: &str,
    progress: Progress,
) -> Result<Reply, Problem> {
    signed.must_be_empty(authority)?;
    let account = signed.account()?;
    let mut store = authority.store();
    let order = store.order_of(id, account)?;
    note_early(authority, "Order", id, order.look_after);
    let mut status = store.status(order, authority.now());
    if progress == Progress::Hidden && status == Status::Valid {
        status = Status::Processing;
    }
    let document = document(authority, &store, id, order, status);
    Ok(paced(authority, &mut store, id, status, Reply::json(StatusCode::OK, &document)))
}

/// The order object, with a status that a fault may have chosen.
pub(super) fn document(
    authority: &Authority,
    store: &Store,
    id: &str,
    order: &Order,
    status: Status,
) -> Value {
    let identifiers: Vec<Value> =
        order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    let authorizations: Vec<String> = order
        .authorizations
        .iter()
        .map(|id| authority.url(&Route::Authorization(id.clone())))
        .collect();
    let mut document = json!({
        "status": status.as_str(),
        "expires": clock::rfc3339(order.expires),
        "identifiers": identifiers,
        "authorizations": authorizations,
        "finalize": authority.url(&Route::Finalize(id.to_owned())),
    });
    let mut put = |name: &str, value: Value| {
        if let Value::Object(members) = &mut document {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(profile) = &order.profile {
        put("profile", json!(profile));
    }
    if let Some(replaces) = &order.replaces {
        put("replaces", json!(replaces));
    }
    if let Some(problem) = store.failure(order) {
        put("error", problem.to_json());
    }
    if let (Status::Valid, Some(finalized)) = (status, &order.finalized) {
        let route = Route::Certificate(finalized.certificate.clone(), Chain::Default);
        put("certificate", json!(authority.url(&route)));
    }
    document
}

/// With `Retry-After` while the order is processing, when configured; remembers when a look is due.
pub(super) fn paced(
    authority: &Authority,
    store: &mut Store,
    id: &str,
    status: Status,
    reply: Reply,
) -> Reply {
    let wait = match status {
        Status::Processing => authority.options.retry_after,
        Status::Pending | Status::Ready | Status::Valid | Status::Invalid => None,
    };
    if let Some(order) = store.orders.get_mut(id) {
        order.look_after = wait.and_then(|wait| Instant::now().checked_add(wait));
    }
    reply.retry_after(wait.map(clock::retry_after_seconds))
}

/// Writes down a look that came before the time the last answer asked for (RFC 8555 §7.5.1).
pub(super) fn note_early(authority: &Authority, what: &str, id: &str, after: Option<Instant>) {
    if after.is_some_and(|after| Instant::now() < after) {
        authority.violation(format!("{what}: {id} looked at before Retry-After"));
    }
}
