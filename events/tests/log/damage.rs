//! Damage of every kind: the log is opened whole, or refused with its code, and never opened shorter
//! than what was acknowledged.

use std::fs;
use std::path::{Path, PathBuf};

use renewd_events::id::Seq;
use renewd_events::log::bounds::TORN_KEPT_MAX;
use renewd_events::log::{AnchorCheck, MirrorReader, SledLog, verify};
use renewd_events::store::{EventStore, StoreError};

use crate::common::{Left, batch, copy, fill, log_of, places};

const EVENTS: u64 = 300;
const SEGMENT: &str = "mirror/events-00000001.rlog";
const BOTH: [Left; 2] = [Left::Closed, Left::Crashed];

/// What came of opening a damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Refused(&'static str),
    /// For a reason that is not damage.
    Failed(String),
}

/// Opens and reads everything, by both roads. Fewer events than [`EVENTS`] end the test.
fn outcome(log: &Path) -> Outcome {
    let code = |error| {
        if let StoreError::Damaged { code, .. } = error {
            Outcome::Refused(code)
        } else {
            Outcome::Failed(error.to_string())
        }
    };
    let log = match SledLog::open(log) {
        Ok((log, _)) => log,
        Err(error) => return code(error),
    };
    let all: Vec<u64> = (1..=EVENTS).collect();
    assert_eq!(log.head().seq, Seq(EVENTS), "opened, but shorter");
    assert_eq!(places(&log, 1), all, "the index and the mirror behind it");
    let replay: Result<Vec<_>, _> = log.replay(Seq(1)).unwrap().collect();
    match replay {
        Ok(frames) => {
            assert!(frames.iter().map(|frame| frame.seq.0).eq(all));
            Outcome::Whole
        }
        Err(error) => code(error),
    }
}

/// A fresh log for each case, made by copying one.
struct Cases {
    dir: tempfile::TempDir,
    number: u32,
}

impl Cases {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        log_of(&dir.path().join("Closed"), EVENTS, Left::Closed);
        log_of(&dir.path().join("Crashed"), EVENTS, Left::Crashed);
        Self { dir, number: 0 }
    }

    fn log(&mut self, left: Left) -> PathBuf {
        self.number += 1;
        let path = self.dir.path().join(self.number.to_string());
        copy(&self.dir.path().join(format!("{left:?}")), &path);
        path
    }
}

fn shorten(file: &Path, by: u64) {
    let length = fs::metadata(file).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(length.saturating_sub(by)).unwrap();
}

fn flip(file: &Path, bit: u64) {
    let mut bytes = fs::read(file).unwrap();
    let length = u64::try_from(bytes.len()).unwrap();
    let at = usize::try_from(bit / 8 % length).unwrap();
    *bytes.get_mut(at).unwrap() ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

/// A fixed sequence of numbers without a pattern (xorshift64).
fn numbers() -> impl Iterator<Item = u64> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state)
    })
}

#[test]
fn a_mirror_that_was_cut_is_refused() {
    let mut cases = Cases::new();
    for left in BOTH {
        for by in [1, 100, 400, 5000] {
            let log = cases.log(left);
            shorten(&log.join(SEGMENT), by);
            assert_eq!(outcome(&log), Outcome::Refused("R0601"), "{left:?} {by}");
            let report = verify(&log).unwrap();
            assert!(!report.is_whole());
            let anchor = Seq(EVENTS);
            assert_eq!(report.anchor, AnchorCheck::Ahead { anchor });
        }
    }
}

#[test]
fn a_flipped_bit_in_the_mirror_is_found_wherever_it_is() {
    let mut cases = Cases::new();
    for (number, bit) in numbers().take(20).enumerate() {
        let left = BOTH[number % 2];
        let log = cases.log(left);
        flip(&log.join(SEGMENT), bit);
        let report = verify(&log).unwrap();
        let bad = report.first_bad.clone().unwrap();
        assert_eq!(bad.seq.0, report.events + 1, "{report:?}");
        assert!(!report.is_whole(), "{left:?} {bit}: {report:?}");
        let reader = MirrorReader::open(&log).unwrap();
        assert!(reader.scan(Seq(1)).unwrap().any(|frame| frame.is_err()));
        let found = outcome(&log);
        let refused = ["R0601", "R0602", "R0607"].map(Outcome::Refused);
        assert!(refused.contains(&found), "{left:?} {bit}: {found:?}");
    }
}

#[test]
fn a_damaged_index_is_made_again_from_the_mirror() {
    let mut cases = Cases::new();
    for left in BOTH {
        for bit in numbers().take(20).chain([0]) {
            let log = cases.log(left);
            flip(&log.join("sled/db"), bit);
            assert_eq!(outcome(&log), Outcome::Whole, "{left:?} flip {bit}");
        }
        for by in [1, 100, 300, 20_000, 100_000, u64::MAX] {
            let log = cases.log(left);
            shorten(&log.join("sled/db"), by);
            assert_eq!(outcome(&log), Outcome::Whole, "{left:?} cut {by}");
        }
        for gone in ["sled", "sled/db", "sled/conf"] {
            let log = cases.log(left);
            let path = log.join(gone);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
            assert_eq!(outcome(&log), Outcome::Whole, "{left:?} without {gone}");
        }
    }
}

#[test]
fn an_index_of_another_log_is_set_aside_and_two_of_those_are_kept() {
    let mut cases = Cases::new();
    let log = cases.log(Left::Closed);
    let other = cases.log(Left::Closed);
    fs::remove_dir_all(&other).unwrap();
    let mut store = SledLog::create(&other).unwrap();
    fill(&mut store, EVENTS / 3, 3);
    drop(store);
    for number in 1..=4 {
        fs::remove_dir_all(log.join("sled")).unwrap();
        copy(&other.join("sled"), &log.join("sled"));
        let (_, opened) = SledLog::open(&log).unwrap();
        let aside = log.join(format!("sled.before-{number}"));
        assert_eq!(opened.index_set_aside, Some(aside.clone()));
        assert_eq!(opened.rolled_forward, EVENTS);
        assert!(aside.exists());
    }
    let kept = |number: u32| log.join(format!("sled.before-{number}")).exists();
    assert_eq!([1, 2, 3, 4].map(kept), [false, false, true, true]);
    assert_eq!(outcome(&log), Outcome::Whole);
}

#[test]
fn a_log_that_was_emptied_is_refused() {
    let mut cases = Cases::new();
    type Damage = fn(&Path);
    let table: [(&str, Damage, &str); 5] = [
        ("no mirror", |log| fs::remove_dir_all(log.join("mirror")).unwrap(), "R0605"),
        ("an empty mirror", |log| fs::remove_file(log.join(SEGMENT)).unwrap(), "R0605"),
        ("an empty segment", |log| shorten(&log.join(SEGMENT), u64::MAX), "R0605"),
        (
            "only HEAD",
            |log| {
                for gone in ["mirror", "sled"] {
                    fs::remove_dir_all(log.join(gone)).unwrap();
                }
                drop(fs::remove_file(log.join("CLEAN")));
            },
            "R0605",
        ),
        (
            "the first segment is gone",
            |log| {
                fs::rename(log.join(SEGMENT), log.join("mirror/events-00000007.rlog")).unwrap();
            },
            "R0601",
        ),
    ];
    for left in BOTH {
        for (case, damage, code) in table {
            let log = cases.log(left);
            damage(&log);
            assert_eq!(outcome(&log), Outcome::Refused(code), "{left:?}: {case}");
            assert!(SledLog::create(&log).is_err(), "{left:?}: {case}");
            assert!(!verify(&log).unwrap().is_whole(), "{left:?}: {case}");
            let reader = MirrorReader::open(&log).unwrap();
            let read = reader.scan(Seq(1)).unwrap().find_map(Result::err);
            assert!(read.is_some(), "{left:?}: {case}: read as if it were whole");
        }
    }
}

#[test]
fn a_frame_of_a_newer_version_is_refused_and_left_alone() {
    let mut cases = Cases::new();
    let log = cases.log(Left::Crashed);
    let head = MirrorReader::open(&log).unwrap().head().unwrap();
    let mut content = fs::read(log.join(SEGMENT)).unwrap();
    content.extend_from_slice(b"RNW2");
    content.extend(batch(head, 1).iter().flat_map(|frame| &frame.bytes[4..]));
    fs::write(log.join(SEGMENT), &content).unwrap();
    assert_eq!(outcome(&log), Outcome::Refused("R0607"));
    assert_eq!(fs::read(log.join(SEGMENT)).unwrap(), content);
}

#[test]
fn a_log_without_its_anchor_is_refused() {
    let mut cases = Cases::new();
    for left in BOTH {
        let log = cases.log(left);
        fs::remove_file(log.join("HEAD")).unwrap();
        assert_eq!(outcome(&log), Outcome::Refused("R0606"), "{left:?} gone");
        assert!(SledLog::create(&log).is_err(), "{left:?} gone");
        fs::write(log.join("HEAD"), [0; 8192]).unwrap();
        assert_eq!(outcome(&log), Outcome::Refused("R0606"), "{left:?} zeros");
        let report = verify(&log).unwrap();
        assert!(!report.is_whole(), "{left:?}: {report:?}");
        assert_eq!(report.anchor, AnchorCheck::Lost);
        let log = cases.log(left);
        shorten(&log.join("HEAD"), u64::MAX);
        assert_eq!(outcome(&log), Outcome::Refused("R0606"), "{left:?} empty");
    }
}

#[test]
fn one_damaged_slot_of_the_anchor_leaves_the_other() {
    let mut cases = Cases::new();
    for left in BOTH {
        for bit in (0..64 * 8).step_by(37) {
            for slot in [0, 4096 * 8] {
                let log = cases.log(left);
                flip(&log.join("HEAD"), slot + bit);
                assert_eq!(outcome(&log), Outcome::Whole, "{left:?} {slot} {bit}");
            }
            let log = cases.log(left);
            flip(&log.join("HEAD"), bit);
            flip(&log.join("HEAD"), 4096 * 8 + bit);
            assert_eq!(outcome(&log), Outcome::Refused("R0606"), "{left:?} {bit}");
        }
    }
}

#[test]
fn a_mirror_of_an_earlier_day_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, backup) = (dir.path().join("log"), dir.path().join("backup"));
    log_of(&log, 200, Left::Closed);
    copy(&log, &backup);
    let (mut store, _) = SledLog::open(&log).unwrap();
    fill(&mut store, 100, 1);
    store.close().unwrap();
    drop(store);
    fs::copy(backup.join(SEGMENT), log.join(SEGMENT)).unwrap();
    assert_eq!(outcome(&log), Outcome::Refused("R0601"));
    // Mirror, anchor and mark together are a whole log, but the index remembers more.
    for name in ["HEAD", "CLEAN"] {
        fs::copy(backup.join(name), log.join(name)).unwrap();
    }
    assert_eq!(outcome(&log), Outcome::Refused("R0601"));
}

#[test]
fn a_torn_commit_is_cut_and_kept_wherever_it_was_torn() {
    let mut cases = Cases::new();
    let head = MirrorReader::open(&cases.log(Left::Crashed)).unwrap().head().unwrap();
    let next = batch(head, 2);
    let bytes: Vec<u8> = next.iter().flat_map(|frame| &frame.bytes).copied().collect();
    for length in (1..bytes.len()).step_by(13) {
        let log = cases.log(Left::Crashed);
        let mut content = fs::read(log.join(SEGMENT)).unwrap();
        let whole = content.len();
        content.extend(bytes.iter().take(length));
        fs::write(log.join(SEGMENT), content).unwrap();
        assert!(verify(&log).unwrap().is_whole(), "nothing acknowledged is missing");
        let (mut store, opened) = SledLog::open(&log).unwrap();
        let torn = opened.torn.unwrap();
        assert_eq!(torn.seq, Seq(EVENTS + 1));
        assert_eq!(fs::read(&torn.kept).unwrap(), bytes[..length]);
        assert_eq!(fs::read(log.join(SEGMENT)).unwrap().len(), whole);
        store.commit(&next).unwrap();
        drop(store);
        let (store, opened) = SledLog::open(&log).unwrap();
        assert_eq!((store.head().seq, opened.torn), (Seq(EVENTS + 2), None));
    }
}

#[test]
fn copies_of_torn_ends_do_not_pile_up() {
    let mut cases = Cases::new();
    let log = cases.log(Left::Crashed);
    for _ in 0..TORN_KEPT_MAX + 3 {
        let mut content = fs::read(log.join(SEGMENT)).unwrap();
        content.extend_from_slice(b"RNW1");
        fs::write(log.join(SEGMENT), content).unwrap();
        let (mut store, opened) = SledLog::open(&log).unwrap();
        assert_eq!(opened.torn.unwrap().octets, 4);
        fill(&mut store, 1, 1);
    }
    let names = fs::read_dir(log.join("mirror")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let torn = names.filter(|name| name.starts_with("torn-"));
    assert_eq!(torn.count(), TORN_KEPT_MAX);
}

#[test]
fn a_whole_commit_that_was_not_acknowledged_counts() {
    let mut cases = Cases::new();
    let log = cases.log(Left::Crashed);
    let head = MirrorReader::open(&log).unwrap().head().unwrap();
    let mut content = fs::read(log.join(SEGMENT)).unwrap();
    for frame in batch(head, 2) {
        content.extend(frame.bytes);
    }
    fs::write(log.join(SEGMENT), content).unwrap();
    let (store, opened) = SledLog::open(&log).unwrap();
    assert_eq!((store.head().seq, opened.beyond_anchor), (Seq(EVENTS + 2), 2));
    assert_eq!(opened.rolled_forward, 2);
    assert_eq!(places(&store, EVENTS), vec![EVENTS, EVENTS + 1, EVENTS + 2]);
    drop(store);
    assert_eq!(SledLog::open(&log).unwrap().1.beyond_anchor, 0, "it is anchored now");
}
