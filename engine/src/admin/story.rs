//! Past renewals, read from the log's mirror: at the first question the whole log, then what came since.

use std::path::PathBuf;

use renewd_events::WallMs;
use renewd_events::id::{RenewalId, Seq};
use renewd_events::log::MirrorReader;
use renewd_events::store::StoreError;
use renewd_replay::fold::Projection;
use renewd_replay::renewals::{Renewal, Renewals};
use renewd_replay::timeline::{Reader, Timeline};

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Story {
    log: PathBuf,
    read: Seq,
    renewals: Renewals,
}

impl Story {
    /// Of the log in this folder.
    pub(super) fn new(log: PathBuf) -> Self {
        Self { log, read: Seq(0), renewals: Renewals::default() }
    }

    /// Every renewal, oldest first, after reading what is new. Blocks for the disk.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub(super) fn renewals(&mut self) -> Result<&Renewals, StoreError> {
        let reader = MirrorReader::open(&self.log)?;
        if reader.head()?.seq > self.read {
            for envelope in reader.envelopes(self.read.next())? {
                let envelope = envelope?;
                self.renewals.apply(&envelope);
                self.read = envelope.seq;
            }
        }
        Ok(&self.renewals)
    }

    /// One renewal with every event, as it is seen at `now`. Blocks for the disk, reading from its first
    /// event to its last; one under way goes on to the end of the log, since a life may have ended in it.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub(super) fn timeline(
        &mut self,
        certificate: &str,
        id: Option<RenewalId>,
        now: WallMs,
    ) -> Result<Option<Timeline>, StoreError> {
        let found =
            self.renewals()?.of(certificate).filter(|row| id.is_none_or(|id| row.id == id)).last();
        let Some(row) = found else { return Ok(None) };
        let (id, name) = (row.id, row.certificate.clone());
        let (first, last) = (row.first_seq, row.ended.map(|_| row.last_seq));
        let mut reader = Reader::new(id, &name);
        for envelope in MirrorReader::open(&self.log)?.envelopes(first)? {
            let envelope = envelope?;
            if last.is_some_and(|last| envelope.seq > last) {
                break;
            }
            reader.apply(&envelope);
        }
        Ok(reader.finish().map(|timeline| timeline.seen(now)))
    }
}

/// The last `max` rows, newest first.
pub(super) fn newest<'a>(
    rows: impl DoubleEndedIterator<Item = &'a Renewal>,
    max: usize,
) -> Vec<Renewal> {
    rows.rev().take(max).cloned().collect()
}

#[cfg(test)]
mod tests {
    use renewd_events::certificate::{Certificate, CertificateEvent, Declaration, LifeLeft};
    use renewd_events::codec::Frame;
    use renewd_events::id::{AccountId, BootNo, CertificateName, StreamId};
    use renewd_events::log::SledLog;
    use renewd_events::process::{EngineEvent, Previous};
    use renewd_events::schedule::Cause;
    use renewd_events::store::EventStore;
    use renewd_events::{ActorName, Envelope, Event};
    use renewd_replay::timeline::Row;

    use super::*;

    const BEGAN: u64 = 1_795_000_000_000;

    fn begun() -> Vec<(StreamId, bool, Event)> {
        let certificate = CertificateName::parse("web").unwrap().id();
        let declared = CertificateEvent::CertificateDeclared(Declaration {
            name: "web".to_owned(),
            account: AccountId::default(),
            identifiers: Vec::new(),
            profile: None,
            ari: false,
            life_left: LifeLeft::Share(1, 3),
        });
        let started = CertificateEvent::RenewalStarted {
            number: 1,
            cause: Cause::FirstIssue,
            attempt: 1,
            replaces: None,
        };
        let booted = EngineEvent::EngineBooted {
            identity: Default::default(),
            version: String::new(),
            previous: Previous::Crashed,
            tail: Seq(2),
        };
        vec![
            (certificate.into(), false, declared.into()),
            (certificate.into(), true, started.into()),
            (StreamId::ENGINE, false, booted.into()),
        ]
    }

    #[test]
    fn a_renewal_under_way_is_drawn_until_now_with_the_lives_that_ended_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let mut log = SledLog::create(&place).unwrap();
        let renewal = Certificate::renewal_id(CertificateName::parse("web").unwrap().id(), 1);
        for (nth, (stream, of_it, event)) in (1u32..).zip(begun()) {
            let head = log.head();
            let envelope = Envelope {
                seq: head.seq.next(),
                stream,
                version: if stream == StreamId::ENGINE { 1 } else { nth },
                batch_index: 0,
                batch_len: 1,
                at: WallMs(BEGAN + 1000 * u64::from(nth - 1)),
                boot: BootNo(1),
                actor: ActorName::Issuer,
                incarnation: 1,
                renewal: of_it.then_some(renewal),
                cause: None,
                trace: None,
                previous: head.hash,
                event,
            };
            log.commit(&[Frame::encode(&envelope).unwrap()]).unwrap();
        }
        log.close().unwrap();
        let now = WallMs(BEGAN + 601_000);
        let timeline = Story::new(place).timeline("web", None, now).unwrap().unwrap();
        assert_eq!(timeline.took_ms, 600_000, "from its first event to now");
        assert!(matches!(timeline.rows.last(), Some(Row::Gap { .. })), "{:?}", timeline.rows);
    }
}
