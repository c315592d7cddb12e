//! What the CA port makes of broken answers: class, kind, status, Retry-After, and a text that says
//! what happened. One row per fault, played by the test CA over real TLS.

use std::time::Duration;

use renewd::acme::Bounds;
use renewd_actors::ports::CertificateAuthority;
use renewd_events::problem::ProblemClass::{self, Acme, Http, Protocol, Transport};
use renewd_testca::{Endpoint, Fault, FaultKind};

use crate::steps::{Step, bounded, raw, with, world};
use crate::support::{ACCOUNT, Client};

/// Very long for loopback, so that on a busy machine only what is broken takes it; short for a test.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// One fault and what must come of it.
struct Row {
    step: Step,
    fault: FaultKind,
    class: ProblemClass,
    kind: &'static str,
    status: u16,
    retry_after_ms: Option<u64>,
    words: &'static str,
    bounds: Bounds,
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
            bounds: Bounds::default(),
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

    /// A request may take [`REQUEST_TIME`] and no longer.
    fn hurried(mut self) -> Self {
        self.bounds.request = REQUEST_TIME;
        self
    }

    async fn check(self) {
        let world = bounded(self.bounds).await;
        let endpoint = self.step.endpoint();
        let fault = self.fault.clone();
        let outcome = self
            .step
            .asked(&world, |_| {
                world.ca.inject(Fault::once(endpoint, fault).times(u32::MAX));
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
        Row::new(Step::Order, refused(429, "rateLimited", Some("7")), (Acme, "rateLimited", 429))
            .waiting(7000)
            .saying("told by the CA"),
        Row::new(Step::Register, refused(403, "unauthorized", None), (Acme, "unauthorized", 403))
            .saying("told by the CA"),
        Row::new(Step::Look, raw(404, "", ""), (Http, none, 404)).saying("HTTP 404"),
        Row::new(Step::Order, refused(400, "brandNew", None), (Acme, "brandNew", 400)),
        Row::new(
            Step::Order,
            raw(500, PROBLEM, r#"{"detail":"lost"}"#),
            (Http, "about:blank", 500),
        )
        .saying("lost"),
        Row::new(Step::Order, raw(400, PROBLEM, r#"{"type":"urn:ie"#), (Http, none, 400)),
        Row::new(Step::Look, raw(502, "text/plain", "upstream"), (Http, none, 502))
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
        Row::new(Step::Look, raw(200, JSON, r#"{"status":"pen"#), (Protocol, "json", 200))
            .saying(r#"{"status":"pen"#),
        Row::new(Step::Look, raw(200, HTML, "<html>log in"), (Protocol, "json", 200))
            .saying("<html>log in"),
        Row::new(Step::Directory, raw(200, JSON, "[]"), (Protocol, "json", 200)),
        Row::new(Step::Look, FaultKind::Oversized(300_000), (Protocol, "too-large", 200))
            .saying("262144"),
        Row::new(Step::Order, omit("location"), (Protocol, "missing", 201)).saying("URL"),
        Row::new(Step::Register, omit("location"), (Protocol, "missing", 201)).saying("Location"),
        Row::new(Step::Authorizations, raw(200, JSON, traversal), (Protocol, "token", 0))
            .saying("base64url"),
        Row::new(Step::Window, raw(200, JSON, window), (Protocol, "renewal-window", 200))
            .saying("2026-12-01"),
        Row::new(Step::Download, raw(200, "", ""), (Protocol, "chain", 0)).saying("no certificate"),
    ] {
        row.check().await;
    }
    let world = world().await;
    let fault = Fault::once(Endpoint::Directory, raw(200, JSON, plain));
    world.ca.inject(fault);
    let problem = world.client.register().await.unwrap_err();
    assert_eq!((problem.class, problem.kind.as_str()), (Protocol, "not-https"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_says_where_it_was_lost() {
    let drip = FaultKind::SlowDrip { bytes: 1, every: Duration::from_millis(200) };
    let late = FaultKind::Delay(REQUEST_TIME * 3);
    // Side by side: two of them last as long as a request may.
    let mut rows = tokio::task::JoinSet::new();
    for row in [
        Row::new(Step::Order, FaultKind::CutBeforeActing, (Transport, "cut", 0)),
        Row::new(Step::Order, FaultKind::CutAfterActing, (Transport, "cut", 0)),
        Row::new(Step::Look, FaultKind::Truncated, (Transport, "cut", 200)),
        Row::new(Step::Order, late, (Transport, "timeout", 0)).saying("5s").hurried(),
        Row::new(Step::Look, drip, (Transport, "timeout", 200)).hurried(),
    ] {
        rows.spawn(row.check());
    }
    rows.spawn(whole_call_is_bounded());
    rows.join_all().await;
    let [port] = renewd_tests::ports::free().unwrap();
    let world = world().await;
    let foreign = world.ca.issuer_root_pem();
    let nowhere = format!("https://127.0.0.1:{port}/dir");
    let nameless = "https://ca.invalid/dir";
    let url = world.ca.directory_url();
    for (url, kind) in [(url.as_str(), "tls"), (&nowhere, "connect"), (nameless, "name")] {
        let client = Client::new(url, foreign, &[], Bounds::default());
        let problem = client.ca.directory(ACCOUNT).await.unwrap_err();
        assert_eq!((problem.class, problem.kind.as_str()), (Transport, kind), "{problem:?}");
        assert_eq!(problem.subject, url);
    }
}

/// Many requests, each in time, are too late together.
async fn whole_call_is_bounded() {
    let world = bounded(Bounds { call: REQUEST_TIME, ..Bounds::default() }).await;
    world.client.register().await.unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("n{n}.renewd.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let url = world.client.order(&names).await.unwrap().url;
    let slow = FaultKind::Delay(REQUEST_TIME / 5);
    let slow = Fault::once(Endpoint::Authorization, slow).times(u32::MAX);
    world.ca.inject(slow);
    let seen = world.client.ca.look_at_authorizations(ACCOUNT, &url, true);
    let problem = seen.await.unwrap_err();
    assert_eq!((problem.class, problem.kind.as_str()), (Transport, "timeout"));
    // What was fetched is not lost: asked again and again, the call gets through.
    world.ca.clear_faults();
    let mut late = 1;
    let seen = loop {
        match world.client.ca.look_at_authorizations(ACCOUNT, &url, false).await {
            Err(problem) if late < 20 => assert_eq!(problem.kind, "timeout"),
            ended => break ended.unwrap(),
        }
        late += 1;
    };
    assert_eq!(seen.len(), 20);
    // A call that is late costs at most the look it was cut in.
    let looks = world.ca.counts().authorization_look;
    assert!(looks <= 20 + late, "{looks} looks, {late} late calls");
}
