//! Files that cannot be written: the whole state at a start, the keys or the chains while it runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;

/// How a folder was made unwritable; taken back when the value is dropped.
///
/// As root with the right to mount it is a read-only file system. Without that right a user is kept out
/// by the folder's mode; and root, whom no mode keeps out, by a file in the folder's place.
#[derive(Debug)]
enum Unwritable {
    Mounted(PathBuf),
    Mode(PathBuf),
    SetAside(PathBuf, PathBuf),
}

impl Unwritable {
    fn make(folder: &Path) -> Self {
        let folder = folder.to_owned();
        if mount(&["--bind"], &folder) {
            if Command::new("mount")
                .args(["-o", "remount,bind,ro"])
                .arg(&folder)
                .status()
                .is_ok_and(|s| s.success())
            {
                return Self::Mounted(folder);
            }
            unmount(&folder);
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
        if fs::write(folder.join("probe"), "").is_err() {
            return Self::Mode(folder);
        }
        fs::remove_file(folder.join("probe")).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let aside = folder.with_extension("aside");
        fs::rename(&folder, &aside).unwrap();
        fs::write(&folder, "this is no folder").unwrap();
        Self::SetAside(folder, aside)
    }
}

impl Drop for Unwritable {
    fn drop(&mut self) {
        match self {
            Self::Mounted(folder) => unmount(folder),
            Self::Mode(folder) => {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
            }
            Self::SetAside(folder, aside) => {
                fs::remove_file(&*folder).unwrap();
                fs::rename(aside, folder).unwrap();
            }
        }
    }
}

/// Mounts a folder on itself; `false` where that is not allowed.
fn mount(options: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(options).arg(folder).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}

fn unmount(folder: &Path) {
    let done = Command::new("umount").arg("--lazy").arg(folder).status();
    assert!(done.is_ok_and(|status| status.success()), "umount {}", folder.display());
}

fn issued(domain: &str) -> (Site, Wanted) {
    let wanted = Wanted::new("web", &[domain]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    check::stop(renewd);
    (site, wanted)
}

#[test]
fn a_state_that_is_read_only_at_the_start_is_told_with_its_place_and_nothing_is_asked() {
    let (site, wanted) = issued("start.readonly.test");
    let asked: usize = site.pebble.requests().values().sum();
    let log = fs::read_dir(site.log().join("mirror")).unwrap().count();
    let how = Unwritable::make(&site.host.state_dir());
    if matches!(how, Unwritable::Mounted(_)) {
        serves_and_ends(&site, &wanted);
    } else {
        let ran = site.host.run(&["run"]).unwrap();
        println!("{how:?}: {ran:?}");
        assert!(ran.code.is_some_and(|code| code != 0 && code != 101), "{how:?}: {ran:?}");
        let place = site.host.state_dir().display().to_string();
        assert!(ran.stderr.contains(&place) || ran.stderr.contains("state"), "{how:?}: {ran:?}");
    }
    assert_eq!(site.pebble.requests().values().sum::<usize>(), asked, "{how:?}");
    drop(how);
    // Writable again, it goes on as if nothing had been.
    assert_eq!(fs::read_dir(site.log().join("mirror")).unwrap().count(), log);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    let seen = wait::until(EVENT_TIME_MAX, || site.handshake(&wanted, &wanted.domains[0]).ok());
    assert!(seen.is_some(), "{}", renewd.stderr());
    check::is_served(&site, &wanted);
    assert_eq!(site.pebble.orders_made(), 1);
    check::stop(renewd);
    check::log_is_whole(&site);
}

/// A read-only file system may become writable: what there is is served, until it is ended.
fn serves_and_ends(site: &Site, wanted: &Wanted) {
    let renewd = site.run().unwrap();
    let seen = wait::until(EVENT_TIME_MAX, || site.handshake(wanted, &wanted.domains[0]).ok());
    assert!(seen.is_some(), "{}", renewd.stderr());
    let place = site.host.state_dir().display().to_string();
    for word in ["R0621", &place] {
        assert!(renewd.stderr().contains(word), "{word} in {}", renewd.stderr());
    }
    check::stop(renewd);
}

/// Tries that fail before the folder can be written again.
const FAILURES_MIN: usize = 3;

/// A renewal is asked for while `folder` of the state cannot be written; how many orders the CA made
/// for it until it is served, and the events' names.
fn renewed_beside(folder: &str, fails: Option<&str>) -> (usize, Vec<String>) {
    let (site, wanted) = issued(&format!("{folder}.readonly.test"));
    let first = site.pebble.orders_made();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    let old = wait::until(EVENT_TIME_MAX, || site.handshake(&wanted, &wanted.domains[0]).ok());
    let old = old.expect("the old certificate is served");
    let how = Unwritable::make(&site.host.state_dir().join(folder));
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{asked:?}");
    // It tries, fails for a local reason, and goes on serving.
    wait::for_a_while(Duration::from_secs(8));
    if let Some(fails) = fails {
        site.wait_for(&mut renewd, fails, FAILURES_MIN).unwrap();
    }
    assert!(renewd.ended().is_none(), "{how:?}: {}", renewd.stderr());
    let served = site.handshake(&wanted, &wanted.domains[0]).unwrap();
    assert_eq!(served.leaf_sha256, old.leaf_sha256, "{how:?}");
    assert_eq!(site.events_named("RenewalSucceeded").len(), 1, "{how:?}");
    let beside = site.pebble.orders_made() - first;
    println!("{how:?}: {beside} orders while {folder} cannot be written");
    drop(how);
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let new = check::is_served(&site, &wanted);
    assert_ne!(new.leaf_sha256, old.leaf_sha256);
    check::stop(renewd);
    check::log_is_whole(&site);
    let names = site.events().into_iter().map(|event| event.name).collect();
    (site.pebble.orders_made() - first, names)
}

#[test]
fn keys_that_cannot_be_written_cost_one_order_however_often_it_tries() {
    // The order is asked for when the key is there.
    let (orders, names) = renewed_beside("vault", Some("CertificateKeyFailed"));
    assert_eq!(orders, 1, "{names:?}");
}

#[test]
fn chains_that_cannot_be_written_cost_no_second_order() {
    let (orders, names) = renewed_beside("chains", None);
    assert_eq!(orders, 1, "{names:?}");
}
