//! The directory (RFC 8555 §7.1.1): `instant-acme` reads its URLs, we read the rest of it too.

use std::collections::BTreeMap;

use renewd_events::account::Directory;
use renewd_events::problem::cut;
use serde::Deserialize;
use serde_json::Value;

use super::limits::{URL_OCTETS_MAX, is_url};

/// Profiles that are kept; public CAs offer three to five.
const PROFILES_MAX: usize = 64;
/// A profile's name; public ones are one word.
const PROFILE_OCTETS_MAX: usize = 64;

/// The directory as the CA sends it. Unknown fields are ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    /// Where a nonce comes from.
    pub(super) new_nonce: String,
    /// Where an account is made.
    pub(super) new_account: String,
    /// Where renewal information is (RFC 9773 §4.1).
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Value>,
    #[serde(default)]
    external_account_required: bool,
}

impl Document {
    /// The first URL that no request can go to. `instant-acme` panics over such a `newNonce`.
    pub(super) fn bad_url(&self) -> Option<&str> {
        let all = [Some(&self.new_nonce), Some(&self.new_account), self.renewal_info.as_ref()];
        all.into_iter().flatten().map(String::as_str).find(|url| !is_url(url))
    }

    /// What the log keeps of it.
    pub(super) fn facts(&self) -> Directory {
        let names = self.meta.profiles.keys().filter(|name| name.len() <= PROFILE_OCTETS_MAX);
        Directory {
            terms_url: self.meta.terms_of_service.as_ref().map(|url| cut(url, URL_OCTETS_MAX)),
            profiles: names.take(PROFILES_MAX).cloned().collect(),
            renewal_info: self.renewal_info.is_some(),
            external_account_required: self.meta.external_account_required,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_directory_and_a_full_one_are_read() {
        let bare =
            r#"{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o"}"#;
        let bare: Document = serde_json::from_str(bare).unwrap();
        assert_eq!(bare.facts(), Directory::default());
        let full = r#"{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o",
            "renewalInfo":"https://ca/r","x":{"why":1},"meta":{"termsOfService":"https://ca/t",
            "profiles":{"b":"","a":""},"externalAccountRequired":true,"website":"https://ca"}}"#;
        let full: Document = serde_json::from_str(full).unwrap();
        assert_eq!(
            full.facts(),
            Directory {
                terms_url: Some("https://ca/t".to_owned()),
                profiles: vec!["a".to_owned(), "b".to_owned()],
                renewal_info: true,
                external_account_required: true,
            }
        );
    }
}
