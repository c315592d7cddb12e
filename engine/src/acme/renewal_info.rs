//! The suggested renewal window (RFC 9773 §4): a plain GET, and tolerant of what `instant-acme` is
//! not: an answer without Retry-After.

use bytes::Bytes;
use chrono::DateTime;
use renewd_actors::ports::RenewalWindow;
use renewd_events::problem::{Problem, cut};
use renewd_events::time::WallMs;
use serde::Deserialize;

use super::problem;

/// Key identifier of 20 octets and serial of 20, in base64url; twice that is plenty.
pub(super) const ARI_ID_OCTETS_MAX: usize = 128;
/// An URL for people.
const EXPLANATION_OCTETS_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

/// The URL to ask (RFC 9773 §4.1).
///
/// # Errors
/// When the id is not one: it becomes part of a path.
pub(super) fn url(base: &str, ari_id: &str) -> Result<String, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let one_dot = ari_id.split('.').filter(|part| !part.is_empty()).count() == 2
        && ari_id.matches('.').count() == 1;
    if !one_dot || ari_id.len() > ARI_ID_OCTETS_MAX || !ari_id.bytes().all(allowed) {
        let detail = "not a certificate's name for renewal information (RFC 9773 §4.1)";
        return Err(problem::protocol("ari-id", detail).about(ari_id));
    }
    Ok(format!("{}/{ari_id}", base.trim_end_matches('/')))
}

/// Reads the answer.
///
/// # Errors
/// When it is not the JSON of RFC 9773 §4.2, or the window ends before it begins.
pub(super) fn read(body: &Bytes, retry_after_ms: Option<u64>) -> Result<RenewalWindow, Problem> {
    let document: Document = serde_json::from_slice(body)
        .map_err(|cause| problem::broken("json", &format!("no renewal information: {cause}")))?;
    let Window { start, end } = document.suggested_window;
    let (Some(from), Some(to)) = (moment(&start), moment(&end)) else {
        let detail =
            format!("the window `{}` to `{}` is not in RFC 3339", cut(&start, 64), cut(&end, 64));
        return Err(problem::broken("renewal-window", &detail));
    };
    if to <= from {
        let detail = format!("the suggested window ends at {to}, not after its start {from}");
        return Err(problem::broken("renewal-window", &detail));
    }
    Ok(RenewalWindow {
        start: from,
        end: to,
        explanation_url: document.explanation_url.map(|url| cut(&url, EXPLANATION_OCTETS_MAX)),
        retry_after_ms,
    })
}

/// A moment of RFC 3339, as all of ACME writes it.
pub(super) fn moment(text: &str) -> Option<WallMs> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(WallMs(u64::try_from(moment.timestamp_millis()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str) -> Result<RenewalWindow, Problem> {
        let text = format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#);
        read(&Bytes::from(text), None)
    }

    #[test]
    fn a_window_is_read_without_retry_after_and_a_broken_one_is_refused() {
        let good = window("2026-11-24T00:00:00Z", "2026-11-26T01:00:00+01:00").unwrap();
        assert_eq!(good.end.0 - good.start.0, 2 * 86_400_000);
        assert_eq!(good.retry_after_ms, None);
        for (start, end) in [
            ("2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("2026-11-26T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("soon", "later"),
        ] {
            assert_eq!(window(start, end).unwrap_err().kind, "renewal-window");
        }
        assert_eq!(read(&Bytes::from("{}"), None).unwrap_err().kind, "json");
    }

    #[test]
    fn only_an_ari_id_becomes_part_of_a_path() {
        let base = "https://ca/renewal-info/";
        assert_eq!(
            url(base, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap(),
            "https://ca/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
        );
        for bad in ["", "a", "a.", ".b", "a.b.c", "../x", "a.b/c", "a.b?c"] {
            assert_eq!(url(base, bad).unwrap_err().kind, "ari-id", "{bad}");
        }
    }
}
