//! The power is cut while a process commits, many times: what it acknowledged is there, though nothing is
//! that was not made durable. And the test hears each sync that is left out.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use renewd_events::log::{SledLog, verify};
use renewd_events::store::EventStore;

use crate::common::{batch, places};

const ROUNDS: u64 = 12;
/// Commits before the log is opened again, closed cleanly or not.
const COMMITS: u64 = 7;
const CHILD: &str = "RENEWD_TEST_LOG_TO_CUT";

/// Not a test of its own: what runs when the power is cut.
#[test]
fn child_commits_until_the_power_is_cut() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let dir = Path::new(&dir).join("log");
    let mut log = SledLog::create(&dir).unwrap();
    let mut out = std::io::stderr();
    loop {
        for _ in 0..COMMITS {
            let len = u16::try_from(log.head().seq.0 % 5 + 1).unwrap();
            log.commit(&batch(log.head(), len)).unwrap();
            writeln!(out, "{}", log.head().seq).unwrap();
        }
        if log.head().seq.0.is_multiple_of(2) {
            log.close().unwrap();
        }
        drop(log);
        log = SledLog::open(&dir).unwrap().0;
    }
}

/// The library of `power_cut/disk.rs`.
fn disk(dir: &Path) -> PathBuf {
    let library = dir.join("disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log/power_cut/disk.rs");
    let built = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()))
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

/// Runs the child until it has acknowledged so many events, and cuts the power. Returns the last one that it
/// acknowledged, and leaves in `after` what is on the disk then.
fn cut(disk: &Path, acknowledged: u64, deaf: Option<&str>, after: &Path) -> u64 {
    let (root, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["power_cut::child_commits_until_the_power_is_cut", "--exact", "--nocapture"])
        .env(CHILD, root.path())
        .env("LD_PRELOAD", disk)
        .env("POWER_CUT_ROOT", root.path())
        .env("POWER_CUT_IMAGE", image.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(deaf) = deaf {
        command.env("POWER_CUT_DEAF", deaf);
    }
    let mut child = command.spawn().unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next() {
        let line = line.unwrap();
        let place = line.parse();
        let rest = lines.by_ref().take(if place.is_err() { usize::MAX } else { 0 });
        let said: Vec<String> = rest.map_while(Result::ok).collect();
        assert!(place.is_ok(), "the child fails: {line} {said:?}");
        last = place.unwrap();
        if last >= acknowledged {
            // What it says after that, it says to nobody; what it does after that may be on the disk.
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    assert!(last >= acknowledged, "the child ended at {last}");
    let number = fs::metadata(root.path()).unwrap().ino();
    restore(image.path(), "directory", number, after);
    last
}

/// Makes what the image holds under this number. A name whose octets never became durable is an empty file,
/// and so is a directory whose names did not.
fn restore(image: &Path, kind: &str, number: u64, to: &Path) {
    let kept = fs::read(image.join(number.to_string())).unwrap_or_default();
    if kind == "file" {
        return fs::write(to, kept).unwrap();
    }
    fs::create_dir_all(to).unwrap();
    for line in String::from_utf8(kept).unwrap().lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        let (kind, number, name) = (word(), word().parse().unwrap(), word());
        restore(image, kind, number, &to.join(name));
    }
}

/// Whether all that was acknowledged is in the log that the power cut left.
fn holds(log: &Path, acknowledged: u64) -> Result<(), String> {
    let (opened, _) = SledLog::open(log).map_err(|error| error.to_string())?;
    let head = opened.head().seq.0;
    if head < acknowledged {
        return Err(format!("{head} of {acknowledged} events"));
    }
    if places(&opened, 1) != (1..=head).collect::<Vec<_>>() {
        return Err("not all events in their order".to_owned());
    }
    drop(opened);
    let report = verify(log).map_err(|error| error.to_string())?;
    if report.is_whole() { Ok(()) } else { Err(format!("{report:?}")) }
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    for round in 0..ROUNDS {
        let after = dir.path().join(format!("after-{round}"));
        let acknowledged = cut(&disk, 1 + round * 9, None, &after);
        let held = holds(&after.join("log"), acknowledged);
        assert_eq!(held, Ok(()), "round {round}: {acknowledged} were acknowledged");
    }
}

#[test]
fn each_sync_that_is_left_out_loses_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    for (number, deaf) in ["/mirror/events-", "/mirror$", "/log$"].into_iter().enumerate() {
        let after = dir.path().join(format!("deaf-{number}"));
        let acknowledged = cut(&disk, 20, Some(deaf), &after);
        let held = holds(&after.join("log"), acknowledged);
        assert!(held.is_err(), "without the sync of {deaf} nothing is lost: the test is deaf too");
    }
}
