//! A renewal that waits because the CA has the certificate request and does not issue.

use renewd_events::certificate::Certificate;
use renewd_events::id::CertificateId;
use renewd_events::{Facts, WallMs};

use super::Evidence;
use super::case::Found;
use crate::codes;
use crate::escape;
use crate::status::slow;
use crate::when;

/// The order that takes so long.
pub(super) fn find(
    facts: &Facts,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
) -> Option<Found> {
    let found = slow::issuing(facts, id, now)?;
    let (order, until) = found;
    let name = escape::text(it.name());
    let url = escape::field(order.url.as_deref().unwrap_or_default(), 300);
    let evidence = vec![
        Evidence { seq: None, at: Some(order.since), text: slow::said(found) },
        Evidence { seq: None, at: None, text: format!("the order: {url}") },
    ];
    Some(Found {
        code: codes::STUCK,
        sentence: format!(
            "The CA has the certificate request for {name} and has not issued for {}.",
            when::span(now.since(order.since))
        ),
        remedy: format!(
            "look at the CA's status page, or ask whoever approves requests there; nothing else: \
             renewd keeps looking, and orders anew if it is not issued by {}",
            when::minute(until)
        ),
        evidence,
        since: order.since,
        tries: 0,
    })
}
