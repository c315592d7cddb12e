//! Timelines of hand-made logs against golden files.

use renewd_events::certificate::Certificate;

use super::*;
use crate::testlog::{Log, certificate, golden};

fn of(log: &Log, number: u32) -> Timeline {
    timeline(&log.envelopes, Certificate::renewal_id(certificate(), number), "").unwrap()
}

#[test]
fn a_crash_in_the_middle_is_one_line_and_the_bracket_spans_it() {
    let timeline = of(&Log::first_with_crash(), 1);
    assert_eq!((timeline.ending, timeline.crashes), (Ending::Succeeded, 1));
    assert_eq!(timeline.certificate, "example");
    let text = text(&timeline, 110);
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    golden("timeline-crash.txt", &text);
    golden("timeline-crash.svg", &svg(&timeline));
}

#[test]
fn a_failure_ends_with_its_code() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1);
    golden("timeline-failed.txt", &text(&of(&log, 2), 80));
}

#[test]
fn an_intent_without_outcome_is_shown_as_open() {
    let mut log = Log::registered();
    log.started(200, renewd_events::schedule::Cause::FirstIssue, 1);
    let timeline = of(&log, 1);
    let open = timeline.rows.iter().filter(|row| match row {
        Row::Event(event) => event.bracket == Bracket::Open,
        Row::Wait { .. } | Row::Gap { .. } => false,
    });
    assert_eq!(open.count(), 2);
    assert_eq!(timeline.ending, Ending::Running);
    assert!(text(&timeline, 100).contains("─? no outcome"));
    let later = WallMs(timeline.started.0 + 7_200_000);
    let seen = text(&timeline.seen(later), 100);
    assert!(seen.contains("under way for 2 h"), "{seen}");
    let over = of(&Log::first_with_crash(), 1);
    assert_eq!(over.clone().seen(later), over, "what is over took no longer");
}

#[test]
fn an_unknown_renewal_has_none() {
    let log = Log::first_with_crash();
    assert_eq!(timeline(&log.envelopes, RenewalId([9; 16]), ""), None);
}

#[test]
fn a_part_of_the_log_is_enough() {
    let log = Log::first_with_crash();
    let whole = of(&log, 1);
    let renewals = crate::fold::read(crate::renewals::Renewals::default(), &log.envelopes);
    let row = renewals.find("example").unwrap();
    let part = log
        .envelopes
        .iter()
        .filter(|envelope| (row.first_seq..=row.last_seq).contains(&envelope.seq));
    assert_eq!(timeline(part, row.id, &row.certificate).unwrap(), whole);
    assert_eq!((row.orders, row.crashes), (1, 1));
    let prefix: String = row.id.to_string().chars().take(6).collect();
    assert_eq!(renewals.find(&prefix).unwrap(), row);
    assert!(renewals.find("nothing").is_err() && renewals.find("").is_err());
}

#[test]
fn words_from_outside_are_inert_in_every_form() {
    let mut log = Log::registered();
    log.started(200, renewd_events::schedule::Cause::FirstIssue, 1);
    let problem =
        crate::testlog::acme("malformed", 400, "\u{1b}[2J<script>alert(1)</script>\n\u{202e}");
    log.add(log.order(1), OrderEvent::OrderRefused { problem: problem.clone() });
    log.failed("R0310", problem);
    let timeline = of(&log, 1);
    let (text, svg) = (text(&timeline, 120), svg(&timeline));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && text.contains("\\u{1b}"));
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;") && !svg.contains('\u{1b}'));
    assert!(json(&timeline)["data"]["rows"][3]["sentence"].as_str().unwrap().contains("\\u{202e}"));
}
