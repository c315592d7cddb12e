//! Past renewals, read from the log's mirror: at the first question the whole log, then what came since.

use std::path::PathBuf;

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

    /// One renewal with every event. Blocks for the disk, reading from its first event to its last.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub(super) fn timeline(
        &mut self,
        certificate: &str,
        id: Option<RenewalId>,
    ) -> Result<Option<Timeline>, StoreError> {
        let found =
            self.renewals()?.of(certificate).filter(|row| id.is_none_or(|id| row.id == id)).last();
        let Some(row) = found else { return Ok(None) };
        let (id, name) = (row.id, row.certificate.clone());
        let (first, last) = (row.first_seq, row.last_seq);
        let mut reader = Reader::new(id, &name);
        for envelope in MirrorReader::open(&self.log)?.envelopes(first)? {
            let envelope = envelope?;
            if envelope.seq > last {
                break;
            }
            reader.apply(&envelope);
        }
        Ok(reader.finish())
    }
}

/// The last `max` rows, newest first.
pub(super) fn newest<'a>(
    rows: impl DoubleEndedIterator<Item = &'a Renewal>,
    max: usize,
) -> Vec<Renewal> {
    rows.rev().take(max).cloned().collect()
}
