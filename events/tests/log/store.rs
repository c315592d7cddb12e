//! The contract of `EventStore`, for the log in memory and the one on disk; and what only the one on
//! disk has: reopening, one holder, export.

use crate::common::{Left, batch, copy, fill, log_of, places};
use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::{AnchorCheck, MirrorReader, SledLog, export, verify};
use renewd_events::memory::MemoryStore;
use renewd_events::store::{EventStore, Head, StoreError};

fn contract(store: &mut dyn EventStore) {
    assert_eq!(store.head(), Head::default(), "a new log has no events");
    assert_eq!(places(store, 1), Vec::<u64>::new());
    let first = batch(store.head(), 3);
    store.commit(&first).unwrap();
    assert_eq!(store.head().seq, Seq(3));
    assert_eq!(store.head().hash, first.last().unwrap().hash);
    fill(store, 4, 1);
    let back: Vec<Frame> = store.scan(Seq(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(back.get(..3).unwrap(), first, "frames come back as they were");
    assert_eq!(places(store, 1), vec![1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(places(store, 5), vec![5, 6, 7]);
    assert_eq!(places(store, 8), Vec::<u64>::new());
    store.commit(&[]).unwrap();
    assert_eq!(store.head().seq, Seq(7), "nothing appended changes nothing");
    store.close().unwrap();
}

#[test]
fn the_log_in_memory_keeps_the_contract() {
    contract(&mut MemoryStore::default());
}

#[test]
fn the_log_on_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&mut SledLog::create(&dir.path().join("log")).unwrap());
}

#[test]
fn a_closed_log_opens_clean_and_an_unclosed_one_says_so() {
    for left in [Left::Closed, Left::Crashed] {
        let dir = tempfile::tempdir().unwrap();
        log_of(dir.path(), 10, left);
        let (mut log, opened) = SledLog::open(dir.path()).unwrap();
        assert_eq!(opened.clean, left == Left::Closed);
        assert_eq!(opened.torn, None);
        assert_eq!(opened.index_set_aside, None);
        assert_eq!(places(&log, 1), (1..=10).collect::<Vec<_>>());
        fill(&mut log, 1, 2);
        drop(log);
        let (log, opened) = SledLog::open(dir.path()).unwrap();
        assert!(!opened.clean, "the clean mark is gone once the log is in use");
        assert_eq!(log.head().seq, Seq(12));
    }
}

#[test]
fn a_log_is_made_only_when_asked_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    assert!(matches!(SledLog::open(&path), Err(StoreError::Absent { .. })));
    assert!(!path.exists(), "a failed open leaves nothing behind");
    drop(SledLog::create(&path).unwrap());
    assert!(matches!(SledLog::create(&path), Err(StoreError::Io { .. })));
    assert_eq!(SledLog::open(&path).unwrap().0.head(), Head::default());
}

#[test]
fn one_process_holds_the_log_and_others_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::create(dir.path()).unwrap();
    fill(&mut log, 5, 2);
    assert!(matches!(SledLog::open(dir.path()), Err(StoreError::Locked { .. })));
    let reader = MirrorReader::open(dir.path()).unwrap();
    assert_eq!(reader.head().unwrap(), log.head());
    fill(&mut log, 1, 2);
    assert_eq!(reader.scan(Seq(4)).unwrap().count(), 9);
    let events = reader.envelopes(Seq(1)).unwrap();
    assert_eq!(events.map(|event| event.unwrap().seq.0).sum::<u64>(), 78);
}

#[test]
fn a_reader_stops_before_a_batch_that_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 3, Left::Crashed);
    let next = batch(MirrorReader::open(dir.path()).unwrap().head().unwrap(), 2);
    let whole = std::fs::read(dir.path().join("mirror/events-00000001.rlog")).unwrap();
    let bytes: Vec<u8> = next.iter().flat_map(|frame| &frame.bytes).copied().collect();
    for length in 0..=bytes.len() {
        let mut content = whole.clone();
        content.extend(bytes.iter().take(length));
        std::fs::write(dir.path().join("mirror/events-00000001.rlog"), content).unwrap();
        let reader = MirrorReader::open(dir.path()).unwrap();
        let seen = reader.scan(Seq(1)).unwrap().map(Result::unwrap).count();
        assert_eq!(seen, if length == bytes.len() { 5 } else { 3 }, "{length}");
    }
}

#[test]
fn an_export_holds_every_event_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    log_of(&log, 20, Left::Closed);
    let reader = MirrorReader::open(&log).unwrap();
    let file = dir.path().join("copy.rlog");
    assert_eq!(export(&reader, &file).unwrap(), reader.head().unwrap());
    let copy = MirrorReader::open(&file).unwrap();
    assert_eq!(copy.head().unwrap(), reader.head().unwrap());
    let report = verify(&file).unwrap();
    assert_eq!((report.events, report.anchor), (20, AnchorCheck::NotExpected));
    assert!(export(&reader, &file).is_err());
    let content = std::fs::read(&file).unwrap();
    std::fs::write(&file, content.get(..content.len() - 1).unwrap()).unwrap();
    assert!(copy.scan(Seq(1)).unwrap().any(|frame| frame.is_err()));
    assert!(!verify(&file).unwrap().is_whole());
}

#[test]
fn a_log_survives_as_a_copy_without_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    log_of(&one, 700, Left::Closed);
    copy(&one, &two);
    std::fs::remove_dir_all(two.join("sled")).unwrap();
    let (log, opened) = SledLog::open(&two).unwrap();
    assert_eq!((opened.clean, opened.rolled_forward), (true, 700));
    assert_eq!(places(&log, 1), (1..=700).collect::<Vec<_>>());
    assert_eq!(log.frame(Seq(9)).unwrap().unwrap().seq, Seq(9));
}

#[test]
fn frames_that_do_not_follow_are_refused_and_so_is_all_that_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::create(dir.path()).unwrap();
    fill(&mut log, 2, 1);
    let good = batch(log.head(), 2);
    let cut = good.get(..1).unwrap();
    assert!(log.commit(cut).is_err(), "half a batch");
    assert!(matches!(log.commit(&good), Err(StoreError::Poisoned(_))));
    drop(log);
    let (mut log, opened) = SledLog::open(dir.path()).unwrap();
    assert_eq!((log.head().seq, opened.torn), (Seq(2), None));
    log.commit(&good).unwrap();
    assert!(log.commit(&good).is_err(), "the same again");
}
