//! The format of a vault record: `RNWV`, u16 version (little endian), nonce of 24 bytes, then
//! XChaCha20-Poly1305 ciphertext with its tag. Version, kind and name are authenticated with it, so
//! one record cannot stand in for another.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::error::VaultError;
use super::kek::Kek;

const MAGIC: &[u8; 4] = b"RNWV";
/// The only version so far.
const VERSION: [u8; 2] = 1_u16.to_le_bytes();
const NONCE_OCTETS: usize = 24;
/// Larger than any record: a P-256 key in PKCS#8 has 138 octets.
pub(super) const RECORD_OCTETS_MAX: u64 = 16 * 1024;

/// Which sort of record. The words are part of file names and of what is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tells a wrong key from damage.
    Check,
    /// An ACME account's key.
    Account,
    /// A certificate's key.
    Certificate,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Account => "account",
            Self::Certificate => "certificate",
        }
    }
}

/// The key, ready for use. It shows nothing of itself.
pub(super) struct Seal(Box<XChaCha20Poly1305>);

impl Seal {
    pub(super) fn new(kek: &Kek) -> Self {
        Self(Box::new(XChaCha20Poly1305::new(chacha20poly1305::Key::from_slice(kek.as_slice()))))
    }

    /// The bytes of a record. A random nonce of 24 bytes does not repeat in practice.
    pub(super) fn close(
        &self,
        kind: Kind,
        name: &str,
        secret: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0_u8; NONCE_OCTETS];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| VaultError::Crypto("the system gives no random numbers".to_owned()))?;
        let aad = authenticated(kind, name);
        let payload = Payload { msg: secret, aad: &aad };
        let ciphertext = self
            .0
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| VaultError::Crypto("the record cannot be sealed".to_owned()))?;
        Ok([MAGIC.as_slice(), &VERSION, &nonce, &ciphertext].concat())
    }

    /// What is in a record, or why it cannot be told.
    pub(super) fn open(
        &self,
        kind: Kind,
        name: &str,
        record: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let rest = record.strip_prefix(MAGIC).ok_or("it does not begin with RNWV")?;
        let (version, rest) = rest.split_at_checked(2).ok_or("it is too short")?;
        if version != VERSION {
            return Err("its version is not known to this release");
        }
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_OCTETS).ok_or("it is too short")?;
        let aad = authenticated(kind, name);
        let payload = Payload { msg: ciphertext, aad: &aad };
        self.0
            .decrypt(XNonce::from_slice(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| "its authentication tag does not fit its contents, kind and name")
    }
}

fn authenticated(kind: Kind, name: &str) -> Vec<u8> {
    [&VERSION, kind.word().as_bytes(), b"\0", name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_only_as_what_it_is() {
        let seal = Seal::new(&Zeroizing::new([1; 32]));
        let record = seal.close(Kind::Account, "a", b"secret").unwrap();
        assert_eq!(seal.open(Kind::Account, "a", &record).unwrap().as_slice(), b"secret");
        assert!(seal.open(Kind::Account, "b", &record).is_err());
        assert!(seal.open(Kind::Certificate, "a", &record).is_err());
        assert!(Seal::new(&Zeroizing::new([2; 32])).open(Kind::Account, "a", &record).is_err());
        for at in 0..record.len() {
            let mut bad = record.clone();
            bad[at] ^= 1;
            assert!(seal.open(Kind::Account, "a", &bad).is_err(), "octet {at}");
            assert!(seal.open(Kind::Account, "a", &record[..at]).is_err());
        }
    }
}
