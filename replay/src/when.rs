//! Times and durations as people read them: relative and absolute together, UTC always.

use std::time::Duration;

use chrono::DateTime;
use renewd_events::WallMs;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// From here on hours no longer matter to a reader.
const DAYS_ONLY: u64 = 10 * DAY;

/// A duration in milliseconds: `20 ms`, `1.4 s`, `3 min 5 s`, `2 h 10 min`, `6 d 4 h`, `41 d`.
pub fn span_ms(ms: u64) -> String {
    let two = |big: u64, big_name: &str, small: u64, small_name: &str| match (ms % big) / small {
        0 => format!("{} {big_name}", ms / big),
        rest => format!("{} {big_name} {rest} {small_name}", ms / big),
    };
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{}.{} s", ms / SECOND, (ms % SECOND) / 100),
        10_000..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => two(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY..DAYS_ONLY => two(DAY, "d", HOUR, "h"),
        _ => format!("{} d", ms / DAY),
    }
}

/// As [`span_ms`].
pub fn span(time: Duration) -> String {
    span_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// By a chrono format; what no calendar holds is shown in milliseconds.
fn formatted(at: WallMs, format: &str) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{} ms", at.0), |time| time.format(format).to_string())
}

/// `2026-12-05 03:10 UTC`.
pub fn minute(at: WallMs) -> String {
    formatted(at, "%Y-%m-%d %H:%M UTC")
}

/// `Nov 23 03:10:02.114`.
pub fn moment(at: WallMs) -> String {
    formatted(at, "%b %d %H:%M:%S%.3f")
}

/// `Nov 23`.
pub fn day(at: WallMs) -> String {
    formatted(at, "%b %d")
}

/// `in 12 d` or `3 h 5 min ago`.
pub fn relative(at: WallMs, now: WallMs) -> String {
    if at >= now {
        format!("in {}", span(at.since(now)))
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

/// `in 12 d, 2026-12-05 03:10 UTC`.
pub fn both(at: WallMs, now: WallMs) -> String {
    format!("{}, {}", relative(at, now), minute(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_lose_what_matters() {
        for (ms, told) in [
            (0, "0 ms"),
            (449, "449 ms"),
            (1449, "1.4 s"),
            (11_200, "11 s"),
            (65_000, "1 min 5 s"),
            (HOUR, "1 h"),
            (3 * HOUR + 12 * MINUTE, "3 h 12 min"),
            (6 * DAY + 4 * HOUR, "6 d 4 h"),
            (41 * DAY + 5 * HOUR, "41 d"),
        ] {
            assert_eq!(span_ms(ms), told);
        }
    }

    #[test]
    fn times_are_relative_and_absolute() {
        let now = WallMs(1_795_000_000_000);
        assert_eq!(both(now.after(Duration::from_secs(7200)), now), "in 2 h, 2026-11-18 13:06 UTC");
        assert_eq!(relative(now.before(Duration::from_secs(60)), now), "1 min ago");
        assert_eq!(moment(WallMs(114)), "Jan 01 00:00:00.114");
        assert_eq!(minute(WallMs(u64::MAX)), format!("{} ms", u64::MAX));
    }
}
