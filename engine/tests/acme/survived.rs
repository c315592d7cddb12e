//! Broken answers that cost nothing: an order known by its Location or found in the list, a chain
//! that is refused and not stored, renewal information without Retry-After.

use std::time::Duration;

use renewd::acme::Bounds;
use renewd_actors::ports::{CertificateAuthority, FoundOrder};
use renewd_events::order::OrderStatus;
use renewd_events::problem::ProblemClass::{Protocol, Transport};
use renewd_testca::{Endpoint, Fault, FaultKind, Options, TestCa};

use crate::steps::{NAME, Step, bounded, raw, with, world};
use crate::support::{ACCOUNT, Client, new_order};

/// Makes a broken chain of a good one.
type Spoil<'a> = &'a dyn Fn(&str) -> String;

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_not_one_is_not_stored() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let reversed = |chain: &str| {
        let end = "-----END CERTIFICATE-----\n";
        let mut blocks: Vec<&str> = chain.split_inclusive(end).collect();
        blocks.reverse();
        blocks.concat()
    };
    let spoil: [(Spoil<'_>, &str, &str); 4] = [
        (&|chain| format!("{chain}{key}"), "private-key-in-chain", "private key"),
        (&reversed, "chain", "order"),
        (&|chain| chain.repeat(6), "chain", "more than 10"),
        (&|chain| chain.replace("MII", "AII"), "chain", "certificate 1"),
    ];
    for (spoil, kind, words) in spoil {
        let world = world().await;
        let broken = |chain: &str| {
            let answer = raw(200, "application/pem-certificate-chain", &spoil(chain));
            world.ca.inject(Fault::once(Endpoint::Certificate, answer));
        };
        let problem = Step::Download.asked(&world, broken).await.unwrap_err();
        assert_eq!((problem.class, problem.kind.as_str()), (Protocol, kind), "{problem:?}");
        assert!(problem.detail.contains(words), "{problem:?}");
        assert_eq!(world.client.chains.0.lock().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_is_broken_is_known_by_its_location() {
    for fault in [FaultKind::Truncated, FaultKind::Oversized(300_000), FaultKind::WrongContentType]
    {
        let world = world().await;
        world.client.register().await.unwrap();
        world.ca.inject(Fault::once(Endpoint::NewOrder, fault));
        let order = world.client.order(&[NAME]).await.unwrap();
        assert_eq!(order.status, OrderStatus::Pending);
        assert_eq!(world.ca.orders().len(), 1);
        assert_eq!(world.ca.orders()[0].url, order.url);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_location_was_seen_is_found_there_without_a_list() {
    let half = || raw(200, "application/json", "{\"status\"");
    for (fault, look) in [
        (FaultKind::Truncated, FaultKind::CutBeforeActing),
        (FaultKind::Truncated, half()),
        (FaultKind::Oversized(300_000), FaultKind::CutBeforeActing),
    ] {
        let options = Options { list_orders: false, ..Options::default() };
        let ca = TestCa::start(options).await.unwrap();
        let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], Bounds::default());
        client.register().await.unwrap();
        let told = format!("{fault:?}, {look:?}");
        ca.inject(Fault::once(Endpoint::NewOrder, fault));
        ca.inject(Fault::once(Endpoint::Order, look).times(2));
        client.order(&[NAME]).await.unwrap_err();
        // The line is still bad: that is no answer to whether there is an order.
        client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap_err();
        let found = client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
        let FoundOrder::Answered(look) = found else {
            panic!("{told}: {found:?}");
        };
        assert_eq!((ca.orders().len(), ca.orders()[0].url.clone()), (1, look.url), "{told}");
        // Another request is not answered by it, nor is this one once the order is known.
        let none = client.ca.find_order(&new_order(&["other.renewd.test"]), &[]).await.unwrap();
        assert!(matches!(none, FoundOrder::NoList(_)), "{told}: {none:?}");
        let known = [ca.orders()[0].url.clone()];
        let none = client.ca.find_order(&new_order(&[NAME]), &known).await.unwrap();
        assert!(matches!(none, FoundOrder::NoList(_)), "{told}: {none:?}");
        assert_eq!(ca.violations(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_order_whose_answer_was_lost_is_found_after_a_restart() {
    let world = world().await;
    world.client.register().await.unwrap();
    let cut = Fault::once(Endpoint::NewOrder, FaultKind::CutAfterActing);
    world.ca.inject(cut);
    let lost = world.client.order(&[NAME]).await.unwrap_err();
    assert_eq!((lost.class, lost.kind.as_str()), (Transport, "cut"));
    let client = world.client.restarted();
    let found = client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
    let FoundOrder::Found(look) = found else {
        panic!("{found:?}");
    };
    assert_eq!(look.url, world.ca.orders()[0].url);
    assert_eq!(world.ca.counts().new_order, 1);
    assert_eq!(world.ca.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_order_is_found_among_hundreds_wherever_it_stands_in_the_list() {
    const OTHERS: u64 = 150;
    for (before, newest_first) in [(0, false), (OTHERS / 2, false), (OTHERS, true)] {
        let options = Options { newest_first, ..Options::default() };
        let ca = TestCa::start(options).await.unwrap();
        let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], Bounds::default());
        client.register().await.unwrap();
        for number in 0..OTHERS {
            if number == before {
                client.order(&[NAME]).await.unwrap();
            }
            client.order(&[&format!("n{number}.renewd.test")]).await.unwrap();
        }
        if before == OTHERS {
            client.order(&[NAME]).await.unwrap();
        }
        let client = client.restarted(); // the answer is lost with all that was in memory
        let looks = || ca.counts().order_look;
        let first = client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
        let FoundOrder::Found(look) = &first else {
            panic!("{before}, {newest_first}: {first:?}");
        };
        let lost = ca.orders().into_iter().find(|order| order.identifiers == [NAME]).unwrap();
        assert_eq!(look.url, lost.url);
        assert_eq!(looks(), OTHERS + 1);
        // Names do not change: only what may be the lost one is looked at again.
        let again = client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
        assert_eq!((again, looks()), (first, OTHERS + 2));
        // One that ended is not looked at again either, and is no answer.
        let dead = Fault::once(Endpoint::Order, invalid()).times(u32::MAX);
        ca.inject(dead);
        for _ in 0..2 {
            let none = client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
            assert_eq!(none, FoundOrder::NotThere);
        }
        assert_eq!(looks(), OTHERS + 3);
    }
}

fn invalid() -> FaultKind {
    raw(200, "application/json", r#"{"status":"invalid","identifiers":[],"authorizations":[]}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_runs_out_of_time_goes_on_where_it_stopped() {
    const OTHERS: u64 = 30;
    let bounds = Bounds { call: Duration::from_secs(3), ..Bounds::default() };
    let world = bounded(bounds).await;
    world.client.register().await.unwrap();
    world.client.order(&[NAME]).await.unwrap();
    for number in 0..OTHERS {
        world.client.order(&[&format!("n{number}.renewd.test")]).await.unwrap();
    }
    let slow = FaultKind::Delay(Duration::from_millis(200));
    world.ca.inject(Fault::once(Endpoint::Order, slow).times(u32::MAX));
    let mut calls = 0;
    let found = loop {
        calls += 1;
        match world.client.ca.find_order(&new_order(&[NAME]), &[]).await {
            Err(problem) if calls < OTHERS => assert_eq!(problem.kind, "timeout"),
            ended => break ended.unwrap(),
        }
    };
    assert!(calls > 1 && matches!(found, FoundOrder::Found(_)), "{calls} calls: {found:?}");
    let looks = world.ca.counts().order_look;
    assert!(looks <= OTHERS + calls, "{looks} looks in {calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_end_is_read_so_far_and_the_evidence_says_how_far() {
    let world = world().await;
    world.client.register().await.unwrap();
    let url = world.client.order(&["other.renewd.test"]).await.unwrap().url;
    let page = format!(r#"{{"orders":["{url}"]}}"#);
    let next = format!("<{}/orders>;rel=\"next\"", world.ca.orders()[0].account);
    let endless = with(200, "application/json", &page, &[("link", &next)]);
    world.ca.inject(Fault::once(Endpoint::Orders, endless).times(u32::MAX));
    let found = world.client.ca.find_order(&new_order(&[NAME]), &[]).await.unwrap();
    let FoundOrder::NoList(evidence) = found else {
        panic!("{found:?}");
    };
    assert!(evidence.contains("goes on after the 400 orders that were read"), "{evidence}");
    assert_eq!(world.ca.counts().order_look, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_without_a_list_of_orders_is_told_apart_from_an_empty_list() {
    let ours = new_order(&[NAME]);
    let world = world().await;
    world.client.register().await.unwrap();
    let empty = world.client.ca.find_order(&ours, &[]).await.unwrap();
    assert_eq!(empty, FoundOrder::NotThere);
    let ca = TestCa::start(Options { list_orders: false, ..Options::default() }).await.unwrap();
    let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], Bounds::default());
    client.register().await.unwrap();
    let none = client.ca.find_order(&ours, &[]).await.unwrap();
    let FoundOrder::NoList(evidence) = none else {
        panic!("{none:?}");
    };
    assert!(evidence.contains("names no list"), "{evidence}");
    assert_eq!(ca.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_information_without_retry_after_is_still_a_window() {
    let world = world().await;
    let omit = FaultKind::OmitHeader("retry-after".to_owned());
    let asked = Step::Window.asked(&world, |_| {
        world.ca.inject(Fault::once(Endpoint::RenewalInfo, omit));
    });
    asked.await.unwrap();
    assert_eq!(world.ca.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_hides_of_an_order_is_handed_on() {
    let world = world().await;
    world.client.register().await.unwrap();
    let url = world.client.order(&[NAME]).await.unwrap().url;
    let shown = r#"{"status":"processing","authorizations":[],"finalize":"https://127.0.0.1/f",
        "identifiers":[],"expires":"2026-12-01T00:00:00Z","error":{"type":"urn:ietf:params:acme:error:caa",
        "detail":"told by the CA","subproblems":[{"identifier":{"type":"dns","value":"a.test"}}]}}"#;
    let date = "Tue, 24 Nov 2026 07:00:00 GMT";
    for (retry_after, expected) in [
        ("5", Some(5000)),
        ("Tue, 24 Nov 2026 07:00:09 GMT", Some(9000)),
        ("when it suits you", None),
    ] {
        let headers = [("date", date), ("retry-after", retry_after)];
        let answer = with(200, "application/json", shown, &headers);
        world.ca.inject(Fault::once(Endpoint::Order, answer));
        let look = world.client.ca.look_at_order(ACCOUNT, &url).await.unwrap();
        assert_eq!(look.status, OrderStatus::Processing);
        assert_eq!(look.retry_after_ms, expected);
        assert_eq!(look.expires.unwrap().rfc3339(), "2026-12-01T00:00:00.000Z");
        let problem = look.problem.unwrap();
        assert!(problem.is_acme("caa"), "{problem:?}");
        assert_eq!(problem.subproblems[0].identifier, "a.test");
    }
}
