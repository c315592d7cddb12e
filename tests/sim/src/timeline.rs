//! A failing history as a person reads it: the events that led to what is broken.

use crate::invariant::Violation;

/// Lines of a timeline: one screen; the command beside it shows the rest.
pub const LINES_MAX: usize = 40;
/// Of these, lines after the event that broke something.
const AFTER: usize = 4;

/// The lines of a log (`seeds::show`, `crash::show`) around the event that a violation names, or after
/// which it was seen; the last ones where it was seen at the end. At most [`LINES_MAX`].
pub fn timeline<'a>(lines: &'a [String], violation: &Violation) -> &'a [String] {
    let begin = lines.iter().position(|line| place(line).is_some()).unwrap_or(lines.len());
    let log = lines.get(begin..).unwrap_or_default();
    let named = named(&violation.what).unwrap_or(violation.after.0);
    let broke = log.iter().position(|line| place(line) == Some(named));
    let end = broke.map_or(log.len(), |at| log.len().min(at + 1 + AFTER));
    log.get(end.saturating_sub(LINES_MAX)..end).unwrap_or_default()
}

/// The place of an event in the log, which its line begins with.
fn place(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

/// The place that a violation begins with, as in `event 12: a retry after 3s`.
fn named(what: &str) -> Option<u64> {
    let rest = what.strip_prefix("event ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use renewd_events::id::Seq;

    use super::*;
    use crate::invariant::Invariant;

    fn shown(events: u64, what: &str, after: u64) -> Vec<u64> {
        let mut lines = vec!["Plan { seed: 1 }".to_owned(), "commit:3=torn:450".to_owned()];
        lines.extend((1..=events).map(|seq| format!("{seq:>5} 2026-01-01T00:00:00Z engine")));
        let violation =
            Violation { invariant: Invariant::Ends, what: what.to_owned(), after: Seq(after) };
        timeline(&lines, &violation).iter().filter_map(|line| place(line)).collect()
    }

    #[test]
    fn the_timeline_ends_behind_the_event_that_is_named_or_with_the_log() {
        assert_eq!(shown(100, "event 60: a retry", 100), (25..=64).collect::<Vec<_>>());
        assert_eq!(shown(100, "event 99 is of life 2", 100), (61..=100).collect::<Vec<_>>());
        assert_eq!(shown(100, "the goal is not reached", 0), (61..=100).collect::<Vec<_>>());
        assert_eq!(shown(100, "the token is not answered", 60), (25..=64).collect::<Vec<_>>());
        assert_eq!(shown(100, "event 900: is not there", 100), (61..=100).collect::<Vec<_>>());
        assert_eq!(shown(3, "event 2: early", 3), [1, 2, 3], "the plan is no event");
        assert!(shown(0, "event 2: early", 0).is_empty());
    }
}
