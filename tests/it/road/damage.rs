//! A damaged log is refused with a code and a cure, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use renewd_events::log::{AnchorCheck, verify};
use renewd_tests::host::Host;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::{tls, wait};

use crate::check;

/// One way to damage a log, and the codes that may be given for it.
struct Damage {
    name: &'static str,
    codes: &'static [&'static str],
    act: fn(&Path),
}

const DAMAGES: [Damage; 7] = [
    Damage {
        name: "the tail is cut",
        codes: &["R0601"],
        act: |log| {
            let segment = newest_segment(log);
            let bytes = fs::read(&segment).unwrap();
            fs::write(&segment, &bytes[..bytes.len() - 10]).unwrap();
        },
    },
    Damage {
        name: "a bit is flipped",
        codes: &["R0602"],
        act: |log| {
            let segment = newest_segment(log);
            let mut bytes = fs::read(&segment).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            fs::write(&segment, bytes).unwrap();
        },
    },
    Damage {
        name: "the file is emptied",
        codes: &["R0601", "R0605"],
        act: |log| fs::write(newest_segment(log), "").unwrap(),
    },
    Damage {
        name: "the file is deleted",
        codes: &["R0601", "R0605"],
        act: |log| fs::remove_file(newest_segment(log)).unwrap(),
    },
    Damage {
        name: "the mirror is deleted",
        codes: &["R0601", "R0605"],
        act: |log| fs::remove_dir_all(log.join("mirror")).unwrap(),
    },
    Damage {
        name: "the anchor is deleted",
        codes: &["R0606"],
        act: |log| fs::remove_file(log.join("HEAD")).unwrap(),
    },
    Damage {
        name: "the log is deleted, the keys are there",
        codes: &["R0605"],
        act: |log| fs::remove_dir_all(log).unwrap(),
    },
];

fn newest_segment(log: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> =
        fs::read_dir(log.join("mirror")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments.pop().unwrap()
}

/// The command socket of a running engine, or of a killed one.
fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().file_type().is_socket()
}

/// Every file with the hash of its content.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if is_socket(&path) {
            continue;
        }
        if path.is_dir() {
            all.extend(contents(&path));
            all.insert(path, String::new());
        } else {
            let hash = tls::sha256_hex(&fs::read(&path).unwrap());
            all.insert(path, hash);
        }
    }
    all
}

/// A copy of the whole host: its configuration names no absolute path.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if is_socket(&path) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).unwrap();
        }
    }
}

fn refused(original: &Path, damage: &Damage) {
    let name = damage.name;
    let host = Host::new().unwrap();
    copy(original, host.folder());
    (damage.act)(&host.state_dir().join("log"));
    let before = contents(&host.state_dir());
    let ran = host.run(&["run"]).unwrap();
    assert_eq!(ran.code, Some(7), "{name}: {}", ran.stderr);
    let code = damage.codes.iter().find(|code| ran.stderr.contains(*code));
    let code =
        code.unwrap_or_else(|| panic!("{name}: none of {:?} in {}", damage.codes, ran.stderr));
    assert!(ran.stderr.contains("help: "), "{name}: no cure in {}", ran.stderr);
    assert!(ran.stderr.contains("renewd log verify") || *code == "R0605", "{}", ran.stderr);
    assert_eq!(contents(&host.state_dir()), before, "{name}: something was changed");

    let explained = host.run(&["explain", code]).unwrap();
    assert_eq!(explained.code, Some(0), "{code} has no page");
    assert!(explained.stdout.contains("What to do"), "{}", explained.stdout);

    let verified = host.run(&["log", "verify"]).unwrap();
    let said = format!("{}{}", verified.stdout, verified.stderr);
    let log_is_there = host.state_dir().join("log").is_dir();
    assert_eq!(verified.code, Some(if log_is_there { 7 } else { 5 }), "{name}: {said}");
    let place = ["event ", "octet", "HEAD", "mirror", "/log"];
    assert!(place.iter().any(|word| said.contains(word)), "{name}: where? {said}");
    if log_is_there {
        assert!(said.contains("to do: ") && said.contains("renewd log re"), "{name}: {said}");
    }
    assert_eq!(contents(&host.state_dir()), before, "{name}: verifying changed something");
}

#[test]
fn every_damage_is_refused_and_nothing_is_changed() {
    let wanted = Wanted::new("web", &["damage.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    // A commit that is not acknowledged yet may be cut: that is no damage.
    let acknowledged = wait::until(EVENT_TIME_MAX, || {
        let report = verify(&site.log()).unwrap();
        (report.anchor == AnchorCheck::Matches).then_some(())
    });
    assert!(acknowledged.is_some());
    let killed = tempfile::tempdir().unwrap();
    renewd.sigkill().unwrap();
    copy(site.host.folder(), killed.path());
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    check::stop(renewd);
    for damage in &DAMAGES {
        refused(killed.path(), damage);
        refused(site.host.folder(), damage);
    }
    // What was copied is sound: without damage the same copy runs.
    check::log_is_whole(&site);
}
