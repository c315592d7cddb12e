//! Looking over a whole log and reporting what is wrong, instead of stopping at it.

use std::path::{Path, PathBuf};

use super::anchor::Anchor;
use super::mirror::MirrorReader;
use super::walk::Walk;
use crate::id::{Hash, Seq};
use crate::store::{Head, StoreError};

/// What a look over a whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Good events from the beginning on.
    pub events: u64,
    /// The last of them.
    pub head: Head,
    /// Files of the mirror.
    pub segments: usize,
    /// Whether the anchor agrees.
    pub anchor: AnchorCheck,
    /// The first fault. Beyond the anchor it is the unacknowledged end of a crash, or of a write
    /// that is under way.
    pub first_bad: Option<FirstBad>,
}

impl Verified {
    /// Nothing that was acknowledged is missing or damaged.
    pub fn is_whole(&self) -> bool {
        let fault_counts = match (self.anchor, &self.first_bad) {
            (_, None) => false,
            (AnchorCheck::Matches, Some(_)) | (AnchorCheck::LogAhead { .. }, Some(_)) => false,
            (
                AnchorCheck::Ahead { .. }
                | AnchorCheck::Differs
                | AnchorCheck::Lost
                | AnchorCheck::NotExpected,
                Some(_),
            ) => true,
        };
        let anchored = match self.anchor {
            AnchorCheck::Matches | AnchorCheck::LogAhead { .. } | AnchorCheck::NotExpected => true,
            AnchorCheck::Ahead { .. } | AnchorCheck::Differs | AnchorCheck::Lost => false,
        };
        anchored && !fault_counts
    }
}

/// How the anchor and the events compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorCheck {
    /// It names the last event.
    Matches,
    /// There are unacknowledged events after the one that it names.
    LogAhead {
        /// The event that it names.
        anchor: Seq,
    },
    /// It names an event that is not there: the log is damaged or was shortened.
    Ahead {
        /// The event that it names.
        anchor: Seq,
    },
    /// The event that it names is there with another hash.
    Differs,
    /// There is none, or none that is readable, where there must be one: whether the end was cut
    /// cannot be told, and the engine refuses the log.
    Lost,
    /// An exported file has none.
    NotExpected,
}

/// Where the good events end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstBad {
    /// The event that should be there.
    pub seq: Seq,
    /// In which file.
    pub file: PathBuf,
    /// At which offset.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

/// Reads a log directory or an exported file from beginning to end. Damage is reported, not an
/// error.
///
/// # Errors
/// When there is no log, or its directory cannot be read.
pub fn verify(path: &Path) -> Result<Verified, StoreError> {
    let reader = MirrorReader::open(path)?;
    let anchor = reader.anchor()?;
    let segments = reader.segments()?;
    let files = segments.len();
    let mut walk = Walk::from(segments, Seq(1));
    let mut events = 0_u64;
    let mut head = Head::default();
    let mut at_anchor = None;
    let mut first_bad = None;
    let mut partial = false;
    for step in walk.by_ref() {
        match step {
            Ok(frame) => {
                events = events.saturating_add(1);
                head = Head { seq: frame.seq, hash: frame.hash };
                partial = !frame.last_of_batch;
                if anchor.is_some_and(|anchor| anchor.head.seq == frame.seq) {
                    at_anchor = Some(frame.hash);
                }
            }
            Err(fault) => {
                first_bad = Some(FirstBad {
                    seq: fault.seq,
                    file: fault.file,
                    offset: fault.offset,
                    what: fault.what,
                });
            }
        }
    }
    if partial && first_bad.is_none() {
        first_bad = walk.position().map(|(segment, offset)| FirstBad {
            seq: head.seq.next(),
            file: segment.path.clone(),
            offset,
            what: "the file ends within a batch".to_owned(),
        });
    }
    Ok(Verified {
        events,
        head,
        segments: files,
        anchor: compare(anchor, path.is_file(), head, at_anchor),
        first_bad,
    })
}

fn compare(
    anchor: Option<Anchor>,
    is_file: bool,
    head: Head,
    at_anchor: Option<Hash>,
) -> AnchorCheck {
    let Some(anchor) = anchor.map(|anchor| anchor.head) else {
        return if is_file { AnchorCheck::NotExpected } else { AnchorCheck::Lost };
    };
    if at_anchor.is_some_and(|hash| hash != anchor.hash) {
        AnchorCheck::Differs
    } else if anchor.seq > head.seq {
        AnchorCheck::Ahead { anchor: anchor.seq }
    } else if anchor.seq < head.seq {
        AnchorCheck::LogAhead { anchor: anchor.seq }
    } else {
        AnchorCheck::Matches
    }
}

impl std::fmt::Display for AnchorCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Matches => f.write_str("names the last event"),
            Self::LogAhead { anchor } => {
                write!(
                    f,
                    "names event {anchor}; later ones were never acknowledged"
                )
            }
            Self::Ahead { anchor } => {
                write!(
                    f,
                    "names event {anchor}, which is not there: the log was shortened"
                )
            }
            Self::Differs => {
                f.write_str("names another event of that number: the log was replaced")
            }
            Self::Lost => f.write_str(
                "LOST: HEAD is missing or unreadable, so whether the end was cut cannot be told (R0606)",
            ),
            Self::NotExpected => f.write_str("none (an export has none)"),
        }
    }
}

impl std::fmt::Display for FirstBad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seq, file, offset, what } = self;
        write!(f, "event {seq} in {} at octet {offset}: {what}", file.display())
    }
}
