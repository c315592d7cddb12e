//! A newOrder whose answer is lost, at CAs that make the order hard to find again: no second order.

use renewd_testca::{Endpoint, Fault, FaultKind, Options};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::site::Wanted;

use crate::check;

/// Two a week for two years.
const PAST_ORDERS: usize = 200;

#[test]
fn an_order_that_a_broken_answer_named_is_found_where_the_ca_keeps_no_list() {
    let wanted = Wanted::new("web", &["named.test"]).unwrap();
    let options = Options { list_orders: false, ..Options::default() };
    let site = FaultSite::start(options, vec![wanted.clone()]).unwrap();
    // The line breaks in the answer, and is still bad when the order is looked at.
    site.ca.inject(Fault::once(Endpoint::NewOrder, FaultKind::Truncated));
    site.ca.inject(Fault::once(Endpoint::Order, FaultKind::CutBeforeActing).times(2));
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    assert_eq!((site.ca.orders().len(), site.ca.counts().new_order), (1, 1));
    assert!(site.events_named("OrderRequestUnresolved").is_empty());
    assert_eq!(site.events_named("OrderCreated")[0].text("/found"), "Answer");
    assert!(site.handshake(&wanted).is_ok());
    check::stop(renewd);
}

#[test]
fn an_account_with_hundreds_of_past_orders_hides_no_lost_one() {
    let wanted = Wanted::new("web", &["aged.test"]).unwrap();
    // The lost one is the first of the list, and all that is old comes after it.
    let options = Options { newest_first: true, ..Options::default() };
    let site = FaultSite::start(options, vec![wanted.clone()]).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    site.ca.age(PAST_ORDERS).unwrap();
    site.ca.inject(Fault::once(Endpoint::NewOrder, FaultKind::CutAfterActing));
    let asked = site.host.run(&["renew", "web"]).unwrap();
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    assert_eq!(site.ca.orders().len(), 1 + PAST_ORDERS + 1);
    assert!(site.events_named("OrderRequestUnresolved").is_empty());
    assert_eq!(site.events_named("OrderCreated")[1].text("/found"), "List");
    assert!(site.handshake(&wanted).is_ok());
    check::stop(renewd);
}
