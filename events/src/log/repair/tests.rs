//! An end at each step of a swap: the same events are there afterwards, and the damaged log too.

use std::fs;

use super::*;
use crate::id::Seq;
use crate::log::chained::next;
use crate::log::{
    Leftover, LeftoverKind, MirrorReader, SledLog, leftovers, put_in_place, unplaced,
};
use crate::store::EventStore;

const EVENTS: u64 = 20;
const SEGMENT: &str = "mirror/events-00000001.rlog";
const FIRST: WallMs = WallMs(1_769_860_800_000);
const SECOND: WallMs = WallMs(1_769_864_400_000);

/// A log with a hole in its mirror that the index fills; its events, and the damaged file.
fn damaged(log: &Path) -> (Vec<Frame>, Vec<u8>) {
    let mut store = SledLog::create(log).unwrap();
    for _ in 0..EVENTS {
        store.commit(&[next(store.head())]).unwrap();
    }
    drop(store);
    let frames = frames(log);
    let mut bytes = fs::read(log.join(SEGMENT)).unwrap();
    bytes.get_mut(300..700).unwrap().fill(0);
    fs::write(log.join(SEGMENT), &bytes).unwrap();
    (frames, bytes)
}

fn frames(log: &Path) -> Vec<Frame> {
    MirrorReader::open(log).unwrap().scan(Seq(1)).unwrap().map(Result::unwrap).collect()
}

fn beside(log: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(log.parent().unwrap()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path != log);
    paths
}

/// What is there after an end between two steps.
#[derive(Debug, PartialEq, Eq)]
enum There {
    Damaged(Vec<LeftoverKind>),
    NoLog(LeftoverKind),
    Repaired,
}

fn look_at(log: &Path) -> There {
    let found = leftovers(log).iter().map(|left| left.kind).collect();
    match (SledLog::check(log), log.exists()) {
        (Ok(()), _) => There::Repaired,
        (Err(_), true) => There::Damaged(found),
        (Err(_), false) => There::NoLog(unplaced(log).unwrap().kind),
    }
}

/// Ends after `steps` steps; then what a start does, and where that finds damage, what an operator does.
fn ended_after(exchanges: bool, steps: usize) -> There {
    let dir = tempfile::tempdir().unwrap();
    let log = &dir.path().join("log");
    let (before, bytes) = damaged(log);
    swapped_by(log, exchanges, steps);
    let there = look_at(log);
    // A start.
    let placed = put_in_place(log).unwrap();
    assert_eq!(placed.is_some(), there == There::NoLog(LeftoverKind::Unplaced(Mending::Repair)));
    assert!(put_in_place(log).unwrap().is_none(), "once");
    opens_or_is_repaired(log, &there, &bytes);
    assert_eq!(frames(log)[..before.len()], before, "{there:?}");
    assert!(leftovers(log).is_empty(), "{:?}", leftovers(log));
    let kept = beside(log);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read(kept[0].join(SEGMENT)).unwrap(), bytes, "the damaged log is kept");
    there
}

/// A repair that ends after so many steps of its swap.
fn swapped_by(log: &Path, exchanges: bool, steps: usize) {
    let ready = write(log, Wish::default(), FIRST).unwrap().unwrap();
    assert!(leftovers(log).is_empty(), "it is under way");
    let (new, aside) = (&ready.new, &ready.aside);
    let all = if exchanges {
        exchanging(log, new, aside).to_vec()
    } else {
        Step::Rename(new, aside).take(log).unwrap();
        moving(log, new, aside).to_vec()
    };
    all.iter().take(steps).for_each(|step| step.take(log).unwrap());
}

fn opens_or_is_repaired(log: &Path, there: &There, damaged: &[u8]) {
    match SledLog::open(log) {
        Ok((store, opened)) => {
            assert!(opened.clean);
            assert_eq!(store.head().seq, Seq(EVENTS + 1));
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            assert_eq!(fs::read(log.join(SEGMENT)).unwrap(), damaged, "as it was");
            let repaired = repair(log, Wish::default(), SECOND).unwrap().unwrap();
            assert_eq!(repaired.survey.lost(), None);
            assert_eq!(repaired.removed.len(), beside_count(there));
        }
    }
}

/// Logs of cut attempts under the name of a kept one.
fn beside_count(there: &There) -> usize {
    match there {
        There::Damaged(kinds) => {
            kinds.iter().filter(|kind| matches!(kind, LeftoverKind::Unswapped(_))).count()
        }
        There::NoLog(_) | There::Repaired => 0,
    }
}

#[test]
fn an_end_at_each_step_of_the_exchange_loses_nothing() {
    let begun = There::Damaged(vec![LeftoverKind::Begun(Mending::Repair)]);
    assert_eq!(ended_after(true, 0), begun);
    let unswapped = ended_after(true, 1);
    assert!(matches!(&unswapped, There::Damaged(kinds) if beside_count(&unswapped) == kinds.len()));
    assert_eq!(ended_after(true, 2), There::Repaired);
    assert_eq!(ended_after(true, 3), There::Repaired);
}

#[test]
fn an_end_at_each_step_without_an_exchange_loses_nothing() {
    assert!(matches!(ended_after(false, 0), There::Damaged(_)));
    let begun = There::Damaged(vec![LeftoverKind::Begun(Mending::Repair)]);
    assert_eq!(ended_after(false, 1), begun);
    assert_eq!(ended_after(false, 2), begun);
    let unplaced = There::NoLog(LeftoverKind::Unplaced(Mending::Repair));
    assert_eq!(ended_after(false, 3), unplaced);
    assert_eq!(ended_after(false, 4), unplaced);
    assert_eq!(ended_after(false, 5), There::Repaired);
    assert_eq!(ended_after(false, 6), There::Repaired);
}

#[test]
fn what_an_attempt_wrote_stays_when_the_log_has_other_events_now() {
    let dir = tempfile::tempdir().unwrap();
    let log = &dir.path().join("log");
    damaged(log);
    let ready = write(log, Wish::default(), FIRST).unwrap().unwrap();
    Step::Rename(&ready.new, &ready.aside).take(log).unwrap();
    let aside = ready.aside.clone();
    drop(ready);
    // Somebody puts another damaged log there: the attempt's is then the only one with its events.
    fs::remove_dir_all(log).unwrap();
    let mut store = SledLog::create(log).unwrap();
    store.commit(&[next(store.head())]).unwrap();
    drop(store);
    fs::remove_file(log.join("HEAD")).unwrap();
    let repaired = repair(log, Wish::default(), SECOND).unwrap().unwrap();
    assert!(repaired.removed.is_empty());
    assert_eq!(frames(&aside).last().unwrap().seq, Seq(EVENTS + 1));
    assert!(
        matches!(&leftovers(log)[..], [Leftover { path, kind: LeftoverKind::Unswapped(_) }] if *path == aside)
    );
}

#[test]
fn half_a_log_is_never_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = &dir.path().join("log");
    for (name, by) in [("repairing", Mending::Repair), ("restoring", Mending::Restore)] {
        let half = fresh::beside(log, name);
        damaged(&half);
        assert!(put_in_place(log).unwrap().is_none());
        let left: Vec<LeftoverKind> = leftovers(log).iter().map(|left| left.kind).collect();
        assert_eq!(left, [LeftoverKind::Begun(by)]);
        // Whole and closed in order, but without the event that tells the story.
        fs::remove_dir_all(&half).unwrap();
        let mut store = SledLog::create(&half).unwrap();
        store.commit(&[next(store.head())]).unwrap();
        store.close().unwrap();
        drop(store);
        assert!(put_in_place(log).unwrap().is_none());
        fs::remove_dir_all(&half).unwrap();
    }
    assert!(!log.exists());
}
