//! A newOrder whose answer is lost, at CAs that make the order hard to find again: no second order.

use std::time::Duration;

use renewd_testca::{Endpoint, Fault, FaultKind, Options};
use renewd_tests::fault_site::FaultSite;
use renewd_tests::site::{EVENT_TIME_MAX, Wanted};
use renewd_tests::wait;

use crate::check;

/// A CA makes its order so long after the connection has ended: later than the list is read first.
const CA_LATE: Duration = Duration::from_secs(6);
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

/// The CA makes the order when its connection is gone, and the list has nothing until then.
fn made_late(domain: &str, killed: bool) {
    let wanted = Wanted::new("web", &[domain]).unwrap();
    let site = FaultSite::start(Options::default(), vec![wanted.clone()]).unwrap();
    site.ca.inject(Fault::once(Endpoint::NewOrder, FaultKind::CutThenActing(CA_LATE)));
    let mut renewd = site.run().unwrap();
    if killed {
        let sent = || (site.ca.counts().new_order > 0).then_some(());
        assert!(wait::until_soon(EVENT_TIME_MAX, sent).is_some(), "{}", renewd.stderr());
        renewd.sigkill().unwrap();
        assert!(site.ca.orders().is_empty(), "it was not late");
        renewd = site.run().unwrap();
    }
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    assert_eq!((site.ca.orders().len(), site.ca.counts().new_order), (1, 1));
    assert!(site.events_named("OrderRequestUnresolved").is_empty());
    assert_eq!(site.events_named("OrderCreated")[0].text("/found"), "List");
    assert_eq!(site.ca.forgive(), Vec::<String>::new());
    assert!(site.handshake(&wanted).is_ok());
    check::stop(renewd);
}

#[test]
fn an_order_that_a_slow_ca_makes_after_the_connection_ended_is_waited_for() {
    made_late("late.test", false);
}

#[test]
fn an_order_that_a_slow_ca_makes_after_a_kill_is_waited_for() {
    made_late("late-killed.test", true);
}
