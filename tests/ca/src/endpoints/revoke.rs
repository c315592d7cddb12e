//! revokeCert (RFC 8555 §7.6), by the account that owns the certificate or by its own key.

use http::StatusCode;
use serde::Deserialize;

use crate::authority::Authority;
use crate::gate::Signed;
use crate::jws;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::store::Certificate;

/// Reasons a subscriber may give (RFC 5280 §5.3.1); Let's Encrypt takes the same.
const REASONS: [u32; 5] = [0, 1, 3, 4, 5];

#[derive(Deserialize)]
struct Revocation {
    certificate: String,
    reason: Option<u32>,
}

/// POST revokeCert.
pub(super) fn revoke(authority: &Authority, signed: &Signed) -> Result<Reply, Problem> {
    let asked: Revocation = signed.parse()?;
    let der = jws::decode("certificate", &asked.certificate)?;
    let reason = asked.reason.unwrap_or_default();
    if !REASONS.contains(&reason) {
        let detail = format!("reason {reason} is not one of {REASONS:?}");
        return Err(Problem::new(400, "badRevocationReason", detail));
    }
    let mut store = authority.store();
    let certificate = store
        .certificates
        .values_mut()
        .find(|certificate| certificate.issued.der == der)
        .ok_or_else(|| Problem::not_found("certificate"))?;
    if !may_revoke(signed, certificate) {
        return Err(Problem::unauthorized("neither its account nor its key signed this"));
    }
    if certificate.revoked {
        return Err(Problem::new(400, "alreadyRevoked", "the certificate is revoked"));
    }
    certificate.revoked = true;
    Ok(Reply::empty(StatusCode::OK))
}

fn may_revoke(signed: &Signed, certificate: &Certificate) -> bool {
    match &signed.account {
        Some(account) => *account == certificate.account,
        None => signed.key.is_subject(&certificate.issued.subject_key),
    }
}
