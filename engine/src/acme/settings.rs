//! What the ACME client is given: accounts, keys, a place for chains, and its bounds.

use std::path::PathBuf;
use std::time::Duration;

use renewd_events::id::{AccountId, Hash, KeyRef};
use renewd_events::problem::Problem;
use zeroize::Zeroizing;

/// One account of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// The CA's directory: https (RFC 8555 §7.1.1).
    pub directory_url: String,
    /// Contact URLs as the CA gets them, e.g. `mailto:ops@example.com` (RFC 8555 §7.3).
    pub contacts: Vec<String>,
    /// Whom to trust when talking to the CA.
    pub roots: Roots,
}

/// The roots for the CA's own TLS certificate. There is no way to skip verification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Roots {
    /// Those of the operating system.
    Native,
    /// Only those of this PEM file (`ca_root_file`), read when the client is made.
    File(PathBuf),
}

/// Gives account keys to the one place that signs with them.
pub trait AccountKeys: Send + Sync {
    /// The P-256 key as PKCS#8 DER; wiped when dropped.
    ///
    /// # Errors
    /// When the vault does not have it or cannot read it.
    fn pkcs8(&self, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem>;
}

/// Where downloaded chains go. Called on a thread that may block.
pub trait ChainSink: Send + Sync {
    /// Stores the PEM chain, durable when this returns, under its SHA-256. Repeatable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&self, pem: &str) -> Result<Hash, Problem>;
}

/// What the log knows about a registered account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAccount {
    /// Its URL, the `kid` of every request.
    pub url: String,
    /// Its key in the vault.
    pub key: KeyRef,
}

/// Asks the log's facts; absent until the account is registered.
pub type AccountFacts = dyn Fn(AccountId) -> Option<KnownAccount> + Send + Sync;

/// How long and how much. [`Bounds::default`] is for the product, smaller ones for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// One TCP connect.
    pub connect: Duration,
    /// One request, from connect to the last octet of the answer.
    pub request: Duration,
    /// One port call: all its requests and repetitions.
    pub call: Duration,
    /// The body of one answer, in octets.
    pub body: usize,
}

/// A CA that does not take a connection in this time is down or filtered.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// A public CA under load answers newOrder in a few seconds; half a minute of silence is an outage.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The port's promise: every call ends within a minute.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(60);
/// The largest honest answer is an order of 100 names (20 KiB) or a chain (16 KiB).
pub const BODY_OCTETS_MAX: usize = 256 * 1024;

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIME_MAX,
            request: REQUEST_TIME_MAX,
            call: CALL_TIME_MAX,
            body: BODY_OCTETS_MAX,
        }
    }
}
