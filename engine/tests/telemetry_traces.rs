//! Traces of real renewals as a real OTLP collector gets them: the `renewd` program, killed and
//! started again, against a CA over HTTPS.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message;
use renewd_events::certificate::Certificate;
use renewd_events::id::{CertificateName, RenewalId, Seq, StreamId};
use renewd_replay::trace::{span_id, trace_id};
use renewd_testca::{Endpoint, Fault, FaultKind, Options, TestCa};
use renewd_tests::process::Process;
use tokio::net::TcpListener;

const NAME: &str = "traced.example.org";
/// A renewal against the CA next door takes a fraction of a second, and one killed and resumed some; a
/// machine may be slow.
const RENEWAL_MAX: Duration = Duration::from_secs(120);
/// A renewal records some thirty events. Were each to wait for the collector, two seconds every time,
/// it would take longer than this.
const UNDELAYED_MAX: Duration = Duration::from_secs(45);
/// How long the CA stays `processing` at least.
const PROCESSING: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Keeps every span that is posted to it.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    services: Arc<Mutex<BTreeSet<String>>>,
}

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self::default();
        let shared = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = shared.clone();
                let service = service_fn(move |request| collector.clone().take(request));
                let serve = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serve);
            }
        });
        (collector, address)
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.uri().path(), "/v1/traces");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let message = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in message.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = text(&attributes, "service.name").unwrap();
            self.services.lock().unwrap().insert(service);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans);
        }
        Ok(Response::new(Full::default()))
    }

    /// Waits for a span of this name.
    async fn wait(&self, name: &str) -> Span {
        let until = Instant::now() + RENEWAL_MAX;
        loop {
            let spans = self.all();
            if let Some(span) = spans.iter().find(|span| span.name == name) {
                return span.clone();
            }
            let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
            assert!(Instant::now() < until, "no span `{name}` among {names:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let Value::StringValue(text) = value(attributes, key)? else {
        return None;
    };
    Some(text)
}

fn number(attributes: &[KeyValue], key: &str) -> Option<u64> {
    let Value::IntValue(number) = value(attributes, key)? else {
        return None;
    };
    u64::try_from(number).ok()
}

/// A CA, and a host with the real program on it.
struct World {
    ca: TestCa,
    directory: tempfile::TempDir,
}

impl World {
    /// The program exports to `endpoint`.
    async fn new(endpoint: &str, processing: Duration) -> Self {
        let [http, https] = renewd_tests::ports::free().unwrap();
        let ca = TestCa::start(Options {
            http01_target: ([127, 0, 0, 1], http).into(),
            processing,
            ..Options::default()
        })
        .await
        .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display();
        std::fs::write(directory.path().join("root.pem"), ca.root_pem()).unwrap();
        let key = directory.path().join("vault.key");
        renewd::vault::make_key_file(&key).unwrap();
        let config = format!(
            r#"version = 1
state_dir = "{at}/state"
[account]
ca = "{ca}"
email = "ops@example.org"
terms_accepted = true
ca_root_file = "{at}/root.pem"
[[certificate]]
name = "web"
domains = ["{NAME}"]
[certificate.bind]
target = "builtin"
address = "127.0.0.1"
port = {https}
[http]
listen = ["127.0.0.1:{http}"]
[admin]
listen = ""
[vault]
key_file = "{at}/vault.key"
[telemetry]
otlp_endpoint = "{endpoint}"
"#,
            ca = ca.directory_url(),
        );
        std::fs::write(directory.path().join("renewd.toml"), config).unwrap();
        Self { ca, directory }
    }

    /// The spans that `log export` makes of the log, later.
    fn exported_later(&self) -> BTreeSet<Essence> {
        let file = self.directory.path().join("traces.jsonl");
        let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
        let config = self.directory.path().join("renewd.toml");
        command.arg("--config").arg(config);
        command.args(["log", "export", "--format", "otlp-json"]);
        let ran = command.arg(&file).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let again = command.output().unwrap();
        assert!(!again.status.success(), "{again:?}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 1);
        let request: serde_json::Value = serde_json::from_str(&text).unwrap();
        let spans = request.pointer("/resourceSpans/0/scopeSpans/0/spans");
        let of = |span: &serde_json::Value, key: &str| {
            let text = span.get(key).and_then(serde_json::Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let spans = spans.unwrap().as_array().unwrap().iter();
        spans
            .map(|span| {
                let keys = ["name", "traceId", "spanId", "parentSpanId"];
                let times = ["startTimeUnixNano", "endTimeUnixNano"];
                Essence {
                    text: keys.map(|key| of(span, key)),
                    times: times.map(|key| of(span, key)),
                    events: span.get("events").unwrap().as_array().unwrap().len(),
                }
            })
            .collect()
    }

    fn run(&self) -> Process {
        let config: PathBuf = self.directory.path().join("renewd.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
        command.arg("--config").arg(config).arg("run");
        // Of whoever runs the tests.
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command.env_remove("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        Process::start("renewd", &mut command, self.directory.path()).unwrap()
    }
}

/// What a span comes down to: name, trace, id, parent; start and end; events.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Essence {
    text: [String; 4],
    times: [String; 2],
    events: usize,
}

/// The spans that come from events.
fn derived(spans: &[Span]) -> BTreeSet<Essence> {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let internal = spans.iter().filter(|span| span.kind() == SpanKind::Internal);
    internal
        .map(|span| Essence {
            text: [
                span.name.clone(),
                hex(&span.trace_id),
                hex(&span.span_id),
                hex(&span.parent_span_id),
            ],
            times: [span.start_time_unix_nano, span.end_time_unix_nano].map(|t| t.to_string()),
            events: span.events.len(),
        })
        .collect()
}

/// The only renewal of these worlds.
fn renewal() -> RenewalId {
    let name = CertificateName::parse("web").unwrap();
    Certificate::renewal_id(name.id(), 1)
}

/// Every span is of the renewal's trace, with the ids that follow from the log and a parent that is
/// there.
fn check(spans: &[Span]) {
    let root = spans.iter().find(|span| span.name == "renewal").unwrap();
    assert_eq!(root.parent_span_id, Vec::<u8>::new());
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    for span in spans {
        let name = &span.name;
        assert_eq!(span.trace_id, trace_id(renewal()), "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{name}");
        if span.kind() == SpanKind::Internal {
            assert_eq!(text(&span.attributes, "renewd.certificate").unwrap(), "web");
        } else {
            assert_eq!(span.kind(), SpanKind::Client, "{name}");
            assert_eq!(span.parent_span_id, root.span_id, "{name}");
        }
        if name != "renewal" {
            assert!(ids.contains(span.parent_span_id.as_slice()), "{name}");
        }
    }
    let stream: StreamId = CertificateName::parse("web").unwrap().id().into();
    let seq = number(&root.attributes, "renewd.event.seq").unwrap();
    assert_eq!(root.span_id, span_id(stream, Seq(seq)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_renewal_is_one_trace_with_derived_ids() {
    let (collector, address) = Collector::start().await;
    let world = World::new(&format!("http://{address}"), Duration::ZERO).await;
    let mut renewd = world.run();
    let root = collector.wait("renewal").await;
    let spans = collector.all();
    check(&spans);
    let services = collector.services.lock().unwrap().clone();
    assert_eq!(services, BTreeSet::from(["renewd".to_owned()]));

    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.expect(name).clone()
    };
    let authorization = of("authorization");
    assert_eq!(of("challenge.validate").parent_span_id, authorization.span_id);
    for name in ["authorization", "order.create", "order.finalize", "certificate.bind"] {
        assert_eq!(of(name).parent_span_id, root.span_id, "{name}");
    }
    assert_eq!(text(&authorization.attributes, "acme.identifier").unwrap(), NAME);
    let new_order = of("POST newOrder");
    let (call, intent) = (&new_order, of("order.create"));
    assert!(intent.start_time_unix_nano / 1_000_000 <= call.start_time_unix_nano / 1_000_000);
    assert_eq!(text(&call.attributes, "server.address").unwrap(), "127.0.0.1");
    for name in ["POST authorizations", "POST challenge", "POST finalize", "POST certificate"] {
        let url = text(&of(name).attributes, "acme.order.url").unwrap();
        assert_eq!(url, world.ca.orders()[0].url, "{name}");
    }
    let order = text(&of("order.create").attributes, "acme.order.url").unwrap();
    assert_eq!(order, world.ca.orders()[0].url);
    assert!(root.events.iter().any(|event| event.name == "RenewalStarted"));
    renewd.sigterm().unwrap();
    assert!(renewd.wait_for_end(RENEWAL_MAX).unwrap().success());
    assert_eq!(world.exported_later(), derived(&collector.all()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ca_refuses_is_an_error_of_its_span() {
    let (collector, address) = Collector::start().await;
    let world = World::new(&format!("http://{address}"), Duration::ZERO).await;
    let kind = FaultKind::Problem {
        status: 403,
        kind: "rejectedIdentifier".to_owned(),
        detail: "policy forbids it".to_owned(),
        retry_after: None,
    };
    world.ca.inject(Fault::once(Endpoint::NewOrder, kind));
    let _renewd = world.run();
    let root = collector.wait("renewal").await;
    check(&collector.all());
    let call = collector.wait("POST newOrder").await;
    for span in [&root, &call] {
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
    }
    assert!(text(&call.attributes, "error.type").unwrap().ends_with("rejectedIdentifier"));
    assert_eq!(number(&call.attributes, "http.response.status_code"), Some(403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_renewal_goes_on_in_the_same_trace() {
    let (collector, address) = Collector::start().await;
    let world = World::new(&format!("http://{address}/"), PROCESSING).await;
    // However late the kill comes, the certificate is not there before it.
    world.ca.inject(Fault::once(Endpoint::Order, FaultKind::StuckProcessing).times(u32::MAX));
    let mut renewd = world.run();
    // The CA has the CSR and takes its time.
    let finalized = collector.wait("order.finalize").await;
    renewd.sigkill().unwrap();
    assert!(collector.all().iter().all(|span| span.name != "renewal"));
    world.ca.clear_faults();

    let mut renewd = world.run();
    let root = collector.wait("renewal").await;
    let spans = collector.all();
    check(&spans);
    assert_eq!(finalized.trace_id, root.trace_id);
    let resume = collector.wait("renewd.resume").await;
    assert_eq!(resume.parent_span_id, root.span_id);
    assert_eq!(text(&resume.attributes, "renewd.previous").unwrap(), "crashed");
    assert_eq!(number(&resume.attributes, "renewd.boot"), Some(2));
    assert!(root.events.iter().any(|event| event.name == "renewd.resume"));
    // What the first life exported comes again with the same ids, or not at all.
    let finalizes = spans.iter().filter(|span| span.name == "order.finalize");
    let ids: BTreeSet<&[u8]> = finalizes.map(|span| span.span_id.as_slice()).collect();
    assert_eq!(ids, BTreeSet::from([finalized.span_id.as_slice()]));
    assert_eq!(world.ca.counts().new_order, 1);
    renewd.sigterm().unwrap();
    assert!(renewd.wait_for_end(RENEWAL_MAX).unwrap().success());
    assert_eq!(world.exported_later(), derived(&collector.all()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_mute_delays_neither_renewal_nor_exit() {
    let [closed] = renewd_tests::ports::free().unwrap();
    // Takes connections and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [closed, mute.local_addr().unwrap().port()] {
        let world = World::new(&format!("http://127.0.0.1:{port}"), Duration::ZERO).await;
        let begun = Instant::now();
        let mut renewd = world.run();
        renewd.wait_for_line("RenewalSucceeded", RENEWAL_MAX).unwrap();
        let took = begun.elapsed();
        assert!(took < UNDELAYED_MAX, "a renewal took {took:?}");
        renewd.sigterm().unwrap();
        assert!(renewd.wait_for_end(RENEWAL_MAX).unwrap().success());
        // It gave the collector up, and did not get through to it.
        let said = renewd.stdout() + &renewd.stderr();
        assert!(said.contains("the log has everything"), "{said}");
    }
}
