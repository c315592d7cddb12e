//! The host's wall clock is set by years, forward and back, while `renewd` runs.
//!
//! `libfaketime` stands between `renewd` and the wall clock (the monotonic one stays true, as on a real
//! host); the tests change its file meanwhile.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd_tests::process::Process;
use renewd_tests::record::Follower;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;
use crate::lives::LATE;

/// A jump is noticed within a minute, the longest sleep of `renewd`'s clock; a machine may be slow.
const NOTICED_MAX: Duration = Duration::from_secs(300);
/// Long enough to see that nothing more is ordered: thirty unhurt orders, and three tries at intervals of
/// a second and twice that.
const QUIET: Duration = Duration::from_secs(12);
/// Three years.
const YEARS_DAYS: i64 = 1100;
/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The wall clock of all `renewd` of one host.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn of(site: &mut Site) -> Self {
        let clock = Self { file: site.host.folder().join("clock") };
        clock.set(0);
        site.host.set_env("LD_PRELOAD", &library().display().to_string());
        site.host.set_env("FAKETIME_TIMESTAMP_FILE", &clock.file.display().to_string());
        for name in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
            site.host.set_env(name, "1");
        }
        clock
    }

    /// So many days from the true time.
    fn set(&self, days: i64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{days:+}d\n")).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .chain([PathBuf::from("/usr/lib64/faketime/libfaketime.so.1")])
        .find(|path| path.is_file());
    found.expect("libfaketime is needed and not there: apt-get install faketime")
}

fn site() -> (Site, Wanted, Clock) {
    let wanted = Wanted::new("web", &["clock.test"]).unwrap();
    let mut site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let clock = Clock::of(&mut site);
    (site, wanted, clock)
}

/// The clock is set, and `renewd` says by how much it jumped.
fn set(site: &Site, renewd: &mut Process, clock: &Clock, days: i64, jump: i64) {
    let before = site.events_named("WallClockJumped").len();
    clock.set(days);
    let jumped = renewd.wait_until("the jump", NOTICED_MAX, |_| {
        site.events_named("WallClockJumped").into_iter().nth(before)
    });
    let day_ms = i64::try_from(DAY_MS).unwrap();
    let delta = jumped.unwrap().data["delta_ms"].as_i64().unwrap();
    assert!((delta - jump * day_ms).abs() < 60_000, "{delta} ms, not {jump} days");
}

/// The next renewal is planned for when two thirds of Pebble's ninety days are over.
fn is_planned_for_two_months_ahead(site: &Site) {
    let planned = site.events_named("RenewalScheduled").pop().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let ahead = planned.data["at"].as_u64().unwrap().saturating_sub(u64::try_from(now).unwrap());
    assert!((50 * DAY_MS..70 * DAY_MS).contains(&ahead), "{ahead} ms: {planned:?}");
}

#[test]
fn set_back_by_years_and_forward_again_nothing_is_ordered_and_the_plan_stays() {
    let (site, wanted, clock) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(&site, &wanted);
    for (days, jump) in [(-YEARS_DAYS, -YEARS_DAYS), (0, YEARS_DAYS)] {
        set(&site, &mut renewd, &clock, days, jump);
        wait::for_a_while(QUIET);
        assert_eq!(site.pebble.orders_made(), 1, "{days} days");
        is_planned_for_two_months_ahead(&site);
        assert_eq!(check::is_served(&site, &wanted), first);
    }
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn set_forward_by_years_nothing_is_ordered_for_that_alone_and_a_person_still_gets_a_certificate() {
    let (site, wanted, clock) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(&site, &wanted);

    // By that clock the certificate is over, by Pebble's it is new.
    set(&site, &mut renewd, &clock, YEARS_DAYS, YEARS_DAYS);
    wait::for_a_while(QUIET);
    assert_eq!((site.pebble.orders_made(), site.events_named("RenewalFailed").len()), (1, 0));
    assert_eq!(check::is_served(&site, &wanted), first);
    assert!(renewd.stderr().contains("R0907"), "{}", renewd.stderr());

    // What is due for another reason is renewed, though all of it is over by that clock.
    site.host.run(&["renew", "web"]).unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let second = check::is_served(&site, &wanted);
    assert_ne!(second.leaf_sha256, first.leaf_sha256);
    wait::for_a_while(QUIET);
    assert_eq!(site.pebble.orders_made(), 2);

    set(&site, &mut renewd, &clock, 0, -YEARS_DAYS);
    wait::for_a_while(QUIET);
    assert_eq!(site.pebble.orders_made(), 2);
    is_planned_for_two_months_ahead(&site);
    assert_eq!(check::is_served(&site, &wanted), second);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn set_back_by_years_in_the_middle_of_an_order_there_is_one_order() {
    std::thread::scope(|threads| {
        for step in
            ["OrderRequested", "OrderCreated", "ReadinessRequested", "FinalizationRequested"]
        {
            threads.spawn(move || {
                let (site, wanted, clock) = site();
                site.passage.answers_late(LATE);
                let mut follower = Follower::new(&site.log());
                let mut renewd = site.run().unwrap();
                let here = wait::until_soon(EVENT_TIME_MAX, || {
                    follower.look().iter().any(|event| event.name == step).then_some(())
                });
                assert!(here.is_some(), "{step} never came");
                clock.set(-YEARS_DAYS);
                let done = site.wait_for(&mut renewd, "RenewalSucceeded", 1);
                done.unwrap_or_else(|cause| panic!("{step}: {cause}"));
                check::is_served(&site, &wanted);
                clock.set(0);
                assert_eq!(site.pebble.orders_made(), 1, "{step}");
                check::stop(renewd);
                check::log_is_whole(&site);
            });
        }
    });
}
