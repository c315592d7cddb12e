//! What is taken of an answer: URLs that can be asked, and no more of them, and of names, than an event
//! holds. An answer beyond that is broken; it must neither end a task nor be too large for the log.

use http::Uri;
use renewd_events::problem::{Problem, cut};

use super::problem;

/// One URL: public CAs use 60 to 150 octets.
pub(super) const URL_OCTETS_MAX: usize = 1024;
/// An order has at most 100 names, and one authorization for each.
pub(super) const AUTHORIZATIONS_MAX: usize = 100;
/// All their URLs: they become one event, which has 32 KiB.
pub(super) const AUTHORIZATIONS_OCTETS_MAX: usize = 24 * 1024;
/// Of a wrong URL, shown to a person.
const SHOWN_OCTETS: usize = 160;

/// Whether requests can go there (RFC 8555 §6.1): https with a host, in the characters of RFC 3986.
pub(super) fn is_url(text: &str) -> bool {
    let names_a_host = |uri: Uri| uri.host().is_some_and(|host| !host.is_empty());
    text.len() <= URL_OCTETS_MAX
        && text.starts_with("https://")
        && text.bytes().all(|octet| octet.is_ascii_graphic())
        && text.parse().is_ok_and(names_a_host)
}

/// An URL of the CA's answer; `what` says which.
///
/// # Errors
/// When no request can go there.
pub(super) fn url(what: &str, text: &str) -> Result<(), Problem> {
    if is_url(text) {
        return Ok(());
    }
    let shown = cut(text, SHOWN_OCTETS);
    let detail = format!(
        "{what} is `{shown}`, not an https URL of at most {URL_OCTETS_MAX} octets (RFC 8555 §6.1)"
    );
    Err(problem::broken("url", &detail))
}

/// The URLs of an order.
///
/// # Errors
/// When one of them cannot be asked, or there are more than an order can have.
pub(super) fn order<'u>(
    own: &str,
    authorizations: impl Iterator<Item = &'u str>,
    certificate: Option<&str>,
) -> Result<(), Problem> {
    url("the order's URL", own)?;
    if let Some(certificate) = certificate {
        url("the URL of the order's certificate", certificate)?;
    }
    let (mut count, mut octets) = (0_usize, 0_usize);
    for authorization in authorizations {
        url("the URL of an authorization", authorization)?;
        count = count.saturating_add(1);
        octets = octets.saturating_add(authorization.len());
        if count > AUTHORIZATIONS_MAX || octets > AUTHORIZATIONS_OCTETS_MAX {
            let detail = format!(
                "the order has more than {AUTHORIZATIONS_MAX} authorizations, or their URLs more than \
                 {AUTHORIZATIONS_OCTETS_MAX} octets"
            );
            return Err(problem::broken("too-large", &detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_can_be_asked_or_is_refused() {
        assert!(is_url("https://ca.test/order/1?a=b"));
        assert!(is_url("https://[::1]:14000/dir"));
        let long = format!("https://ca.test/{}", "a".repeat(URL_OCTETS_MAX));
        for bad in
            ["", "http://ca.test/", "https://", "https:// 8", "https://ca.test/\u{e4}", "/a", &long]
        {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn an_order_is_no_larger_than_its_event() {
        let own = "https://ca.test/order/1";
        let of = |count, length: usize| {
            let one = format!("https://ca.test/{}", "a".repeat(length));
            let all = vec![one.as_str(); count];
            order(own, all.into_iter(), None).map_err(|problem| problem.kind)
        };
        assert_eq!(of(100, 150), Ok(()));
        assert_eq!(of(101, 1), Err("too-large".to_owned()));
        assert_eq!(of(100, 500), Err("too-large".to_owned()));
        assert_eq!(of(1, 2000), Err("url".to_owned()));
    }
}
