//! Spans of hand-made logs: ids, parents, and what a crash does to them.

use renewd_events::certificate::Certificate;

use super::*;
use crate::testlog::{Log, certificate};

fn first() -> Vec<SpanFacts> {
    let log = Log::first_with_crash();
    spans(&log.envelopes, Certificate::renewal_id(certificate(), 1))
}

#[test]
fn a_renewal_is_one_trace_that_a_crash_does_not_break() {
    let all = first();
    let root = all.iter().find(|span| span.name == "renewal").unwrap();
    assert_eq!(root.parent, None);
    assert!(all.iter().all(|span| span.trace_id == root.trace_id && span.end.is_some()));
    assert!(all.iter().all(|span| span.parent.is_some() || span.name == "renewal"));
    let names: std::collections::BTreeSet<&str> = all.iter().map(|span| span.name).collect();
    let wanted = [
        "authorization",
        "certificate.bind",
        "certificate.download",
        "certificate.key",
        "challenge.validate",
        "order.create",
        "order.finalize",
        "renewal",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), wanted);
    let settled = all.iter().filter(|span| span.name == "challenge.validate").max_by_key(|s| s.end);
    let settled = settled.unwrap();
    assert_eq!(settled.end.unwrap().0 - settled.start.0, 11_490, "over the crash");
    let parent = settled.parent.unwrap();
    assert!(all.iter().any(|span| span.span_id == parent && span.name == "authorization"));
}

#[test]
fn ids_are_derived_unique_and_never_zero() {
    let all = first();
    assert_eq!(all, first());
    let ids: std::collections::BTreeSet<[u8; 8]> = all.iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), all.len());
    assert!(!ids.contains(&[0; 8]));
    let renewal = Certificate::renewal_id(certificate(), 1);
    let hash = renewd_events::id::sha256_plain(&renewal.0);
    assert_eq!(trace_id(renewal), hash[..16]);
}

#[test]
fn a_failure_is_an_error_with_its_code() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1);
    let all = spans(&log.envelopes, Certificate::renewal_id(certificate(), 2));
    let root = all.iter().find(|span| span.name == "renewal").unwrap();
    assert_eq!(root.error.as_deref(), Some("R0207"));
    let failed: Vec<&str> = all
        .iter()
        .filter(|span| span.name == "authorization" && span.error.is_some())
        .filter_map(|span| span.error.as_deref())
        .collect();
    assert_eq!(failed, ["R0207"]);
}

#[test]
fn spans_are_handed_out_once_when_they_end() {
    let log = Log::first_with_crash();
    let mut tracer = Tracer::new(Certificate::renewal_id(certificate(), 1));
    let mut out = Vec::new();
    for envelope in &log.envelopes {
        tracer.apply(envelope);
        out.extend(tracer.take_ended());
    }
    assert!(tracer.is_over());
    assert_eq!(tracer.finish(), []);
    assert_eq!(out.len(), first().len());
}
