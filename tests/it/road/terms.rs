//! A CA that changes its terms (RFC 8555 §7.3.3): nothing is asked twice while a person is waited for,
//! everybody who asks is told what to do, and what waited goes on by itself.

use std::time::Duration;

use renewd_testca::{Agreement, Counts, Endpoint, Fault, FaultKind, Options};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::process::Process;
use renewd_tests::site::Wanted;
use renewd_tests::wait;

use crate::check;

const TERMS: &str = "https://testca.invalid/terms/2";
/// A second try would come after one second, a third after three.
const QUIET_TIME: Duration = Duration::from_secs(4);

struct Waiting {
    site: FaultSite,
    renewd: Process,
    wanted: Wanted,
    before: Counts,
}

/// Issued; then the terms change, a renewal is wanted, and the CA refuses it.
fn refused(agreement: Agreement) -> Waiting {
    let wanted = Wanted::new("web", &["terms.test"]).unwrap();
    let options = Options { agreement, ..Options::default() };
    let site = FaultSite::start(options, vec![wanted.clone()]).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    site.ca.set_terms(TERMS);
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    site.wait_for(&mut renewd, "PersonRequired", 1).unwrap();
    // The directory is read at once, not in a day: the person must be shown the present terms.
    renewd
        .wait_until("the new terms in the log", check::STOP_TIME_MAX, |_| {
            let seen = site.events_named("DirectoryObserved");
            seen.iter().any(|event| event.text("/terms_url") == TERMS).then_some(())
        })
        .unwrap();
    let before = site.ca.counts();
    assert_eq!((site.ca.orders().len(), before.new_order), (1, 2), "one order, one refusal");
    Waiting { site, renewd, wanted, before }
}

/// Requests; but for a look at the renewal window, which has a time of its own.
fn asked(counts: Counts) -> u64 {
    counts.requests() - counts.ari
}

fn nothing_is_asked(waiting: &Waiting) {
    let asked = wait::until(QUIET_TIME, || {
        let now = waiting.site.ca.counts();
        (asked(now) != asked(waiting.before)).then_some(now)
    });
    assert_eq!(asked, None, "before: {:?}", waiting.before);
}

/// Everybody who looks is told who must act, where and how to go on.
fn a_person_is_called(site: &FaultSite) {
    let visit = format!("https://{}/agree", site.ca.address());
    let why = site.said(&["why", "web"]).unwrap();
    for word in ["R0305", "person", visit.as_str(), TERMS, "renewd accept-terms"] {
        assert!(why.contains(word), "why does not say {word}:\n{why}");
    }
    let row = site.status("web").unwrap();
    let next = &row["next"];
    assert_eq!(next["what"], "wait for a person to act at the CA", "{row:#}");
    let because = next["why"].as_str().unwrap();
    for word in [visit.as_str(), TERMS, "renewd accept-terms"] {
        assert!(because.contains(word), "status does not say {word}: {because}");
    }
}

fn accept(site: &FaultSite) {
    let accepted = site.host.run(&["accept-terms"]).unwrap();
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert!(accepted.stdout.contains(TERMS), "{}", accepted.stdout);
}

/// Intent, act, outcome, in this order and each once; then the renewal ends.
fn goes_on(mut waiting: Waiting) {
    let Waiting { site, renewd, wanted, .. } = &mut waiting;
    site.wait_for(renewd, "RenewalSucceeded", 2).unwrap();
    let events = site.events();
    let names = ["TermsAccepted", "AgreementRequested", "AgreementTaken", "OrderCreated"];
    let at = names.map(|name| events.iter().rposition(|event| event.name == name).unwrap());
    assert!(at.is_sorted(), "{names:?} at {at:?}");
    let adopted = check::adopted(&events, &check::stream_of(&events, "web"));
    assert_eq!(site.handshake(wanted).unwrap().leaf_sha256, adopted);
    assert_eq!(site.ca.orders().len(), 2);
    check::stop(waiting.renewd);
    let ran = waiting.site.host.run(&["log", "verify"]).unwrap();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn changed_terms_wait_for_a_person_and_then_the_ca_is_told() {
    for agreement in [Agreement::NewAccount, Agreement::Update] {
        let waiting = refused(agreement);
        a_person_is_called(&waiting.site);
        nothing_is_asked(&waiting);
        accept(&waiting.site);
        let before = waiting.before;
        let ca = waiting.site.ca.counts();
        assert!(ca.new_order <= before.new_order + 1);
        goes_on(waiting);
    }
}

#[test]
fn a_ca_that_only_believes_its_own_page_is_asked_once_more_and_waited_for_again() {
    let mut waiting = refused(Agreement::ByHand);
    accept(&waiting.site);
    // The person accepted here and forgot the page: one order is tried, and the wait begins anew.
    waiting.site.wait_for(&mut waiting.renewd, "PersonRequired", 2).unwrap();
    waiting
        .renewd
        .wait_until("the directory read anew", check::STOP_TIME_MAX, |_| {
            (waiting.site.ca.counts().directory > waiting.before.directory).then_some(())
        })
        .unwrap();
    let now = waiting.site.ca.counts();
    assert_eq!(now.new_order, waiting.before.new_order + 1);
    waiting.before = now;
    a_person_is_called(&waiting.site);
    nothing_is_asked(&waiting);
    waiting.site.ca.agree_by_hand();
    accept(&waiting.site);
    goes_on(waiting);
}

#[test]
fn the_wait_survives_a_restart_without_a_request() {
    let waiting = refused(Agreement::Either);
    let Waiting { site, renewd, wanted, .. } = waiting;
    check::stop(renewd);
    let renewd = site.run().unwrap();
    let before = wait::until(check::STOP_TIME_MAX, || {
        (site.events_named("EngineBooted").len() == 2).then(|| site.ca.counts())
    });
    let waiting = Waiting { site, renewd, wanted, before: before.unwrap() };
    a_person_is_called(&waiting.site);
    let quiet = wait::until(QUIET_TIME, || {
        let now = waiting.site.ca.counts();
        (now.new_order != waiting.before.new_order).then_some(now)
    });
    assert_eq!(quiet, None, "a restart is no reason to ask again");
    accept(&waiting.site);
    goes_on(waiting);
}

#[test]
fn killed_before_the_ca_answers_the_agreement_is_told_again() {
    let mut waiting = refused(Agreement::NewAccount);
    // Longer than the kill can be late; nobody waits for it.
    let late = FaultKind::Delay(Duration::from_secs(3600));
    waiting.site.ca.inject(Fault::once(Endpoint::NewAccount, late));
    accept(&waiting.site);
    waiting.site.wait_for(&mut waiting.renewd, "AgreementRequested", 1).unwrap();
    let before = waiting.before.faults;
    let arrived = |_: &Process| (waiting.site.ca.counts().faults > before).then_some(());
    waiting.renewd.wait_until("the request at the CA", check::STOP_TIME_MAX, arrived).unwrap();
    waiting.renewd.sigkill().unwrap();
    assert!(waiting.site.events_named("AgreementTaken").is_empty());
    waiting.renewd = waiting.site.run().unwrap();
    waiting.site.wait_for(&mut waiting.renewd, "AgreementTaken", 1).unwrap();
    assert_eq!(waiting.site.events_named("AgreementRequested").len(), 1, "the intent is one");
    goes_on(waiting);
}
