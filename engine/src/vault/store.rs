//! The vault: finding, making and reading its records.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use renewd_actors::ports::{Act, KeyFacts, Vault};
use renewd_events::Facts;
use renewd_events::certificate::KeyRequest;
use renewd_events::id::{KeyRef, sha256_plain};
use renewd_events::problem::{Problem, ProblemClass};
use zeroize::Zeroizing;

use super::durable;
use super::error::VaultError;
use super::kek::KeySource;
use super::keys;
use super::old_keys;
use super::seal::{Kind, RECORD_OCTETS_MAX, Seal};

/// The file that tells a wrong key from damage.
const CHECK: &str = "key-check";
/// What it says inside.
const CHECK_TEXT: &[u8] = b"this vault opens with this key";
/// A key reference becomes a file name; file systems take 255 octets.
const KEY_REF_OCTETS_MAX: usize = 128;

/// A vault of sealed files (0600 in a directory of 0700). One process uses it at a time: the state
/// directory is locked by whoever opens it.
#[derive(Clone)]
pub struct FileVault(Arc<Records>);

struct Records {
    directory: PathBuf,
    seal: Seal,
    /// Held from the look for a key to its making, so that two askers get one key.
    making: Mutex<()>,
}

impl fmt::Debug for FileVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileVault").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}

impl FileVault {
    /// Opens the vault in `directory`, or makes a new one there, and proves that the key is its key.
    /// Blocks for a few milliseconds.
    ///
    /// # Errors
    /// The key is unreadable, open to others or wrong; the check record is damaged; the disk refuses.
    pub fn open(directory: &Path, source: &KeySource) -> Result<Self, VaultError> {
        let kek = source.read()?;
        durable::private_directory(directory)?;
        durable::sweep(directory);
        let records = Records {
            directory: directory.to_owned(),
            seal: Seal::new(&kek),
            making: Mutex::new(()),
        };
        records.check_key(&source.place())?;
        Ok(Self(Arc::new(records)))
    }

    /// The account key, PKCS#8 DER, for the adapter that signs with it.
    ///
    /// # Errors
    /// There is none, or its record is damaged.
    pub fn account_key_pkcs8(&self, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem> {
        Ok(self.0.require(Kind::Account, key)?)
    }

    /// A certificate's key, PKCS#8 DER, for the adapters that serve with it.
    ///
    /// # Errors
    /// There is none, or its record is damaged.
    pub fn certificate_key_pkcs8(&self, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem> {
        Ok(self.0.require(Kind::Certificate, key)?)
    }

    /// Removes the certificate keys that the log says nobody needs any more, durable when this returns;
    /// gives how many. Before the actors start. Safe to be cut off anywhere, and to be repeated.
    ///
    /// # Errors
    /// The directory cannot be read or written; the keys then stay for the next start.
    pub fn remove_needless(&self, facts: &Facts) -> Result<usize, VaultError> {
        let records = &self.0;
        let listed = records.list()?.into_iter();
        let keys: Vec<KeyRef> = listed
            .filter_map(|(kind, key)| matches!(kind, Kind::Certificate).then_some(key))
            .collect();
        let needless = old_keys::needless(facts, &keys);
        for key in &needless {
            let path = records.path(Kind::Certificate, key)?;
            fs::remove_file(&path).map_err(|cause| VaultError::Read { path, cause })?;
        }
        if !needless.is_empty() {
            durable::sync_directory(&records.directory)?;
        }
        Ok(needless.len())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Problem> {
        let records = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&records)).await {
            Ok(result) => Ok(result?),
            Err(cause) => Err(Problem::new(
                ProblemClass::Local,
                "vault",
                &format!("the vault's work was cut off: {cause}"),
            )),
        }
    }
}

impl Vault for FileVault {
    fn ensure_account_key<'a>(&'a self, key: &'a KeyRef) -> Act<'a, Result<String, Problem>> {
        let key = key.clone();
        Box::pin(self.blocking(move |records| {
            let pkcs8 = records.ensure(Kind::Account, &key)?;
            keys::thumbprint(&pkcs8)
        }))
    }

    fn ensure_certificate_key<'a>(
        &'a self,
        request: &'a KeyRequest,
    ) -> Act<'a, Result<KeyFacts, Problem>> {
        let request = request.clone();
        Box::pin(self.blocking(move |records| {
            let pkcs8 = records.ensure(Kind::Certificate, &request.key_ref)?;
            keys::facts(&pkcs8, &request)
        }))
    }
}

impl Records {
    fn ensure(&self, kind: Kind, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.read(kind, key)? {
            // A life that was killed between the rename and the sync of the directory left a name that
            // a power cut would take away.
            if let Some(parent) = self.path(kind, key)?.parent() {
                durable::sync_directory(parent)?;
            }
            return Ok(found);
        }
        let pkcs8 = keys::generate()?;
        let record = self.seal.close(kind, &key.0, &pkcs8)?;
        durable::replace(&self.path(kind, key)?, &record, durable::SECRET_MODE)?;
        Ok(pkcs8)
    }

    fn require(&self, kind: Kind, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let path = self.path(kind, key)?.display().to_string();
        self.read(kind, key)?.ok_or_else(|| VaultError::Absent { name: key.0.clone(), path })
    }

    fn read(&self, kind: Kind, key: &KeyRef) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let path = self.path(kind, key)?;
        let Some(record) = contents(&path)? else {
            return Ok(None);
        };
        match self.seal.open(kind, &key.0, &record) {
            Ok(secret) => Ok(Some(secret)),
            Err(what) => Err(VaultError::Damaged { path: path.display().to_string(), what }),
        }
    }

    /// `KIND.REFERENCE`: the kind in front keeps a reference from being `..` or a hidden file.
    fn path(&self, kind: Kind, key: &KeyRef) -> Result<PathBuf, VaultError> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        let name = key.0.as_str();
        let good = (1..=KEY_REF_OCTETS_MAX).contains(&name.len())
            && name.chars().all(allowed)
            && !name.starts_with(['.', '-'])
            && !name.ends_with(['.', '-']);
        if good {
            Ok(self.directory.join(format!("{}.{name}", kind.word())))
        } else {
            Err(VaultError::BadName(name.to_owned()))
        }
    }

    /// The check record is a sealed text and the SHA-256 of the sealed bytes: when the hash fits and
    /// the seal does not open, the key is another one; when the hash does not fit, the file is damaged.
    fn check_key(&self, place: &str) -> Result<(), VaultError> {
        let path = self.directory.join(CHECK);
        let Some(bytes) = contents(&path)? else {
            return self.make_check(&path, place);
        };
        let damaged = |what| VaultError::CheckDamaged { path: path.display().to_string(), what };
        let (record, hash) = bytes
            .len()
            .checked_sub(32)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or_else(|| damaged("it is too short"))?;
        if sha256_plain(record) != hash {
            return Err(damaged("its checksum does not fit"));
        }
        match self.seal.open(Kind::Check, CHECK, record) {
            Ok(_) => Ok(()),
            Err(_) => Err(VaultError::WrongKey {
                place: place.to_owned(),
                dir: self.directory.display().to_string(),
            }),
        }
    }

    /// For a new vault, or one whose check record is gone: then the key must open some record first.
    fn make_check(&self, path: &Path, place: &str) -> Result<(), VaultError> {
        let records = self.list()?;
        let opens = |(kind, key): &(Kind, KeyRef)| matches!(self.read(*kind, key), Ok(Some(_)));
        if !records.is_empty() && !records.iter().any(opens) {
            return Err(VaultError::NothingOpens {
                place: place.to_owned(),
                dir: self.directory.display().to_string(),
            });
        }
        let record = self.seal.close(Kind::Check, CHECK, CHECK_TEXT)?;
        let hash = sha256_plain(&record);
        durable::replace(path, &[record.as_slice(), &hash].concat(), durable::SECRET_MODE)?;
        Ok(())
    }

    fn list(&self) -> Result<Vec<(Kind, KeyRef)>, VaultError> {
        let entries = fs::read_dir(&self.directory)
            .map_err(|cause| VaultError::Read { path: self.directory.clone(), cause })?;
        let parse = |name: String| {
            [Kind::Account, Kind::Certificate].into_iter().find_map(|kind| {
                let key = name.strip_prefix(kind.word())?.strip_prefix('.')?;
                Some((kind, KeyRef(key.to_owned())))
            })
        };
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok().and_then(parse))
            .collect())
    }
}

/// The bytes of a file, at most [`RECORD_OCTETS_MAX`]; absent when there is none.
fn contents(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    let failed = |cause| VaultError::Read { path: path.to_owned(), cause };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let mut bytes = Vec::new();
    file.take(RECORD_OCTETS_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}
