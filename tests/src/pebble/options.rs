//! What a test can choose about Pebble, and how Pebble is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// The profile for ordinary tests: 90 days, like the public CAs.
pub const PROFILE_DEFAULT: &str = "default";
/// Six days, as the public CAs' short-lived profile.
pub const PROFILE_SHORTLIVED: &str = "shortlived";
/// Ten minutes: due after five, so a renewal can be seen by a test that moves no clock.
pub const PROFILE_TEN_MINUTES: &str = "tenminutes";

/// How long Pebble's validator waits before it fetches a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// At once (`PEBBLE_VA_NOSLEEP=1`).
    AtOnce,
    /// A random time up to so many seconds, at least 1 (`PEBBLE_VA_SLEEPTIME`): leaves room for a
    /// kill between the readiness POST and the validation.
    WithinSeconds(u8),
}

/// An account binding that Pebble then demands from every new account (RFC 8555 §7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBinding {
    /// The key's name.
    pub kid: String,
    /// The HMAC key, base64url without padding. A test value, no secret.
    pub hmac_base64url: String,
}

/// All that can be chosen. [`PebbleOptions::for_responder`] is where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PebbleOptions {
    /// Where the validator fetches http-01 tokens: `renewd`'s responder, on 127.0.0.1.
    pub http_port: u16,
    /// Where the validator shakes hands for tls-alpn-01.
    pub tls_port: u16,
    /// Profile name and validity. Name the profile in an order, else Pebble picks one at random.
    pub profiles: BTreeMap<String, Duration>,
    /// Retry-After of a pending authorization, in seconds; 0 sends no header.
    pub retry_after_authz_s: u32,
    /// Retry-After of a pending or processing order, in seconds; 0 sends no header.
    pub retry_after_order_s: u32,
    /// When the validator comes.
    pub validation: Validation,
    /// Percent of good nonces refused; `None` is Pebble's default, 5.
    pub nonce_reject_percent: Option<u8>,
    /// Percent of names whose valid authorization is reused; `None` is Pebble's default, 50.
    pub authz_reuse_percent: Option<u8>,
    /// Orders per page of the orders list; `None` is Pebble's default, 3.
    pub orders_per_page: Option<u32>,
    /// Alternate chains offered by Link headers.
    pub alternate_roots: u8,
    /// `Some` makes Pebble demand this binding.
    pub account_binding: Option<AccountBinding>,
    /// Names that Pebble refuses with rejectedIdentifier.
    pub blocked_names: Vec<String>,
}

impl PebbleOptions {
    /// Pebble as it comes (5 % bad nonces, half of the authorizations reused, random order of
    /// authorizations), but validating at once and with Retry-After 1; three profiles.
    pub fn for_responder(http_port: u16) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        let profiles = [
            (PROFILE_DEFAULT, day * 90),
            (PROFILE_SHORTLIVED, day * 6),
            (PROFILE_TEN_MINUTES, Duration::from_secs(600)),
        ];
        Self {
            http_port,
            tls_port: 5001,
            profiles: profiles.map(|(name, validity)| (name.to_owned(), validity)).into(),
            retry_after_authz_s: 1,
            retry_after_order_s: 1,
            validation: Validation::AtOnce,
            nonce_reject_percent: None,
            authz_reuse_percent: None,
            orders_per_page: None,
            alternate_roots: 0,
            account_binding: None,
            blocked_names: Vec::new(),
        }
    }

    /// The same every time and as quick as it goes: no bad nonces, no reuse, no Retry-After.
    pub fn repeatable(http_port: u16) -> Self {
        Self {
            retry_after_authz_s: 0,
            retry_after_order_s: 0,
            nonce_reject_percent: Some(0),
            authz_reuse_percent: Some(0),
            ..Self::for_responder(http_port)
        }
    }

    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![match self.validation {
            Validation::AtOnce => ("PEBBLE_VA_NOSLEEP", "1".to_owned()),
            Validation::WithinSeconds(s) => ("PEBBLE_VA_SLEEPTIME", s.max(1).to_string()),
        }];
        let percent = |value: Option<u8>| value.map(|value| value.to_string());
        all.extend(percent(self.nonce_reject_percent).map(|v| ("PEBBLE_WFE_NONCEREJECT", v)));
        all.extend(percent(self.authz_reuse_percent).map(|v| ("PEBBLE_AUTHZREUSE", v)));
        all.extend(self.orders_per_page.map(|v| ("PEBBLE_WFE_ORDERS_PER_PAGE", v.to_string())));
        all.push(("PEBBLE_ALTERNATE_ROOTS", self.alternate_roots.to_string()));
        all
    }

    /// Pebble's configuration file.
    pub(super) fn config(&self, acme_port: u16, management_port: u16) -> Value {
        let profiles: serde_json::Map<String, Value> = self
            .profiles
            .iter()
            .map(|(name, validity)| {
                let about = format!("{} s", validity.as_secs());
                (name.clone(), json!({"description": about, "validityPeriod": validity.as_secs()}))
            })
            .collect();
        let keys: serde_json::Map<String, Value> = self
            .account_binding
            .iter()
            .map(|binding| (binding.kid.clone(), json!(binding.hmac_base64url)))
            .collect();
        json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{acme_port}"),
            "managementListenAddress": format!("127.0.0.1:{management_port}"),
            "certificate": "listener.pem",
            "privateKey": "listener.key",
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "externalAccountBindingRequired": self.account_binding.is_some(),
            "externalAccountMACKeys": keys,
            "domainBlocklist": self.blocked_names,
            "retryAfter": {"authz": self.retry_after_authz_s, "order": self.retry_after_order_s},
            "keyAlgorithm": "ecdsa",
            "profiles": profiles,
        }})
    }
}
