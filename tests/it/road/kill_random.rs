//! SIGKILL at instants that nobody chose, and within a renewal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use renewd_tests::kill::{self, Order};
use renewd_tests::record::Follower;
use renewd_tests::{host, tls};

use crate::check;
use crate::lives::{LATE, RESPONDER_TIME_MAX, When, kill_when, orders_are_explained, site};
use crate::renew::call_for_renewal;

/// What stands before the folder that a round with a complaint has left.
const FILES: &str = "  ! its files: ";

/// The same as `cargo xtask kill --count 200`, which goes on as long as wanted.
#[test]
fn killed_two_hundred_times_at_instants_that_nobody_chose() {
    let order = Order { kills: 200, seed: 1, lanes: 4, program: None };
    let totals = kill::run(order, &|line| println!("{line}")).unwrap();
    println!("{}\n{totals}", totals.places());
    assert!(totals.is_clean(), "see the lines with `!` above: {totals}");
    // It has really killed renewals, and at many places: in each of the eight rounds the three first
    // issues, some that were asked for, and more ends than a start has.
    assert_eq!(totals.kills, 200);
    assert!(totals.wishes >= 8, "{totals:?}");
    assert!(totals.certificates >= 24 && totals.orders >= totals.certificates, "{totals:?}");
    assert!(totals.ends.len() >= 8, "too few places were met: {}", totals.places());
}

/// What the kills would find, if it were so: a `renewd` that forgets everything at each start.
#[test]
fn a_program_that_forgets_its_state_is_found_from_the_cas_side() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("forgetful");
    let real = host::binary().unwrap();
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = run ] && rm -rf state/*\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let order = Order { kills: 6, seed: 1, lanes: 1, program: Some(script) };
    let kept = Mutex::new(Vec::new());
    let totals = kill::run(order, &|line| {
        println!("{line}");
        // The evidence is for a person; here it is known.
        kept.lock().unwrap().extend(line.strip_prefix(FILES).map(str::to_owned));
    });
    let totals = totals.unwrap();
    println!("{totals}");
    for line in kept.into_inner().unwrap() {
        let path = line.split(' ').next().unwrap();
        fs::remove_dir_all(path).unwrap();
    }
    assert!(!totals.is_clean(), "{totals}");
    assert!(totals.lost_keys > 0 && totals.second_orders > 0, "{totals}");
}

#[test]
fn killed_in_a_renewal_it_serves_the_old_certificate_before_it_asks_the_ca() {
    for step in ["OrderRequested", "ReadinessRequested", "FinalizationRequested"] {
        let (site, wanted) = site();
        let mut renewd = site.run().unwrap();
        site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
        let first = check::is_served(&site, &wanted);
        check::stop(renewd);
        call_for_renewal(&site);
        site.passage.answers_late(LATE);
        let mut follower = Follower::from_now(&site.log()).unwrap();
        let mut renewd = site.run().unwrap();
        let moment = When::OnDisk(step.to_owned());
        assert!(kill_when(&site, &mut renewd, &mut follower, &moment).is_some());

        site.passage.close();
        let mut renewd = site.run().unwrap();
        let root = site.pebble.issuer_root_pem().unwrap();
        let address = wanted.address().unwrap();
        let served = renewd
            .wait_until("the old certificate", RESPONDER_TIME_MAX, |_| {
                tls::handshake(address, &wanted.domains[0], &root).ok()
            })
            .unwrap();
        assert_eq!(served.leaf_sha256, first.leaf_sha256, "{step}");
        site.passage.answers_late(Duration::ZERO);
        site.passage.reopen();
        site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
        let second = check::is_served(&site, &wanted);
        assert_ne!(second.leaf_sha256, first.leaf_sha256, "{step}");
        orders_are_explained(&site, step, 2);
        let requested = site.events_named("OrderRequested");
        let ari_id = site.events_named("GenerationAdopted")[0].text("/leaf/ari_id").to_owned();
        assert!(requested[1..].iter().all(|e| e.text("/replaces") == ari_id), "{requested:?}");
        check::stop(renewd);
        check::log_is_whole(&site);
    }
}
