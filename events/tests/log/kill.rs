//! A process that commits is killed at a random moment, many times: what it acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use renewd_events::id::Seq;
use renewd_events::log::{SledLog, verify};
use renewd_events::store::EventStore;

use crate::common::{batch, places};

const ROUNDS: u64 = 30;
const CHILD: &str = "RENEWD_TEST_LOG_TO_FILL";

/// Not a test of its own: what the killed process runs.
#[test]
fn child_commits_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let (mut log, _) = SledLog::open(Path::new(&dir)).unwrap();
    let mut out = std::io::stderr();
    loop {
        let len = u16::try_from(log.head().seq.0 % 5 + 1).unwrap();
        log.commit(&batch(log.head(), len)).unwrap();
        writeln!(out, "{}", log.head().seq).unwrap();
    }
}

/// When the child is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start: perhaps while it opens the log.
    AfterStart(Duration),
    /// So long after its first acknowledgement.
    AfterCommit(Duration),
}

/// Lets a child commit until it is killed, and returns the last place that it acknowledged.
fn acknowledged_until_killed(dir: &Path, moment: Moment) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::child_commits_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (after, first) = match moment {
        Moment::AfterStart(after) => (after, None),
        Moment::AfterCommit(after) => (after, lines.next()),
    };
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        for line in first.into_iter().chain(lines) {
            last = line.unwrap().parse().unwrap();
        }
        last
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    drop(SledLog::create(dir.path()).unwrap());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut total = 0;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let after = Duration::from_millis((random >> 33) % 60);
        let moment = match round % 3 {
            0 => Moment::AfterStart(after),
            _ => Moment::AfterCommit(after),
        };
        let acknowledged = acknowledged_until_killed(dir.path(), moment);
        total = total.max(acknowledged);
        let report = verify(dir.path()).unwrap();
        assert!(report.is_whole(), "round {round}, {moment:?}: {report:?}");
        let (log, opened) = SledLog::open(dir.path()).unwrap();
        let head = log.head().seq.0;
        assert!(!opened.clean);
        assert!(head >= total, "round {round}, {moment:?}: {head} of {total}");
        assert_eq!(places(&log, 1), (1..=head).collect::<Vec<_>>(), "{round}");
        let replayed = log.replay(Seq(1)).unwrap();
        let replayed: Vec<u64> = replayed.map(|frame| frame.unwrap().seq.0).collect();
        assert_eq!(replayed, (1..=head).collect::<Vec<_>>(), "round {round}");
        total = head;
    }
    assert!(total > ROUNDS, "the child committed between the kills");
}
