//! Renewal through ARI, and the swap of what is served.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use renewd_tests::pebble::PROFILE_TEN_MINUTES;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::{tls, wait};

use crate::check;

/// A window that lies in the past: renew at once (RFC 9773 §4.2).
const PAST: (&str, &str) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");

/// The chain of the certificate that was adopted last, as it lies in the store.
fn chain_pem(site: &Site) -> String {
    let adopted = site.events_named("GenerationAdopted");
    let chain = adopted.last().unwrap().text("/leaf/chain");
    let path = site.host.state_dir().join("chains").join(format!("{chain}.pem"));
    fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// The CA calls for a renewal of the present certificate.
pub(crate) fn call_for_renewal(site: &Site) {
    let pem = chain_pem(site);
    site.pebble.set_renewal_window(&pem, PAST.0, PAST.1).unwrap();
}

/// The second order replaces the first certificate, by its ARI name, and the CA knows it.
fn replaced(site: &Site) {
    let adopted = site.events_named("GenerationAdopted");
    let requested = site.events_named("OrderRequested");
    assert_eq!((adopted.len(), requested.len()), (2, 2));
    let ari_id = adopted[0].text("/leaf/ari_id");
    assert!(!ari_id.is_empty());
    assert_eq!(requested[0].text("/replaces"), "");
    assert_eq!(requested[1].text("/replaces"), ari_id);
    assert!(site.events_named("OrderRefused").is_empty());
    let started = site.events_named("RenewalStarted");
    assert_eq!(started[1].text("/cause"), "AriWindow", "{:?}", started[1]);
    assert_eq!(site.pebble.orders_made(), 2);
    check::all_differ(adopted.iter().map(|e| e.text("/key_ref")));
}

#[test]
fn a_window_in_the_past_renews_after_a_restart_and_replaces() {
    let wanted = Wanted::new("web", &["ari.test", "www.ari.test"]).unwrap();
    let site = Site::start(Plan::new(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(&site, &wanted);
    check::stop(renewd);
    call_for_renewal(&site);

    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let second = check::is_served(&site, &wanted);
    assert_ne!(first.leaf_sha256, second.leaf_sha256);
    replaced(&site);
    check::stop(renewd);
    check::log_is_whole(&site);
}

/// Shakes hands without a pause until told to stop, and once more; lists what was served, without repeats.
fn hammer(
    site: &Site,
    wanted: &Wanted,
    over: &AtomicBool,
    handshakes: &AtomicUsize,
) -> Vec<String> {
    let root = site.pebble.issuer_root_pem().unwrap();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let last = over.load(Ordering::Relaxed);
        // Not one may be refused.
        let served = tls::handshake(wanted.address().unwrap(), &wanted.domains[0], &root).unwrap();
        handshakes.fetch_add(1, Ordering::Relaxed);
        if seen.last() != Some(&served.leaf_sha256) {
            seen.push(served.leaf_sha256);
        }
        if last {
            return seen;
        }
    }
}

#[test]
fn a_window_learned_while_running_renews_and_no_handshake_is_refused() {
    // Ten minutes of life: the first look at the window comes within six seconds of the issue.
    let wanted =
        Wanted::new("late-look", &["swap.test"]).unwrap().with_profile(PROFILE_TEN_MINUTES);
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    // The look waits for its answer until the window is set and visitors are there.
    site.passage.close();
    call_for_renewal(&site);
    let (over, handshakes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = std::thread::scope(|threads| {
        let hammering = threads.spawn(|| hammer(&site, &wanted, &over, &handshakes));
        let visited =
            || (handshakes.load(Ordering::Relaxed) > 20 || hammering.is_finished()).then_some(());
        let visited = wait::until(EVENT_TIME_MAX, visited);
        site.passage.reopen();
        let renewed = site.wait_for(&mut renewd, "RenewalSucceeded", 2);
        over.store(true, Ordering::Relaxed);
        let seen = hammering.join().unwrap();
        renewed.unwrap();
        assert!(visited.is_some(), "only {handshakes:?} handshakes");
        seen
    });
    replaced(&site);
    let adopted = site.events_named("GenerationAdopted");
    let expected: Vec<&str> = adopted.iter().map(|e| e.text("/leaf/fingerprint")).collect();
    // First the one, then the other, never back.
    assert_eq!(seen, expected);
    assert_eq!(site.events_named("ListenerOpened").len(), 1);
    check::stop(renewd);
    check::log_is_whole(&site);
}
