//! Reading what is left of a damaged mirror: every frame whose checksum holds, wherever it lies. What
//! it means for the log is decided by the hash chain, not here.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::bounds::{READ_BUFFER_OCTETS, SEGMENT_OCTETS};
use super::files::failed;
use super::segment::{self, Segment};
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::StoreError;

/// How much of one segment is read: a whole one is at most [`SEGMENT_OCTETS`] and one commit long. A
/// file that is longer was not written by us.
const FILE_OCTETS_MAX: u64 = 2 * SEGMENT_OCTETS;
/// How a frame begins.
const MAGIC: &[u8; 4] = b"RNW1";
/// What the magic number of a later format would begin with.
const FAMILY: &[u8; 3] = b"RNW";
/// Zeros at the beginning of a frame at most, if its magic number was zeroed: four octets of that and
/// the low ones of its length.
const ZEROS_OF_A_FRAME: usize = 7;
/// Magic number, length and checksum.
const PREFIX_OCTETS: usize = 12;

/// The frames of all segments, in the order of the first frame of each file: a segment under the name
/// of another one is read in its right place.
#[derive(Debug)]
pub(super) struct Salvage {
    files: VecDeque<PathBuf>,
    bytes: Vec<u8>,
    at: usize,
    path: PathBuf,
    /// Take a frame of a later format for a damaged one of ours.
    not_newer: bool,
    /// Where the first frame lies that looks like one of a later format.
    pub(super) newer: Option<(PathBuf, usize)>,
    /// Octets that belong to no frame, zeros not counted: segments may be made longer than they are.
    pub(super) skipped: u64,
}

impl Salvage {
    /// Over the mirror of this log.
    ///
    /// # Errors
    /// When a segment cannot be listed or read.
    pub(super) fn of(log: &Path, not_newer: bool) -> Result<Self, StoreError> {
        let mut places = Vec::new();
        for Segment { first, path, octets: _ } in segment::list(log)? {
            let found = first_frame(&path, not_newer)?;
            places.push((found.or(first).unwrap_or(Seq(u64::MAX)), path));
        }
        places.sort();
        Ok(Self::over(places.into_iter().map(|(_, path)| path), not_newer))
    }

    fn over(files: impl Iterator<Item = PathBuf>, not_newer: bool) -> Self {
        Self {
            files: files.collect(),
            bytes: Vec::new(),
            at: 0,
            path: PathBuf::new(),
            not_newer,
            newer: None,
            skipped: 0,
        }
    }

    /// The frame that begins at `at`, and its length.
    fn here(&mut self) -> Option<Frame> {
        let rest = self.bytes.get(self.at..)?;
        if rest.starts_with(MAGIC) {
            return frame_of(rest);
        }
        let later = rest.strip_prefix(FAMILY).and_then(|rest| rest.first());
        let is_later = later.is_some_and(|digit| (b'2'..=b'9').contains(digit));
        let plausible = mended(rest)?;
        if is_later && !self.not_newer {
            let place = (self.path.clone(), self.at);
            self.newer.get_or_insert(place);
            return None;
        }
        Some(plausible)
    }

    /// Where the next magic number, or one that is damaged, may begin. Of a run of zeros only the end
    /// can belong to a frame: its magic number, and half of its length.
    fn advance(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let zeros = rest.iter().take_while(|octet| **octet == 0).count();
        let skipped = u64::from(zeros == 0);
        self.skipped = self.skipped.saturating_add(skipped);
        self.at = self.at.saturating_add(zeros.saturating_sub(ZEROS_OF_A_FRAME).max(1));
    }

    fn open_next(&mut self) -> Result<bool, StoreError> {
        let Some(path) = self.files.pop_front() else {
            return Ok(false);
        };
        self.bytes = read(&path, FILE_OCTETS_MAX)?;
        self.at = 0;
        self.path = path;
        Ok(true)
    }
}

impl Iterator for Salvage {
    type Item = Result<Frame, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.at >= self.bytes.len() {
                match self.open_next() {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.here() {
                Some(frame) => {
                    self.at = self.at.saturating_add(frame.bytes.len());
                    return Some(Ok(frame));
                }
                None => self.advance(),
            }
        }
    }
}

/// The whole frame at the beginning of these bytes.
fn frame_of(rest: &[u8]) -> Option<Frame> {
    let length = Frame::length_at(rest.get(..PREFIX_OCTETS)?).ok()??;
    Frame::read(rest.get(..length)?).ok()
}

/// The same when only the magic number is damaged: the checksum covers all but that, and what it must
/// be is known. The chain proves it: the next event names its hash.
fn mended(rest: &[u8]) -> Option<Frame> {
    let mut prefix = *rest.first_chunk::<PREFIX_OCTETS>()?;
    for (to, from) in prefix.iter_mut().zip(MAGIC) {
        *to = *from;
    }
    let length = Frame::length_at(&prefix).ok()??;
    Frame::read(&[&prefix, rest.get(PREFIX_OCTETS..length)?].concat()).ok()
}

/// The place of the first readable frame near the beginning of a file.
fn first_frame(path: &Path, not_newer: bool) -> Result<Option<Seq>, StoreError> {
    let bytes = read(path, u64::try_from(READ_BUFFER_OCTETS).unwrap_or(u64::MAX))?;
    let mut salvage = Salvage::over(std::iter::empty(), not_newer);
    salvage.bytes = bytes;
    match salvage.next() {
        Some(Ok(frame)) => Ok(Some(frame.seq)),
        Some(Err(_)) | None => Ok(None),
    }
}

fn read(path: &Path, octets: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(octets).read_to_end(&mut bytes))
        .map_err(failed("reading", path))?;
    Ok(bytes)
}
