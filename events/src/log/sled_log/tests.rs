//! Segments, empty or missing, and a disk that was full: with a look inside.

use super::*;
use crate::log::chained::next;
use crate::log::verify;

fn fill(log: &mut SledLog, events: u64) {
    log.writing.as_mut().unwrap().mirror.full_at = 1000;
    for _ in 0..events {
        log.commit(&[next(log.head())]).unwrap();
    }
}

fn places(frames: Frames<'_>) -> Vec<u64> {
    frames.map(|frame| frame.unwrap().seq.0).collect()
}

#[test]
fn a_log_of_several_segments_opens_and_reads_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut SledLog::create(dir.path()).unwrap(), 30);
    let (mut log, opened) = SledLog::open(dir.path()).unwrap();
    assert_eq!((opened.torn, log.head().seq), (None, Seq(30)));
    fill(&mut log, 10);
    log.close().unwrap();
    drop(log);
    std::fs::remove_dir_all(index::directory(dir.path())).unwrap();
    let (log, opened) = SledLog::open(dir.path()).unwrap();
    assert!(opened.clean);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_whole() && report.segments > 3, "{report:?}");
    for from in 1..=41 {
        let expected: Vec<u64> = (from..=40).collect();
        assert_eq!(places(log.replay(Seq(from)).unwrap()), expected);
        assert_eq!(places(log.scan(Seq(from)).unwrap()), expected);
    }
}

#[test]
fn a_segment_that_a_crash_left_empty_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut SledLog::create(dir.path()).unwrap(), 5);
    segment::create(dir.path(), Seq(6)).unwrap();
    std::fs::write(segment::path(dir.path(), Seq(6)), b"RNW1 torn").unwrap();
    let (mut log, opened) = SledLog::open(dir.path()).unwrap();
    assert_eq!(opened.torn.unwrap().octets, 9);
    fill(&mut log, 3);
    drop(log);
    let (log, opened) = SledLog::open(dir.path()).unwrap();
    assert_eq!((opened.torn, log.head().seq), (None, Seq(8)));
    assert_eq!(places(log.replay(Seq(1)).unwrap()).len(), 8);
}

/// Leaves the log as a commit does that met a full disk, with `more` in the mirror.
fn meets_a_full_disk(log: &mut SledLog, more: &[u8]) {
    let segment = segment::list(&log.dir).unwrap().pop().unwrap();
    let mut bytes = std::fs::read(&segment.path).unwrap();
    bytes.extend_from_slice(more);
    std::fs::write(&segment.path, bytes).unwrap();
    log.refused = Some("no space".to_owned());
    log.may_reopen = true;
    log.let_go();
}

#[test]
fn after_a_full_disk_it_goes_on_with_what_was_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::create(dir.path()).unwrap();
    fill(&mut log, 5);
    let whole = next(log.head());
    let torn = next(Head { seq: whole.seq, hash: whole.hash });
    let half = torn.bytes.get(..100).unwrap();
    meets_a_full_disk(&mut log, &[whole.bytes.as_slice(), half].concat());
    assert!(matches!(log.commit(&[whole]), Err(StoreError::Poisoned(_))));
    assert_eq!(log.head().seq, Seq(5), "it was not acknowledged");
    assert_eq!(places(log.scan(Seq(1)).unwrap()).len(), 6, "and can be read");
    assert!(matches!(SledLog::open(dir.path()), Err(StoreError::Locked { .. })));
    assert_eq!(log.reopen().unwrap().seq, Seq(6));
    fill(&mut log, 3);
    assert_eq!(places(log.scan(Seq(1)).unwrap()), (1..=9).collect::<Vec<_>>());
    assert!(verify(dir.path()).unwrap().is_whole());
}

#[test]
fn after_a_failed_sync_it_is_not_opened_again_and_shorter_never() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::create(dir.path()).unwrap();
    fill(&mut log, 5);
    let segment = segment::list(dir.path()).unwrap().pop().unwrap();
    let cause = || io::Error::from_raw_os_error(5);
    for (error, may) in [
        (files::unsynced(&segment.path)(cause()), false),
        (files::unsynced(&segment.path)(io::ErrorKind::StorageFull.into()), false),
        (failed("appending to", &segment.path)(cause()), false),
        (failed("appending to", &segment.path)(io::ErrorKind::StorageFull.into()), true),
        (failed("appending to", &segment.path)(io::ErrorKind::QuotaExceeded.into()), true),
        (failed("appending to", &segment.path)(io::ErrorKind::ReadOnlyFilesystem.into()), true),
    ] {
        assert_eq!(error.may_pass(), may, "{error}");
    }
    meets_a_full_disk(&mut log, &[]);
    log.may_reopen = false;
    assert!(matches!(log.reopen(), Err(StoreError::Poisoned(_))));
    log.may_reopen = true;
    std::fs::write(&segment.path, b"").unwrap();
    assert!(matches!(log.reopen(), Err(StoreError::Damaged { .. })));
    assert!(matches!(log.reopen(), Err(StoreError::Poisoned(_))), "damage does not pass");
}

#[test]
fn a_missing_segment_is_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut SledLog::create(dir.path()).unwrap(), 30);
    let segments = segment::list(dir.path()).unwrap();
    let inner = segments.get(1).unwrap();
    std::fs::remove_file(&inner.path).unwrap();
    let reader = MirrorReader::open(dir.path()).unwrap();
    assert!(reader.scan(Seq(1)).unwrap().any(|frame| frame.is_err()));
    let bad = verify(dir.path()).unwrap().first_bad.unwrap();
    assert_eq!(Some(bad.seq), inner.first);
    let last = segments.last().unwrap();
    std::fs::remove_file(&last.path).unwrap();
    let error = SledLog::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { code: files::SHORT, .. }));
}

#[test]
fn a_commit_that_is_too_large_is_refused_whole_and_the_log_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = SledLog::create(dir.path()).unwrap();
    log.commit(&[next(log.head())]).unwrap();
    let (mut head, mut octets, mut frames) = (log.head(), 0, Vec::new());
    while octets <= COMMIT_OCTETS_MAX {
        let frame = next(head);
        octets += frame.bytes.len();
        head = Head { seq: frame.seq, hash: frame.hash };
        frames.push(frame);
    }
    let refused = log.commit(&frames);
    let is_it = matches!(refused, Err(StoreError::Damaged { code: files::TOO_LARGE, .. }));
    assert!(is_it, "{refused:?}");
    let later = log.commit(&[next(log.head())]);
    assert!(matches!(later, Err(StoreError::Poisoned(_))), "{later:?}");
    drop(log);
    let (log, _) = SledLog::open(dir.path()).unwrap();
    assert_eq!(log.head().seq, Seq(1));
}

#[test]
fn a_log_that_waits_changes_nothing_holds_the_lock_and_goes_on_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut SledLog::create(dir.path()).unwrap(), 5);
    let full = || failed("using the index", dir.path())(io::ErrorKind::StorageFull.into());
    let segment = segment::list(dir.path()).unwrap().pop().unwrap();
    // Torn, so that opening would write.
    let torn = [std::fs::read(&segment.path).unwrap(), b"torn".to_vec()].concat();
    std::fs::write(&segment.path, &torn).unwrap();
    let mut log = SledLog::wait(dir.path(), full()).unwrap();
    assert_eq!(log.head().seq, Seq(5));
    assert_eq!(std::fs::read(&segment.path).unwrap(), torn, "nothing is written");
    assert!(files::is_held(dir.path()));
    let frame = next(log.head());
    let first = log.commit(std::slice::from_ref(&frame)).unwrap_err();
    assert!(matches!(first, StoreError::NoRoom { .. }) && first.may_pass(), "{first}");
    assert!(matches!(log.commit(std::slice::from_ref(&frame)), Err(StoreError::Poisoned(_))));
    assert_eq!(log.reopen().unwrap().seq, Seq(5));
    log.commit(&[frame]).unwrap();
    drop(log);
    assert!(!files::is_held(dir.path()));
    assert!(verify(dir.path()).unwrap().is_whole());

    let final_error = unsynced_error(dir.path());
    assert!(SledLog::wait(dir.path(), final_error).is_err(), "it does not pass by itself");
    std::fs::write(&segment.path, &torn[..40]).unwrap();
    let damaged = SledLog::wait(dir.path(), full()).unwrap_err();
    assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
}

fn unsynced_error(dir: &Path) -> StoreError {
    files::unsynced(dir)(io::ErrorKind::StorageFull.into())
}
