//! `bench open`: the log of a million events, opened by a process of its own.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use renewd_events::log::SledLog;
use renewd_events::store::EventStore;

use crate::error::{BenchError, io};
use crate::figure::{Figure, Goal, median};
use crate::log_file::End;
use crate::{log_file, say, usage};

/// Repetitions; the middle one counts.
const ROUNDS: usize = 3;
/// Events of the log.
const EVENTS: u32 = 1_000_000;
/// The command of the child that opens the log and says what it took. Only this bench calls it.
pub(crate) const CHILD: &str = "open-once";
/// The argument that makes it end cleanly, so that the next opening finds the mark of that.
const CLEAN: &str = "clean";
/// The argument that makes it end without, as a kill does.
const KILLED: &str = "killed";

/// What one opening took.
struct Opening {
    seconds: f64,
    mebibytes: f64,
}

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let log = folder.path().join("log");
    say::progress("open: writing the log");
    let (events, octets) = log_file::fill(&log, EVENTS)?;
    say::progress(&format!("open: {events} events, {octets} octets"));
    let segments = log_file::segments(&log)?;
    let from = Instant::now();
    log_file::read_through(&segments, |_| ())?;
    let plain = from.elapsed().as_secs_f64();
    // The last clean opening leaves no mark behind: what follows opens as after a kill.
    let clean = openings(&log, &[CLEAN, CLEAN, KILLED])?;
    let killed = openings(&log, &[KILLED; ROUNDS])?;
    let seconds = |of: &[Opening]| median(of.iter().map(|one| one.seconds).collect());
    let mebibytes = clean.iter().chain(&killed).map(|one| one.mebibytes);
    let mebibytes = mebibytes.fold(0.0, f64::max);
    let anchor = "one sequential read of the same bytes";
    Ok(vec![
        Figure::new("1 M events after a clean end", seconds(&clean), "s")
            .beside(anchor, plain)
            .goal(Goal::AtMost(1.0)),
        Figure::new("1 M events after a kill", seconds(&killed), "s")
            .beside(anchor, plain)
            .goal(Goal::AtMost(1.0)),
        Figure::new("peak resident size of opening", mebibytes, "MiB").goal(Goal::AtMost(150.0)),
    ])
}

fn openings(log: &Path, ends: &[&str]) -> Result<Vec<Opening>, BenchError> {
    ends.iter().map(|end| open_in_child(log, end)).collect()
}

fn open_in_child(log: &Path, end: &str) -> Result<Opening, BenchError> {
    let own = std::env::current_exe().map_err(io("find this program"))?;
    let output = Command::new(own)
        .arg(CHILD)
        .arg(log)
        .arg(end)
        .output()
        .map_err(io("start the child that opens the log"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    match (output.status.success(), numbers.next(), numbers.next()) {
        (true, Some(Ok(seconds)), Some(Ok(mebibytes))) => Ok(Opening { seconds, mebibytes }),
        _ => Err(BenchError::Wrong(format!(
            "the child that opens the log failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// The child: opens the log, says seconds and MiB, and ends as it was told.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let [log, end] = arguments else {
        return ExitCode::from(2);
    };
    match open_once(Path::new(log), if end == CLEAN { End::Clean } else { End::Killed }) {
        Ok(Opening { seconds, mebibytes }) => {
            say::result(&format!("{seconds} {mebibytes}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say::progress(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn open_once(log: &Path, end: End) -> Result<Opening, BenchError> {
    let from = Instant::now();
    let (mut log, _) = SledLog::open(log)?;
    let seconds = from.elapsed().as_secs_f64();
    let mebibytes = usage::peak_mib(std::process::id())
        .ok_or_else(|| BenchError::Wrong("/proc/self/status has no VmHWM".to_owned()))?;
    if end == End::Clean {
        log.close()?;
    }
    Ok(Opening { seconds, mebibytes })
}
