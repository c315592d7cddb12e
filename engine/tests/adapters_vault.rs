//! The vault and the chain store on a real file system: what is on disk, who may read it, and what is
//! said when it is not what it should be.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use renewd::vault::{ChainStore, FileVault, KeySource, VaultError, make_key_file};
use renewd_actors::ports::Vault;
use renewd_events::certificate::KeyRequest;
use renewd_events::id::{DnsName, Fingerprint, Hash, KeyRef};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, ParsedExtension, X509CertificationRequest};

struct Place {
    root: TempDir,
    source: KeySource,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let key = root.path().join("vault.key");
        make_key_file(&key).unwrap();
        Self { root, source: KeySource::File(key) }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("state/vault")
    }

    fn open(&self) -> Result<FileVault, VaultError> {
        FileVault::open(&self.dir(), &self.source)
    }

    fn another_key(&self) -> KeySource {
        let other = self.root.path().join("other.key");
        make_key_file(&other).unwrap();
        KeySource::File(other)
    }
}

fn key(name: &str) -> KeyRef {
    KeyRef(name.to_owned())
}

fn request(name: &str) -> KeyRequest {
    KeyRequest {
        key_ref: key(name),
        identifiers: ["example.com", "*.example.com"]
            .iter()
            .map(|name| DnsName::parse(name).unwrap())
            .collect(),
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.get_mut(at).unwrap() ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_key_is_made_once_and_found_again() {
    let place = Place::new();
    let vault = place.open().unwrap();
    let thumbprint = vault.ensure_account_key(&key("account-1")).await.unwrap();
    let facts = vault.ensure_certificate_key(&request("c.1")).await.unwrap();
    drop(vault);
    let vault = place.open().unwrap();
    assert_eq!(vault.ensure_account_key(&key("account-1")).await.unwrap(), thumbprint);
    let again = vault.ensure_certificate_key(&request("c.1")).await.unwrap();
    assert_eq!(again.spki, facts.spki);
    let other = vault.ensure_certificate_key(&request("c.2")).await.unwrap();
    assert_ne!(other.spki, facts.spki);
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum")]
fn names_of(extension: &ParsedExtension<'_>) -> Vec<String> {
    match extension {
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().map(ToString::to_string).collect()
        }
        _ => vec![],
    }
}

#[tokio::test]
async fn the_csr_has_the_names_the_key_and_no_subject() {
    let place = Place::new();
    let vault = place.open().unwrap();
    let facts = vault.ensure_certificate_key(&request("c.1")).await.unwrap();
    let (_, csr) = X509CertificationRequest::from_der(&facts.csr).unwrap();
    let info = &csr.certification_request_info;
    assert_eq!(info.subject.iter().count(), 0);
    assert_eq!(Fingerprint::of(info.subject_pki.raw), facts.spki);
    let names: Vec<String> = csr.requested_extensions().unwrap().flat_map(names_of).collect();
    assert_eq!(names, ["DNSName(example.com)", "DNSName(*.example.com)"]);
}

#[tokio::test]
async fn askers_at_the_same_time_get_one_key() {
    let place = Place::new();
    let vault = place.open().unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let vault = vault.clone();
            tokio::spawn(async move { vault.ensure_account_key(&key("a")).await.unwrap() })
        })
        .collect();
    let mut thumbprints = Vec::new();
    for task in tasks {
        thumbprints.push(task.await.unwrap());
    }
    thumbprints.dedup();
    assert_eq!(thumbprints.len(), 1);
}

/// Whether the entry was there to be looked at; a file may be renamed between the two calls.
fn private(entry: std::io::Result<fs::DirEntry>) -> Option<()> {
    let entry = entry.unwrap();
    let mode = entry.metadata().ok()?.mode() & 0o7777;
    assert_eq!(mode, 0o600, "{:?} has {mode:o}", entry.file_name());
    Some(())
}

/// Looks without pause at every file while keys are made, with a umask that forbids nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_file_mode_is_0600_at_every_instant() {
    rustix::process::umask(rustix::fs::Mode::empty());
    let place = Place::new();
    let vault = place.open().unwrap();
    let (dir, stop) = (place.dir(), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let watcher = std::thread::spawn(move || {
        let mut looks = 0;
        while !stopped.load(Ordering::Relaxed) {
            looks += fs::read_dir(&dir).unwrap().filter_map(private).count();
        }
        looks
    });
    for number in 0..40 {
        let name = format!("c.{number}");
        vault.ensure_certificate_key(&request(&name)).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(watcher.join().unwrap() > 40);
    let mode = fs::metadata(place.dir()).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o700);
}

#[tokio::test]
async fn a_wrong_key_is_not_taken_for_damage() {
    let place = Place::new();
    let vault = place.open().unwrap();
    vault.ensure_account_key(&key("a")).await.unwrap();
    let error = FileVault::open(&place.dir(), &place.another_key()).unwrap_err();
    assert_eq!(error.kind(), "vaultWrongKey");
    assert!(error.to_string().contains("other.key"), "{error}");
    // Also when the check record is gone.
    fs::remove_file(place.dir().join("key-check")).unwrap();
    fs::remove_file(place.root.path().join("other.key")).unwrap();
    let error = FileVault::open(&place.dir(), &place.another_key()).unwrap_err();
    assert!(matches!(error, VaultError::NothingOpens { .. }), "{error}");
    // With the right key it is made anew.
    place.open().unwrap();
    assert!(place.dir().join("key-check").exists());
}

#[tokio::test]
async fn damage_is_not_taken_for_a_wrong_key() {
    let place = Place::new();
    let vault = place.open().unwrap();
    vault.ensure_account_key(&key("a")).await.unwrap();
    let record = place.dir().join("account.a");
    let whole = fs::read(&record).unwrap();
    for at in [0, 4, 10, 40, whole.len() - 1] {
        fs::write(&record, &whole).unwrap();
        flip(&record, at);
        let problem = vault.ensure_account_key(&key("a")).await.unwrap_err();
        assert_eq!(problem.kind, "vaultDamaged", "octet {at}");
        assert!(problem.subject.ends_with("account.a"));
        assert!(place.open().is_ok(), "the vault itself opens");
    }
    // One record in the place of another.
    fs::write(place.dir().join("account.b"), &whole).unwrap();
    let problem = vault.account_key_pkcs8(&key("b")).unwrap_err();
    assert_eq!(problem.kind, "vaultDamaged");
    // The check record itself.
    flip(&place.dir().join("key-check"), 40);
    let error = place.open().unwrap_err();
    assert!(matches!(error, VaultError::CheckDamaged { .. }), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    let KeySource::File(path) = &place.source else {
        unreachable!("a file");
    };
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let error = place.open().unwrap_err().to_string();
        assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
    place.open().unwrap();
    fs::remove_file(path).unwrap();
    fs::write(path, "short").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.open().unwrap_err().kind(), "vaultKeyLength");
    fs::remove_file(path).unwrap();
    assert_eq!(place.open().unwrap_err().kind(), "vaultKeyUnreadable");
    let absent = KeySource::Environment("RENEWD_TEST_NO_SUCH_KEY".to_owned());
    let error = FileVault::open(&place.dir(), &absent).unwrap_err();
    assert!(error.to_string().contains("RENEWD_TEST_NO_SUCH_KEY"));
}

#[tokio::test]
async fn no_key_is_shown_or_stored_in_clear() {
    let place = Place::new();
    let vault = place.open().unwrap();
    vault.ensure_account_key(&key("a")).await.unwrap();
    let pkcs8 = vault.account_key_pkcs8(&key("a")).unwrap();
    assert_eq!(format!("{vault:?}"), format!("FileVault {{ directory: {:?}, .. }}", place.dir()));
    // The secret scalar of a P-256 PKCS#8 document is at octets 36 to 68.
    let scalar = pkcs8.get(36..68).unwrap();
    for entry in fs::read_dir(place.dir()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == scalar));
    }
}

#[tokio::test]
async fn a_reference_is_a_plain_file_name() {
    let place = Place::new();
    let vault = place.open().unwrap();
    let long = "a".repeat(129);
    for bad in ["", "../a", "a/b", "A", "a_b", ".a", "a.", "-a", "a\0", &long] {
        let problem = vault.ensure_account_key(&key(bad)).await.unwrap_err();
        assert_eq!(problem.kind, "vaultBadName", "{bad:?}");
    }
    let problem = vault.account_key_pkcs8(&key("never-made")).unwrap_err();
    assert_eq!(problem.kind, "vaultKeyAbsent");
}

#[test]
fn half_written_files_are_swept() {
    let place = Place::new();
    place.open().unwrap();
    let half = place.dir().join(".account.a.0123456789abcdef.tmp");
    fs::write(&half, "half").unwrap();
    place.open().unwrap();
    assert!(!half.exists());
}

#[test]
fn a_chain_comes_back_as_it_was_put_or_not_at_all() {
    let root = TempDir::new().unwrap();
    let store = ChainStore::open(&root.path().join("chains")).unwrap();
    let hash = store.put(b"a chain").unwrap();
    assert_eq!(hash, Hash::of(b"a chain"));
    assert_eq!(store.put(b"a chain").unwrap(), hash);
    assert_eq!(store.get(hash).unwrap().unwrap(), b"a chain");
    assert_eq!(store.get(Hash::of(b"other")).unwrap(), None);
    let file = root.path().join(format!("chains/{hash}.pem"));
    flip(&file, 0);
    assert_eq!(store.get(hash).unwrap_err().kind, "chainDamaged");
    // Putting it again mends it.
    store.put(b"a chain").unwrap();
    assert!(store.get(hash).unwrap().is_some());
    let large = vec![b'a'; 256 * 1024 + 1];
    assert_eq!(store.put(&large).unwrap_err().kind, "chainTooLarge");
}
