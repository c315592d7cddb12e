//! How a test CA is set up; every field has a default that behaves like Pebble without chaos.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::clock::ClockSkew;

/// Settings of one [`TestCa`](crate::TestCa), fixed for its life.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where HTTPS listens. Port 0 lets the system choose; a fixed port allows "the CA restarted".
    pub listen: SocketAddr,
    /// Where every http-01 fetch goes, whatever the name: this CA asks no DNS.
    pub http01_target: SocketAddr,
    /// Life of a certificate when the order names no profile. Down to one second.
    pub lifetime: Duration,
    /// Profiles of the directory, each with the life of its certificates.
    pub profiles: Vec<(String, Duration)>,
    /// How long an order may be worked on. Certificates and authorizations do not shorten it.
    pub order_lifetime: Duration,
    /// Whether the account object names an `orders` list (RFC 8555 §7.1.2.1). Boulder has none.
    pub list_orders: bool,
    /// Whether that list begins with the newest order: RFC 8555 §7.1.2.1 does not say which end is which.
    pub newest_first: bool,
    /// Whether newOrder hands back an unfinished order of the same names, as Boulder does.
    pub reuse_pending_orders: bool,
    /// Whether a valid authorization of the account serves its next order too.
    pub reuse_authorizations: bool,
    /// How long an order stays `processing` after finalize. Zero: the answer to finalize itself
    /// still says `processing`, the first look says `valid` (as Pebble).
    pub processing: Duration,
    /// Sent with pending authorizations and processing orders. With it, an earlier look is a
    /// violation; without it the client chooses its own pace.
    pub retry_after: Option<Duration>,
    /// Share of correct nonces refused all the same, 0 to 100 percent.
    pub nonce_reject_percent: u8,
    /// Terms of service in the directory. `None`: none to agree to.
    pub terms_url: Option<String>,
    /// Whether the directory offers renewal information (RFC 9773).
    pub ari: bool,
    /// `Retry-After` of renewal information.
    pub ari_retry_after: Duration,
    /// Suggested renewal window as percent of the life of the certificate: from, to.
    pub renewal_window_percent: (u32, u32),
    /// The CA's clock beside the system's.
    pub clock: ClockSkew,
    /// How an account agrees to terms that changed.
    pub agreement: Agreement,
}

/// How an account that exists agrees to new terms. RFC 8555 §7.3.3 leaves it to a web page; CAs differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Agreement {
    /// `termsOfServiceAgreed` in newAccount or in an update of the account, as the client likes.
    #[default]
    Either,
    /// Only in newAccount.
    NewAccount,
    /// Only in an update of the account.
    Update,
    /// Only by a person at the `instance` URL: [`TestCa::agree_by_hand`](crate::TestCa::agree_by_hand).
    ByHand,
}

impl Agreement {
    /// Whether the field counts in newAccount of a known key.
    pub(crate) fn by_new_account(self) -> bool {
        match self {
            Self::Either | Self::NewAccount => true,
            Self::Update | Self::ByHand => false,
        }
    }

    /// Whether the field counts in an update.
    pub(crate) fn by_update(self) -> bool {
        match self {
            Self::Either | Self::Update => true,
            Self::NewAccount | Self::ByHand => false,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http01_target: SocketAddr::from((Ipv4Addr::LOCALHOST, 5002)), // Pebble's port
            lifetime: DAY * 90,
            profiles: vec![("default".to_owned(), DAY * 90), ("shortlived".to_owned(), DAY * 6)],
            order_lifetime: DAY,
            list_orders: true,
            newest_first: false,
            reuse_pending_orders: false,
            reuse_authorizations: false,
            processing: Duration::ZERO,
            retry_after: None,
            nonce_reject_percent: 0,
            terms_url: Some("https://testca.invalid/terms/1".to_owned()),
            ari: true,
            ari_retry_after: Duration::from_secs(21_600), // Pebble and Let's Encrypt: 6 h
            renewal_window_percent: (66, 72),
            clock: ClockSkew::None,
            agreement: Agreement::Either,
        }
    }
}
