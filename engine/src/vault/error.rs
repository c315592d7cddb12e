//! What can go wrong with the vault, told to the person who can mend it. No text holds key bytes.

use std::io;
use std::path::PathBuf;

use renewd_events::problem::{Problem, ProblemClass};

/// Why the vault cannot be opened, or a record not be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key-encryption key is not there or not readable.
    #[error(
        "cannot read the vault's key from {place}: {cause}. Put 32 bytes (raw or base64) there, or \
         name another source in the configuration"
    )]
    KeyUnreadable {
        /// Where it was looked for.
        place: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Others may read the key file.
    #[error(
        "the vault's key file {path} has mode {mode:04o}; others can read it. \
         Run: chmod 0600 {path}"
    )]
    KeyMode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The key has another length.
    #[error(
        "the vault's key from {place} is not 32 bytes, raw or base64. A new one for a new vault: \
         head -c 32 /dev/urandom | base64"
    )]
    KeyLength {
        /// Where it came from.
        place: String,
    },
    /// The key opens nothing here, and the check record is whole: it is another key.
    #[error(
        "the key from {place} is not the key of the vault in {dir}: its key-check record is whole \
         and does not open. Give the key this vault was made with. If that key is lost, so are the \
         private keys: move {dir} away, and every certificate is issued again with new keys"
    )]
    WrongKey {
        /// Where the key came from.
        place: String,
        /// The vault.
        dir: String,
    },
    /// A record is not what was written.
    #[error(
        "the vault record {path} is damaged: {what}. The vault's key is right. Restore the file \
         from a backup; without one, a certificate key is replaced by the next renewal, and a lost \
         account key needs a new account (`renewd explain R0503`)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The check record is damaged, so the key cannot be judged.
    #[error(
        "the key-check record {path} is damaged: {what}. Whether the key is right cannot be told \
         from it. Move it away: it is made anew once the key opens another record"
    )]
    CheckDamaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There are records but no check record, and the key does not open them.
    #[error(
        "the vault in {dir} has records, none of them opens with the key from {place}, and its \
         key-check record is missing: the key is wrong or the directory is damaged"
    )]
    NothingOpens {
        /// Where the key came from.
        place: String,
        /// The vault.
        dir: String,
    },
    /// A key reference that must not become a file name.
    #[error("`{0}` cannot name a key: 1 to 128 of a-z, 0-9, inner hyphens and dots are allowed")]
    BadName(String),
    /// There is no key of that name.
    #[error("the vault has no key `{name}` ({path} does not exist)")]
    Absent {
        /// The name.
        name: String,
        /// Where it would be.
        path: String,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] super::durable::WriteError),
    /// A file or directory could not be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The cryptographic library refused.
    #[error("{0}")]
    Crypto(String),
}

impl VaultError {
    /// A word for the kind of error, for facts and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KeyUnreadable { .. } => "vaultKeyUnreadable",
            Self::KeyMode { .. } => "vaultKeyMode",
            Self::KeyLength { .. } => "vaultKeyLength",
            Self::WrongKey { .. } | Self::NothingOpens { .. } => "vaultWrongKey",
            Self::Damaged { .. } | Self::CheckDamaged { .. } => "vaultDamaged",
            Self::BadName(_) => "vaultBadName",
            Self::Absent { .. } => "vaultKeyAbsent",
            Self::Disk(_) => "diskWrite",
            Self::Read { .. } => "diskRead",
            Self::Crypto(_) => "crypto",
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let subject = match &error {
            VaultError::Damaged { path, .. }
            | VaultError::CheckDamaged { path, .. }
            | VaultError::KeyMode { path, .. }
            | VaultError::Absent { path, .. } => path.clone(),
            VaultError::KeyUnreadable { place, .. } | VaultError::KeyLength { place } => {
                place.clone()
            }
            VaultError::WrongKey { dir, .. } | VaultError::NothingOpens { dir, .. } => dir.clone(),
            VaultError::BadName(name) => name.clone(),
            VaultError::Disk(cause) => cause.path.display().to_string(),
            VaultError::Read { path, .. } => path.display().to_string(),
            VaultError::Crypto(_) => String::new(),
        };
        Self::new(ProblemClass::Local, error.kind(), &error.to_string()).about(&subject)
    }
}
