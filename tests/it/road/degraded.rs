//! A disk that is full or read-only: nothing is begun, what was published is served on, and renewd goes
//! on by itself. The state lies on a small file system of its own, in memory.
//!
//! Mounting needs a right. Each test therefore runs once more in a mount namespace of its own, which
//! also takes the mount away at its end, whatever happens. Where that cannot be, the test fails.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use renewd_tests::host::Ran;
use renewd_tests::process::Process;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;
use crate::lives::published;
use crate::namespace::Namespace;

/// Of the file system: a few times what one certificate needs.
const SIZE: &str = "16m";
/// How long nothing may be seen to happen.
const WATCHED: Duration = Duration::from_secs(3);
/// Answers of the CA come late, so that there is time to fill the disk before the next.
const LATE: Duration = Duration::from_millis(60);
/// And, once the disk is full, so late that it is met before the last answer.
const VERY_LATE: Duration = Duration::from_millis(300);
/// After a commit failed, until nothing is open for writing any more.
const LET_GO_TIME_MAX: Duration = Duration::from_secs(60);
/// So many that the outcomes of their challenges are more than what may be left of a page and of a
/// buffer: the disk must be met while tokens are open.
const NAMES: usize = 16;

/// Runs `test` with the right to mount.
fn within_a_namespace(name: &str, test: impl FnOnce()) {
    Namespace::Mount.run(&format!("degraded::{name}"), test);
}

fn mount(arguments: &[&str], at: &Path) {
    let mut said = String::new();
    // A thread of sled may hold its file for a moment longer.
    let mounted = wait::until(LET_GO_TIME_MAX, || {
        let ran = Command::new("mount").args(arguments).arg(at).output().unwrap();
        said = String::from_utf8_lossy(&ran.stderr).into_owned();
        ran.status.success().then_some(())
    });
    assert!(mounted.is_some(), "mount {arguments:?}: {said}");
}

/// A site whose state lies on a small disk.
fn site() -> (Site, Wanted) {
    let names: Vec<String> = (0..NAMES).map(|number| format!("n{number}.full.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = Wanted::new("web", &names).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let size = format!("size={SIZE},mode=0700");
    mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &site.host.state_dir());
    (site, wanted)
}

/// Takes all space that is left; the file that does.
fn fill(site: &Site) -> PathBuf {
    fill_with(site, "ballast")
}

fn fill_with(site: &Site, name: &str) -> PathBuf {
    let path = site.host.state_dir().join(name);
    let mut file = File::create(&path).unwrap();
    for octets in [64 * 1024, 4096, 1] {
        let piece = vec![0x5a; octets];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(cause) if cause.kind() == ErrorKind::StorageFull => break,
                Err(cause) => panic!("{cause}"),
            }
        }
    }
    path
}

/// Status and body of a page on the admin socket.
fn ask(site: &Site, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(site.host.state_dir().join("admin.sock")).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("{path}: {answer}")), answer)
}

/// Waits until `renewd status` says that the log cannot be written, with this code.
fn degraded(site: &Site, renewd: &mut Process, code: &str) -> Ran {
    let told = renewd.wait_until(code, EVENT_TIME_MAX, |_| {
        let ran = site.host.run(&["status"]).unwrap();
        ran.stderr.contains(code).then_some(ran)
    });
    told.unwrap()
}

/// Issues once, renews, and fills the disk when there are `count` events of this name in the renewal,
/// with tokens published and no answer of the CA. Gives the running engine and what fills the disk.
fn full_in_mid_order(site: &Site, wanted: &Wanted, name: &str, count: usize) -> (Process, PathBuf) {
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(site, wanted);
    site.passage.answers_late(LATE);
    let before = site.events().len();
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let mut names = Vec::new();
    let came = wait::until_soon(EVENT_TIME_MAX, || {
        names = site.events().into_iter().skip(before).map(|event| event.name).collect();
        let count_of = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
        // From here on the intents need no answer, and none comes until the disk is full.
        if count_of("ChallengeChosen") > 0 {
            site.passage.close();
        }
        (count_of(name) >= count).then_some(())
    });
    assert!(came.is_some(), "{count} times {name} did not come: {names:?}");
    let ballast = fill(site);
    site.passage.answers_late(VERY_LATE);
    site.passage.reopen();
    degraded(site, &mut renewd, "R0620");
    (renewd, ballast)
}

/// What must hold while the log cannot be written.
fn serves_on_and_says_so(site: &Site, wanted: &Wanted, code: &str, cure: &str) {
    let tokens = published(&site.events());
    assert!(!tokens.is_empty(), "no token was open when the disk was full");
    // What was under way ends.
    let mut asked = 0;
    let quiet = wait::until(EVENT_TIME_MAX, || {
        let before = std::mem::replace(&mut asked, site.pebble.requests().values().sum());
        wait::for_a_while(WATCHED);
        (before == asked).then_some(())
    });
    assert!(quiet.is_some(), "the CA is asked on and on");
    let before = (site.pebble.orders_made(), site.events().len());
    wait::for_a_while(WATCHED);
    for (token, answer) in tokens {
        let answered = site.ask_responder(&format!("/.well-known/acme-challenge/{token}")).unwrap();
        assert_eq!((answered.status, answered.body), (200, answer), "{token}");
    }
    let adopted = site.events_named("GenerationAdopted");
    assert_eq!(adopted.len(), 1);
    let served = site.handshake(wanted, &wanted.domains[0]).unwrap();
    assert_eq!(served.leaf_sha256, adopted[0].text("/leaf/fingerprint"));

    says_so(site, code, cure);
    assert_eq!((site.pebble.orders_made(), site.events().len()), before, "an act without a log");
    let asked_since: usize = site.pebble.requests().values().sum();
    assert_eq!(asked_since, asked, "the CA was asked while nothing could be recorded");
}

/// Status, readiness, liveness, metrics and commands.
fn says_so(site: &Site, code: &str, cure: &str) {
    let status = site.host.run(&["status"]).unwrap();
    assert_eq!(status.code, Some(10), "{}", status.stderr);
    for word in ["degraded", code, cure] {
        assert!(status.stderr.contains(word), "{word} in {}", status.stderr);
    }
    assert!(status.stdout.contains("web"), "{}", status.stdout);
    let (ready, why) = ask(site, "/readyz");
    assert!(ready == 503 && why.contains(code), "{why}");
    assert_eq!(ask(site, "/livez").0, 200);
    let metrics = ask(site, "/metrics").1;
    assert!(metrics.contains("renewd_log_unwritable 1"), "{metrics}");
    let refused = site.host.run(&["renew", "web"]).unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains(code), "{}", refused.stderr);
}

/// Room came back: the renewal ends, by itself, with the order that it had, in this life.
fn goes_on(site: &Site, wanted: &Wanted, mut renewd: Process, life: usize, cause: &str) {
    site.passage.answers_late(Duration::ZERO);
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    check::is_served(site, wanted);
    assert_eq!(site.pebble.orders_made(), 2, "one order for each renewal");
    let again = site.events_named("LogWritableAgain");
    assert!(!again.is_empty() && again[0].text("/cause").contains(cause), "{again:?}");
    assert_eq!(site.events_named("EngineBooted").len(), life, "it was not started again");
    assert_eq!(ask(site, "/readyz").0, 200);
    let metrics = ask(site, "/metrics").1;
    assert!(metrics.contains("renewd_log_unwritable 0"), "{metrics}");
    assert!(metrics.contains("renewd_log_outages_total 1"), "{metrics}");
    let status = site.host.run(&["status"]).unwrap();
    assert_eq!((status.code, status.stderr.as_str()), (Some(0), ""));
    check::stop(renewd);
    check::log_is_whole(site);
}

#[test]
fn full_in_mid_order_and_on_by_itself_when_there_is_room() {
    within_a_namespace("full_in_mid_order_and_on_by_itself_when_there_is_room", || {
        let (site, wanted) = site();
        let (renewd, ballast) = full_in_mid_order(&site, &wanted, "ChallengeChosen", 1);
        serves_on_and_says_so(&site, &wanted, "R0620", "make room");
        fs::remove_file(ballast).unwrap();
        goes_on(&site, &wanted, renewd, 1, "R0620");
    });
}

/// A file system is mounted read-only by hand only while nothing on it is open for writing; so the disk
/// is full first. This also shows that a log which waits holds nothing open.
#[test]
fn read_only_in_mid_order_and_on_by_itself_when_it_is_writable() {
    within_a_namespace("read_only_in_mid_order_and_on_by_itself_when_it_is_writable", || {
        let (site, wanted) = site();
        // The outcomes of so many acts under way do not fit into what may be left of a page: a commit
        // fails, and then the log looks for room to be opened again.
        // They are one batch; a name that the CA holds for valid still is not in it.
        let (mut renewd, ballast) = full_in_mid_order(&site, &wanted, "ReadinessRequested", 1);
        degraded(&site, &mut renewd, "looking for room");
        fs::remove_file(ballast).unwrap();
        mount(&["-o", "remount,ro"], &site.host.state_dir());
        degraded(&site, &mut renewd, "R0621");
        serves_on_and_says_so(&site, &wanted, "R0621", "read-write");
        mount(&["-o", "remount,rw"], &site.host.state_dir());
        goes_on(&site, &wanted, renewd, 1, "R0620");
    });
}

#[test]
fn killed_on_a_full_disk_and_started_it_serves_on_and_begins_when_there_is_room() {
    within_a_namespace(
        "killed_on_a_full_disk_and_started_it_serves_on_and_begins_when_there_is_room",
        || {
            let (site, wanted) = site();
            let (mut renewd, ballast) = full_in_mid_order(&site, &wanted, "ChallengeChosen", 1);
            renewd.sigkill().unwrap();
            // What the killed one held of the disk is free now.
            let rest = fill_with(&site, "more");
            let mut renewd = site.run().unwrap();
            degraded(&site, &mut renewd, "R0620");
            serves_on_and_says_so(&site, &wanted, "R0620", "make room");
            // It ends when it is asked to, and leaves no trace.
            let events = site.events().len();
            check::stop(renewd);
            assert_eq!(site.events().len(), events);
            let mut renewd = site.run().unwrap();
            degraded(&site, &mut renewd, "R0620");
            serves_on_and_says_so(&site, &wanted, "R0620", "make room");
            fs::remove_file(rest).unwrap();
            fs::remove_file(ballast).unwrap();
            goes_on(&site, &wanted, renewd, 2, "R0620");
        },
    );
}

#[test]
fn killed_and_started_on_a_read_only_disk_it_serves_on_and_begins_when_it_is_writable() {
    within_a_namespace(
        "killed_and_started_on_a_read_only_disk_it_serves_on_and_begins_when_it_is_writable",
        || {
            let (site, wanted) = site();
            let (mut renewd, ballast) = full_in_mid_order(&site, &wanted, "ChallengeChosen", 1);
            renewd.sigkill().unwrap();
            fs::remove_file(ballast).unwrap();
            mount(&["-o", "remount,ro"], &site.host.state_dir());
            let mut renewd = site.run().unwrap();
            serves_without_its_socket(&site, &wanted, &mut renewd);
            mount(&["-o", "remount,rw"], &site.host.state_dir());
            goes_on(&site, &wanted, renewd, 2, "R0621");
        },
    );
}

/// The socket cannot be made where nothing can be written; all else is as ever.
fn serves_without_its_socket(site: &Site, wanted: &Wanted, renewd: &mut Process) {
    renewd
        .wait_until("the journal's word", EVENT_TIME_MAX, |renewd| {
            renewd.stderr().contains("R0621").then_some(())
        })
        .unwrap();
    let tokens = published(&site.events());
    assert!(!tokens.is_empty(), "no token was open when the disk was full");
    let (asked, events) = (site.pebble.requests(), site.events().len());
    wait::until(EVENT_TIME_MAX, || site.ask_responder("/").ok()).unwrap();
    for (token, answer) in tokens {
        let answered = site.ask_responder(&format!("/.well-known/acme-challenge/{token}")).unwrap();
        assert_eq!((answered.status, answered.body), (200, answer), "{token}");
    }
    let served = wait::until(EVENT_TIME_MAX, || site.handshake(wanted, &wanted.domains[0]).ok());
    let adopted = site.events_named("GenerationAdopted");
    assert_eq!(served.unwrap().leaf_sha256, adopted[0].text("/leaf/fingerprint"));
    let status = site.host.run(&["status"]).unwrap();
    for word in ["holds the log", "R0621"] {
        assert!(status.stderr.contains(word), "{word} in {}", status.stderr);
    }
    wait::for_a_while(WATCHED);
    assert_eq!((site.pebble.requests(), site.events().len()), (asked, events), "an act");
    assert!(renewd.ended().is_none(), "{}", renewd.stderr());
}

#[test]
fn ended_cleanly_and_started_on_a_full_or_read_only_disk_it_serves_on() {
    within_a_namespace(
        "ended_cleanly_and_started_on_a_full_or_read_only_disk_it_serves_on",
        || {
            let (site, wanted) = site();
            // The very first start: there is nothing to serve.
            let ballast = fill(&site);
            refused(&site, "R0620", "make room");
            fs::remove_file(ballast).unwrap();
            let mut renewd = site.run().unwrap();
            site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
            check::stop(renewd);

            let ballast = fill(&site);
            let mut renewd = site.run().unwrap();
            degraded(&site, &mut renewd, "R0620");
            says_so(&site, "R0620", "make room");
            check::is_served(&site, &wanted);
            // Without a word in the log, so that the next start is as this one was.
            check::stop(renewd);
            fs::remove_file(ballast).unwrap();
            mount(&["-o", "remount,ro"], &site.host.state_dir());
            let mut renewd = site.run().unwrap();
            let served =
                wait::until(EVENT_TIME_MAX, || site.handshake(&wanted, &wanted.domains[0]).ok());
            assert!(served.is_some(), "{}", renewd.stderr());
            mount(&["-o", "remount,rw"], &site.host.state_dir());
            site.wait_for(&mut renewd, "LogWritableAgain", 1).unwrap();
            check::is_served(&site, &wanted);
            assert_eq!(site.pebble.orders_made(), 1);
            check::stop(renewd);
            check::log_is_whole(&site);
        },
    );
}

fn refused(site: &Site, code: &str, cure: &str) {
    let ran = site.host.run(&["run"]).unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for word in [code, "help: ", cure] {
        assert!(ran.stderr.contains(word), "{word} in {}", ran.stderr);
    }
    let explained = site.host.run(&["explain", code]).unwrap();
    assert!(explained.stdout.contains("What to do"), "{}", explained.stdout);
}
