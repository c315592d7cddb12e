//! What the CA port makes of broken answers: class, kind, status, Retry-After, and a text that says
//! what happened. One row per fault, played by the test CA over real TLS.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails loudly"
)]

mod acme_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acme_support::{ACCOUNT, Client, csr, durable, new_order, responder};
use renewd::acme::Bounds;
use renewd_actors::ports::{CertificateAuthority, FoundOrder};
use renewd_events::certificate::Leaf;
use renewd_events::id::Hash;
use renewd_events::order::OrderStatus;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_testca::{Endpoint, Fault, FaultKind, Options, TestCa};

use ProblemClass::{Acme, Http, Protocol, Transport};

const NAME: &str = "one.renewd.test";
/// Long for loopback, short for a test.
const REQUEST_TIME: Duration = Duration::from_millis(1500);
/// The CA issues in milliseconds.
const ISSUE_TIME_MAX: Duration = Duration::from_secs(30);

struct World {
    ca: TestCa,
    client: Client,
    thumbprint: Arc<Mutex<String>>,
}

async fn world() -> World {
    let thumbprint = Arc::default();
    let http01_target = responder(Arc::clone(&thumbprint)).await;
    let options = Options {
        http01_target,
        ..Options::default()
    };
    let ca = TestCa::start(options).await.unwrap();
    let bounds = Bounds {
        request: REQUEST_TIME,
        ..Bounds::default()
    };
    let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], bounds);
    World {
        ca,
        client,
        thumbprint,
    }
}

impl World {
    async fn certificate(&self) -> (String, Leaf) {
        let port = &self.client.ca;
        let order = self.client.order(&[NAME]).await.unwrap();
        let seen = port.look_at_authorizations(ACCOUNT, &order.url, false);
        let challenge = seen.await.unwrap().remove(0).http01.unwrap();
        self.thumbprint
            .lock()
            .unwrap()
            .clone_from(&challenge.thumbprint);
        let ready = durable(challenge);
        port.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
        self.until(&order.url, OrderStatus::Ready).await;
        let (_, csr) = csr(&[NAME]);
        let intent = durable(Hash::of(&csr));
        port.finalize(ACCOUNT, &order.url, &intent, &csr)
            .await
            .unwrap();
        self.until(&order.url, OrderStatus::Valid).await;
        let leaf = port.download(ACCOUNT, &order.url).await.unwrap();
        (order.url, leaf)
    }

    async fn until(&self, url: &str, status: OrderStatus) {
        let wait = async {
            loop {
                let look = self.client.ca.look_at_order(ACCOUNT, url).await.unwrap();
                if look.status >= status {
                    assert_eq!(look.status, status);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(ISSUE_TIME_MAX, wait).await.unwrap();
    }
}

/// What is asked while the CA is broken.
#[derive(Clone, Copy, Debug)]
enum Step {
    Directory,
    Register,
    Order,
    Look,
    Authorizations,
    Download,
    Window,
}

impl Step {
    fn endpoint(self) -> Endpoint {
        match self {
            Self::Directory => Endpoint::Directory,
            Self::Register => Endpoint::NewAccount,
            Self::Order => Endpoint::NewOrder,
            Self::Look => Endpoint::Order,
            Self::Authorizations => Endpoint::Authorization,
            Self::Download => Endpoint::Certificate,
            Self::Window => Endpoint::RenewalInfo,
        }
    }

    /// Everything before it goes well, then `break_it` is called with the good chain, then it is asked.
    async fn asked(self, world: &World, break_it: impl FnOnce(&str)) -> Result<(), Problem> {
        let port = &world.client.ca;
        match self {
            Self::Directory | Self::Register => {}
            Self::Order | Self::Look | Self::Authorizations | Self::Download | Self::Window => {
                world.client.register().await.unwrap();
            }
        }
        match self {
            Self::Directory => {
                break_it("");
                port.directory(ACCOUNT).await.map(drop)
            }
            Self::Register => {
                break_it("");
                world.client.register().await.map(drop)
            }
            Self::Order => {
                break_it("");
                world.client.order(&[NAME]).await.map(drop)
            }
            Self::Look | Self::Authorizations => {
                let url = world.client.order(&[NAME]).await.unwrap().url;
                break_it("");
                match self {
                    Self::Look => port.look_at_order(ACCOUNT, &url).await.map(drop),
                    _ => port
                        .look_at_authorizations(ACCOUNT, &url, true)
                        .await
                        .map(drop),
                }
            }
            Self::Download | Self::Window => {
                let (url, leaf) = world.certificate().await;
                let chain = world.client.chains.0.lock().unwrap()[0].clone();
                break_it(&chain);
                match self {
                    Self::Download => port.download(ACCOUNT, &url).await.map(drop),
                    _ => port
                        .renewal_window(ACCOUNT, &leaf.ari_id.unwrap())
                        .await
                        .map(drop),
                }
            }
        }
    }
}

/// One fault and what must come of it.
struct Row {
    step: Step,
    fault: FaultKind,
    class: ProblemClass,
    kind: &'static str,
    status: u16,
    retry_after_ms: Option<u64>,
    words: &'static str,
}

impl Row {
    fn new(step: Step, fault: FaultKind, told: (ProblemClass, &'static str, u16)) -> Self {
        let (class, kind, status) = told;
        Self {
            step,
            fault,
            class,
            kind,
            status,
            retry_after_ms: None,
            words: "",
        }
    }

    fn saying(mut self, words: &'static str) -> Self {
        self.words = words;
        self
    }

    fn waiting(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    async fn check(self) {
        let world = world().await;
        let endpoint = self.step.endpoint();
        let fault = self.fault.clone();
        let outcome = self
            .step
            .asked(&world, |_| {
                world
                    .ca
                    .inject(Fault::once(endpoint, fault).times(u32::MAX));
            })
            .await;
        let about = format!("{:?} with {:?}", self.step, self.fault);
        let Err(problem) = outcome else {
            panic!("{about} went well");
        };
        let told = format!("{about}: {problem:?}");
        assert_eq!(problem.class, self.class, "{told}");
        assert_eq!(problem.short_kind(), self.kind, "{told}");
        assert_eq!(problem.status, self.status, "{told}");
        assert_eq!(problem.retry_after_ms, self.retry_after_ms, "{told}");
        assert!(problem.detail.contains(self.words), "{told}");
        assert!(problem.subject.starts_with("https://127.0.0.1:"), "{told}");
        assert!(!problem.detail.contains("PRIVATE KEY-----"), "{told}");
    }
}

fn raw(status: u16, content_type: &str, body: &str) -> FaultKind {
    with(status, content_type, body, &[])
}

fn with(status: u16, content_type: &str, body: &str, headers: &[(&str, &str)]) -> FaultKind {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    FaultKind::Raw {
        status,
        content_type: content_type.to_owned(),
        body: body.as_bytes().to_vec(),
        headers: headers.iter().map(own).collect(),
    }
}

fn refused(status: u16, kind: &str, retry_after: Option<&str>) -> FaultKind {
    FaultKind::Problem {
        status,
        kind: kind.to_owned(),
        detail: "told by the CA".to_owned(),
        retry_after: retry_after.map(str::to_owned),
    }
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const HTML: &str = "text/html";

#[tokio::test(flavor = "multi_thread")]
async fn errors_with_a_status_say_who_speaks_and_when_to_come_back() {
    let none = "no-problem-document";
    let dated = [
        ("date", "Tue, 24 Nov 2026 07:00:00 GMT"),
        ("retry-after", "Tue, 24 Nov 2026 07:01:30 GMT"),
    ];
    let maintenance = with(503, HTML, "<html>maintenance", &dated);
    for row in [
        Row::new(Step::Order, maintenance, (Http, none, 503))
            .waiting(90_000)
            .saying("<html>maintenance"),
        Row::new(
            Step::Order,
            refused(429, "rateLimited", Some("7")),
            (Acme, "rateLimited", 429),
        )
        .waiting(7000)
        .saying("told by the CA"),
        Row::new(
            Step::Register,
            refused(403, "unauthorized", None),
            (Acme, "unauthorized", 403),
        )
        .saying("told by the CA"),
        Row::new(Step::Look, raw(404, "", ""), (Http, none, 404)).saying("HTTP 404"),
        Row::new(
            Step::Order,
            refused(400, "brandNew", None),
            (Acme, "brandNew", 400),
        ),
        Row::new(
            Step::Order,
            raw(500, PROBLEM, r#"{"detail":"lost"}"#),
            (Http, "about:blank", 500),
        )
        .saying("lost"),
        Row::new(
            Step::Order,
            raw(400, PROBLEM, r#"{"type":"urn:ie"#),
            (Http, none, 400),
        ),
        Row::new(
            Step::Look,
            raw(502, "text/plain", "upstream"),
            (Http, none, 502),
        )
        .saying("upstream"),
        Row::new(Step::Directory, raw(500, HTML, "down"), (Http, none, 500)).saying("down"),
        Row::new(Step::Window, raw(404, "", ""), (Http, none, 404)),
        Row::new(Step::Look, FaultKind::BadNonce, (Acme, "badNonce", 400)),
        Row::new(
            Step::Order,
            with(302, HTML, "", &[("location", "https://elsewhere.test/")]),
            (Http, "redirect", 302),
        )
        .saying("https://elsewhere.test/"),
    ] {
        row.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_the_protocol_say_how() {
    let traversal = r#"{"identifier":{"type":"dns","value":"one.renewd.test"},"status":"pending",
        "challenges":[{"type":"http-01","status":"pending","url":"https://127.0.0.1/c",
        "token":"../../../../../../etc/shadow"}]}"#;
    let window =
        r#"{"suggestedWindow":{"start":"2026-12-02T00:00:00Z","end":"2026-12-01T00:00:00Z"}}"#;
    let plain = r#"{"newNonce":"http://127.0.0.1/n","newAccount":"http://127.0.0.1/a"}"#;
    let omit = |header: &str| FaultKind::OmitHeader(header.to_owned());
    for row in [
        Row::new(
            Step::Look,
            raw(200, JSON, r#"{"status":"pen"#),
            (Protocol, "json", 200),
        )
        .saying(r#"{"status":"pen"#),
        Row::new(
            Step::Look,
            raw(200, HTML, "<html>log in"),
            (Protocol, "json", 200),
        )
        .saying("<html>log in"),
        Row::new(
            Step::Directory,
            raw(200, JSON, "[]"),
            (Protocol, "json", 200),
        ),
        Row::new(
            Step::Look,
            FaultKind::Oversized(300_000),
            (Protocol, "too-large", 200),
        )
        .saying("262144"),
        Row::new(Step::Order, omit("location"), (Protocol, "missing", 201)).saying("URL"),
        Row::new(Step::Register, omit("location"), (Protocol, "missing", 201)).saying("Location"),
        Row::new(
            Step::Authorizations,
            raw(200, JSON, traversal),
            (Protocol, "token", 0),
        )
        .saying("base64url"),
        Row::new(
            Step::Window,
            raw(200, JSON, window),
            (Protocol, "renewal-window", 200),
        )
        .saying("2026-12-01"),
        Row::new(Step::Download, raw(200, "", ""), (Protocol, "chain", 0)).saying("no certificate"),
    ] {
        row.check().await;
    }
    let world = world().await;
    let fault = Fault::once(Endpoint::Directory, raw(200, JSON, plain));
    world.ca.inject(fault);
    let problem = world.client.register().await.unwrap_err();
    assert_eq!(
        (problem.class, problem.kind.as_str()),
        (Protocol, "not-https")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_says_where_it_was_lost() {
    let drip = FaultKind::SlowDrip {
        bytes: 1,
        every: Duration::from_millis(200),
    };
    let late = FaultKind::Delay(REQUEST_TIME * 3);
    for row in [
        Row::new(
            Step::Order,
            FaultKind::CutBeforeActing,
            (Transport, "cut", 0),
        ),
        Row::new(
            Step::Order,
            FaultKind::CutAfterActing,
            (Transport, "cut", 0),
        ),
        Row::new(Step::Look, FaultKind::Truncated, (Transport, "cut", 200)),
        Row::new(Step::Order, late, (Transport, "timeout", 0)).saying("1.5s"),
        Row::new(Step::Look, drip, (Transport, "timeout", 200)),
    ] {
        row.check().await;
    }
    let [port] = renewd_tests::ports::free().unwrap();
    let world = world().await;
    let foreign = world.ca.issuer_root_pem();
    let nowhere = format!("https://127.0.0.1:{port}/dir");
    let nameless = "https://ca.invalid/dir";
    let url = world.ca.directory_url();
    for (url, kind) in [
        (url.as_str(), "tls"),
        (&nowhere, "connect"),
        (nameless, "name"),
    ] {
        let client = Client::new(url, foreign, &[], Bounds::default());
        let problem = client.ca.directory(ACCOUNT).await.unwrap_err();
        assert_eq!(
            (problem.class, problem.kind.as_str()),
            (Transport, kind),
            "{problem:?}"
        );
        assert_eq!(problem.subject, url);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_not_one_is_not_stored() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let reversed = |chain: &str| {
        let end = "-----END CERTIFICATE-----\n";
        let mut blocks: Vec<&str> = chain.split_inclusive(end).collect();
        blocks.reverse();
        blocks.concat()
    };
    let spoil: [(&dyn Fn(&str) -> String, &str, &str); 4] = [
        (
            &|chain| format!("{chain}{key}"),
            "private-key-in-chain",
            "private key",
        ),
        (&reversed, "chain", "order"),
        (&|chain| chain.repeat(6), "chain", "more than 10"),
        (
            &|chain| chain.replace("MII", "AII"),
            "chain",
            "certificate 1",
        ),
    ];
    for (spoil, kind, words) in spoil {
        let world = world().await;
        let broken = |chain: &str| {
            let answer = raw(200, "application/pem-certificate-chain", &spoil(chain));
            world.ca.inject(Fault::once(Endpoint::Certificate, answer));
        };
        let problem = Step::Download.asked(&world, broken).await.unwrap_err();
        assert_eq!(
            (problem.class, problem.kind.as_str()),
            (Protocol, kind),
            "{problem:?}"
        );
        assert!(problem.detail.contains(words), "{problem:?}");
        assert_eq!(world.client.chains.0.lock().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_is_broken_is_known_by_its_location() {
    for fault in [
        FaultKind::Truncated,
        FaultKind::Oversized(300_000),
        FaultKind::WrongContentType,
    ] {
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
async fn a_new_order_whose_answer_was_lost_is_found_after_a_restart() {
    let world = world().await;
    world.client.register().await.unwrap();
    let cut = Fault::once(Endpoint::NewOrder, FaultKind::CutAfterActing);
    world.ca.inject(cut);
    let lost = world.client.order(&[NAME]).await.unwrap_err();
    assert_eq!((lost.class, lost.kind.as_str()), (Transport, "cut"));
    let client = world.client.restarted();
    let found = client
        .ca
        .find_order(&new_order(&[NAME]), &[])
        .await
        .unwrap();
    let FoundOrder::Found(look) = found else {
        panic!("{found:?}");
    };
    assert_eq!(look.url, world.ca.orders()[0].url);
    assert_eq!(world.ca.counts().new_order, 1);
    assert_eq!(world.ca.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_without_a_list_of_orders_is_told_apart_from_an_empty_list() {
    let ours = new_order(&[NAME]);
    let world = world().await;
    world.client.register().await.unwrap();
    let empty = world.client.ca.find_order(&ours, &[]).await.unwrap();
    assert_eq!(empty, FoundOrder::NotThere);
    let ca = TestCa::start(Options {
        list_orders: false,
        ..Options::default()
    })
    .await
    .unwrap();
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
