//! `bench append`: the real journal on the real log beside a plain file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use renewd_actors::journal::{Batch, Journal, Seat};
use renewd_actors::ports::TimeSource;
use renewd_events::id::{BootNo, Seq};
use renewd_events::log::{MirrorReader, SledLog};
use renewd_events::{ActorName, Facts, WallMs};
use tokio::task::JoinSet;

use crate::error::{BenchError, io};
use crate::figure::{Figure, Goal, median, per_second};
use crate::history::{self, History};
use crate::{rig, say};

/// Repetitions of each measure; the middle one counts.
const ROUNDS: usize = 3;
/// Appends of the single producer in one round.
const SINGLE_APPENDS: usize = 1000;
/// Producers at once.
const PRODUCERS: u32 = 64;
/// Appends of each of them.
const PRODUCER_APPENDS: usize = 100;

/// The wall clock.
#[derive(Debug)]
struct Clock;

impl TimeSource for Clock {
    fn now(&self) -> WallMs {
        rig::now()
    }
}

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let (mut single, mut plain, mut group) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        // Each in a folder of its own, one after the other: the disk is shared fairly.
        let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
        let log = folder.path().join("log");
        single.push(journal(&log, 1, SINGLE_APPENDS)?);
        plain.push(plain_file(&folder.path().join("plain"), &frames(&log)?)?);
        group.push(journal(&folder.path().join("group"), PRODUCERS, PRODUCER_APPENDS)?);
        say::progress(&format!("append: round {round} of {ROUNDS}"));
    }
    let (single, plain, group) = (median(single), median(plain), median(group));
    let anchor = "a plain file's append + fdatasync of the same bytes";
    Ok(vec![
        Figure::new("one producer through the journal", single, "appends/s")
            .beside(anchor, plain)
            .goal(Goal::RatioAtLeast(0.5)),
        Figure::new("64 producers, group commit", group, "appends/s")
            .beside("one fdatasync each", plain)
            .goal(Goal::RatioAtLeast(5.0)),
    ])
}

/// Appends per second of so many producers, each waiting for its append before the next.
fn journal(dir: &Path, producers: u32, appends: usize) -> Result<f64, BenchError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(io("start a runtime"))?;
    let facts = Arc::new(RwLock::new(Facts::default()));
    let store = Box::new(SledLog::create(dir)?);
    let journal =
        Journal::start(store, facts, BootNo(1), Arc::new(Clock), Vec::new(), Seat::Thread)
            .map_err(io("start the journal"))?;
    let history = History::at("https://ca.example.org/directory");
    let work = (0..producers).map(|producer| batches(&history, producer, appends));
    let work = work.collect::<Result<Vec<_>, _>>()?;
    runtime.block_on(async {
        let from = Instant::now();
        let mut running = JoinSet::new();
        for batches in work {
            let journal = journal.clone();
            running.spawn(async move {
                for batch in batches {
                    journal.append(batch).await?;
                }
                Ok::<(), BenchError>(())
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.map_err(|cause| BenchError::Wrong(format!("a producer ended: {cause}")))??;
        }
        let time = from.elapsed();
        journal.close().await.map_err(BenchError::Wrong)?;
        let appends = u32::try_from(appends).unwrap_or(u32::MAX);
        Ok(per_second(appends.saturating_mul(producers), time))
    })
}

/// The first appends of a certificate that is renewed again and again.
fn batches(history: &History, producer: u32, count: usize) -> Result<Vec<Batch>, BenchError> {
    let site = history.lineage(producer)?;
    let first = vec![site.declared(), site.bound()];
    let renewals = (1..).flat_map(|number| site.renewal(number, WallMs(1_760_000_000_000)));
    let all = std::iter::once(first).chain(renewals);
    Ok(all.take(count).map(batch).collect())
}

fn batch(events: history::Batch) -> Batch {
    Batch {
        actor: ActorName::Issuer,
        incarnation: 1,
        expected: Vec::new(),
        events,
        trace: None,
        wish: false,
    }
}

/// The bytes of every append of a log.
fn frames(dir: &Path) -> Result<Vec<Vec<u8>>, BenchError> {
    let mut appends = vec![Vec::new()];
    for frame in MirrorReader::open(dir)?.scan(Seq(1))? {
        let frame = frame?;
        if let Some(append) = appends.last_mut() {
            append.extend_from_slice(&frame.bytes);
        }
        if frame.last_of_batch {
            appends.push(Vec::new());
        }
    }
    appends.retain(|append| !append.is_empty());
    Ok(appends)
}

/// Appends per second with one write and one fdatasync each.
fn plain_file(path: &Path, appends: &[Vec<u8>]) -> Result<f64, BenchError> {
    let failed = || io("append to a plain file");
    let mut file = File::options().create_new(true).append(true).open(path).map_err(failed())?;
    let from = Instant::now();
    for append in appends {
        file.write_all(append).map_err(failed())?;
        file.sync_data().map_err(failed())?;
    }
    let count = u32::try_from(appends.len()).unwrap_or(u32::MAX);
    Ok(per_second(count, from.elapsed()))
}
