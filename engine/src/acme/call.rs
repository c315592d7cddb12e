//! What one port call saw on the wire. `instant-acme` hides status, Retry-After, Location and Link;
//! the transport writes them here, in a task-local record that lives as long as the call.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, DATE, HeaderMap, LINK, LOCATION, RETRY_AFTER};

use super::settings::Bounds;
use renewd_events::WallMs;
use renewd_events::problem::{Problem, ProblemClass};

/// "Now" is never meant: even a broken CA is not asked more than once a second.
pub(super) const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest rate limit of a public CA is a week; a day more for its clock.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// Links of one answer: index, up, next, terms and a few alternates.
const LINKS_MAX: usize = 16;

tokio::task_local! {
    static CALL: RefCell<Call>;
}

/// The last request of a port call and its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// Requests that went out during the whole call.
    pub(super) requests: u32,
    /// The last URL.
    pub(super) url: String,
    /// The status of the answer; 0 while there is none.
    pub(super) status: u16,
    /// Retry-After of the answer, clamped.
    pub(super) retry_after_ms: Option<u64>,
    /// Location of the answer: the order or the account, even when the body is broken.
    pub(super) location: Option<String>,
    /// Links of the answer: relation and URL.
    pub(super) links: Vec<(String, String)>,
    /// The body.
    pub(super) body: Bytes,
}

impl Call {
    /// The first link with this relation.
    pub(super) fn link(&self, relation: &str) -> Option<&str> {
        self.links.iter().find(|(rel, _)| rel == relation).map(|(_, url)| url.as_str())
    }

    /// Whether the answer was a success.
    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Runs one port call: with a record, and ended by `bounds.call`.
pub(super) async fn recorded<T>(
    bounds: &Bounds,
    act: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    CALL.scope(RefCell::default(), async {
        match tokio::time::timeout(bounds.call, act).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let detail = format!("not done within {:?}; the last request is lost", bounds.call);
                let problem = Problem::new(ProblemClass::Transport, "timeout", &detail);
                Err(problem.about(&seen().url))
            }
        }
    })
    .await
}

/// A copy of the record; empty outside a port call.
pub(super) fn seen() -> Call {
    CALL.try_with(|call| call.try_borrow().map(|call| call.clone()).unwrap_or_default())
        .unwrap_or_default()
}

/// A request goes out.
pub(super) fn begin(url: &str) {
    write(|call| {
        *call = Call {
            requests: call.requests.saturating_add(1),
            url: url.to_owned(),
            ..Call::default()
        };
    });
}

/// The head of its answer is here; it counts even when the body never comes.
pub(super) fn answered(status: u16, headers: &HeaderMap) {
    write(|call| {
        call.status = status;
        call.retry_after_ms = retry_after_ms(headers);
        call.location = text(headers, &LOCATION).map(str::to_owned);
        call.links = headers
            .get_all(LINK)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(links)
            .take(LINKS_MAX)
            .collect();
    });
}

/// The body is here.
pub(super) fn read(body: &Bytes) {
    write(|call| call.body = body.clone());
}

fn write(change: impl FnOnce(&mut Call)) {
    // Outside a port call there is nobody to tell; that is not an error.
    CALL.try_with(|call| call.try_borrow_mut().map(|mut call| change(&mut call))).ok();
}

fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// RFC 9110 §10.2.3: seconds, or a date. A date is compared with the answer's own Date, so that a
/// wrong clock here does not matter.
pub(super) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let value = text(headers, &RETRY_AFTER)?;
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let now = text(headers, &DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or_else(SystemTime::now);
        until.duration_since(now).unwrap_or(Duration::ZERO)
    };
    let wait = wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX);
    u64::try_from(wait.as_millis()).ok()
}

/// What the sender's clock showed (RFC 9110 §6.6.1), and since then if a cache kept it (RFC 9111 §5.1).
pub(super) fn date(headers: &HeaderMap) -> Option<WallMs> {
    let date = httpdate::parse_http_date(text(headers, &DATE)?).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let age = text(headers, &AGE).and_then(|age| age.parse().ok()).map(Duration::from_secs);
    Some(WallMs(0).after(since).after(age.unwrap_or_default()))
}

/// RFC 8288, as far as ACME uses it: `<url>;rel="relation"`, several in one header.
fn links(value: &str) -> Vec<(String, String)> {
    value
        .split('<')
        .skip(1)
        .filter_map(|part| {
            let (url, parameters) = part.split_once('>')?;
            let relation = parameters.split([';', ',']).find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                (name.trim() == "rel").then(|| value.trim().trim_matches('"').to_owned())
            })?;
            Some((relation, url.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after_ms(&headers)
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_clamped() {
        let date = Some("Tue, 24 Nov 2026 07:00:00 GMT");
        let eight_days = Some(8 * 86_400_000);
        for (value, expected) in [
            ("7", Some(7000)),
            ("0", Some(1000)),
            ("99999999999999999999999", eight_days),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("Tue, 24 Nov 2026 07:01:30 GMT", Some(90_000)),
            ("Tue, 24 Nov 2020 07:01:30 GMT", Some(1000)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", eight_days),
        ] {
            assert_eq!(wait(value, date), expected, "{value}");
        }
    }

    #[test]
    fn a_date_is_read_with_its_age_and_nothing_else_is_a_date() {
        let shown = |shown: &str, age: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, shown.parse().unwrap());
            if let Some(age) = age {
                headers.insert(AGE, age.parse().unwrap());
            }
            date(&headers).map(|at| at.0)
        };
        let at = "Tue, 24 Nov 2026 07:00:00 GMT";
        assert_eq!(shown(at, None), Some(1_795_503_600_000));
        assert_eq!(shown(at, Some("3600")), Some(1_795_507_200_000), "kept by a cache");
        assert_eq!(shown(at, Some("old")), Some(1_795_503_600_000));
        assert_eq!(shown("now", None), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn links_are_read_from_one_header_or_several() {
        let both = r#"<https://ca/dir>;rel="index", <https://ca/list?cursor=3>; rel="next""#;
        assert_eq!(
            links(both),
            [
                ("index".to_owned(), "https://ca/dir".to_owned()),
                ("next".to_owned(), "https://ca/list?cursor=3".to_owned())
            ]
        );
        assert!(links("nonsense; rel=next").is_empty());
    }
}
