//! An authorization in our words (RFC 8555 §7.1.4). A token is checked here, before it can become a
//! path or a file name anywhere.

use instant_acme::{
    AuthorizationState, AuthorizationStatus as Theirs, Challenge as TheirChallenge,
    ChallengeStatus as Progress, ChallengeType,
};
use renewd_actors::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus};
use renewd_events::authorization::Challenge;
use renewd_events::problem::{Problem, ProblemClass, cut};
use renewd_events::time::WallMs;

use super::{limits, problem};

/// 128 bits of entropy in base64url (RFC 8555 §8.3 with RFC 4086).
pub(super) const TOKEN_OCTETS_MIN: usize = 22;
/// Public CAs use 43; a longer one than this is no token.
pub(super) const TOKEN_OCTETS_MAX: usize = 128;
/// A DNS name has 253 octets at most. A longer one is nobody's, cut or whole.
const IDENTIFIER_OCTETS_MAX: usize = 256;
/// Challenge types kept; CAs offer three to five.
const OFFERS_MAX: usize = 16;

/// What the CA shows, with the account's thumbprint in the challenge.
///
/// # Errors
/// When a pending authorization's token is not one: it must never be served.
pub(super) fn look(
    url: &str,
    state: &AuthorizationState,
    expires: Option<WallMs>,
    thumbprint: &str,
) -> Result<AuthorizationLook, Problem> {
    let challenge =
        state.challenges.iter().find(|challenge| challenge.r#type == ChallengeType::Http01);
    let http01 = challenge.filter(|challenge| is_token(&challenge.token));
    if state.status == Theirs::Pending
        && let Some(bad) = challenge
        && http01.is_none()
    {
        let detail = format!(
            "the token `{}` is not 22 to 128 characters of base64url (RFC 8555 §8.3); it is not served",
            cut(&bad.token, TOKEN_OCTETS_MAX)
        );
        return Err(problem::protocol("token", &detail).about(url));
    }
    limits::url("the authorization's URL", url)?;
    if let Some(challenge) = http01 {
        limits::url("the challenge's URL", &challenge.url)?;
    }
    let offers = state.challenges.iter().take(OFFERS_MAX);
    Ok(AuthorizationLook {
        url: url.to_owned(),
        identifier: cut(&state.identifier().to_string(), IDENTIFIER_OCTETS_MAX),
        status: status(state.status),
        expires,
        offers: offers.map(|challenge| name(&challenge.r#type)).collect(),
        http01: http01.map(|challenge| Challenge {
            url: challenge.url.clone(),
            token: challenge.token.clone(),
            thumbprint: thumbprint.to_owned(),
        }),
        challenge: match challenge.map(|challenge| challenge.status) {
            None | Some(Progress::Pending) => ChallengeStatus::Pending,
            Some(Progress::Processing | Progress::Valid | Progress::Invalid) => {
                ChallengeStatus::Taken
            }
        },
        problem: cause(state, challenge, url),
    })
}

/// Why the CA is not satisfied: the words about our challenge, else about any, else its status.
fn cause(
    state: &AuthorizationState,
    http01: Option<&TheirChallenge>,
    url: &str,
) -> Option<Problem> {
    let said = http01
        .and_then(|challenge| challenge.error.as_ref())
        .or_else(|| state.challenges.iter().find_map(|challenge| challenge.error.as_ref()));
    if let Some(said) = said {
        return Some(problem::of_library(said).about(url));
    }
    let word = match state.status {
        Theirs::Pending | Theirs::Valid => return None,
        Theirs::Invalid => "invalid",
        Theirs::Revoked => "revoked",
        Theirs::Expired => "expired",
        Theirs::Deactivated => "deactivated",
    };
    let detail = format!("the CA says that the authorization is {word}, and not why");
    Some(Problem::new(ProblemClass::Acme, word, &detail).about(url))
}

fn status(status: Theirs) -> AuthorizationStatus {
    match status {
        Theirs::Pending => AuthorizationStatus::Pending,
        Theirs::Valid => AuthorizationStatus::Valid,
        Theirs::Invalid | Theirs::Revoked | Theirs::Expired | Theirs::Deactivated => {
            AuthorizationStatus::Invalid
        }
    }
}

fn name(kind: &ChallengeType) -> String {
    match kind {
        ChallengeType::Http01 => "http-01".to_owned(),
        ChallengeType::Dns01 => "dns-01".to_owned(),
        ChallengeType::TlsAlpn01 => "tls-alpn-01".to_owned(),
        ChallengeType::DeviceAttest01 => "device-attest-01".to_owned(),
        ChallengeType::Unknown(other) => cut(other, 64),
        _ => "unknown".to_owned(),
    }
}

/// base64url without padding, long enough to be unguessable.
fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (TOKEN_OCTETS_MIN..=TOKEN_OCTETS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str, token: &str, error: &str) -> AuthorizationState {
        let text = format!(
            r#"{{"identifier":{{"type":"dns","value":"a.test"}},"status":"{status}","challenges":[
            {{"type":"new-01","url":"https://ca/c0","status":"pending"}},
            {{"type":"http-01","url":"https://ca/c1","token":"{token}","status":"pending"{error}}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_a_token_is_taken_for_one() {
        let good = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
        let seen = look("https://ca/z", &state("pending", good, ""), None, "thumb").unwrap();
        assert_eq!(seen.http01.unwrap().key_authorization(), format!("{good}.thumb"));
        assert_eq!(seen.offers, ["new-01", "http-01"]);
        let long = "a".repeat(TOKEN_OCTETS_MAX + 1);
        for bad in
            ["", "short", "../../../../etc/passwd-and-more", "evaGxfADs6pSRb2LAv9IZf17=", &long]
        {
            let refusal = look("https://ca/z", &state("pending", bad, ""), None, "t").unwrap_err();
            assert_eq!(refusal.kind, "token", "{bad}");
            let over = look("https://ca/z", &state("valid", bad, ""), None, "t").unwrap();
            assert_eq!(over.http01, None);
        }
    }

    #[test]
    fn an_authorization_that_is_over_says_why() {
        let error =
            r#","error":{"type":"urn:ietf:params:acme:error:connection","detail":"refused"}"#;
        let token = "a".repeat(43);
        let told = look("https://ca/u", &state("invalid", &token, error), None, "t").unwrap();
        assert!(told.problem.unwrap().is_acme("connection"));
        let silent = look("https://ca/u", &state("deactivated", &token, ""), None, "t").unwrap();
        assert_eq!(silent.status, AuthorizationStatus::Invalid);
        assert_eq!(silent.problem.unwrap().kind, "deactivated");
    }
}
