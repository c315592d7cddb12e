//! One issued certificate: where it came from, and what its chain says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, Generation, Hash, KeyRef, OrderId};
use crate::time::WallMs;

/// One issued certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Which issue of the lineage.
    pub generation: Generation,
    /// The order it came from.
    pub order: OrderId,
    /// The vault's name of its key.
    pub key_ref: KeyRef,
    /// SHA-256 of its public key.
    pub spki: Fingerprint,
    /// What the chain says.
    pub leaf: Leaf,
}

/// What a downloaded chain says about its first certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// SHA-256 of the PEM chain; also its name in the store.
    pub chain: Hash,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// SHA-256 of its public key.
    pub spki: Fingerprint,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Its name for renewal information (RFC 9773 §4.1); absent without an AKI.
    pub ari_id: Option<String>,
    /// Valid from.
    pub not_before: WallMs,
    /// Valid to.
    pub not_after: WallMs,
    /// The issuer's name.
    pub issuer: String,
    /// The DNS names in it, sorted.
    pub names: Vec<String>,
    /// Certificates in the chain.
    pub certificates: u8,
}

impl Leaf {
    /// How long it lives.
    pub fn life(&self) -> Duration {
        self.not_after.since(self.not_before)
    }
}
