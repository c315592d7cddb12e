//! SIGKILL of the real process at each kind of event of a *renewal*: what is served must not change until
//! the new certificate is there, and the renewal must not cost a second order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use renewd_tests::process::Process;
use renewd_tests::record::{Follower, Record};
use renewd_tests::site::{Site, Wanted};
use renewd_tests::{tls, wait};

use crate::check;
use crate::lives::{LATE, RESPONDER_TIME_MAX, When, kill_when, orders_are_explained, site};
use crate::renew::call_for_renewal;

/// Sites at the same time: they mostly wait, and each has a Pebble of its own.
const AT_ONCE: usize = 6;
/// Kinds of events that a renewal through ARI has at least; fewer means that the table is not whole.
const KINDS_MIN: usize = 26;
/// What ends a certificate's renewal; a kill after it is a kill of an idle engine.
const LAST: &str = "RenewalSucceeded";

/// A site whose first certificate is served and whose CA calls for a renewal; `renewd` does not run.
fn due() -> (Site, Wanted, String) {
    let (site, wanted) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, LAST, 1).unwrap();
    let first = check::is_served(&site, &wanted);
    check::stop(renewd);
    call_for_renewal(&site);
    (site, wanted, first.leaf_sha256)
}

/// Shakes hands without a pause until told to stop, and lists the certificates that it saw, without
/// repeats. While the process is dead nobody listens; a handshake that is *refused* is never right.
fn watch(site: &Site, wanted: &Wanted, over: &AtomicBool, when: &str) -> Vec<String> {
    let root = site.pebble.issuer_root_pem().unwrap();
    let address = wanted.address().unwrap();
    let mut seen: Vec<String> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        match tls::handshake(address, &wanted.domains[0], &root) {
            Ok(served) if seen.last() != Some(&served.leaf_sha256) => seen.push(served.leaf_sha256),
            Ok(_) => {}
            Err(cause) => {
                let text = cause.to_string();
                // An alert, or a chain that does not fit the name, is an answer of a living process.
                let refused = ["alert", "certificate"].iter().any(|word| text.contains(word));
                assert!(!refused, "{when}: a handshake was refused: {text}");
            }
        }
        wait::for_a_while(Duration::from_millis(2));
    }
    seen
}

/// The kinds of events of a whole renewal, in the order of their first appearance.
fn kinds() -> Vec<String> {
    let (site, _, _) = due();
    let before = site.events().len();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, LAST, 2).unwrap();
    check::stop(renewd);
    let mut kinds: Vec<String> = Vec::new();
    for event in site.events().split_off(before) {
        let last = event.name == LAST;
        if !kinds.contains(&event.name) {
            kinds.push(event.name);
        }
        if last {
            break;
        }
    }
    kinds
}

/// The next life, with the way to the CA closed: it serves the certificate that was served before, or a
/// newer one whose chain is on disk already.
fn next_life(site: &Site, wanted: &Wanted, when: &str) -> Process {
    let before = site.events();
    let downloaded = before.iter().filter(|e| e.name == "ChainDownloaded").count() == 2;
    site.passage.close();
    let mut renewd = site.run().unwrap();
    let root = site.pebble.issuer_root_pem().unwrap();
    let address = wanted.address().unwrap();
    let served = renewd
        .wait_until("a certificate of before", RESPONDER_TIME_MAX, |_| {
            tls::handshake(address, &wanted.domains[0], &root).ok()
        })
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    let newest = site.events_named("GenerationAdopted").pop();
    let newer = newest.is_some_and(|e| e.text("/leaf/fingerprint") == served.leaf_sha256);
    let same = served.leaf_sha256 == in_place(&before);
    assert!(same || (downloaded && newer), "{when}: {served:?}");
    site.passage.answers_late(Duration::ZERO);
    site.passage.reopen();
    renewd
}

/// What the log says is in place: the newest issue that was put there.
fn in_place(events: &[Record]) -> String {
    let put = events.iter().filter(|e| e.name == "Deployed").count();
    let adopted = events.iter().filter(|e| e.name == "GenerationAdopted");
    let last = adopted.take(put.max(1)).last();
    last.map(|event| event.text("/leaf/fingerprint").to_owned()).unwrap_or_default()
}

/// One renewal, one kill, to the end. Gives the last event of the killed life.
fn killed_at(kind: &str) -> Option<String> {
    let (site, wanted, first) = due();
    site.passage.answers_late(LATE);
    let over = AtomicBool::new(false);
    let mut end = None;
    let seen = std::thread::scope(|threads| {
        let watching = threads.spawn(|| watch(&site, &wanted, &over, kind));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut follower = Follower::from_now(&site.log()).unwrap();
            let mut renewd = site.run().unwrap();
            end = kill_when(&site, &mut renewd, &mut follower, &When::OnDisk(kind.to_owned()));
            let mut renewd = next_life(&site, &wanted, kind);
            site.wait_for(&mut renewd, LAST, 2).unwrap_or_else(|cause| panic!("{kind}: {cause}"));
            let second = check::is_served(&site, &wanted);
            assert_ne!(second.leaf_sha256, first, "{kind}");
            check::stop(renewd);
            second.leaf_sha256
        }));
        over.store(true, Ordering::Relaxed);
        let seen = watching.join().unwrap();
        (seen, done.unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
    });
    let (seen, second) = seen;
    // The old one, then the new one, and never back. A watcher on a busy machine may miss an end.
    let expected = [first, second];
    assert!(expected.ends_with(&seen) || expected.starts_with(&seen), "{kind}: {seen:?}");
    one_more_order(&site, kind);
    check::log_is_whole(&site);
    end
}

/// Pebble made exactly one more order, and what was asked for replaces the first certificate. Only where
/// the CA's validator met a dead port is that order lost for ACME itself (RFC 8555 §7.1.6), and one more
/// follows, with the reason in the log.
fn one_more_order(site: &Site, when: &str) {
    let made = orders_are_explained(site, when, 2);
    assert!(made <= 3, "{when}: {made} orders");
    let adopted = site.events_named("GenerationAdopted");
    assert_eq!(adopted.len(), 2, "{when}");
    let ari_id = adopted[0].text("/leaf/ari_id");
    assert!(!ari_id.is_empty(), "{when}");
    // An intent whose order never left the killed process is followed by one that does.
    let requested = site.events_named("OrderRequested");
    // The last of three leaves it out (RFC 9773 §5: it is optional), should a CA stumble over it.
    let mut full = requested.iter().skip(1).take(2);
    assert!(full.all(|e| e.text("/replaces") == ari_id), "{when}: {requested:?}");
    assert!(site.events_named("OrderRefused").is_empty(), "{when}");
}

#[test]
fn killed_at_each_kind_of_event_of_a_renewal_it_costs_one_order_and_never_the_old_certificate() {
    let kinds = kinds();
    assert!(kinds.len() >= KINDS_MIN, "{kinds:?}");
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let end = killed_at(kind);
                    ends.lock().unwrap().push((kind.clone(), end));
                }
            });
        }
    });
    let ends = ends.into_inner().unwrap();
    assert_eq!(ends.len(), kinds.len());
    let met = ends.iter().filter(|(_, end)| end.is_some()).count();
    println!("lives ended at: {ends:?}");
    // The last kind is the end of the renewal; before it every moment comes.
    assert_eq!(met, kinds.len(), "a moment never came: {ends:?}");
}
