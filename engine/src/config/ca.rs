//! The CAs that have a short name. Data only; any other is named by the URL of its directory.

/// When the directory URLs were last compared with public documentation (the pages of Let's Encrypt
/// and acme.sh's list of servers); no CA was asked. Terms, profiles and the rest are read from the
/// directory at run time; `terms` is only what `init` shows before that.
pub const CHECKED: &str = "2026-11-24";

/// A CA with a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownCa {
    /// What is written in the file.
    pub short: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// Its ACME directory (RFC 8555 §7.1.1).
    pub directory: &'static str,
    /// Where a person reads its terms before the directory has been asked.
    pub terms: &'static str,
    /// Whether an account needs an external key (RFC 8555 §7.3.4).
    pub needs_eab: bool,
    /// Whether its certificates are for trying only: browsers refuse them.
    pub staging: bool,
}

/// All of them.
pub const KNOWN: &[KnownCa] = &[
    KnownCa {
        short: "letsencrypt",
        title: "Let's Encrypt",
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        terms: "https://letsencrypt.org/repository/",
        needs_eab: false,
        staging: false,
    },
    KnownCa {
        short: "letsencrypt-staging",
        title: "Let's Encrypt (staging)",
        directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
        terms: "https://letsencrypt.org/repository/",
        needs_eab: false,
        staging: true,
    },
    KnownCa {
        short: "google",
        title: "Google Trust Services",
        directory: "https://dv.acme-v02.api.pki.goog/directory",
        terms: "https://pki.goog/GTS-SA.pdf",
        needs_eab: true,
        staging: false,
    },
    KnownCa {
        short: "google-staging",
        title: "Google Trust Services (staging)",
        directory: "https://dv.acme-v02.test-api.pki.goog/directory",
        terms: "https://pki.goog/GTS-SA.pdf",
        needs_eab: true,
        staging: true,
    },
    KnownCa {
        short: "zerossl",
        title: "ZeroSSL",
        directory: "https://acme.zerossl.com/v2/DV90",
        terms: "https://zerossl.com/terms/",
        needs_eab: true,
        staging: false,
    },
];

/// The CA with this short name.
pub(super) fn by_short(short: &str) -> Option<&'static KnownCa> {
    KNOWN.iter().find(|ca| ca.short == short)
}

/// The CA with this directory.
pub(super) fn by_directory(url: &str) -> Option<&'static KnownCa> {
    KNOWN.iter().find(|ca| ca.directory == url)
}
