//! SIGKILL at instants that nobody chose, and within a renewal.

use std::time::Duration;

use renewd_tests::kill::{self, Order};
use renewd_tests::record::Follower;
use renewd_tests::tls;

use crate::check;
use crate::lives::{LATE, RESPONDER_TIME_MAX, When, kill_when, orders_are_explained, site};
use crate::renew::call_for_renewal;

/// The same as `cargo xtask kill --count 200`, which goes on as long as wanted.
#[test]
fn killed_two_hundred_times_at_instants_that_nobody_chose() {
    let order = Order { kills: 200, seed: 1, lanes: 4 };
    let totals = kill::run(order, &|line| println!("{line}")).unwrap();
    println!("{}\n{totals}", totals.places());
    assert!(totals.is_clean(), "see the lines with `!` above: {totals}");
    // It has really killed renewals, and at many places.
    assert_eq!(totals.kills, 200);
    assert!(totals.wishes >= 20, "{totals:?}");
    assert!(totals.certificates >= 40 && totals.orders >= totals.certificates, "{totals:?}");
    assert!(totals.ends.len() >= 12, "too few places were met: {}", totals.places());
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
