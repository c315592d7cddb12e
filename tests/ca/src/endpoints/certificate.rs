//! Chains (RFC 8555 §7.4.2).

use http::StatusCode;

use crate::authority::Authority;
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Chain, Route};
use crate::store::Root;

/// POST-as-GET of a chain, as often as wanted; the default one links to its alternate.
pub(super) fn download(
    authority: &Authority,
    signed: &Signed,
    id: &str,
    chain: Chain,
) -> Result<Reply, Problem> {
    signed.must_be_empty(authority)?;
    let account = signed.account()?;
    let store = authority.store();
    let certificate =
        store.certificates.get(id).ok_or_else(|| Problem::not_found("certificate"))?;
    if certificate.account != account {
        return Err(Problem::unauthorized("the certificate belongs to another account"));
    }
    let issued = &certificate.issued;
    let other = match chain {
        Chain::Default => Chain::Alternate,
        Chain::Alternate => Chain::Default,
    };
    let pem = match (chain, store.default_root) {
        (Chain::Default, Root::A) | (Chain::Alternate, Root::B) => &issued.chain_pem,
        (Chain::Default, Root::B) | (Chain::Alternate, Root::A) => &issued.alternate_chain_pem,
    };
    let other = authority.url(&Route::Certificate(id.to_owned(), other));
    let media_type = "application/pem-certificate-chain";
    Ok(Reply::new(StatusCode::OK, media_type, pem.clone()).linked(&other, "alternate"))
}
