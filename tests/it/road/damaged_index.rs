//! sled's files, damaged in twelve ways: `renewd run` makes the index again from the mirror and says so,
//! or refuses with a code and a cure; nothing that was acknowledged is lost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::MirrorReader;
use renewd_tests::host::Host;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;
use crate::damage::copy;

/// A start with a damaged index: it is read, set aside and made again.
const READY_TIME_MAX: Duration = Duration::from_secs(120);

type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 12] = [
    ("a bit of the header", |sled| change(sled, |db| db[3] ^= 1)),
    ("a bit in the middle", |sled| {
        change(sled, |db| {
            let at = written(db) / 2;
            db[at] ^= 0x20;
        });
    }),
    ("a bit near the end", |sled| {
        change(sled, |db| {
            let at = written(db) - 40;
            db[at] ^= 0x04;
        });
    }),
    ("a zeroed page", |sled| {
        change(sled, |db| {
            let at = written(db) / 2 / 4096 * 4096;
            db[at..at + 4096].fill(0);
        });
    }),
    ("all zeros", |sled| change(sled, |db| db.fill(0))),
    ("cut in the middle", |sled| {
        change(sled, |db| {
            let half = written(db) / 2;
            db.truncate(half);
        });
    }),
    ("emptied", |sled| fs::write(sled.join("db"), "").unwrap()),
    ("foreign bytes", |sled| fs::write(sled.join("db"), vec![0x5A; 70_000]).unwrap()),
    ("octets put in", |sled| {
        change(sled, |db| {
            let at = written(db) / 3;
            drop(db.splice(at..at, [1, 2, 3]));
        });
    }),
    ("db deleted", |sled| fs::remove_file(sled.join("db")).unwrap()),
    ("conf deleted", |sled| fs::remove_file(sled.join("conf")).unwrap()),
    ("all deleted", |sled| fs::remove_dir_all(sled).unwrap()),
];

fn change(sled: &Path, act: impl FnOnce(&mut Vec<u8>)) {
    let db = sled.join("db");
    let mut bytes = fs::read(&db).unwrap();
    act(&mut bytes);
    fs::write(db, bytes).unwrap();
}

/// sled makes its file longer than what it has written.
fn written(db: &[u8]) -> usize {
    let end = db.iter().rposition(|octet| *octet != 0).unwrap() + 1;
    assert!(end > 10_000, "there is too little to damage: {end}");
    end
}

fn frames(log: &Path) -> Vec<Frame> {
    MirrorReader::open(log).unwrap().scan(Seq(1)).unwrap().map(Result::unwrap).collect()
}

/// What the start said of the index.
fn started(original: &Path, (name, damage): Damage, is_clean: bool) -> String {
    let host = Host::new().unwrap();
    copy(original, host.folder());
    let log = host.state_dir().join("log");
    let before = frames(&log);
    damage(&log.join("sled"));
    // What the original said is not what this one says.
    for said in ["renewd.out", "renewd.err"] {
        drop(fs::remove_file(host.folder().join(said)));
    }
    let mut renewd = host.start(&["run"]).unwrap();
    let came = renewd.wait_until("ready or refused", READY_TIME_MAX, |it| {
        let said = it.stderr();
        (said.contains("renewd is ready") || said.contains("error: ")).then_some(said)
    });
    let said = came.unwrap_or_else(|cause| panic!("{name}: {cause}: {}", renewd.stderr()));
    if said.contains("error: ") {
        assert!(said.contains("R06") && said.contains("help: "), "{name}: {said}");
        return "refused".to_owned();
    }
    check::stop(renewd);
    let after = frames(&log);
    assert!(after.len() > before.len(), "{name}");
    assert_eq!(after[..before.len()], before, "{name}: something is lost");
    let verified = host.run(&["log", "verify"]).unwrap();
    assert_eq!(verified.code, Some(0), "{name}: {}", verified.stdout);
    assert!(verified.stdout.contains("index: agrees"), "{name}: {}", verified.stdout);
    let said_so = said.contains("the index ");
    // Some damage hits nothing that sled reads; after a crash a few missing commits are the rule.
    let lost_all = ["all zeros", "emptied", "foreign bytes", "db deleted", "all deleted"];
    assert!(said_so || !is_clean || !lost_all.contains(&name), "{name}: silent: {said}");
    if said_so { "mended, and said so" } else { "nothing of it was needed" }.to_owned()
}

#[test]
fn a_damaged_index_is_made_again_or_refused_and_nothing_is_lost() {
    let wanted = Wanted::new("web", &["index.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let killed = tempfile::tempdir().unwrap();
    wait::until(EVENT_TIME_MAX, || {
        let said = site.events_named("RenewalScheduled");
        (!said.is_empty()).then_some(())
    });
    renewd.sigkill().unwrap();
    copy(site.host.folder(), killed.path());
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    check::stop(renewd);
    for damage in DAMAGES {
        let after_kill = started(killed.path(), damage, false);
        let after_stop = started(site.host.folder(), damage, true);
        println!("{}: after a kill {after_kill}, after a stop {after_stop}", damage.0);
    }
    assert_eq!(site.pebble.orders_made(), 1, "nothing was bought again");
}
