//! The pages: askama templates in `engine/templates`, rendered on the server, working without scripts.

use std::time::Duration;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use renewd_events::id::sha256_plain;

use super::view::{Card, Past};

/// The one style sheet, inside each page: a saved page keeps its look.
const STYLE: &str = include_str!("../../templates/page.css");
/// A quiet page is read again after this.
const REFRESH_QUIET: Duration = Duration::from_secs(60);
/// A page on which something is going on.
const REFRESH_BUSY: Duration = Duration::from_secs(5);
/// Cards on the overview: some 1.5 KiB each, so the page stays below 50 KiB.
pub(super) const CARDS_MAX: usize = 20;
/// Past renewals on a page: some 500 octets each.
pub(super) const PAST_MAX: usize = 12;

/// What every page has.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    style: &'static str,
    version: &'static str,
    /// When it was made.
    made: String,
    /// Seconds until the browser asks again; absent: the reader stopped it.
    refresh: Option<u64>,
    /// Where to go to change that.
    path: String,
}

impl Frame {
    /// For a page made `now`. A reader who needs more time stops the renewing of the page (WCAG 2.2.1).
    pub(super) fn new(now: renewd_events::WallMs, path: String, busy: bool, still: Still) -> Self {
        let refresh = if busy { REFRESH_BUSY } else { REFRESH_QUIET };
        Self {
            style: STYLE,
            version: env!("CARGO_PKG_VERSION"),
            made: renewd_replay::when::minute(now),
            refresh: matches!(still, Still::No).then_some(refresh.as_secs()),
            path,
        }
    }
}

/// Whether the reader wants the page to stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// It renews itself.
    No,
    /// It stays.
    Yes,
}

/// All certificates.
#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    pub(super) frame: Frame,
    pub(super) cards: Vec<Card>,
    /// Certificates that are not shown.
    pub(super) more: usize,
    pub(super) total: usize,
    /// How many need a person.
    pub(super) persons: usize,
    /// Why no new act is begun: the log cannot be written.
    pub(super) broken: Option<String>,
    pub(super) past: Vec<Past>,
}

/// One certificate.
#[derive(Template)]
#[template(path = "certificate.html")]
pub(super) struct One {
    pub(super) frame: Frame,
    pub(super) card: Card,
    pub(super) past: Vec<Past>,
    /// There is a timeline to draw.
    pub(super) drawn: bool,
}

/// What the browser may do with our pages: show them, with exactly this style sheet, and pictures of
/// ours.
pub(super) fn policy() -> HeaderValue {
    let hash = STANDARD.encode(sha256_plain(STYLE.as_bytes()));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'"
    );
    // Base64 and these words are header text; a policy without the hash shows an unstyled page.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colour of a variable in the `nth` set: 0 is light, 1 is dark.
    fn colour(name: &str, nth: usize) -> [f64; 3] {
        let wanted = format!("--{name}:#");
        let text = STYLE.split(wanted.as_str()).nth(nth + 1).unwrap();
        let digits: String = text.chars().take_while(char::is_ascii_hexdigit).collect();
        let wide = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            _ => digits,
        };
        let octets = renewd_events::id::parse_hex(&wide).unwrap();
        [octets[0], octets[1], octets[2]].map(|octet| f64::from(octet) / 255.0)
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: [f64; 3]) -> f64 {
        let [red, green, blue] = colour.map(|part| match part {
            part if part <= 0.04045 => part / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn every_text_can_be_read_in_light_and_dark() {
        for nth in [0, 1] {
            for text in ["ink", "soft", "good", "bad", "busy", "wait", "idle"] {
                for ground in ["page", "card"] {
                    let (a, b) = (luminance(colour(text, nth)), luminance(colour(ground, nth)));
                    let ratio = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                    assert!(ratio >= 4.5, "{text} on {ground}, set {nth}: {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn the_policy_names_exactly_this_style_sheet() {
        let hash = STANDARD.encode(sha256_plain(STYLE.as_bytes()));
        let policy = policy();
        assert!(policy.to_str().unwrap().contains(&format!("style-src 'sha256-{hash}'")));
    }
}
