//! Each fault does what its documentation says, to the request it was meant for and no other.

use std::time::{Duration, Instant, SystemTime};

use renewd_testca::{ClockSkew, Endpoint, Fault, FaultKind, Options, TestCa};
use serde_json::json;

use crate::bare::{Acme, order_of};
use crate::support::{Responder, ca, csr};

async fn start(options: Options) -> (Responder, TestCa, Acme) {
    let responder = Responder::start().await;
    let ca = ca(&responder, options).await;
    let acme = Acme::register(&ca).await;
    (responder, ca, acme)
}

fn inject(ca: &TestCa, kind: FaultKind) {
    ca.inject(Fault::once(Endpoint::NewOrder, kind));
}

#[tokio::test]
async fn a_lost_answer_to_new_order_is_found_in_the_list_over_all_its_pages() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    for number in 0..6 {
        acme.order(&[&format!("n{number}.example")]).await;
    }
    inject(&ca, FaultKind::CutAfterActing);
    acme.new_order(&order_of(&["lost.example"])).await.unwrap_err();
    let lost = ca.orders().pop().unwrap();
    assert!(!lost.answered);

    acme.fresh_nonce().await;
    let kid = acme.kid.clone();
    let account = acme.post(&kid, None).await.unwrap().json();
    let mut next = account["orders"].as_str().map(str::to_owned);
    let mut listed = Vec::new();
    while let Some(url) = next {
        let page = acme.post(&url, None).await.unwrap();
        let orders = page.json()["orders"].as_array().unwrap().clone();
        listed.extend(orders.iter().map(|url| url.as_str().unwrap().to_owned()));
        next = page.headers.get_all("link").iter().find_map(|link| {
            let link = link.to_str().unwrap().strip_suffix(">;rel=\"next\"")?;
            Some(link.strip_prefix('<')?.to_owned())
        });
    }
    assert_eq!(listed.len(), 7);
    assert_eq!(ca.counts().orders_list, 3, "pages of three");
    assert_eq!(listed.last(), Some(&lost.url));
    assert_eq!(ca.violations(), Vec::<String>::new());
    acme.order(&["lost.example"]).await;
    assert_eq!(ca.counts().violations, 1, "it could have been found in the list");
}

#[tokio::test]
async fn without_a_list_a_lost_order_may_be_asked_for_again_and_a_known_one_may_not() {
    let (_responder, ca, mut acme) =
        start(Options { list_orders: false, ..Options::default() }).await;
    inject(&ca, FaultKind::CutAfterActing);
    acme.new_order(&order_of(&["a.example"])).await.unwrap_err();
    acme.fresh_nonce().await;
    acme.order(&["a.example"]).await;
    assert_eq!((ca.orders().len(), ca.counts().violations), (2, 0));
    acme.order(&["a.example"]).await;
    assert_eq!((ca.orders().len(), ca.counts().violations), (3, 1));
}

#[tokio::test]
async fn a_ca_that_reuses_orders_hands_the_lost_one_back() {
    let options = Options { list_orders: false, reuse_pending_orders: true, ..Options::default() };
    let (_responder, ca, mut acme) = start(options).await;
    inject(&ca, FaultKind::CutAfterActing);
    acme.new_order(&order_of(&["a.example", "b.example"])).await.unwrap_err();
    acme.fresh_nonce().await;
    let (url, _) = acme.order(&["b.example", "a.example"]).await;
    let [order] = ca.orders().try_into().unwrap();
    assert_eq!((order.url, order.answered), (url, true));
    assert_eq!(ca.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_cut_before_acting_leaves_no_order() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    inject(&ca, FaultKind::CutBeforeActing);
    let cut = acme.new_order(&order_of(&["a.example"])).await.unwrap_err();
    assert!(cut.starts_with("no answer"), "{cut}");
    assert_eq!((ca.orders().len(), ca.counts().new_order, ca.counts().faults), (0, 1, 1));
    acme.order(&["a.example"]).await;
}

#[tokio::test]
async fn refusals_come_as_scripted_and_nothing_is_done() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let limited = FaultKind::Problem {
        status: 429,
        kind: "rateLimited".to_owned(),
        detail: "too many orders".to_owned(),
        retry_after: Some("Wed, 21 Oct 2065 07:28:00 GMT".to_owned()),
    };
    let page = FaultKind::Raw {
        status: 502,
        content_type: "text/html".to_owned(),
        body: b"<h1>Bad Gateway</h1>".to_vec(),
        headers: vec![("age".to_owned(), "7".to_owned())],
    };
    inject(&ca, limited);
    inject(&ca, page);
    inject(&ca, FaultKind::BadNonce);
    let answer = acme.new_order(&order_of(&["limited.example"])).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (429, "rateLimited"));
    assert_eq!(answer.header("retry-after"), Some("Wed, 21 Oct 2065 07:28:00 GMT"));
    let payload = order_of(&["a.example"]);
    let answer = acme.new_order(&payload).await.unwrap();
    assert_eq!((answer.status, answer.header("age")), (502, Some("7")));
    assert_eq!(answer.body, b"<h1>Bad Gateway</h1>");
    assert_eq!(answer.header("replay-nonce"), None, "exactly as scripted");
    acme.fresh_nonce().await;
    let answer = acme.new_order(&payload).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (400, "badNonce"));
    assert_eq!((ca.orders().len(), ca.counts().faults), (0, 3));
    acme.order(&["a.example"]).await;
    assert_eq!(ca.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn answers_bend_as_scripted_and_the_order_exists_all_the_same() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    inject(&ca, FaultKind::Truncated);
    let cut = acme.new_order(&order_of(&["a.example"])).await.unwrap_err();
    let bytes = cut.strip_prefix("broken after ").unwrap().strip_suffix(" bytes").unwrap();
    assert!(bytes.parse::<usize>().unwrap() > 100, "half of it arrives: {bytes}");
    inject(&ca, FaultKind::Oversized(300_000));
    let answer = acme.new_order(&order_of(&["b.example"])).await.unwrap();
    assert_eq!(answer.body.len(), 300_000);
    assert_eq!(answer.json()["status"], "pending", "still JSON");
    inject(&ca, FaultKind::WrongContentType);
    let answer = acme.new_order(&order_of(&["c.example"])).await.unwrap();
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    inject(&ca, FaultKind::OmitHeader("Location".to_owned()));
    let answer = acme.new_order(&order_of(&["d.example"])).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (201, None));
    inject(&ca, FaultKind::OmitHeader("replay-nonce".to_owned()));
    let answer = acme.new_order(&order_of(&["e.example"])).await.unwrap();
    assert_eq!(answer.header("replay-nonce"), None);
    assert_eq!(ca.orders().len(), 5);
    let unanswered: Vec<bool> = ca.orders().iter().map(|order| !order.answered).collect();
    assert_eq!(unanswered, [false, false, false, true, false], "a head with Location arrived");
}

#[tokio::test]
async fn slow_answers_take_their_time() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let pause = Duration::from_millis(200);
    inject(&ca, FaultKind::Delay(pause));
    let began = Instant::now();
    acme.order(&["a.example"]).await;
    assert!(began.elapsed() >= pause);
    inject(&ca, FaultKind::SlowDrip { bytes: 200, every: pause / 4 });
    let began = Instant::now();
    let (_, order) = acme.order(&["b.example"]).await;
    assert_eq!(order["status"], "pending");
    assert!(began.elapsed() >= pause / 2, "some 400 bytes come in at least two pieces");
}

#[tokio::test]
async fn progress_can_be_hidden_at_each_step() {
    let (responder, ca, mut acme) = start(Options::default()).await;
    let (url, order) = acme.order(&["a.example"]).await;
    let authorization = order["authorizations"][0].as_str().unwrap();
    acme.prove(&responder, authorization).await;
    ca.inject(Fault::once(Endpoint::Authorization, FaultKind::StuckProcessing));
    assert_eq!(acme.post(authorization, None).await.unwrap().json()["status"], "pending");
    assert_eq!(acme.post(authorization, None).await.unwrap().json()["status"], "valid");

    ca.inject(Fault::once(Endpoint::Order, FaultKind::StuckProcessing).times(2));
    acme.finalize(&order, &csr(&["a.example"])).await;
    for expected in ["processing", "processing", "valid"] {
        assert_eq!(acme.post(&url, None).await.unwrap().json()["status"], expected);
    }

    let (url, order) = acme.order(&["b.example"]).await;
    acme.prove(&responder, order["authorizations"][0].as_str().unwrap()).await;
    ca.inject(Fault::once(Endpoint::Finalize, FaultKind::StuckProcessing));
    acme.finalize(&order, &csr(&["b.example"])).await;
    assert_eq!(acme.post(&url, None).await.unwrap().json()["status"], "processing");

    let (_, order) = acme.order(&["c.example"]).await;
    let challenge = acme.challenge(order["authorizations"][0].as_str().unwrap()).await;
    let ready = challenge["url"].as_str().unwrap();
    ca.inject(Fault::once(Endpoint::Challenge, FaultKind::StuckProcessing));
    let answer = acme.post(ready, Some(&json!({}))).await.unwrap();
    assert_eq!(answer.json()["status"], "processing");
    assert_eq!(ca.violations(), Vec::<String>::new());
    acme.post(ready, Some(&json!({}))).await.unwrap();
    assert_eq!(ca.counts().violations, 1, "answered again while processing");
}

#[tokio::test]
async fn a_validation_can_fail_with_any_problem() {
    let (_responder, ca, mut acme) = start(Options::default()).await;
    let caa = FaultKind::Problem {
        status: 403,
        kind: "caa".to_owned(),
        detail: "CAA record forbids issuance".to_owned(),
        retry_after: None,
    };
    ca.inject(Fault::once(Endpoint::Validation, caa));
    let (_, order) = acme.order(&["a.example"]).await;
    let authorization = order["authorizations"][0].as_str().unwrap();
    let challenge = acme.challenge(authorization).await;
    acme.post(challenge["url"].as_str().unwrap(), Some(&json!({}))).await.unwrap();
    let dead = acme.wait(authorization, "invalid").await;
    assert_eq!(dead["challenges"][0]["error"]["type"], "urn:ietf:params:acme:error:caa");
}

#[tokio::test]
async fn asking_again_before_retry_after_is_a_violation_and_other_names_are_not_meant() {
    // Longer than a test can take.
    let wait = Duration::from_secs(3600);
    for wait in ["3600", &renewd_testca::http_date(SystemTime::now() + wait)] {
        let (_responder, ca, mut acme) = start(Options::default()).await;
        let kind = FaultKind::Problem {
            status: 429,
            kind: "rateLimited".to_owned(),
            detail: "slowly".to_owned(),
            retry_after: Some(wait.to_owned()),
        };
        inject(&ca, kind);
        acme.new_order(&order_of(&["a.example", "b.example"])).await.unwrap();
        acme.order(&["c.example"]).await;
        assert_eq!(ca.violations(), Vec::<String>::new());
        acme.order(&["b.example", "a.example"]).await;
        let expected = "NewOrder: a.example, b.example asked again before Retry-After";
        assert_eq!(ca.forgive(), [expected]);
        assert_eq!((ca.violations().len(), ca.counts().violations), (0, 1));
    }
}

#[tokio::test]
async fn authorizations_run_out_on_demand_and_their_order_with_them() {
    let (responder, ca, mut acme) = start(Options::default()).await;
    let (url, order) = acme.order(&["a.example"]).await;
    let authorization = order["authorizations"][0].as_str().unwrap();
    acme.prove(&responder, authorization).await;
    ca.expire_authorizations();
    assert_eq!(acme.post(authorization, None).await.unwrap().json()["status"], "expired");
    assert_eq!(acme.post(&url, None).await.unwrap().json()["status"], "invalid");
    let finalize = order["finalize"].as_str().unwrap();
    let refused = acme.post(finalize, Some(&json!({ "csr": "AA" }))).await.unwrap();
    assert_eq!(refused.problem(), "orderNotReady");
}

#[tokio::test]
async fn the_clock_of_the_ca_is_in_its_date_and_in_what_it_issues() {
    let day = Duration::from_secs(86_400);
    let (responder, ca, mut acme) =
        start(Options { clock: ClockSkew::Ahead(day), ..Options::default() }).await;
    acme.obtain(&responder, &order_of(&["a.example"])).await;
    let [certificate] = ca.certificates().try_into().unwrap();
    assert!(certificate.not_before > SystemTime::now() + day / 2);
    ca.set_clock(ClockSkew::Behind(day));
    let url = acme.url("newNonce");
    let yesterday = || renewd_testca::http_date(SystemTime::now() - day);
    let before = yesterday();
    let answer = acme.get(&url).await.unwrap();
    let told = answer.header("date").unwrap().get(..16);
    // Midnight may lie between.
    let days = [before, yesterday()];
    assert!(days.iter().any(|day| day.get(..16) == told), "{told:?}, not {days:?}");
}
