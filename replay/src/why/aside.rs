//! A certificate that a part of the engine leaves alone, since it failed over it too often.

use renewd_events::certificate::Certificate;
use renewd_events::id::{CertificateId, StreamId};
use renewd_events::process::Aside;
use renewd_events::{ActorName, Facts};

use super::Evidence;
use super::case::Found;
use crate::codes;
use crate::escape::{self, FIELD_CHARACTERS_MAX};

/// What a part of the engine left alone and this certificate needs: it, its account, its listeners.
pub(crate) fn of<'a>(
    facts: &'a Facts,
    id: CertificateId,
    it: &Certificate,
) -> Option<(ActorName, &'a Aside)> {
    let account = it.declared.as_ref().map(|declared| StreamId::from(declared.account));
    let listeners = facts.bindings_of(id).filter_map(|(_, binding)| binding.listener);
    let needed: Vec<StreamId> =
        [id.into()].into_iter().chain(account).chain(listeners.map(StreamId::from)).collect();
    let all = facts.engine.set_aside.iter();
    let mut ours = all.filter(|((stream, _), _)| needed.contains(stream));
    ours.next().map(|((_, actor), aside)| (*actor, aside))
}

/// Whether one was.
pub(super) fn find(facts: &Facts, id: CertificateId, it: &Certificate) -> Option<Found> {
    if facts.engine.set_aside.is_empty() {
        return None;
    }
    let (actor, aside) = of(facts, id, it)?;
    let name = escape::text(it.name());
    Some(Found {
        code: codes::SET_ASIDE,
        sentence: format!(
            "A fault of renewd: its {actor} failed over {name} and leaves it alone until renewd is started again."
        ),
        remedy:
            "keep the log of the process and renewd log export FILE for a report, then restart \
                 renewd: it goes on where it was"
                .to_owned(),
        evidence: vec![Evidence {
            seq: Some(aside.seq),
            at: Some(aside.at),
            text: escape::field(&aside.text, FIELD_CHARACTERS_MAX),
        }],
        since: aside.at,
        tries: aside.strikes,
    })
}
