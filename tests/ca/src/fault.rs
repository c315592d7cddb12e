//! Scripted misbehaviour: what a client must survive, played on demand.

use std::time::Duration;

use crate::ledger::Endpoint;

/// Every error type with a status that goes with it: RFC 8555 §6.7, RFC 9773 §5, and `invalidProfile`
/// of the profiles draft. For [`FaultKind::Problem`].
pub const ERROR_TYPES: [(&str, u16); 26] = [
    ("accountDoesNotExist", 400),
    ("alreadyReplaced", 409),
    ("alreadyRevoked", 400),
    ("badCSR", 400),
    ("badNonce", 400),
    ("badPublicKey", 400),
    ("badRevocationReason", 400),
    ("badSignatureAlgorithm", 400),
    ("caa", 403),
    ("compound", 403),
    ("connection", 400),
    ("dns", 400),
    ("externalAccountRequired", 403),
    ("incorrectResponse", 403),
    ("invalidContact", 400),
    ("invalidProfile", 400),
    ("malformed", 400),
    ("orderNotReady", 403),
    ("rateLimited", 429),
    ("rejectedIdentifier", 400),
    ("serverInternal", 500),
    ("tls", 400),
    ("unauthorized", 403),
    ("unsupportedContact", 400),
    ("unsupportedIdentifier", 400),
    ("userActionRequired", 403),
];

/// One scripted fault: the requests to `endpoint` after the first `skip` get it, `times` of them.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Where it strikes.
    pub endpoint: Endpoint,
    /// Requests let through first.
    pub skip: u32,
    /// Requests struck. `u32::MAX` is for ever.
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// Strikes the next request to `endpoint`, once.
    #[must_use]
    pub fn once(endpoint: Endpoint, kind: FaultKind) -> Self {
        Self { endpoint, skip: 0, times: 1, kind }
    }

    /// The same, `times` times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The same, after `skip` requests that pass.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

/// What a struck request meets. At [`Endpoint::Validation`] `Problem` is the outcome of the
/// validation, `Delay` holds it up, `StuckProcessing` keeps it open for ever, and every other kind
/// counts as an unreachable host.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// Refused with a problem document; nothing is done.
    Problem {
        /// HTTP status.
        status: u16,
        /// Last part of the problem type, such as `rateLimited`.
        kind: String,
        /// Text for a person.
        detail: String,
        /// `Retry-After` exactly as sent: seconds, a date, or rubbish.
        retry_after: Option<String>,
    },
    /// Exactly this answer (a proxy's error page, say); nothing is done.
    Raw {
        /// HTTP status.
        status: u16,
        /// Media type; empty sends none.
        content_type: String,
        /// The body.
        body: Vec<u8>,
        /// More headers.
        headers: Vec<(String, String)>,
    },
    /// The connection closes before anything is done.
    CutBeforeActing,
    /// Everything is done, then the connection closes without an answer.
    CutAfterActing,
    /// The connection closes at once; so much later everything is done, as by a slow CA whose client's
    /// patience, or life, has ended.
    CutThenActing(Duration),
    /// Waits, then acts and answers properly.
    Delay(Duration),
    /// Acts; the body comes in pieces of `bytes`, one each `every`.
    SlowDrip {
        /// Bytes of a piece (0 counts as 1).
        bytes: usize,
        /// Wait before each piece.
        every: Duration,
    },
    /// Acts; half the body arrives, then the connection closes.
    Truncated,
    /// Acts; the body is followed by spaces up to this many bytes in all.
    Oversized(u64),
    /// Acts; the answer says `text/plain`.
    WrongContentType,
    /// Refused with `badNonce`; nothing is done, the nonce is spent.
    BadNonce,
    /// Acts, but progress is never shown: at `Finalize` the order stays `processing` for ever, at
    /// `Challenge` the validation never ends, at `Order` and `Authorization` this one look shows
    /// `processing` or `pending` instead of the progress made. Elsewhere it changes nothing.
    StuckProcessing,
    /// Acts; the answer lacks this header (`replay-nonce`, `location`, `link`, `retry-after` …).
    OmitHeader(String),
}

/// Faults waiting for their request.
#[derive(Debug, Default)]
pub(crate) struct Script {
    armed: Vec<Fault>,
}

impl Script {
    /// One more; it comes after those already waiting at that endpoint.
    pub(crate) fn arm(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.armed.push(fault);
        }
    }

    /// None waits any more.
    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The fault the request now at `endpoint` meets, if any.
    pub(crate) fn strike(&mut self, endpoint: Endpoint) -> Option<FaultKind> {
        let mut struck = None;
        for fault in self.armed.iter_mut().filter(|fault| fault.endpoint == endpoint) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() {
                fault.times = fault.times.saturating_sub(u32::from(fault.times != u32::MAX));
                struck = Some(fault.kind.clone());
            }
        }
        self.armed.retain(|fault| fault.times > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_after_its_skip_as_often_as_asked_and_only_there() {
        let mut script = Script::default();
        script.arm(Fault::once(Endpoint::Order, FaultKind::Truncated).after(1).times(2));
        let strikes: Vec<bool> = (0..4).map(|_| script.strike(Endpoint::Order).is_some()).collect();
        assert_eq!(strikes, [false, true, true, false]);
        assert!(script.strike(Endpoint::NewOrder).is_none());
    }
}
