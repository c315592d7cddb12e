//! A renewal that waits because its CA gives no answer that can be used: what is asked, what comes in
//! its place, since when, and how often it is asked.

use renewd_events::Facts;
use renewd_events::certificate::Certificate;
use renewd_events::id::CertificateId;

use super::Evidence;
use super::case::{Found, told};
use super::rules::{self, Case};
use crate::codes::step_of;
use crate::escape;
use crate::sentence;
use crate::status::waiting::{self, PACE};

/// The outage that lasts longest; the others are evidence.
pub(super) fn find(facts: &Facts, id: CertificateId, it: &Certificate) -> Option<Found> {
    let (asked, missing) = waiting::longest(facts, id)?;
    let case = Case { name: it.name().to_owned(), ..Case::of(step_of(asked), &missing.problem) };
    let rule = rules::find(&case);
    let mut found = told(&case, rule, (Some(missing.seq), missing.at), 0);
    let (name, what) = (escape::text(it.name()), sentence::asked(asked));
    let then = if missing.again.is_some() { PACE } else { "more asking would not change it" };
    found.sentence =
        format!("{} The renewal of {name} waits for an answer to {what}: {then}.", found.sentence);
    found.since = missing.since;
    for (other, missing) in waiting::others(facts, id, asked) {
        let text = format!(
            "no usable answer to {} either: {}",
            sentence::asked(other),
            sentence::problem(&missing.problem)
        );
        found.evidence.push(Evidence { seq: Some(missing.seq), at: Some(missing.at), text });
    }
    Some(found)
}
