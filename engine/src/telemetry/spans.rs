//! Spans of the log in OpenTelemetry's form.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use renewd_events::WallMs;
use renewd_replay::trace::{SpanFacts, Value};

/// Who made the spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("renewd").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// A span that has ended. One whose clock went backwards ends when it began.
pub(super) fn data(span: SpanFacts, scope: &InstrumentationScope) -> SpanData {
    let end = span.end.unwrap_or(span.start).max(span.start);
    let mut events = SpanEvents::default();
    events.events.extend(span.events.into_iter().map(|event| {
        let seq = i64::try_from(event.seq.0).unwrap_or(i64::MAX);
        let attributes = vec![
            KeyValue::new("renewd.event.seq", seq),
            KeyValue::new("renewd.event.text", event.text),
        ];
        Event::new(event.name, time(event.at), attributes, 0)
    }));
    SpanData {
        span_context: context(span.trace_id, span.span_id),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(span.name),
        start_time: time(span.start),
        end_time: time(end),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events,
        links: SpanLinks::default(),
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

/// A span's context from derived ids.
fn context(trace_id: [u8; 16], span_id: [u8; 8]) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace_id),
        SpanId::from_bytes(span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

fn attribute((key, value): (&'static str, Value)) -> KeyValue {
    match value {
        Value::Text(text) => KeyValue::new(key, text),
        Value::Number(number) => KeyValue::new(key, number),
        Value::Truth(truth) => KeyValue::new(key, truth),
    }
}

fn time(at: WallMs) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(at.0)).unwrap_or(UNIX_EPOCH)
}
