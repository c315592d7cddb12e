//! Live spans: what the running code does, in the trace of the renewal that it does it for.
//!
//! `tracing` spans through `tracing-opentelemetry`, with a dispatcher of our own: nothing global is
//! set, and no log line of the host goes there. Live spans have random ids (the layer gives no other)
//! and a derived parent; one that a crash cuts off is lost, the events' spans are not.

use std::fmt;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use renewd_events::id::RenewalId;
use renewd_replay::trace::trace_id;
use tokio::sync::mpsc;
use tracing::{Dispatch, Level};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::roots::Roots;
use super::spans::scope;
use super::traces::Told;

/// Makes live spans of one engine.
pub(super) struct LiveSpans {
    dispatch: Dispatch,
    roots: Roots,
    /// Dropping the last one ends it.
    _provider: SdkTracerProvider,
}

impl fmt::Debug for LiveSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSpans").finish_non_exhaustive()
    }
}

impl LiveSpans {
    /// Spans go to the exporter's queue while that is there.
    pub(super) fn new(queue: mpsc::WeakSender<Told>, roots: Roots) -> Self {
        let provider = SdkTracerProvider::builder().with_span_processor(ToQueue(queue)).build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer_with_scope(scope()))
            .with_threads(false)
            .with_location(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(LevelFilter::INFO);
        Self {
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            roots,
            _provider: provider,
        }
    }

    /// A span that `make` makes, in the trace of this renewal; none when the renewal is not under way.
    pub(super) fn within(
        &self,
        renewal: RenewalId,
        make: impl FnOnce() -> tracing::Span,
    ) -> Option<tracing::Span> {
        let root = self.roots.of(renewal)?;
        let span = tracing::dispatcher::with_default(&self.dispatch, make);
        let parent = SpanContext::new(
            TraceId::from_bytes(trace_id(renewal)),
            SpanId::from_bytes(root),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        // Without its parent it belongs nowhere.
        span.set_parent(Context::new().with_remote_span_context(parent)).ok().map(|()| span)
    }
}

/// The level of live spans; everything below would be filtered out.
pub(super) const LEVEL: Level = Level::INFO;

/// Hands ended spans to the exporter, and never waits.
#[derive(Debug)]
struct ToQueue(mpsc::WeakSender<Told>);

impl SpanProcessor for ToQueue {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(queue) = self.0.upgrade() {
            // A full queue loses it: the events tell the same story.
            drop(queue.try_send(Told::Span(Box::new(span))));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
