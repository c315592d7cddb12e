//! A process that repairs or restores is killed at a random moment, many times: what it was given is
//! there, whole, and the same command, or the start after it, reaches the promised end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use renewd_events::WallMs;
use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::{
    MirrorReader, SledLog, Wish, export, leftovers, put_in_place, repair, restore, verify,
};

use crate::common::{Left, copy, log_of};

const ROUNDS: u32 = 24;
const EVENTS: u64 = 400;
/// The slowest machine repairs 400 events long before this.
const NO_KILL: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_micros(500);
const CHILD: &str = "RENEWD_TEST_LOG_TO_MEND";
const SEGMENT: &str = "mirror/events-00000001.rlog";
const FIRST: WallMs = WallMs(1_769_860_800_000);
const SECOND: WallMs = WallMs(1_769_864_400_000);

/// Not a test of its own: what the killed process runs.
#[test]
fn child_mends_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    mend(Path::new(&dir), FIRST);
}

/// Repairs `log` if it is there, else restores it from the export.
fn mend(dir: &Path, at: WallMs) {
    let log = dir.join("log");
    if log.exists() {
        repair(&log, Wish::default(), at).unwrap();
    } else {
        restore(&dir.join("export.rlog"), &log, at).unwrap();
    }
}

fn child(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["mend_kill::child_mends_until_it_is_killed", "--exact"]).env(CHILD, dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long the child took, if it ends by itself before `until` is over.
fn ends_within(child: &mut Child, until: Duration) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < until {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return Some(began.elapsed());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}

fn frames(log: &Path) -> Vec<Frame> {
    MirrorReader::open(log).unwrap().scan(Seq(1)).unwrap().map(Result::unwrap).collect()
}

/// Runs the child once to its end to learn how long it takes, then kills it at moments spread over that
/// time. A child that ends sooner than that teaches a shorter time: the first one finds cold caches and
/// takes many times as long as those after it. `prepare` makes what it is given; `damaged` is what must be
/// kept of it.
fn killed_all_along(prepare: &dyn Fn(&Path), before: &[Frame], damaged: Option<&[u8]>) {
    let mut taken = Duration::ZERO;
    let mut cut = 0;
    for round in 0..=ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let log = dir.path().join("log");
        let mut child = child(dir.path()).spawn().unwrap();
        let until = if round == 0 { NO_KILL } else { taken * round / ROUNDS };
        if let Some(sooner) = ends_within(&mut child, until) {
            taken = sooner;
        } else {
            assert_ne!(round, 0, "the child did not end within {NO_KILL:?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // A start.
        put_in_place(&log).unwrap();
        let opened = verify(&log).is_ok_and(|read| read.is_whole()) && SledLog::open(&log).is_ok();
        if !opened {
            cut += 1;
            // The operator says it again.
            mend(dir.path(), SECOND);
        }
        assert!(verify(&log).unwrap().is_whole(), "round {round}");
        let after = frames(&log);
        assert_eq!(after.len(), before.len() + 1, "round {round}: all, and what was done");
        assert!(after.starts_with(before), "round {round}: other events");
        assert!(leftovers(&log).is_empty(), "round {round}: {:?}", leftovers(&log));
        if let Some(damaged) = damaged {
            let kept = fs::read_dir(dir.path()).unwrap().flatten().any(|entry| {
                entry.path() != log
                    && fs::read(entry.path().join(SEGMENT)).is_ok_and(|bytes| bytes == damaged)
            });
            assert!(kept, "round {round}: the damaged log is gone");
        }
    }
    assert!(cut > 0, "no kill came before the end");
}

#[test]
fn a_repair_that_is_killed_anywhere_loses_nothing_and_ends_when_it_is_said_again() {
    let source = tempfile::tempdir().unwrap();
    let log = source.path().join("log");
    log_of(&log, EVENTS, Left::Crashed);
    let before = frames(&log);
    // A hole in the mirror, which the index fills.
    let mut bytes = fs::read(log.join(SEGMENT)).unwrap();
    bytes.get_mut(2_000..5_000).unwrap().fill(0);
    fs::write(log.join(SEGMENT), &bytes).unwrap();
    killed_all_along(&|dir| copy(&log, &dir.join("log")), &before, Some(&bytes));
}

#[test]
fn a_restore_that_is_killed_anywhere_leaves_no_half_log() {
    let source = tempfile::tempdir().unwrap();
    let (log, exported) = (source.path().join("log"), source.path().join("export.rlog"));
    log_of(&log, EVENTS, Left::Closed);
    let before = frames(&log);
    export(&MirrorReader::open(&log).unwrap(), &exported).unwrap();
    let given = |dir: &Path| {
        fs::copy(&exported, dir.join("export.rlog")).unwrap();
    };
    killed_all_along(&given, &before, None);
}
