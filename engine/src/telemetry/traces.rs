//! The exporter of traces: a projection of the log that may lose spans and never delays anybody.
//!
//! The journal's thread hands events over and goes on; a task makes spans and posts them. What a full
//! queue or a dead collector loses is counted and said once in a while; the log has everything.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use renewd_actors::journal::Observer;
use renewd_actors::ports::CertificateAuthority;
use renewd_events::id::Hash;
use renewd_events::{Envelope, Facts};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::ca::WatchedCa;
use super::client::CollectorClient;
use super::endpoint::TracesEndpoint;
use super::live::LiveSpans;
use super::open::{History, OpenRenewals, concerns};
use super::roots::Roots;
use super::spans::{data, scope};

/// Batches of the journal that wait for the exporter: some seconds of the busiest engine.
const BATCHES_WAITING_MAX: usize = 1024;
/// Spans that wait for a collector that is away: about a hundred renewals. The oldest go first.
const SPANS_WAITING_MAX: usize = 4096;
/// Spans of one POST: about 100 KB.
const SPANS_PER_POST_MAX: usize = 512;
/// Spans that end together leave together.
const GATHER: Duration = Duration::from_millis(100);
/// After a failed POST. A collector that restarts takes longer than a second.
const RETRY: Duration = Duration::from_secs(5);
/// One POST, with what the SDK does around it.
const POST_TIME_MAX: Duration = Duration::from_secs(3);
/// What an exit waits for the last spans.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);
/// Octets of the state directory's hash that tell one installation from another.
const INSTANCE_DIGITS: usize = 16;

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error("no traces to {endpoint}: {cause}")]
pub(crate) struct NoTraces {
    endpoint: TracesEndpoint,
    cause: String,
}

/// The running exporter.
#[derive(Debug)]
pub(crate) struct Traces {
    task: JoinHandle<()>,
    /// Weak: the queue ends with the journal.
    queue: mpsc::WeakSender<Told>,
    roots: Roots,
}

/// What the exporter is told.
pub(super) enum Told {
    /// Committed events.
    Events(Vec<Arc<Envelope>>),
    /// A live span that has ended.
    Span(Box<SpanData>),
}

impl Traces {
    /// Starts it on the present runtime, and gives the observer that feeds it. It ends when the
    /// observer is dropped.
    ///
    /// # Errors
    /// The exporter cannot be made. Whether a collector is there is not asked.
    pub(crate) fn start(
        endpoint: &TracesEndpoint,
        state_dir: &Path,
        history: History,
    ) -> Result<(Self, Observer), NoTraces> {
        let (sender, inbox) = mpsc::channel(BATCHES_WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let roots = Roots::default();
        for envelope in history.events() {
            roots.apply(envelope);
        }
        let mut open = OpenRenewals::after(history);
        let scope = scope();
        let ended = open.take_ended();
        let work = Work {
            waiting: ended.into_iter().map(|span| data(span, &scope)).collect(),
            open,
            scope,
            exporter: exporter(endpoint, state_dir)?,
            endpoint: endpoint.clone(),
            due: Instant::now(),
            away: false,
            lost: Arc::clone(&lost),
        };
        let queue = sender.downgrade();
        let watched = roots.clone();
        let observer: Observer = Box::new(move |envelopes| {
            envelopes.iter().for_each(|envelope| watched.apply(envelope));
            observe(&sender, &lost, envelopes);
        });
        let task = tokio::spawn(work.run(inbox));
        let traces = Self { task, queue, roots };
        Ok((traces, observer))
    }

    /// The CA with its calls as spans in the renewals' traces.
    pub(crate) fn watch_ca(
        &self,
        ca: Arc<dyn CertificateAuthority>,
        facts: Arc<RwLock<Facts>>,
        directory_url: &str,
    ) -> Arc<dyn CertificateAuthority> {
        let spans = LiveSpans::new(self.queue.clone(), self.roots.clone());
        Arc::new(WatchedCa::new(ca, facts, directory_url, spans))
    }

    /// Waits for the last spans, one second at most. The journal must have ended.
    pub(crate) async fn finish(mut self) {
        if timeout(GOODBYE_TIME_MAX, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the last spans were not exported in time; the log has everything");
        }
    }
}

/// Called by the journal: never waits.
fn observe(sender: &mpsc::Sender<Told>, lost: &AtomicU64, envelopes: &[Arc<Envelope>]) {
    let batch: Vec<_> = envelopes.iter().filter(|e| concerns(e)).cloned().collect();
    if !batch.is_empty() && sender.try_send(Told::Events(batch)).is_err() {
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

fn exporter(endpoint: &TracesEndpoint, state_dir: &Path) -> Result<SpanExporter, NoTraces> {
    let fail = |cause: String| NoTraces { endpoint: endpoint.clone(), cause };
    let client =
        CollectorClient::new(Handle::current()).map_err(|cause| fail(cause.to_string()))?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        // Its retries would sleep on a thread of the runtime; ours do not.
        .with_retry_policy(RetryPolicy::disabled())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.url())
        .with_timeout(POST_TIME_MAX)
        .build()
        .map_err(|cause| fail(cause.to_string()))?;
    exporter.set_resource(&resource(state_dir));
    Ok(exporter)
}

/// Who we are. The instance is the state directory: it outlives processes, as traces do.
fn resource(state_dir: &Path) -> Resource {
    let place = Hash::of(state_dir.as_os_str().as_encoded_bytes()).to_string();
    let instance: String = place.chars().take(INSTANCE_DIGITS).collect();
    Resource::builder_empty()
        .with_service_name("renewd")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .build()
}

struct Work {
    open: OpenRenewals,
    scope: InstrumentationScope,
    exporter: SpanExporter,
    endpoint: TracesEndpoint,
    waiting: Vec<SpanData>,
    /// When the next POST may leave.
    due: Instant,
    /// The last POST failed.
    away: bool,
    lost: Arc<AtomicU64>,
}

impl Work {
    async fn run(mut self, mut inbox: mpsc::Receiver<Told>) {
        loop {
            let due = self.due;
            tokio::select! {
                told = inbox.recv() => match told {
                    Some(Told::Events(events)) => self.take(&events),
                    Some(Told::Span(span)) => self.keep([*span]),
                    None => break,
                },
                () = sleep_until(due), if !self.waiting.is_empty() => self.post().await,
            }
        }
        // The engine has ended; whoever waits for us bounds this.
        while !self.waiting.is_empty() {
            self.post().await;
            if self.away {
                break;
            }
        }
        self.say_lost(self.waiting.len());
    }

    fn take(&mut self, batch: &[Arc<Envelope>]) {
        for envelope in batch {
            self.open.apply(envelope);
        }
        let ended = self.open.take_ended();
        let scope = self.scope.clone();
        self.keep(ended.into_iter().map(|span| data(span, &scope)));
    }

    fn keep(&mut self, spans: impl IntoIterator<Item = SpanData>) {
        self.waiting.extend(spans);
        let over = self.waiting.len().saturating_sub(SPANS_WAITING_MAX);
        if over > 0 {
            self.waiting.drain(..over);
            let over = u64::try_from(over).unwrap_or(u64::MAX);
            self.lost.fetch_add(over, Ordering::Relaxed);
        }
    }

    async fn post(&mut self) {
        let spans: Vec<SpanData> = self.waiting.iter().take(SPANS_PER_POST_MAX).cloned().collect();
        let count = spans.len();
        let cause = match timeout(POST_TIME_MAX, self.exporter.export(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(cause.to_string()),
            Err(late) => Some(late.to_string()),
        };
        match cause {
            None => {
                self.waiting.drain(..count);
                self.away = false;
                self.due = Instant::now() + GATHER;
                self.say_lost(0);
            }
            Some(cause) => {
                if !self.away {
                    tracing::warn!(endpoint = %self.endpoint, %cause, "the traces' collector does not answer; renewals go on");
                }
                self.away = true;
                self.due = Instant::now() + RETRY;
            }
        }
    }

    fn say_lost(&self, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let lost = self.lost.swap(0, Ordering::Relaxed).saturating_add(more);
        if lost > 0 {
            tracing::warn!(lost, "spans were not exported; the log has everything");
        }
    }
}
