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
/// Past renewals on a page, likewise.
pub(super) const PAST_MAX: usize = 20;

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
