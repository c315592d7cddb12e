//! A CA that is difficult, slow, down, or forgetful.

use std::time::Duration;

use renewd_tests::pebble::{PROFILE_SHORTLIVED, Validation};
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;
use serde_json::json;

use crate::check;

/// Long enough to see that nothing happens: an order of a repeatable Pebble takes a third of it.
const QUIET_TIME: Duration = Duration::from_secs(2);

#[test]
fn half_of_the_nonces_refused_and_all_authorizations_reused() {
    let first = Wanted::new("first", &["a.nonce.test", "b.nonce.test"]).unwrap();
    let second = Wanted::new("second", &["b.nonce.test", "a.nonce.test", "c.nonce.test"])
        .unwrap()
        .with_profile(PROFILE_SHORTLIVED);
    let mut plan = Plan::new(vec![first.clone()]).unwrap();
    plan.pebble.nonce_reject_percent = Some(50);
    plan.pebble.authz_reuse_percent = Some(100);
    let mut site = Site::start(plan).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &first);
    check::stop(renewd);

    // The second certificate finds two of its three names validated.
    site.plan.certificates.push(second.clone());
    site.configure().unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    check::is_served(&site, &first);
    check::is_served(&site, &second);
    let seen = site.events_named("AuthorizationSeen");
    let valid = seen.iter().filter(|e| e.data["valid"] == true).count();
    assert_eq!((seen.len(), valid), (5, 2));
    assert_eq!(site.pebble.orders_made(), 2);
    assert!(site.events_named("RenewalFailed").is_empty());
    // The short life is what the schedule goes by.
    let adopted = site.events_named("GenerationAdopted");
    let leaf = &adopted[1].data["leaf"];
    let life = (leaf["not_after"].as_u64().unwrap() - leaf["not_before"].as_u64().unwrap()) / 1000;
    assert!((518_000..=518_400).contains(&life), "{life} s");
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn a_validator_that_takes_its_time_is_waited_for() {
    let wanted = Wanted::new("web", &["slow.test", "www.slow.test"]).unwrap();
    let mut plan = Plan::new(vec![wanted.clone()]).unwrap();
    plan.pebble.validation = Validation::WithinSeconds(4);
    plan.pebble.retry_after_authz_s = 2;
    let site = Site::start(plan).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    assert_eq!(site.pebble.orders_made(), 1);
    assert!(site.pebble.count("POST /my-order/") < 20, "it looks too often");
    check::stop(renewd);
}

#[test]
fn a_ca_that_is_down_at_the_start_is_found_when_it_is_back() {
    let wanted = Wanted::new("web", &["down.test"]).unwrap();
    let mut site = Site::start(Plan::new(vec![wanted.clone()]).unwrap()).unwrap();
    site.pebble.stop().unwrap();
    let mut renewd = site.run().unwrap();
    let unreachable = site.wait_for(&mut renewd, "DirectoryUnreachable", 1).unwrap();
    assert!(!unreachable[0].text("/problem/detail").is_empty());
    site.pebble.start_again().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    assert_eq!(site.events_named("OrderRequested").len(), 1);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn a_ca_that_forgot_the_order_is_believed_and_asked_for_another() {
    let wanted = Wanted::new("web", &["lost.test"]).unwrap();
    let mut plan = Plan::repeatable(vec![wanted.clone()]).unwrap();
    plan.pebble.validation = Validation::WithinSeconds(200);
    let mut site = Site::start(plan).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ReadinessAccepted", 1).unwrap();
    // It comes back without account, order and issuer, and validates at once from now on.
    site.pebble.set_validation(Validation::AtOnce);
    site.pebble.start_again().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    let events = site.events();
    let at = |name: &str| events.iter().position(|e| e.name == name);
    let failed = at("RenewalFailed").unwrap();
    let requested: Vec<usize> =
        (0..events.len()).filter(|at| events[*at].name == "OrderRequested").collect();
    assert!(requested.len() >= 2 && requested[0] < failed && failed < requested[1]);
    assert!(!events[failed].text("/code").is_empty(), "{:?}", events[failed]);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn without_accepted_terms_it_only_reads_the_directory() {
    let wanted = Wanted::new("web", &["terms.test"]).unwrap();
    let mut plan = Plan::new(vec![wanted.clone()]).unwrap();
    plan.terms_accepted = false;
    let mut site = Site::start(plan).unwrap();
    let mut renewd = site.run().unwrap();
    let ended = wait::until(QUIET_TIME, || renewd.ended());
    let posts: Vec<_> = site
        .pebble
        .requests()
        .into_keys()
        .filter(|request| request.starts_with("POST") || request.starts_with("HEAD"))
        .collect();
    assert!(posts.is_empty(), "{posts:?}");
    assert!(site.events_named("AccountRequested").is_empty());
    match ended {
        // It waits for a person.
        None => check::stop(renewd),
        // Or says so and ends: that is a configuration error (exit 3).
        Some(status) => assert_eq!(status.code(), Some(3), "{}", renewd.stderr()),
    }
    site.plan.terms_accepted = true;
    site.configure().unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    check::stop(renewd);
}

#[test]
fn a_refused_name_and_a_name_that_leads_elsewhere_do_not_stop_the_others() {
    let good = Wanted::new("good", &["good.test"]).unwrap();
    let blocked = Wanted::new("blocked", &["blocked.test"]).unwrap();
    let elsewhere = Wanted::new("elsewhere", &["elsewhere.test"]).unwrap();
    let all = vec![blocked, elsewhere.clone(), good.clone()];
    let mut plan = Plan::repeatable(all).unwrap();
    plan.pebble.blocked_names = vec!["blocked.test".to_owned()];
    let site = Site::start(plan).unwrap();
    // Nobody listens there: the loopback network is wide.
    let away = json!({"host": "elsewhere.test.", "addresses": ["127.9.9.9"]});
    site.pebble.set_dns("add-a", &away).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &good);
    // Each has failed, and they again and again, some time.
    let mut of = |name: &str| {
        let failed = renewd.wait_until(&format!("a failure of {name}"), EVENT_TIME_MAX, |_| {
            let stream = check::stream_of(&site.events(), name);
            site.events_named("RenewalFailed").into_iter().find(|e| e.stream == stream)
        });
        failed.unwrap()
    };
    assert_eq!(
        of("blocked").text("/problem/kind"),
        "urn:ietf:params:acme:error:rejectedIdentifier"
    );
    assert_eq!(of("elsewhere").text("/problem/kind"), "urn:ietf:params:acme:error:connection");
    let failed = site.wait_for(&mut renewd, "RenewalFailed", 3).unwrap();
    for event in &failed {
        assert!(event.text("/code").starts_with('R') || !event.text("/code").is_empty());
    }
    // When the name leads here again, it is issued without anybody's help.
    let clear = json!({"host": "elsewhere.test."});
    site.pebble.set_dns("clear-a", &clear).unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    check::is_served(&site, &elsewhere);
    check::is_served(&site, &good);
    check::stop(renewd);
    check::log_is_whole(&site);
}
