//! What the log says, as JSON, so that a test names events as a person reads them.

use std::path::{Path, PathBuf};

use renewd_events::Envelope;
use renewd_events::id::Seq;
use renewd_events::log::MirrorReader;
use renewd_events::store::StoreError;
use serde_json::Value;

/// One event with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place in the log, from 1.
    pub seq: u64,
    /// When it was recorded, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which life of the process.
    pub boot: u32,
    /// The renewal it belongs to.
    pub renewal: Option<String>,
    /// Its stream: one per order, certificate and so on.
    pub stream: String,
    /// Its name, as in `OrderCreated`.
    pub name: String,
    /// Its content: what stands under the name, or null.
    pub data: Value,
}

impl Record {
    fn of(envelope: &Envelope) -> Self {
        let name = envelope.event.name();
        let event = serde_json::to_value(&envelope.event).unwrap_or_default();
        Self {
            seq: envelope.seq.0,
            at_ms: envelope.at.0,
            boot: envelope.boot.0,
            renewal: envelope.renewal.map(|id| id.to_string()),
            stream: envelope.stream.to_string(),
            name: name.to_owned(),
            data: event.get(name).cloned().unwrap_or_default(),
        }
    }

    /// A text of its content, by JSON pointer (`/problem/kind`); empty when it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        self.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// All events of a log directory or an exported file.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn read(log: &Path) -> Result<Vec<Record>, StoreError> {
    let envelopes = MirrorReader::open(log)?.envelopes(Seq(1))?;
    envelopes.map(|envelope| envelope.map(|envelope| Record::of(&envelope))).collect()
}

/// Reads a log while it grows.
#[derive(Debug)]
pub struct Follower {
    log: PathBuf,
    next: Seq,
}

impl Follower {
    /// From the first event on.
    pub fn new(log: &Path) -> Self {
        Self { log: log.to_owned(), next: Seq(1) }
    }

    /// From the event after the present end on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn from_now(log: &Path) -> Result<Self, StoreError> {
        let mut follower = Self::new(log);
        follower.next = MirrorReader::open(log)?.head()?.seq.next();
        Ok(follower)
    }

    /// What came since the last look. A log that is not there yet, or is being written at this very
    /// moment, has nothing new.
    pub fn look(&mut self) -> Vec<Record> {
        let mut found = Vec::new();
        let Ok(reader) = MirrorReader::open(&self.log) else {
            return found;
        };
        let Ok(envelopes) = reader.envelopes(self.next) else {
            return found;
        };
        for envelope in envelopes.map_while(Result::ok) {
            self.next = envelope.seq.next();
            found.push(Record::of(&envelope));
        }
        found
    }
}
