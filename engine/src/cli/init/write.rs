//! The files that `init` writes: the configuration (0644) and the vault's key (0600).

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::{Flags, InitError};

/// XChaCha20-Poly1305 takes 256 bits.
const VAULT_KEY_OCTETS: usize = 32;
/// Name of the key beside the state; the default of `[vault] key_file`.
const VAULT_KEY_FILE: &str = "vault.key";
/// Readable for all: there is no secret in it, and others must not write it.
const CONFIG_MODE: u32 = 0o644;
/// Readable for renewd alone.
const KEY_MODE: u32 = 0o600;
/// The folder of log and keys.
const STATE_DIR_MODE: u32 = 0o700;

/// Asked before the first question: nobody answers seven questions for nothing.
pub(super) fn refuse_existing(flags: &Flags) -> Result<(), InitError> {
    if flags.output.exists() && !flags.force {
        return Err(InitError::Exists { file: flags.output.display().to_string() });
    }
    Ok(())
}

/// Writes key and configuration; says in lines what was done.
pub(super) fn write(flags: &Flags, text: &str) -> Result<String, InitError> {
    let failed = |path: &Path| {
        let file = path.display().to_string();
        move |cause: io::Error| {
            if cause.kind() == ErrorKind::AlreadyExists {
                return InitError::Exists { file };
            }
            InitError::Write { file, cause: cause.to_string() }
        }
    };
    make_dir(&flags.state_dir, Some(STATE_DIR_MODE)).map_err(failed(&flags.state_dir))?;
    let key = flags.state_dir.join(VAULT_KEY_FILE);
    let made = make_key(&key).map_err(failed(&key))?;
    if let Some(folder) = flags.output.parent() {
        make_dir(folder, None).map_err(failed(folder))?;
    }
    if flags.force {
        replace(&flags.output, text).map_err(failed(&flags.output))?;
    } else {
        create(&flags.output, CONFIG_MODE, text.as_bytes()).map_err(failed(&flags.output))?;
    }
    let word = if made { "new, mode 0600: keep a copy in a safe place" } else { "exists, kept" };
    Ok(format!("wrote {}\nvault key {} ({word})\n", flags.output.display(), key.display()))
}

/// A key that exists is kept whatever was asked: another one would make the vault unreadable.
pub(crate) fn make_key(path: &Path) -> io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let mut key = Zeroizing::new([0; VAULT_KEY_OCTETS]);
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let text = Zeroizing::new(STANDARD.encode(key.as_slice()) + "\n");
    create(path, KEY_MODE, text.as_bytes()).map(|()| true)
}

fn create(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whole or not at all: beside it first, then renamed over it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("toml.new");
    match fs::remove_file(&beside) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    create(&beside, CONFIG_MODE, text.as_bytes())?;
    fs::rename(&beside, path)
}

fn make_dir(path: &Path, mode: Option<u32>) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if let Some(mode) = mode {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    }
    builder.create(path)
}
