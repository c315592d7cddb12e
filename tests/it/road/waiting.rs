//! While a CA gives no answer that can be used, somebody who asks must learn within seconds what is
//! asked, what comes in its place, and when it is asked again; and when the fault is over the renewal
//! ends, with the order it had.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use renewd_testca::Endpoint::{
    Authorization, Certificate, Challenge, Finalize, NewOrder, Order, Orders,
};
use renewd_testca::{Endpoint, Fault, FaultKind, Options};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::process::Process;
use renewd_tests::site::{EVENT_TIME_MAX, Wanted};
use renewd_tests::wait;

use crate::ca_cases::{page, problem};
use crate::check;

/// The fault lasts on for several retries, which must add nothing to the log.
const RETRIES_TIME: Duration = Duration::from_secs(8);
/// After the fault: the pause that has grown until then, and the rest of the renewal; a machine may be
/// slow.
const OVER_TIME_MAX: Duration = Duration::from_secs(300);

/// A step, a fault at it, and what is said.
struct Case {
    endpoint: Endpoint,
    make: fn() -> FaultKind,
    asked: &'static str,
    code: &'static str,
    /// In `why`.
    words: &'static [&'static str],
}

fn case(
    (endpoint, make): (Endpoint, fn() -> FaultKind),
    asked: &'static str,
    (code, words): (&'static str, &'static [&'static str]),
) -> Case {
    Case { endpoint, make, asked, code, words }
}

fn html() -> FaultKind {
    page(503)
}

fn oops() -> FaultKind {
    problem(500, "serverInternal", "oops")
}

fn cut() -> FaultKind {
    FaultKind::CutBeforeActing
}

fn cases() -> Vec<Case> {
    const DOWN: (&str, &[&str]) = ("R0325", &["503", "Sorry", "is down"]);
    const INTERNAL: (&str, &[&str]) = ("R0324", &["500", "oops"]);
    const CUT: (&str, &[&str]) = ("R0906", &["cut"]);
    vec![
        case((Authorization, html), "authorizations", DOWN),
        case((Authorization, cut), "authorizations", CUT),
        case((Challenge, html), "challenge", DOWN),
        case((Challenge, oops), "challenge", INTERNAL),
        case((Order, html), "order", DOWN),
        case((Order, cut), "order", CUT),
        case((Finalize, html), "finalize", DOWN),
        case((Finalize, oops), "finalize", INTERNAL),
        case((Certificate, html), "chain", DOWN),
        case((Certificate, cut), "chain", CUT),
    ]
}

#[test]
fn what_a_renewal_waits_for_is_told_within_seconds_and_once() {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let plays: Vec<_> = cases()
            .into_iter()
            .map(|case| {
                scope.spawn(move || {
                    let name = format!("{:?} with {:?}", case.endpoint, (case.make)());
                    let played = std::panic::catch_unwind(AssertUnwindSafe(|| play(&case)));
                    let text = |wrong: Box<dyn std::any::Any + Send>| {
                        wrong.downcast_ref::<String>().cloned().unwrap_or_default()
                    };
                    played.err().map(|wrong| format!("{name}: {}", text(wrong)))
                })
            })
            .collect();
        plays.into_iter().filter_map(|play| play.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn play(case: &Case) {
    let wanted = Wanted::new("web", &["fault.test"]).unwrap();
    let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
    site.ca.inject(Fault::once(case.endpoint, (case.make)()).times(u32::MAX));
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "OrderRequested", 1).unwrap();
    let missing = told(&site, &mut renewd, case);
    // A person must not wait a minute: it is in the log before the question is repeated, in seconds.
    for told in site.events_named("AnswerMissing") {
        assert!(Some(told.at_ms) < told.data["again"].as_u64(), "{told:?}");
    }
    says(&site, case);

    let ended = wait::until(RETRIES_TIME, || renewd.ended());
    assert_eq!(ended, None, "{}", renewd.stderr());
    let again: Vec<_> = answers_missing(&site, case.asked);
    assert_eq!(again.len(), missing, "a retry is no news: {again:?}");

    site.ca.clear_faults();
    let succeeded = || (!site.events_named("RenewalSucceeded").is_empty()).then_some(());
    assert!(wait::until(OVER_TIME_MAX, succeeded).is_some(), "{:?}", site.events());
    site.handshake(&wanted).unwrap();
    assert_eq!(site.ca.orders().len(), 1);
    assert!(site.events_named("RenewalFailed").is_empty());
    let why = site.said(&["why", "web"]).unwrap();
    assert!(!why.contains(case.code), "it is over:\n{why}");
    check::stop(renewd);
}

fn answers_missing(site: &FaultSite, asked: &str) -> Vec<String> {
    let events = site.events_named("AnswerMissing");
    let told = events.iter().map(|event| event.data.to_string().to_lowercase());
    let asked = format!("\"asked\":\"{asked}\"");
    told.filter(|told| told.contains(&asked)).collect()
}

/// Waits for the fact; how many there are of it.
fn told(site: &FaultSite, renewd: &mut Process, case: &Case) -> usize {
    let what = format!("that the answer about {} is missing", case.asked);
    let found = renewd.wait_until(&what, EVENT_TIME_MAX, |_| {
        Some(answers_missing(site, case.asked).len()).filter(|count| *count > 0)
    });
    found.unwrap()
}

/// What a person reads.
fn says(site: &FaultSite, case: &Case) {
    let why = site.said(&["why", "web"]).unwrap();
    let all = case.words.iter().chain([&case.code, &"asked again", &"ask again", &"since"]);
    for word in all {
        assert!(why.contains(word), "why does not say {word:?}:\n{why}");
    }
    let row = site.status("web").unwrap();
    assert_eq!(row["state"], "renewing", "{row}");
    assert_eq!(row["trouble"]["code"], case.code, "{row}");
    assert!(row["next"]["at"].is_string(), "{row}");
    let doing = row["doing"]["what"].as_str().unwrap();
    assert!(doing.contains("no usable answer"), "{row}");
    let table = site.said(&["status"]).unwrap();
    assert!(table.contains(case.code), "{table}");
    let timeline = site.said(&["timeline", "web"]).unwrap();
    assert!(timeline.contains("no usable answer to"), "{timeline}");
    let list = site.said(&["list", "orders", "--json"]).unwrap();
    assert!(list.contains("no usable answer"), "{list}");
}

#[test]
fn a_lost_order_that_cannot_be_asked_for_is_told_and_found_in_the_end() {
    let wanted = Wanted::new("web", &["fault.test"]).unwrap();
    let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
    site.ca.inject(Fault::once(NewOrder, FaultKind::CutAfterActing));
    site.ca.inject(Fault::once(Orders, html()).times(u32::MAX));
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "AnswerMissing", 2).unwrap();
    let why = site.said(&["why", "web"]).unwrap();
    for word in ["the request for an order", "R0906", "the account's orders", "503"] {
        assert!(why.contains(word), "why does not say {word:?}:\n{why}");
    }
    site.ca.clear_faults();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    assert_eq!(site.ca.orders().len(), 1);
    check::stop(renewd);
}

#[test]
fn another_life_of_the_process_tells_it_no_second_time() {
    let wanted = Wanted::new("web", &["fault.test"]).unwrap();
    let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
    site.ca.inject(Fault::once(Finalize, html()).times(u32::MAX));
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "AnswerMissing", 1).unwrap();
    renewd.sigkill().unwrap();
    let why = site.said(&["why", "web"]).unwrap();
    assert!(why.contains("R0325"), "the log alone tells it:\n{why}");
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    let ended = wait::until(RETRIES_TIME, || renewd.ended());
    assert_eq!(ended, None, "{}", renewd.stderr());
    assert_eq!(answers_missing(&site, "finalize").len(), 1);
    site.ca.clear_faults();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    assert_eq!(site.ca.orders().len(), 1);
    check::stop(renewd);
}
