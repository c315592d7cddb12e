//! Repair and restore: what can be proven is kept, what is lost is named, and the log says so itself.

use std::fs;
use std::path::{Path, PathBuf};

use renewd_events::Event;
use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::{
    Cure, IndexCheck, MendError, MirrorReader, SledLog, Wish, examine, export, look, repair,
    restore, verify,
};
use renewd_events::process::{EngineEvent, Mending};
use renewd_events::store::{EventStore, StoreError};
use renewd_events::{Facts, WallMs};

use crate::common::{Left, batch, copy, fill, log_of};

const EVENTS: u64 = 120;
const SEGMENT: &str = "mirror/events-00000001.rlog";
const AT: WallMs = WallMs(1_769_860_800_123);

fn frames(log: &Path) -> Vec<Frame> {
    MirrorReader::open(log).unwrap().scan(Seq(1)).unwrap().map(Result::unwrap).collect()
}

/// A log of [`EVENTS`] events, its frames, and where each of them ends.
fn whole(dir: &Path) -> (PathBuf, Vec<Frame>, Vec<usize>) {
    let log = dir.join("log");
    log_of(&log, EVENTS, Left::Crashed);
    let frames = frames(&log);
    let ends = frames.iter().scan(0, |end, frame| {
        *end += frame.bytes.len();
        Some(*end)
    });
    let ends = ends.collect();
    (log, frames, ends)
}

/// The event that a mended log ends with: by whom, kept, lost, and whether the end is known.
fn told(log: &Path) -> (Mending, u64, u64, bool) {
    let last = frames(log).pop().unwrap();
    let envelope = Frame::decode(&last.bytes).unwrap();
    let told =
        if let Event::Engine(EngineEvent::LogMended { by, kept, lost_to, end_known, .. }) =
            envelope.event
        {
            assert_eq!(envelope.seq, kept.next());
            Some((by, kept.0, lost_to.0, end_known))
        } else {
            None
        };
    told.unwrap()
}

fn zero(file: &Path, from: usize, to: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes.get_mut(from..to).unwrap().fill(0);
    fs::write(file, bytes).unwrap();
}

fn without_index(log: &Path) {
    fs::remove_dir_all(log.join("sled")).unwrap();
}

#[test]
fn a_hole_in_the_mirror_is_filled_from_the_index_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before, ends) = whole(dir.path());
    zero(&log.join(SEGMENT), ends[9] + 3, ends[29] + 50);
    assert!(matches!(SledLog::open(&log), Err(StoreError::Damaged { .. })));
    let found = look(&log, Wish::default(), &mut |_| ()).unwrap().unwrap();
    assert_eq!((found.lost(), found.from_index, found.end_known), (None, 21, true));
    let repaired = repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(repaired.head.seq, Seq(EVENTS + 1));
    assert_eq!(told(&log), (Mending::Repair, EVENTS, EVENTS, true));
    assert_eq!(frames(&log)[..before.len()], before);
    let mut facts = Facts::default();
    for frame in frames(&log) {
        facts.apply(&Frame::decode(&frame.bytes).unwrap());
    }
    assert_eq!(facts.engine.lost_at, None, "nothing is lost: nothing is in doubt");
    let (mut store, _) = SledLog::open(&log).unwrap();
    fill(&mut store, 1, 1);
}

#[test]
fn what_neither_has_is_lost_and_named_and_the_damaged_log_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before, ends) = whole(dir.path());
    without_index(&log);
    zero(&log.join(SEGMENT), ends[9] + 3, ends[29] + 50);
    let damaged = fs::read(log.join(SEGMENT)).unwrap();
    let mut kept = Vec::new();
    let found = look(&log, Wish::default(), &mut |event| kept.push(event.seq.0)).unwrap().unwrap();
    assert_eq!(found.lost(), Some((Seq(11), Seq(EVENTS))));
    assert_eq!(kept, (1..=10).collect::<Vec<_>>());
    let strays: Vec<u64> = found.strays.iter().map(|event| event.seq.0).collect();
    assert_eq!(strays, (32..=EVENTS).collect::<Vec<_>>(), "readable, and evidence");
    assert_eq!(fs::read(log.join(SEGMENT)).unwrap(), damaged, "looking changes nothing");
    let repaired = repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, 10, EVENTS, true));
    assert_eq!(frames(&log)[..10], before[..10]);
    assert_eq!(repaired.aside, dir.path().join("log.before-repair-20260131T120000Z"));
    assert_eq!(fs::read(repaired.aside.join(SEGMENT)).unwrap(), damaged);
    assert!(repair(&log, Wish::default(), AT).unwrap().is_none(), "it is whole now");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_lost_end_puts_orders_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, ends) = whole(dir.path());
    without_index(&log);
    let bytes = fs::read(log.join(SEGMENT)).unwrap();
    fs::write(log.join(SEGMENT), &bytes[..ends[99]]).unwrap();
    repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, 100, EVENTS, true));
    let mut facts = Facts::default();
    for frame in frames(&log) {
        facts.apply(&Frame::decode(&frame.bytes).unwrap());
    }
    assert_eq!(facts.engine.lost_at, Some(AT));
    assert!(facts.engine.may_have_forgotten_orders(AT));
}

#[test]
fn without_an_anchor_all_is_kept_and_the_end_is_called_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _) = whole(dir.path());
    fs::remove_file(log.join("HEAD")).unwrap();
    repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, EVENTS, EVENTS, false));
    assert!(verify(&log).unwrap().is_whole());
}

#[test]
fn a_batch_is_kept_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut store = SledLog::create(&log).unwrap();
    fill(&mut store, 10, 4);
    let octets: usize = batch(store.head(), 1).iter().map(|frame| frame.bytes.len()).sum();
    drop(store);
    without_index(&log);
    let bytes = fs::read(log.join(SEGMENT)).unwrap();
    fs::write(log.join(SEGMENT), &bytes[..bytes.len() - octets]).unwrap();
    repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, 36, 40, true));
}

#[test]
fn swapped_segments_are_read_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut store = SledLog::create(&log).unwrap();
    store.close_segments_at(2000);
    fill(&mut store, EVENTS, 1);
    drop(store);
    let before = frames(&log);
    without_index(&log);
    let mut segments: Vec<PathBuf> =
        fs::read_dir(log.join("mirror")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(segments.len() > 4);
    let (one, two) = (fs::read(&segments[1]).unwrap(), fs::read(&segments[2]).unwrap());
    fs::write(&segments[1], two).unwrap();
    fs::write(&segments[2], one).unwrap();
    assert!(!verify(&log).unwrap().is_whole());
    repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, EVENTS, EVENTS, true));
    assert_eq!(frames(&log)[..before.len()], before);
}

#[test]
fn a_running_log_and_one_of_a_newer_version_are_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _) = whole(dir.path());
    let (store, _) = SledLog::open(&log).unwrap();
    let held = repair(&log, Wish::default(), AT);
    assert!(matches!(held, Err(MendError::Store(StoreError::Locked { .. }))), "{held:?}");
    drop(store);
    let mut bytes = fs::read(log.join(SEGMENT)).unwrap();
    let end = bytes.len();
    let head = MirrorReader::open(&log).unwrap().head().unwrap();
    bytes.extend(&batch(head, 1)[0].bytes);
    bytes[end + 3] = b'2';
    fs::write(log.join(SEGMENT), &bytes).unwrap();
    let newer = repair(&log, Wish::default(), AT);
    assert!(matches!(newer, Err(MendError::Newer { .. })), "{newer:?}");
    assert_eq!(fs::read(log.join(SEGMENT)).unwrap(), bytes);
    repair(&log, Wish { not_newer: true }, AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, EVENTS + 1, EVENTS + 1, true));
}

#[test]
fn a_damaged_magic_number_is_mended_when_an_event_of_ours_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before, ends) = whole(dir.path());
    without_index(&log);
    let mut bytes = fs::read(log.join(SEGMENT)).unwrap();
    *bytes.get_mut(3).unwrap() = b'2';
    *bytes.get_mut(ends[7]).unwrap() = 0;
    fs::write(log.join(SEGMENT), bytes).unwrap();
    repair(&log, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(told(&log), (Mending::Repair, EVENTS, EVENTS, true));
    assert_eq!(frames(&log)[..before.len()], before);
}

#[test]
fn a_mirror_of_another_log_is_not_mixed_in() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before, _) = whole(dir.path());
    let other = dir.path().join("other");
    let mut store = SledLog::create(&other).unwrap();
    fill(&mut store, EVENTS / 2, 2);
    drop(store);
    fs::copy(other.join(SEGMENT), log.join(SEGMENT)).unwrap();
    // The index leads to the event that HEAD names.
    let copied = dir.path().join("copied");
    copy(&log, &copied);
    repair(&copied, Wish::default(), AT).unwrap().unwrap();
    assert_eq!(frames(&copied)[..before.len()], before);
    // Nothing does.
    without_index(&log);
    let mixed = repair(&log, Wish::default(), AT);
    assert!(matches!(mixed, Err(MendError::TwoLogs { seq: Seq(EVENTS), .. })), "{mixed:?}");
    assert!(log.join("HEAD").exists() && !dir.path().join("log.look").exists());
}

#[test]
fn a_log_without_any_event_is_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _) = whole(dir.path());
    without_index(&log);
    fs::remove_file(log.join(SEGMENT)).unwrap();
    let nothing = repair(&log, Wish::default(), AT);
    assert!(matches!(nothing, Err(MendError::NothingProven { .. })), "{nothing:?}");
    let found = examine(&log, &dir.path().join("scratch")).unwrap();
    assert_eq!(found.cure, Cure::Restore);
}

#[test]
fn an_export_becomes_a_log_and_the_same_export_again() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before, _) = whole(dir.path());
    let (one, two) = (dir.path().join("one.rlog"), dir.path().join("two.rlog"));
    export(&MirrorReader::open(&log).unwrap(), &one).unwrap();
    let into = dir.path().join("new/log");
    let restored = restore(&one, &into, AT).unwrap();
    assert_eq!((restored.kept.seq, restored.head.seq), (Seq(EVENTS), Seq(EVENTS + 1)));
    assert_eq!(told(&into), (Mending::Restore, EVENTS, EVENTS, false));
    export(&MirrorReader::open(&into).unwrap(), &two).unwrap();
    let (one, two) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    assert!(two.starts_with(&one) && two.len() > one.len());
    let (mut store, opened) = SledLog::open(&into).unwrap();
    assert!(opened.clean);
    fill(&mut store, 3, 1);
    drop(store);
    assert_eq!(frames(&into)[..before.len()], before);
    let again = restore(&log, &into, AT);
    assert!(matches!(again, Err(MendError::Taken { .. })), "{again:?}");
}

#[test]
fn a_copied_mirror_is_restored_and_a_damaged_source_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, ends) = whole(dir.path());
    let copied = dir.path().join("copied");
    copy(&log.join("mirror"), &copied.join("mirror"));
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    restore(&copied, &empty, AT).unwrap();
    assert_eq!(told(&empty).1, EVENTS);
    zero(&copied.join(SEGMENT), ends[5], ends[5] + 20);
    let into = dir.path().join("into");
    let refused = restore(&copied, &into, AT);
    assert!(matches!(refused, Err(MendError::Source { code: "R0602", .. })), "{refused:?}");
    assert!(!into.exists());
}

#[test]
fn each_part_is_compared_and_the_cure_named() {
    type Damage = fn(&Path);
    type Expected = fn(&IndexCheck) -> bool;
    let table: [(&str, Damage, Cure, Expected); 5] = [
        ("nothing", |_| (), Cure::Nothing, |it| *it == IndexCheck::Agrees),
        ("no index", without_index, Cure::Start, |it| matches!(it, IndexCheck::Unreadable(_))),
        (
            "a torn end",
            |log| {
                let mut bytes = fs::read(log.join(SEGMENT)).unwrap();
                bytes.extend_from_slice(b"RNW1 torn");
                fs::write(log.join(SEGMENT), bytes).unwrap();
            },
            Cure::Start,
            |it| *it == IndexCheck::Agrees,
        ),
        (
            "the end is gone",
            |log| {
                let bytes = fs::read(log.join(SEGMENT)).unwrap();
                fs::write(log.join(SEGMENT), &bytes[..bytes.len() - 300]).unwrap();
            },
            Cure::Repair,
            |it| *it == IndexCheck::Ahead(Seq(EVENTS)),
        ),
        ("no HEAD", |log| fs::remove_file(log.join("HEAD")).unwrap(), Cure::Repair, |_| true),
    ];
    for (case, damage, cure, index) in table {
        let dir = tempfile::tempdir().unwrap();
        let (log, _, _) = whole(dir.path());
        damage(&log);
        let found = examine(&log, &dir.path().join("scratch")).unwrap();
        assert_eq!(found.cure, cure, "{case}: {found:?}");
        assert!(index(&found.index), "{case}: {:?}", found.index);
        assert_eq!(found.refusal.is_some(), cure == Cure::Repair, "{case}");
        assert!(!dir.path().join("scratch").exists(), "{case}");
    }
}
