//! The anchor: what the log must at least contain. `HEAD` has two slots written in turn, so that a
//! write cut by a crash leaves the other; `CLEAN` is one slot written at an orderly end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::files::{self, failed, unsynced};
use crate::id::{Hash, Seq};
use crate::store::{Head, StoreError};

const HEAD_MAGIC: [u8; 4] = *b"RNWH";
const CLEAN_MAGIC: [u8; 4] = *b"RNWC";
const VERSION: u16 = 1;
const SLOT_OCTETS: usize = 64;
/// The slots lie in different blocks: a write that damages one block leaves the other slot alone.
const SLOT_STRIDE: u64 = 4096;
/// Both slots; the file never grows, so writing one changes no metadata.
const HEAD_OCTETS: usize = 8192;

/// The last acknowledged event and where the mirror ended then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The event.
    pub(super) head: Head,
    /// The first event of the segment that holds it.
    pub(super) segment: Seq,
    /// Length of that segment up to and with the event.
    pub(super) end: u32,
    /// Length of the event's frame, so that it can be found from the end.
    pub(super) last_octets: u16,
}

impl Anchor {
    /// Of a log without events.
    pub(super) const EMPTY: Self = Self {
        head: Head { seq: Seq(0), hash: Hash([0; 32]) },
        segment: Seq(1),
        end: 0,
        last_octets: 0,
    };

    fn encode(&self, magic: [u8; 4]) -> Vec<u8> {
        let mut out = Vec::with_capacity(SLOT_OCTETS);
        out.extend_from_slice(&magic);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.last_octets.to_le_bytes());
        out.extend_from_slice(&self.head.seq.0.to_le_bytes());
        out.extend_from_slice(&self.head.hash.0);
        out.extend_from_slice(&self.segment.0.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// The checksum comes first: only an intact slot may claim to be of a newer version.
    fn decode(magic: [u8; 4], slot: &[u8]) -> Slot {
        let Some((content, sum)) = slot.split_last_chunk::<4>() else {
            return Slot::Unreadable;
        };
        if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Slot::Unreadable;
        }
        let mut rest = content;
        if take::<4>(&mut rest) != magic {
            return Slot::Unreadable;
        }
        if u16::from_le_bytes(take(&mut rest)) != VERSION {
            return Slot::Newer;
        }
        let last_octets = u16::from_le_bytes(take(&mut rest));
        let seq = Seq(u64::from_le_bytes(take(&mut rest)));
        let hash = Hash(take(&mut rest));
        Slot::Valid(Self {
            head: Head { seq, hash },
            segment: Seq(u64::from_le_bytes(take(&mut rest))),
            end: u32::from_le_bytes(take(&mut rest)),
            last_octets,
        })
    }
}

/// The next field; the length was checked by the checksum over it.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk::<N>() {
        Some((field, after)) => {
            *rest = after;
            *field
        }
        None => [0; N],
    }
}

enum Slot {
    Valid(Anchor),
    Newer,
    Unreadable,
}

/// What `HEAD` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is no such file.
    Absent,
    /// Neither slot is intact.
    Unreadable,
    /// A newer version wrote it.
    Newer,
    /// The newer of the intact slots, and which slot it is in.
    Found(Anchor, u64),
}

/// Reads `HEAD`.
///
/// # Errors
/// When the file cannot be read for another reason than being absent.
pub(super) fn read_head(dir: &Path) -> Result<Reading, StoreError> {
    let Some(bytes) = read_bounded(&head_path(dir))? else {
        return Ok(Reading::Absent);
    };
    let mut best: Option<(Anchor, u64)> = None;
    for number in [0, 1] {
        let start = usize::try_from(number * SLOT_STRIDE).unwrap_or(usize::MAX);
        let slot = bytes.get(start..start.saturating_add(SLOT_OCTETS));
        match Anchor::decode(HEAD_MAGIC, slot.unwrap_or_default()) {
            Slot::Valid(anchor) => {
                if best.is_none_or(|(old, _)| old.head.seq < anchor.head.seq) {
                    best = Some((anchor, number));
                }
            }
            Slot::Newer => return Ok(Reading::Newer),
            Slot::Unreadable => {}
        }
    }
    Ok(best.map_or(Reading::Unreadable, |(anchor, number)| Reading::Found(anchor, number)))
}

/// Reads `CLEAN`; anything but an intact mark counts as none.
///
/// # Errors
/// When the file cannot be read for another reason than being absent.
pub(super) fn read_clean(dir: &Path) -> Result<Option<Anchor>, StoreError> {
    let bytes = read_bounded(&clean_path(dir))?.unwrap_or_default();
    Ok(match Anchor::decode(CLEAN_MAGIC, &bytes) {
        Slot::Valid(anchor) => Some(anchor),
        Slot::Newer | Slot::Unreadable => None,
    })
}

/// Makes `CLEAN`, durable.
///
/// # Errors
/// When it cannot be made.
pub(super) fn write_clean(dir: &Path, anchor: &Anchor) -> Result<(), StoreError> {
    let path = clean_path(dir);
    let file = files::create_new(&path)?;
    file.write_all_at(&anchor.encode(CLEAN_MAGIC), 0).map_err(failed("writing", &path))?;
    file.sync_all().map_err(unsynced(&path))?;
    files::sync_directory(dir)
}

/// Removes `CLEAN`, durably: from here on the log is in use.
///
/// # Errors
/// When it cannot be removed.
pub(super) fn remove_clean(dir: &Path) -> Result<(), StoreError> {
    files::remove_durably(&clean_path(dir), dir)
}

pub(super) fn head_path(dir: &Path) -> PathBuf {
    dir.join("HEAD")
}

pub(super) fn clean_path(dir: &Path) -> PathBuf {
    dir.join("CLEAN")
}

fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(HEAD_OCTETS).unwrap_or(u64::MAX);
    match File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("reading", path)(cause)),
    }
}

/// `HEAD`, open for writing.
#[derive(Debug)]
pub(super) struct AnchorFile {
    file: File,
    path: PathBuf,
    next_slot: u64,
}

impl AnchorFile {
    /// Makes `HEAD` for a log without events: whole or not at all, or a disk that is full at the very
    /// first start would leave an empty one behind, and that is damage.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn create(dir: &Path) -> Result<(), StoreError> {
        let path = dir.join("HEAD.new");
        files::remove_durably(&path, dir)?;
        let file = files::create_new(&path)?;
        let mut content = Anchor::EMPTY.encode(HEAD_MAGIC);
        content.resize(HEAD_OCTETS, 0);
        file.write_all_at(&content, 0).map_err(failed("writing", &path))?;
        file.sync_all().map_err(unsynced(&path))?;
        std::fs::rename(&path, head_path(dir)).map_err(failed("naming", &path))?;
        files::sync_directory(dir)
    }

    /// Opens `HEAD`; the slot `newest` is the last that will be overwritten.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(dir: &Path, newest: u64) -> Result<Self, StoreError> {
        let path = head_path(dir);
        Ok(Self { file: files::open_writable(&path)?, path, next_slot: 1 - newest.min(1) })
    }

    /// Writes the slot that is not the durable one: other processes see it at once, and a process that
    /// is killed leaves it. It outlives the machine after [`Self::sync`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&mut self, anchor: &Anchor) -> Result<(), StoreError> {
        self.file
            .write_all_at(&anchor.encode(HEAD_MAGIC), self.next_slot * SLOT_STRIDE)
            .map_err(failed("writing", &self.path))
    }

    /// Makes what was written durable; the other slot is written next.
    ///
    /// # Errors
    /// When it is not known to be durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(unsynced(&self.path))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_comes_back_and_its_version_is_believed_only_when_it_is_intact() {
        let anchor = Anchor {
            head: Head { seq: Seq(71), hash: Hash([2; 32]) },
            segment: Seq(33),
            end: 70_004,
            last_octets: 305,
        };
        let slot = anchor.encode(HEAD_MAGIC);
        assert_eq!(slot.len(), SLOT_OCTETS);
        assert!(matches!(Anchor::decode(HEAD_MAGIC, &slot), Slot::Valid(back) if back == anchor));
        assert!(matches!(Anchor::decode(CLEAN_MAGIC, &slot), Slot::Unreadable));
        let mut newer = slot.clone();
        newer[4] = 2;
        assert!(matches!(Anchor::decode(HEAD_MAGIC, &newer), Slot::Unreadable));
        newer.truncate(SLOT_OCTETS - 4);
        let sum = crc32fast::hash(&newer);
        newer.extend_from_slice(&sum.to_le_bytes());
        assert!(matches!(Anchor::decode(HEAD_MAGIC, &newer), Slot::Newer));
    }
}
