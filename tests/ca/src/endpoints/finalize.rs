//! finalize (RFC 8555 §7.4): the CSR is checked against the order, the certificate made at once
//! and shown when the configured processing time is over.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;

use super::order;
use crate::authority::{Authority, random_bytes};
use crate::bend::Progress;
use crate::gate::Signed;
use crate::issue::Csr;
use crate::jws;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;
use crate::store::{Certificate, Finalized, Order, Status};

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

/// POST finalize. The answer says `processing`; hidden progress: so does every look that follows.
pub(super) fn finalize(
    authority: &Authority,
    signed: &Signed,
    id: &str,
    progress: Progress,
) -> Result<Reply, Problem> {
    let asked: Finalize = signed.parse()?;
    let der = jws::decode("csr", &asked.csr)?;
    let account = signed.account()?;
    let mut store = authority.store();
    let order = store.order_of(id, account)?;
    note_other_csr(authority, id, order, &der);
    let status = store.status(order, authority.now());
    if status != Status::Ready {
        let detail = format!("the order is {}, not ready", status.as_str());
        return Err(Problem::new(403, "orderNotReady", detail));
    }
    let certificate = certify(authority, signed, order, &der)?;
    let ari_id = certificate.issued.ari_id.clone();
    if let Some(old) = order.replaces.clone().and_then(|old| store.certificates.get_mut(&old)) {
        old.replaced_by = Some(id.to_owned());
    }
    store.certificates.insert(ari_id.clone(), certificate);
    let valid_at = Instant::now().checked_add(authority.options.processing);
    if let Some(order) = store.orders.get_mut(id) {
        order.finalized = Some(Finalized {
            csr: der,
            certificate: ari_id,
            valid_at: valid_at.filter(|_| progress == Progress::Shown),
        });
    }
    let order = store.order_of(id, account)?;
    let document = order::document(authority, &store, id, order, Status::Processing);
    let url = authority.url(&Route::Order(id.to_owned()));
    let reply = Reply::json(StatusCode::OK, &document).located(&url);
    Ok(order::paced(authority, &mut store, id, Status::Processing, reply))
}

fn certify(
    authority: &Authority,
    signed: &Signed,
    order: &Order,
    der: &[u8],
) -> Result<Certificate, Problem> {
    let csr = Csr::parse(der)?;
    if signed.key.is_subject(csr.subject_key()) {
        let detail = "the CSR holds the account key (RFC 8555 §11.1)";
        return Err(Problem::new(400, "badCSR", detail));
    }
    csr.check_names(&order.names)?;
    let life = (authority.now(), lifetime(authority, order));
    let issued = authority.issuing.issue(&csr, &order.names, life, &random_bytes()?)?;
    Ok(Certificate {
        account: order.account.clone(),
        names: order.names.clone(),
        issued,
        revoked: false,
        replaced_by: None,
        window: None,
    })
}

fn lifetime(authority: &Authority, order: &Order) -> Duration {
    let options = &authority.options;
    order
        .profile
        .as_ref()
        .and_then(|wanted| options.profiles.iter().find(|(name, _)| name == wanted))
        .map_or(options.lifetime, |(_, life)| *life)
}

/// A client that lost the answer may ask again with the same bytes; another CSR means that its key
/// was not durable before the first.
fn note_other_csr(authority: &Authority, id: &str, order: &Order, der: &[u8]) {
    if order.finalized.as_ref().is_some_and(|first| first.csr != der) {
        authority.violation(format!("Finalize: {id} a second time with another CSR"));
    }
}
