//! Answering a challenge (RFC 8555 §7.5.1): starts the validation in the background.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;

use super::authorization;
use crate::authority::Authority;
use crate::bend::{self, Progress};
use crate::fault::FaultKind;
use crate::gate::Signed;
use crate::ledger::Endpoint;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;
use crate::store::Proving;
use crate::validate::{self, Proof};

/// `{}`; members are refused, http-01 has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ready {}

/// POST of a challenge. An empty payload is a look; `{}` starts the validation once, afterwards it
/// is `malformed` as on Pebble. Hidden progress: the validation never ends.
pub(super) fn respond(
    authority: &Arc<Authority>,
    signed: &Signed,
    id: &str,
    progress: Progress,
) -> Result<Reply, Problem> {
    let account = signed.account()?;
    let mut store = authority.store();
    let challenge = store.authorization_of(id, account)?;
    if !signed.payload.is_empty() {
        let Ready {} = signed.parse()?;
        may_start(authority, id, &challenge.state)?;
        if challenge.expires <= authority.now() {
            return Err(Problem::malformed("the authorization has expired"));
        }
        challenge.state = Proving::Validating;
        if progress == Progress::Shown {
            let key_authorization = format!("{}.{}", challenge.token, signed.key.thumbprint());
            let proof = Proof {
                name: challenge.name.clone(),
                token: challenge.token.clone(),
                key_authorization,
            };
            authority.spawn(prove(Arc::clone(authority), id.to_owned(), proof));
        }
    }
    let document = authorization::challenge(authority, id, &challenge.token, &challenge.state);
    let up = authority.url(&Route::Authorization(id.to_owned()));
    Ok(Reply::json(StatusCode::OK, &document).linked(&up, "up"))
}

fn may_start(authority: &Authority, id: &str, state: &Proving) -> Result<(), Problem> {
    let state = match state {
        Proving::Pending => return Ok(()),
        Proving::Validating => {
            authority.violation(format!("Challenge: {id} answered again while processing"));
            "processing"
        }
        Proving::Valid(_) => "valid",
        Proving::Invalid(_) => "invalid",
        Proving::Deactivated => "deactivated",
    };
    Err(Problem::malformed(format!("the challenge is {state}, not pending")))
}

/// Fetches, then writes the outcome down, unless the client gave the authorization up meanwhile.
async fn prove(authority: Arc<Authority>, id: String, proof: Proof) {
    authority.ledger().request(Endpoint::Validation);
    let fault = authority.strike(Endpoint::Validation);
    let target = authority.options.http01_target;
    let outcome = match &fault {
        None => validate::http01(target, &proof).await,
        Some(FaultKind::Delay(wait)) => {
            tokio::time::sleep(*wait).await;
            validate::http01(target, &proof).await
        }
        Some(FaultKind::StuckProcessing) => return,
        Some(kind) => Err(bend::as_problem(kind)
            .unwrap_or_else(|| validate::unreachable(target, &proof, "scripted fault"))),
    };
    let mut store = authority.store();
    if let Some(authorization) = store.authorizations.get_mut(&id)
        && authorization.state == Proving::Validating
    {
        authorization.state = match outcome {
            Ok(()) => Proving::Valid(authority.now()),
            Err(problem) => Proving::Invalid(problem),
        };
    }
}
