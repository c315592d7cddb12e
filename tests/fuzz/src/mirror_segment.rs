//! A log's mirror with any octets in it: what is read is what was written, up to the first damage and
//! not one event further; and the log opens with everything that was acknowledged, or not at all.
//!
//! The first octet of an input says how its rest becomes files ([`Shape`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use renewd_events::codec::{Frame, HEADER_OCTETS};
use renewd_events::event::Envelope;
use renewd_events::id::{Hash, Seq};
use renewd_events::log::{MirrorReader, SledLog, Verified, export, verify};
use renewd_events::samples::samples;
use renewd_events::store::{EventStore, Head, StoreError};

use crate::event_codec::is_one_line;

/// Events of the log that the directories' `HEAD` belongs to, in batches of this many.
const BATCHES: [usize; 6] = [1, 3, 1, 2, 1, 4];
/// Where a frame names the one before it.
const PREVIOUS: std::ops::Range<usize> = HEADER_OCTETS - 44..HEADER_OCTETS - 12;

/// How octets become files.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Their checksums are put right first, so that damage gets past them.
    summed: bool,
    /// And the hash chain.
    chained: bool,
    /// They are two segments, cut at a frame.
    two: bool,
    /// The log was closed in order.
    clean: bool,
}

/// Files from the octets: an exported file, and a log's directory.
pub fn mirror_segment(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let bit = |number: u8| first >> number & 1 != 0;
    let shape = Shape { summed: bit(0), two: bit(1), clean: bit(2), chained: bit(3) };
    let octets = if shape.summed { summed(rest, shape.chained) } else { rest.to_vec() };
    let dir = tempfile::tempdir().unwrap();
    exported(&dir.path().join("export.rlog"), &octets);
    directory(&dir.path().join("log"), &octets, shape);
}

/// The golden log: its frames, and its files after an orderly end.
struct Golden {
    frames: Vec<Frame>,
    head: Vec<u8>,
    clean: Vec<u8>,
}

static GOLDEN: LazyLock<Golden> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let frames = frames();
    let mut log = SledLog::create(dir.path()).unwrap();
    let mut rest = frames.as_slice();
    for count in BATCHES {
        let (batch, after) = rest.split_at(count);
        log.commit(batch).unwrap();
        rest = after;
    }
    log.close().unwrap();
    drop(log);
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    Golden { frames, head: read("HEAD"), clean: read("CLEAN") }
});

/// Sample events as a log: dense, chained, in batches.
fn frames() -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    let mut events = samples().into_iter();
    for count in BATCHES {
        for index in 0..count {
            let sample = events.next().unwrap();
            let previous = all.last().map_or(Hash::default(), |frame| frame.hash);
            let seq = all.last().map_or(Seq(1), |frame| frame.seq.next());
            let envelope = Envelope {
                seq,
                previous,
                batch_index: u16::try_from(index).unwrap(),
                batch_len: u16::try_from(count).unwrap(),
                ..sample
            };
            all.push(Frame::encode(&envelope).unwrap());
        }
    }
    all
}

/// The golden log, in batches: what the corpus begins with.
pub fn seed() -> Vec<Frame> {
    GOLDEN.frames.clone()
}

/// Frames from the front, each with its checksum put right, as far as lengths lead.
fn summed(octets: &[u8], chained: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    let mut previous = Hash::default();
    while let Ok(Some(length)) = Frame::length_at(rest) {
        let Some((frame, after)) = rest.split_at_checked(length) else {
            break;
        };
        let mut frame = frame.to_vec();
        if chained {
            frame[PREVIOUS].copy_from_slice(&previous.0);
        }
        let frame = crate::event_codec::sealed(&frame);
        previous = Hash::of(&frame);
        out.extend(frame);
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// What may be read, by a reader of our own: frames from the front that are whole, dense and chained.
struct Prefix {
    frames: Vec<Frame>,
    /// Of these, in whole batches.
    whole: usize,
    /// Where the last of them ends.
    end: usize,
}

fn prefix(octets: &[u8], of_log: bool) -> Prefix {
    let mut found = Prefix { frames: Vec::new(), whole: 0, end: 0 };
    while let Some(rest) = octets.get(found.end..).filter(|rest| !rest.is_empty()) {
        let length = Frame::length_at(rest).ok().flatten();
        let Some(Ok(frame)) = length.and_then(|length| rest.get(..length)).map(Frame::read) else {
            break;
        };
        let follows = match found.frames.last() {
            Some(last) => frame.seq == last.seq.next() && frame.previous == last.hash,
            None if of_log => frame.seq == Seq(1) && frame.previous == Hash::default(),
            None if frame.seq == Seq(1) => frame.previous == Hash::default(),
            None => frame.seq != Seq(0),
        };
        if !follows {
            break;
        }
        found.end += frame.bytes.len();
        found.frames.push(frame);
        if found.frames.last().is_some_and(|frame| frame.last_of_batch) {
            found.whole = found.frames.len();
        }
    }
    found
}

fn read_all(reader: &MirrorReader, from: Seq) -> (Vec<Frame>, Option<StoreError>) {
    let mut frames = Vec::new();
    for frame in reader.scan(from).unwrap() {
        match frame {
            Ok(frame) => frames.push(frame),
            Err(cause) => return (frames, Some(cause)),
        }
    }
    (frames, None)
}

fn exported(path: &Path, octets: &[u8]) {
    fs::write(path, octets).unwrap();
    let known = prefix(octets, false);
    let reader = MirrorReader::open(path).unwrap();
    let (frames, fault) = read_all(&reader, Seq(1));
    assert_eq!(frames, known.frames[..known.whole], "an export gives its whole batches");
    let whole = known.end == octets.len() && known.whole == known.frames.len();
    assert_eq!(fault.is_none(), whole, "an export that is cut or damaged says so: {fault:?}");
    told(fault.as_ref());
    let verified = verify(path).unwrap();
    agrees(&verified, &known);
    assert_eq!(verified.first_bad.is_none(), whole, "{verified:?}");
    assert_eq!(verified.is_whole(), whole, "{verified:?}");
    for envelope in reader.envelopes(Seq(1)).unwrap().take(known.whole) {
        drop(envelope); // any event of any version: decoded or refused
    }
    let copy = path.with_extension("copy");
    match export(&reader, &copy) {
        Ok(head) => assert_eq!((whole, head), (true, last(&known.frames))),
        Err(_) => assert!(!copy.exists(), "a copy that failed does not stay"),
    }
}

fn agrees(verified: &Verified, known: &Prefix) {
    let count = u64::try_from(known.frames.len()).unwrap();
    assert_eq!((verified.events, verified.head), (count, last(&known.frames)));
    if let Some(bad) = &verified.first_bad {
        assert!(is_one_line(&bad.to_string()), "{bad:?}");
    }
}

fn last(frames: &[Frame]) -> Head {
    frames.last().map_or(Head::default(), |frame| Head { seq: frame.seq, hash: frame.hash })
}

fn told(fault: Option<&StoreError>) {
    if let Some(fault) = fault {
        assert!(is_one_line(&fault.to_string()), "{fault:?}");
    }
}

fn directory(log: &Path, octets: &[u8], shape: Shape) {
    let known = lay_out(log, octets, shape);
    let verified = verify(log).unwrap();
    agrees(&verified, &known);
    let acknowledged = last(&GOLDEN.frames);
    let has = known.frames.iter().any(|f| f.seq == acknowledged.seq && f.hash == acknowledged.hash);
    assert_eq!(
        verified.is_whole(),
        has,
        "whole is: all that was acknowledged is there: {verified:?}"
    );
    let reader = MirrorReader::open(log).unwrap();
    assert_eq!(reader.head().unwrap(), acknowledged);
    let (frames, fault) = read_all(&reader, Seq(1));
    assert_eq!(frames, known.frames[..frames.len()], "only what is there");
    told(fault.as_ref());
    if fault.is_none() {
        assert!(
            frames.len() >= GOLDEN.frames.len() && has,
            "a short log does not read as a whole one"
        );
    }
    opened(log, &known, has);
}

/// Mirror, `HEAD`, and perhaps `CLEAN`; gives what is to be read.
fn lay_out(log: &Path, octets: &[u8], shape: Shape) -> Prefix {
    let mirror = log.join("mirror");
    fs::create_dir_all(&mirror).unwrap();
    fs::write(log.join("HEAD"), &GOLDEN.head).unwrap();
    if shape.clean {
        fs::write(log.join("CLEAN"), &GOLDEN.clean).unwrap();
    }
    let segment = |first: Seq| -> PathBuf { mirror.join(format!("events-{:08}.rlog", first.0)) };
    let known = prefix(octets, true);
    // A batch is never in two segments.
    let half = known.frames[..known.frames.len() / 2].iter().rposition(|f| f.last_of_batch);
    let half = half.map_or(0, |last| last + 1);
    let (front, back) = octets.split_at(known.frames[..half].iter().map(|f| f.bytes.len()).sum());
    match known.frames.get(half).filter(|_| shape.two && half > 0) {
        Some(second) => {
            fs::write(segment(Seq(1)), front).unwrap();
            fs::write(segment(second.seq), back).unwrap();
        }
        None => fs::write(segment(Seq(1)), octets).unwrap(),
    }
    known
}

/// The files of the mirror.
fn mirror(log: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(log.join("mirror")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Opens it for writing, adds an event, and opens it again.
fn opened(log: &Path, known: &Prefix, has: bool) {
    let before = mirror(log);
    let (mut store, _) = match SledLog::open(log) {
        Ok(opened) => opened,
        Err(refused) => {
            told(Some(&refused));
            assert_eq!(mirror(log), before, "a refusal changes nothing");
            let newer = refused.to_string().contains("a newer renewd wrote");
            assert!(!has || newer, "all is there, and yet: {refused}");
            return;
        }
    };
    assert!(has, "it never opens with less than was acknowledged");
    let head = store.head();
    assert_eq!(head, last(&known.frames[..known.whole]), "all whole batches count");
    let replayed: Vec<Frame> = store.replay(Seq(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(replayed, known.frames[..known.whole]);
    let indexed: Vec<Frame> = store.scan(Seq(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(indexed, replayed, "the index is the mirror");
    let sample = samples().into_iter().next().unwrap();
    let envelope = Envelope {
        seq: head.seq.next(),
        previous: head.hash,
        batch_index: 0,
        batch_len: 1,
        ..sample
    };
    let frame = Frame::encode(&envelope).unwrap();
    store.commit(std::slice::from_ref(&frame)).unwrap();
    drop(store);
    let after = verify(log).unwrap();
    assert!(after.is_whole() && after.first_bad.is_none(), "{after:?}");
    assert_eq!(after.head, last(&[frame]));
}
