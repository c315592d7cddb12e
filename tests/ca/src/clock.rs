//! The CA's wall clock and how its instants are written. The only place that asks the system.
//!
//! A CA's clock need not be the client's: it can be set ahead or behind, and then certificates,
//! `expires`, ARI windows and the `Date` header all go by it.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

/// How far a CA's clock is from the system's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockSkew {
    /// The same.
    #[default]
    None,
    /// The CA is ahead by this.
    Ahead(Duration),
    /// The CA is behind by this.
    Behind(Duration),
}

impl ClockSkew {
    /// Now, as certificates and `expires` see it.
    pub(crate) fn now(self) -> SystemTime {
        let now = SystemTime::now();
        match self {
            Self::None => Some(now),
            Self::Ahead(by) => now.checked_add(by),
            Self::Behind(by) => now.checked_sub(by),
        }
        .unwrap_or(now)
    }
}

/// As the `Date` header and a `Retry-After` have it (RFC 9110 §5.6.7).
pub fn http_date(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads an HTTP date; only the preferred form.
pub(crate) fn from_http_date(text: &str) -> Option<SystemTime> {
    let at = chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    let seconds = u64::try_from(at.and_utc().timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Time since 1970; a clock before that counts as 1970.
pub(crate) fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// `at` without its part of a second: X.509 has none.
pub(crate) fn whole_second(at: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch(at).as_secs())
}

/// RFC 3339 in UTC, as RFC 8555 and RFC 9773 ask; milliseconds, because tests use short windows.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A `Retry-After` in seconds, rounded up so that obeying it is never too early.
pub(crate) fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc_and_waits_rounded_up() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_250);
        assert_eq!(rfc3339(at), "1970-01-02T00:00:00.250Z");
        assert_eq!(since_epoch(whole_second(at)).as_millis(), 86_400_000);
        assert_eq!(retry_after_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(retry_after_seconds(Duration::from_secs(3)), 3);
    }

    #[test]
    fn an_http_date_is_read_as_it_was_written() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(from_http_date(&http_date(at)), Some(at));
        assert_eq!(from_http_date("120"), None);
    }

    #[test]
    fn a_skewed_clock_is_ahead_or_behind() {
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        assert!(ClockSkew::Ahead(hour).now() >= now + hour);
        assert!(ClockSkew::Behind(hour).now() < now);
        assert!(ClockSkew::None.now() >= now);
    }
}
