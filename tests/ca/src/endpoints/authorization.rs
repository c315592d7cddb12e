//! Authorizations (RFC 8555 §7.1.4, §7.5) with their one http-01 challenge.

use std::time::Instant;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::order::note_early;
use crate::authority::Authority;
use crate::bend::Progress;
use crate::clock;
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;
use crate::store::{Authorization, Proving};

#[derive(Deserialize)]
struct Update {
    status: String,
}

/// POST of an authorization: a look (empty payload) or deactivation (§7.5.2). Hidden progress shows a
/// finished one as pending once more.
pub(super) fn look(
    authority: &Authority,
    signed: &Signed,
    id: &str,
    progress: Progress,
) -> Result<Reply, Problem> {
    let account = signed.account()?;
    let mut store = authority.store();
    let authorization = store.authorization_of(id, account)?;
    if signed.payload.is_empty() {
        note_early(authority, "Authorization", id, authorization.look_after);
    } else {
        deactivate(authorization, &signed.parse::<Update>()?)?;
    }
    let finished = authorization.state.is_final();
    let state = if progress == Progress::Hidden && finished {
        Proving::Validating
    } else {
        authorization.state.clone()
    };
    let wait = match state {
        Proving::Pending | Proving::Validating => authority.options.retry_after,
        Proving::Valid(_) | Proving::Invalid(_) | Proving::Deactivated => None,
    };
    authorization.look_after = wait.and_then(|wait| Instant::now().checked_add(wait));
    let document = document(authority, id, authorization, &state);
    Ok(Reply::json(StatusCode::OK, &document).retry_after(wait.map(clock::retry_after_seconds)))
}

/// The challenge object (§8.3) of an authorization in that state.
pub(super) fn challenge(authority: &Authority, id: &str, token: &str, state: &Proving) -> Value {
    let mut document = json!({
        "type": "http-01",
        "url": authority.url(&Route::Challenge(id.to_owned())),
        "token": token,
        "status": match state {
            Proving::Pending | Proving::Deactivated => "pending",
            Proving::Validating => "processing",
            Proving::Valid(_) => "valid",
            Proving::Invalid(_) => "invalid",
        },
    });
    if let Value::Object(members) = &mut document {
        match state {
            Proving::Valid(at) => {
                members.insert("validated".to_owned(), json!(clock::rfc3339(*at)));
            }
            Proving::Invalid(problem) => {
                members.insert("error".to_owned(), problem.to_json());
            }
            Proving::Pending | Proving::Validating | Proving::Deactivated => {}
        }
    }
    document
}

fn deactivate(authorization: &mut Authorization, asked: &Update) -> Result<(), Problem> {
    if asked.status != "deactivated" {
        let detail = format!("status `{}` cannot be asked for", asked.status);
        return Err(Problem::malformed(detail));
    }
    match &authorization.state {
        Proving::Pending | Proving::Validating | Proving::Valid(_) => {
            authorization.state = Proving::Deactivated;
            Ok(())
        }
        Proving::Invalid(_) | Proving::Deactivated => {
            Err(Problem::malformed("only a pending or valid authorization can be deactivated"))
        }
    }
}

fn document(
    authority: &Authority,
    id: &str,
    authorization: &Authorization,
    state: &Proving,
) -> Value {
    let expired = authorization.expires <= authority.now();
    json!({
        "identifier": { "type": "dns", "value": authorization.name },
        "status": match state {
            Proving::Invalid(_) => "invalid",
            Proving::Deactivated => "deactivated",
            // §7.1.6: a pending one that runs out is invalid, a valid one is expired.
            Proving::Pending | Proving::Validating if expired => "invalid",
            Proving::Pending | Proving::Validating => "pending",
            Proving::Valid(_) if expired => "expired",
            Proving::Valid(_) => "valid",
        },
        "expires": clock::rfc3339(authorization.expires),
        "challenges": [challenge(authority, id, &authorization.token, state)],
    })
}
