//! SIGKILL at instants that nobody chose, and within a renewal.

use std::time::Duration;

use renewd_tests::record::Follower;
use renewd_tests::site::{Plan, Site, Wanted};
use renewd_tests::{tls, wait};

use crate::check;
use crate::lives::{
    LATE, RESPONDER_TIME_MAX, When, kill_when, next_life, orders_are_explained, site,
};
use crate::renew::call_for_renewal;

/// Lives until the renewal is over; each of the first ends at an instant that nobody chose.
fn killed_at_random(certificates: usize, seed: u64) {
    let mut wanted = Vec::new();
    for number in 0..certificates {
        let domain = format!("c{number}.random.test");
        wanted.push(Wanted::new(&format!("c{number}"), &[&domain]).unwrap());
    }
    let site = Site::start(Plan::repeatable(wanted).unwrap()).unwrap();
    site.passage.answers_late(Duration::from_millis(5));
    let mut random = Random(seed);
    let mut renewd = site.run().unwrap();
    for _ in 0..RANDOM_KILLS {
        wait::for_a_while(Duration::from_millis(random.below(RANDOM_LIFE_MS)));
        renewd.sigkill().unwrap();
        renewd = next_life(&site);
        site.passage.answers_late(Duration::from_millis(5));
    }
    let when = format!("seed {seed}");
    site.wait_for(&mut renewd, "RenewalSucceeded", certificates)
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    for wanted in &site.plan.certificates {
        check::is_served(&site, wanted);
    }
    let made = orders_are_explained(&site, &when, certificates);
    println!("{when}: {made} orders for {certificates} certificates");
    check::stop(renewd);
    check::log_is_whole(&site);
}

/// Kills of one site at instants that nobody chose.
const RANDOM_KILLS: usize = 4;
/// The longest of those lives, in milliseconds: an unhurt order takes about this long.
const RANDOM_LIFE_MS: u64 = 400;

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn killed_at_instants_that_nobody_chose() {
    std::thread::scope(|threads| {
        for seed in [1, 2, 3] {
            threads.spawn(move || {
                killed_at_random(1, seed);
                killed_at_random(10, seed + 100);
            });
        }
    });
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
