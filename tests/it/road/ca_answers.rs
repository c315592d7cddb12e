//! Broken answers of a CA through the whole engine: the real binary against the fault CA. For each
//! fault: what lands in the log, what `why` and `status` say, that nothing storms while it lasts, and
//! that it ends with the certificate when the fault is lifted.
//!
//! The cases are in `ca_cases`; each has a CA, a host and a process of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use renewd_testca::{Fault, Options};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::process::Process;
use renewd_tests::site::{EVENT_TIME_MAX, Wanted};
use renewd_tests::wait;

use crate::ca_cases::{Case, Lands, cases};
use crate::check;

/// Sites at once: they mostly wait.
const AT_ONCE: usize = 20;
/// The fault stays this long after it was first told: tries follow after 1, 2 and 4 seconds.
const FAULT_TIME: Duration = Duration::from_millis(2_500);
/// Tries within that time and a little more, besides those that a slow machine has time for; each may ask for [`ORDERS_PER_TRY_MAX`] orders.
const TRIES_MAX: usize = 4;
/// The engine's own bound: the first, one after a lost answer, one without what the CA refused.
const ORDERS_PER_TRY_MAX: u64 = 3;
/// Requests of one try, nonces and looks included, with the repetitions of refused nonces (12 of each).
const REQUESTS_PER_TRY_MAX: u64 = 40;
/// A retry that is due later than this is called for by hand.
const PATIENCE: Duration = Duration::from_secs(6);

#[test]
fn every_broken_answer_is_told_is_borne_and_passes() {
    let waiting = Mutex::new(cases());
    assert!(waiting.lock().unwrap().len() >= 60);
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = { waiting.lock().unwrap().pop() } {
                    let name = case.name.clone();
                    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| play(&case)));
                    if let Err(wrong) = outcome {
                        let text = wrong
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| wrong.downcast_ref::<&str>().map(ToString::to_string));
                        told.lock().unwrap().push(format!("{name}: {}", text.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    assert!(told.is_empty(), "{} cases:\n{}", told.len(), told.join("\n\n"));
}

fn play(case: &Case) {
    let wanted = Wanted::new("web", &["fault.test"]).unwrap();
    let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
    site.ca.inject(Fault::once(case.endpoint, (case.kind)()).times(u32::MAX));
    let began = Instant::now();
    let mut renewd = site.run().unwrap();
    match case.lands {
        Lands::Nowhere => {}
        Lands::In(event, code, words) => {
            site.wait_for(&mut renewd, event, 1).unwrap();
            is_told(&site, code, words);
        }
        Lands::Waiting(event, words) => {
            site.wait_for(&mut renewd, event, 1).unwrap();
            is_borne(&mut renewd);
            let row = site.status("web").unwrap();
            let said = row.to_string();
            assert!(words.iter().all(|word| said.contains(word)), "status: {said}");
        }
    }
    if case.lands != Lands::Nowhere {
        is_borne(&mut renewd);
        no_storm(&site, began.elapsed());
        site.ca.clear_faults();
        hurry(&site);
    }
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let events = site.events();
    let adopted = check::adopted(&events, &check::stream_of(&events, "web"));
    assert_eq!(site.handshake(&wanted).unwrap().leaf_sha256, adopted);
    let orders = site.ca.orders().len();
    assert!(orders <= case.orders_max, "{orders} orders at the CA, at most {}", case.orders_max);
    assert!(!renewd.stderr().contains("panicked"), "{}", renewd.stderr());
    assert!(site.events_named("ActorFailed").is_empty());
    // A CA that breaks an order leaves it open, and the next try cannot use it: that is no repeat.
    let broken = site.ca.forgive();
    let spoilt = |text: &String| case.orders_max > 1 && text.starts_with("NewOrder: repeated");
    assert!(broken.iter().all(spoilt), "{broken:?}");
    check::stop(renewd);
}

/// The code in the log, and `why` with the same code and words a person can use; a next try has a time.
fn is_told(site: &FaultSite, code: &str, words: &[&str]) {
    let logged: Vec<String> = site
        .events_named("RenewalFailed")
        .iter()
        .map(|event| event.text("/code").to_owned())
        .collect();
    let code = match (code, logged.first()) {
        ("", Some(logged)) => logged,
        ("", None) => panic!("no failure in the log"),
        (code, _) => code,
    };
    assert!(code.starts_with("R0"), "{code}");
    assert!(logged.iter().all(|logged| logged == code), "the log says {logged:?}, not {code}");
    let mut why = String::new();
    // While the next try is under way, which comes in between on a slow machine, it speaks of that one.
    let says = wait::until(EVENT_TIME_MAX, || {
        why = site.said(&["why", "web"]).unwrap();
        let all = words.iter().chain([&code]);
        all.into_iter().all(|word| why.contains(word)).then_some(())
    });
    assert!(says.is_some(), "why does not say {code} and {words:?}:\n{why}");
    if !logged.is_empty() {
        let planned = wait::until(check::STOP_TIME_MAX, || {
            let events = site.events();
            let at = |name: &str| events.iter().rposition(|event| event.name == name);
            (at("RenewalScheduled") > at("RenewalFailed")).then_some(())
        });
        assert!(planned.is_some(), "no next try is planned");
    }
}

/// The process lives on under the fault.
fn is_borne(renewd: &mut Process) {
    let ended = wait::until(FAULT_TIME, || renewd.ended());
    assert_eq!(ended, None, "{}", renewd.stderr());
}

/// So much time after the start at most.
fn no_storm(site: &FaultSite, time: Duration) {
    let tries = site.events_named("RenewalStarted").len();
    // The pause doubles from one second on: n more tries are 2^n - 1 seconds later.
    let more = usize::try_from((time.as_secs() + 1).ilog2()).unwrap();
    assert!(tries <= TRIES_MAX.max(1 + more), "{tries} tries in {time:?}");
    let counts = site.ca.counts();
    let tries = u64::try_from(tries.max(1)).unwrap();
    // badNonce means "again, with this nonce" (RFC 8555 §6.5): such repeats are no new orders.
    let orders = counts.new_order.saturating_sub(counts.bad_nonce);
    assert!(orders <= tries * ORDERS_PER_TRY_MAX, "{counts:?}");
    assert!(counts.requests() <= tries * REQUESTS_PER_TRY_MAX, "{counts:?}");
}

/// A person who has mended something does not wait for a time that is far away.
fn hurry(site: &FaultSite) {
    let succeeded = || (!site.events_named("RenewalSucceeded").is_empty()).then_some(());
    if wait::until(PATIENCE, succeeded).is_none() && is_far(site) {
        let asked = site.host.run(&["renew", "web"]).unwrap();
        assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    }
}

/// Nothing is under way, and nothing will soon be: a slow machine needs no wish beside its renewal.
fn is_far(site: &FaultSite) -> bool {
    let events = site.events();
    let at = |name: &str| events.iter().rposition(|event| event.name == name);
    if at("RenewalStarted") > at("RenewalFailed") {
        return false;
    }
    let planned = at("RenewalScheduled").and_then(|at| events[at].data["at"].as_u64());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + PATIENCE;
    at("RenewalFailed").is_none() || planned.map(u128::from) > Some(now.as_millis())
}
