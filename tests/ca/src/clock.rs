//! The CA's wall clock and how its instants are written. The only place that asks the system.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

/// Now, as certificates and `expires` see it.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
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
}
