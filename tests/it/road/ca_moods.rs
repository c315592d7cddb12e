//! A CA that changes under way: its chain, its clock, what it replaced, authorizations that run out.

use std::time::Duration;

use renewd_testca::{ClockSkew, Endpoint, Fault, FaultKind, Options, Root};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::process::Process;
use renewd_tests::site::Wanted;
use renewd_tests::tls;

use crate::ca_cases::problem;
use crate::check;

const HOUR: Duration = Duration::from_secs(3_600);

fn started(options: Options) -> (FaultSite, Wanted, Process) {
    let wanted = Wanted::new("web", &["mood.test"]).unwrap();
    let site = FaultSite::start(options, vec![wanted.clone()]).unwrap();
    let renewd = site.run().unwrap();
    (site, wanted, renewd)
}

fn issued(options: Options) -> (FaultSite, Wanted, Process) {
    let (site, wanted, mut renewd) = started(options);
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    (site, wanted, renewd)
}

/// Renewed by a person's wish, and served.
fn renewed(site: &FaultSite, renewd: &mut Process) {
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    site.wait_for(renewd, "RenewalSucceeded", 2).unwrap();
}

#[test]
fn a_certificate_that_was_replaced_already_is_renewed_by_one_more_order_that_replaces_nothing() {
    let (site, wanted, mut renewd) = issued(Options::default());
    let replaced = problem(409, "alreadyReplaced", "an order replaces it already");
    site.ca.inject(Fault::once(Endpoint::NewOrder, replaced));
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let refused = site.wait_for(&mut renewd, "OrderRefused", 1).unwrap();
    assert_eq!(refused[0].text("/problem/kind"), "urn:ietf:params:acme:error:alreadyReplaced");
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let orders = site.ca.orders();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[1].replaces, None);
    assert_eq!(site.ca.counts().new_order, 3, "the first one, the refused one, the one without");
    assert!(site.events_named("RenewalFailed").is_empty());
    let requested = site.events_named("OrderRequested");
    assert!(!requested[1].text("/replaces").is_empty(), "{:?}", requested[1]);
    site.handshake(&wanted).unwrap();
    check::stop(renewd);
}

#[test]
fn a_chain_under_another_root_is_taken_as_it_comes() {
    let (site, wanted, mut renewd) = issued(Options::default());
    let address = wanted.address().unwrap();
    tls::handshake(address, "mood.test", site.ca.issuer_root_pem()).unwrap();
    site.ca.serve_chain(Root::B);
    renewed(&site, &mut renewd);
    tls::handshake(address, "mood.test", site.ca.alternate_root_pem()).unwrap();
    tls::handshake(address, "mood.test", site.ca.issuer_root_pem()).unwrap_err();
    check::stop(renewd);
}

#[test]
fn authorizations_that_run_out_cost_one_order_and_the_reason_is_told() {
    let (site, wanted, mut renewd) = {
        let wanted = Wanted::new("web", &["mood.test"]).unwrap();
        let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
        // The CA never looks, so nothing is decided.
        let silent = Fault::once(Endpoint::Validation, FaultKind::StuckProcessing);
        site.ca.inject(silent);
        let renewd = site.run().unwrap();
        (site, wanted, renewd)
    };
    site.wait_for(&mut renewd, "ReadinessAccepted", 1).unwrap();
    site.ca.expire_authorizations();
    let failed = site.wait_for(&mut renewd, "RenewalFailed", 1).unwrap();
    assert_eq!(failed[0].text("/code"), "R0227", "{:?}", failed[0]);
    assert!(failed[0].text("/problem/detail").contains("ended at"), "{:?}", failed[0]);
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    assert_eq!(site.ca.orders().len(), 2);
    site.handshake(&wanted).unwrap();
    check::stop(renewd);
}

#[test]
fn a_date_to_wait_for_is_read_by_the_clock_of_the_ca() {
    for skew in [ClockSkew::Ahead(HOUR * 5), ClockSkew::Behind(HOUR * 5)] {
        let wanted = Wanted::new("web", &["mood.test"]).unwrap();
        let site =
            FaultSite::start(Options { clock: skew, ..Options::default() }, vec![wanted]).unwrap();
        let now = std::time::SystemTime::now() + Duration::from_secs(3);
        let date = match skew {
            ClockSkew::Ahead(by) => now + by,
            ClockSkew::Behind(by) => now - by,
            ClockSkew::None => now,
        };
        site.ca.inject(Fault::once(
            Endpoint::NewOrder,
            FaultKind::Problem {
                status: 429,
                kind: "rateLimited".to_owned(),
                detail: "slowly".to_owned(),
                retry_after: Some(renewd_testca::http_date(date)),
            },
        ));
        let mut renewd = site.run().unwrap();
        site.wait_for(&mut renewd, "RenewalFailed", 1).unwrap();
        // Neither at once nor in five hours, for which nobody waits here; an earlier one is in the ledger.
        site.wait_for(&mut renewd, "OrderCreated", 1).unwrap();
        check::stop(renewd);
    }
}

#[test]
fn a_ca_that_falls_silent_is_given_up_after_its_bound_and_told() {
    let (site, wanted, mut renewd) = started(Options::default());
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    // Longer than one request may take.
    site.ca.inject(Fault::once(Endpoint::NewOrder, FaultKind::Delay(Duration::from_secs(40))));
    renewed(&site, &mut renewd);
    // The first one, the one that was asked for again, and at most the one the CA made too late.
    assert!(site.ca.orders().len() <= 3);
    assert!(site.ca.counts().orders_list >= 1);
    site.handshake(&wanted).unwrap();
    check::stop(renewd);
}
