//! `bench replay`: from the bytes of a log to the facts, with checksums and chain checked.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use renewd_events::Facts;
use renewd_events::id::{Hash, Seq};
use renewd_events::log::MirrorReader;

use crate::error::{BenchError, io};
use crate::figure::{Figure, Goal, median, per_second};
use crate::{log_file, say};

/// Repetitions; the middle one counts.
const ROUNDS: usize = 3;
/// Events of the log: a replay of about a second.
const EVENTS: u32 = 300_000;

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let log = folder.path().join("log");
    say::progress("replay: writing the log");
    let (events, octets) = log_file::fill(&log, EVENTS)?;
    let segments = log_file::segments(&log)?;
    say::progress(&format!("replay: {events} events, {octets} octets"));
    let (mut folded, mut read) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        read.push(per_second(events, plain(&segments)?));
        folded.push(per_second(events, replay(&log, events)?));
    }
    let (folded, read) = (median(folded), median(read));
    Ok(vec![
        Figure::new("fold from the mirror, one core", folded, "events/s")
            .beside("sequential read + SHA-256 of the same bytes", read)
            .goal(Goal::AtLeast(300_000.0)),
    ])
}

fn replay(log: &Path, events: u32) -> Result<Duration, BenchError> {
    let from = Instant::now();
    let mut facts = Facts::default();
    for envelope in MirrorReader::open(log)?.envelopes(Seq(1))? {
        facts.apply(&envelope?);
    }
    let time = from.elapsed();
    match facts.seq == Seq(u64::from(events)) {
        true => Ok(time),
        false => Err(BenchError::Wrong(format!("{} of {events} events were folded", facts.seq))),
    }
}

fn plain(segments: &[PathBuf]) -> Result<Duration, BenchError> {
    let from = Instant::now();
    log_file::read_through(segments, |block| {
        black_box(Hash::of(block));
    })?;
    Ok(from.elapsed())
}
