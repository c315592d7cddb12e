//! Traces of past renewals as a file: OTLP in JSON, one request per line, as the OpenTelemetry
//! collector's `otlpjsonfile` receiver reads it. The same spans with the same ids as exported live.

use std::collections::BTreeMap;
use std::io::{self, Write};

use renewd_events::{Envelope, WallMs};
use renewd_replay::trace::{SpanEvent, SpanFacts, Value as Known};
use serde_json::{Value, json};

use super::open::OpenRenewals;

/// `SPAN_KIND_INTERNAL` and `STATUS_CODE_ERROR` of the protocol.
const INTERNAL: u8 = 1;
const ERROR: u8 = 2;
/// Nanoseconds of a millisecond.
const NANOS: u128 = 1_000_000;

/// Writes one line per renewal that has ended, and one per renewal under way with what has ended of
/// it. Gives the number of lines.
///
/// # Errors
/// `out` does not take them.
pub(crate) fn otlp_json<'a>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
    out: &mut impl Write,
) -> io::Result<usize> {
    let mut renewals = OpenRenewals::default();
    let mut parts: BTreeMap<[u8; 16], Vec<SpanFacts>> = BTreeMap::new();
    let mut lines: usize = 0;
    for envelope in envelopes {
        renewals.apply(envelope);
        for span in renewals.take_ended() {
            let (id, over) = (span.trace_id, span.parent.is_none());
            let spans = parts.entry(id).or_default();
            spans.push(span);
            if over && let Some(spans) = parts.remove(&id) {
                writeln!(out, "{}", request(&spans))?;
                lines = lines.saturating_add(1);
            }
        }
    }
    for spans in parts.values() {
        writeln!(out, "{}", request(spans))?;
        lines = lines.saturating_add(1);
    }
    Ok(lines)
}

fn request(spans: &[SpanFacts]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", "renewd"),
            text("service.version", version),
        ]},
        "scopeSpans": [{
            "scope": {"name": "renewd", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &SpanFacts) -> Value {
    let end = span.end.unwrap_or(span.start).max(span.start);
    let attributes = span.attributes.iter();
    let mut shown = json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(span.start),
        "endTimeUnixNano": nanos(end),
        "attributes": attributes.map(|(key, value)| attribute(key, value)).collect::<Vec<_>>(),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
    });
    if let Some(shown) = shown.as_object_mut() {
        if let Some(parent) = &span.parent {
            shown.insert("parentSpanId".to_owned(), hex(parent).into());
        }
        if let Some(error) = &span.error {
            let status = json!({"code": ERROR, "message": error});
            shown.insert("status".to_owned(), status);
        }
    }
    shown
}

fn event(event: &SpanEvent) -> Value {
    let seq = event.seq.0.to_string();
    json!({
        "timeUnixNano": nanos(event.at),
        "name": event.name,
        "attributes": [
            {"key": "renewd.event.seq", "value": {"intValue": seq}},
            {"key": "renewd.event.text", "value": {"stringValue": event.text}},
        ],
    })
}

/// Numbers of 64 bits are texts in this form of JSON.
fn attribute(key: &str, value: &Known) -> Value {
    let value = match value {
        Known::Text(text) => json!({"stringValue": text}),
        Known::Number(number) => json!({"intValue": number.to_string()}),
        Known::Truth(truth) => json!({"boolValue": truth}),
    };
    json!({"key": key, "value": value})
}

fn nanos(at: WallMs) -> String {
    u128::from(at.0).saturating_mul(NANOS).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
