//! Where the key-encryption key comes from. It is read once, at start.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::durable;
use super::error::VaultError;

/// Octets of the key (XChaCha20-Poly1305).
pub(super) const KEY_OCTETS: usize = 32;
/// A file with more octets holds something else; base64 of the key has 44 and a line end.
const SOURCE_OCTETS_MAX: u64 = 256;

/// The key that seals the vault.
pub(super) type Kek = Zeroizing<[u8; KEY_OCTETS]>;

/// Where the vault's key is. The key is 32 bytes, raw or in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file of mode 0600 or 0400.
    File(PathBuf),
    /// A credential of this name that systemd hands over (`$CREDENTIALS_DIRECTORY/NAME`). systemd
    /// guards it with an ACL, so its mode says nothing and is not looked at.
    Credential(String),
    /// An environment variable of this name. It can be read in `/proc` by the same user, and child
    /// processes are started without it.
    Environment(String),
}

impl KeySource {
    /// Its name for people.
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Credential(name) => format!("the systemd credential `{name}`"),
            Self::Environment(name) => format!("the environment variable {name}"),
        }
    }

    pub(super) fn read(&self) -> Result<Kek, VaultError> {
        let unreadable = |cause| VaultError::KeyUnreadable { place: self.place(), cause };
        let bytes = match self {
            Self::File(path) => {
                let file = File::open(path).map_err(unreadable)?;
                check_mode(path, &file)?;
                contents(file).map_err(unreadable)?
            }
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    unreadable(io::Error::other(
                        "CREDENTIALS_DIRECTORY is not set: systemd gave no credentials",
                    ))
                })?;
                let file = File::open(Path::new(&directory).join(name)).map_err(unreadable)?;
                contents(file).map_err(unreadable)?
            }
            Self::Environment(name) => std::env::var(name)
                .map(|text| Zeroizing::new(text.into_bytes()))
                .map_err(|cause| unreadable(io::Error::other(cause)))?,
        };
        parse(&bytes).ok_or_else(|| VaultError::KeyLength { place: self.place() })
    }
}

fn check_mode(path: &Path, file: &File) -> Result<(), VaultError> {
    let metadata = file
        .metadata()
        .map_err(|cause| VaultError::KeyUnreadable { place: path.display().to_string(), cause })?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o177 == 0 {
        Ok(())
    } else {
        Err(VaultError::KeyMode { path: path.display().to_string(), mode })
    }
}

fn contents(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: a growing vector leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    file.take(SOURCE_OCTETS_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Exactly 32 bytes are the key; anything else is read as base64.
fn parse(bytes: &[u8]) -> Option<Kek> {
    if let Ok(raw) = <[u8; KEY_OCTETS]>::try_from(bytes) {
        return Some(Zeroizing::new(raw));
    }
    let decoded = Zeroizing::new(STANDARD.decode(bytes.trim_ascii()).ok()?);
    <[u8; KEY_OCTETS]>::try_from(decoded.as_slice()).ok().map(Zeroizing::new)
}

/// Makes a new key file with mode 0600, durable when this returns. For a first start: an existing
/// file is never touched.
///
/// # Errors
/// When the file exists, or the disk refuses.
pub fn make_key_file(path: &Path) -> Result<(), VaultError> {
    let mut key: Kek = Zeroizing::new([0; KEY_OCTETS]);
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .map_err(|_| VaultError::Crypto("the system gives no random numbers".to_owned()))?;
    let text = Zeroizing::new(STANDARD.encode(key.as_slice()) + "\n");
    durable::create(path, text.as_bytes(), durable::SECRET_MODE)?;
    path.parent().map_or(Ok(()), durable::sync_directory)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_raw_and_in_base64() {
        let raw = [7_u8; 32];
        assert_eq!(parse(&raw).unwrap().as_slice(), &raw);
        let text = STANDARD.encode(raw) + "\n";
        assert_eq!(parse(text.as_bytes()).unwrap().as_slice(), &raw);
        assert!(parse(b"too short").is_none());
        assert!(parse(&[0; 33]).is_none());
    }
}
