//! The ways in which files go bad.

use std::fs;
use std::path::{Path, PathBuf};

use super::Trouble;
use super::draw::Draw;
use super::stock::Base;

/// A page, as disks and file systems lose them.
const PAGE_OCTETS: usize = 4096;
/// A sector.
const SECTOR_OCTETS: usize = 512;

/// In one case of so many the index is gone too.
const WITHOUT_INDEX_ONE_IN: u64 = 3;

/// A way to damage a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    FlipBits,
    Cut,
    ZeroPage,
    ZeroSector,
    Scribble,
    Delete,
    Empty,
    SwapSegments,
    SwapPages,
    DuplicateTail,
    Garbage,
    Insert,
    Remove,
    StaleFile,
    StaleIndex,
    DeleteMirror,
    DeleteIndex,
    RenameSegment,
}

const WAYS: [Way; 18] = [
    Way::FlipBits,
    Way::Cut,
    Way::ZeroPage,
    Way::ZeroSector,
    Way::Scribble,
    Way::Delete,
    Way::Empty,
    Way::SwapSegments,
    Way::SwapPages,
    Way::DuplicateTail,
    Way::Garbage,
    Way::Insert,
    Way::Remove,
    Way::StaleFile,
    Way::StaleIndex,
    Way::DeleteMirror,
    Way::DeleteIndex,
    Way::RenameSegment,
];

/// Damages the copy of a base, and says how.
///
/// # Errors
/// When a file cannot be read or written.
pub fn damage(log: &Path, base: &Base, draw: &mut Draw) -> Result<String, Trouble> {
    let way = *draw.pick(&WAYS).ok_or("there is no way")?;
    // Without it nothing fills the holes of the mirror, and events are truly lost.
    let without_index = draw.below(WITHOUT_INDEX_ONE_IN) == 0;
    if without_index {
        fs::remove_dir_all(log.join("sled"))?;
    }
    let files = files(log)?;
    let file = draw.pick(&files).ok_or("the log has no files")?.clone();
    let segments: Vec<PathBuf> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rlog"))
        .cloned()
        .collect();
    let (one, two) = (draw.index(segments.len()), draw.index(segments.len()));
    let one = segments.get(one).ok_or("no segment")?;
    let two = segments.get(two).ok_or("no segment")?;
    let place = match way {
        Way::SwapSegments => {
            let (left, right) = (fs::read(one)?, fs::read(two)?);
            fs::write(one, right)?;
            fs::write(two, left)?;
            format!("{} and {}", name(log, one), name(log, two))
        }
        Way::RenameSegment => {
            let to = one.with_file_name(format!("events-{:08}.rlog", draw.below(400)));
            fs::rename(one, &to)?;
            format!("{} to {}", name(log, one), name(log, &to))
        }
        Way::DuplicateTail => {
            let mut bytes = fs::read(one)?;
            let from = draw.index(bytes.len());
            bytes.extend_from_within(from..);
            fs::write(one, bytes)?;
            format!("{} from {from}", name(log, one))
        }
        Way::StaleFile => {
            let old = base.earlier.join(file.strip_prefix(log)?);
            if old.is_file() {
                fs::copy(old, &file).map(drop)?
            } else {
                fs::remove_file(&file)?
            }
            name(log, &file)
        }
        Way::StaleIndex => {
            remove(&log.join("sled"))?;
            super::stock::copy(&base.earlier.join("sled"), &log.join("sled"))?;
            "sled".to_owned()
        }
        Way::DeleteMirror => remove(&log.join("mirror")).map(|()| String::new())?,
        Way::DeleteIndex => remove(&log.join("sled")).map(|()| String::new())?,
        Way::Delete => fs::remove_file(&file).map(|()| name(log, &file))?,
        Way::FlipBits
        | Way::Cut
        | Way::ZeroPage
        | Way::ZeroSector
        | Way::Scribble
        | Way::Empty
        | Way::SwapPages
        | Way::Garbage
        | Way::Insert
        | Way::Remove => {
            let mut bytes = fs::read(&file)?;
            let what = spoil(way, &mut bytes, draw);
            fs::write(&file, bytes)?;
            format!("{} {what}", name(log, &file))
        }
    };
    let also = if without_index { " (and no index)" } else { "" };
    Ok(format!("{:?}: {way:?} {place}{also}", base.left))
}

/// Removes a directory that may be gone already.
fn remove(directory: &Path) -> std::io::Result<()> {
    if directory.exists() { fs::remove_dir_all(directory) } else { Ok(()) }
}

/// Damages the content of one file.
fn spoil(way: Way, bytes: &mut Vec<u8>, draw: &mut Draw) -> String {
    let at = draw.index(bytes.len());
    let short = draw.index(200).saturating_add(1);
    match way {
        Way::FlipBits => {
            let flips = draw.below(4).saturating_add(1);
            for _ in 0..flips {
                let at = draw.index(bytes.len());
                let bit = draw.below(8);
                if let Some(octet) = bytes.get_mut(at) {
                    *octet ^= 1 << bit;
                }
            }
            return format!("{flips} bits");
        }
        Way::Cut => bytes.truncate(at),
        Way::Empty => bytes.clear(),
        Way::ZeroPage => zero(bytes, at, PAGE_OCTETS),
        Way::ZeroSector => zero(bytes, at, SECTOR_OCTETS),
        Way::Scribble => {
            for octet in bytes.iter_mut().skip(at).take(short) {
                *octet = draw.next().to_le_bytes().first().copied().unwrap_or(0);
            }
        }
        Way::SwapPages => {
            let other = draw.index(bytes.len());
            for offset in 0..SECTOR_OCTETS {
                let (left, right) = (at.saturating_add(offset), other.saturating_add(offset));
                if left.max(right) < bytes.len() {
                    bytes.swap(left, right);
                }
            }
        }
        Way::Garbage => bytes.extend((0..short).flat_map(|_| draw.next().to_le_bytes())),
        Way::Insert => drop(bytes.splice(at..at, std::iter::repeat_n(0x52, short))),
        Way::Remove => drop(bytes.drain(at..at.saturating_add(short).min(bytes.len()))),
        Way::Delete
        | Way::SwapSegments
        | Way::DuplicateTail
        | Way::StaleFile
        | Way::StaleIndex
        | Way::DeleteMirror
        | Way::DeleteIndex
        | Way::RenameSegment => {}
    }
    format!("at {at}")
}

/// Zeros the aligned block that holds `at`.
fn zero(bytes: &mut [u8], at: usize, block: usize) {
    let start = at.saturating_sub(at.checked_rem(block).unwrap_or(0));
    bytes.iter_mut().skip(start).take(block).for_each(|octet| *octet = 0);
}

/// All files but the lock, sorted.
fn files(log: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut all = Vec::new();
    for entry in fs::read_dir(log)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn name(log: &Path, file: &Path) -> String {
    file.strip_prefix(log).unwrap_or(file).display().to_string()
}
