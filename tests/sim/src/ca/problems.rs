//! What the CA, or something in between, answers instead of an answer.

use renewd_events::problem::{Problem, ProblemClass};

use crate::fate::{Fault, Harm};

/// An ACME problem document (RFC 8555 §6.7).
pub(crate) fn acme(kind: &str, status: u16) -> Problem {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    Problem { status, ..Problem::new(ProblemClass::Acme, &kind, "because fate says so") }
}

/// No answer: whether the CA acted cannot be told.
pub(super) fn silence() -> Problem {
    Problem::new(ProblemClass::Transport, "timeout", "no answer")
}

/// A page of something that does not know the resource, and speaks no ACME.
pub(super) fn missing() -> Problem {
    Problem { status: 404, ..Problem::new(ProblemClass::Http, "http", "<html>not found</html>") }
}

/// What is answered in place of an answer, when the request never reached what acts.
pub(super) fn instead(harm: Harm) -> Option<Problem> {
    let retry_after_ms = Some(harm.seconds.saturating_mul(1000));
    let http = |status, retry_after_ms| Problem {
        status,
        retry_after_ms,
        ..Problem::new(ProblemClass::Http, "http", "a maintenance page")
    };
    Some(match harm.fault {
        Fault::Cut | Fault::Late => silence(),
        Fault::Missing => missing(),
        Fault::Down => http(503, None),
        Fault::Busy => http(503, retry_after_ms),
        Fault::RateLimited => Problem { retry_after_ms, ..acme("rateLimited", 429) },
        Fault::Internal => acme("serverInternal", 500),
        Fault::Noise => Problem::new(ProblemClass::Protocol, "not-json", "<html>"),
        Fault::CrashBefore
        | Fault::CrashAfter
        | Fault::NoSpace
        | Fault::Torn
        | Fault::Unsynced
        | Fault::Rot
        | Fault::Lost
        | Fault::AccountLost
        | Fault::AccountDeactivated
        | Fault::AccountKeyGone
        | Fault::AccountKeyDamaged
        | Fault::Terms
        | Fault::Panic
        | Fault::Slow
        | Fault::Unreachable
        | Fault::Refused
        | Fault::Overwrite
        | Fault::Forward
        | Fault::Back
        | Fault::WindowsMove
        | Fault::Renew
        | Fault::Stop
        | Fault::Downtime => return None,
    })
}
