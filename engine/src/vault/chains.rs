//! Certificate chains by their hash: public, immutable, durable once put.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use renewd_events::id::Hash;
use renewd_events::problem::{Problem, ProblemClass};

use super::durable;

/// What a CA may send as a chain; the CA client refuses more (256 KiB).
const CHAIN_OCTETS_MAX: usize = 256 * 1024;

/// PEM chains in `DIRECTORY/HASH.pem`, named by their SHA-256.
#[derive(Clone, Debug)]
pub struct ChainStore {
    directory: PathBuf,
}

impl ChainStore {
    /// Opens or makes the directory.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn open(directory: &Path) -> Result<Self, Problem> {
        let failed =
            |cause: durable::WriteError| problem("diskWrite", &cause.to_string(), directory);
        durable::private_directory(directory).map_err(failed)?;
        durable::sweep(directory);
        Ok(Self { directory: directory.to_owned() })
    }

    /// Keeps a chain, durable when this returns. Repeatable: the same bytes give the same hash and
    /// are written once. Blocks for about a millisecond.
    ///
    /// # Errors
    /// It is larger than 256 KiB, or the disk refuses.
    pub fn put(&self, pem: &[u8]) -> Result<Hash, Problem> {
        let hash = Hash::of(pem);
        let path = self.path(hash);
        if pem.len() > CHAIN_OCTETS_MAX {
            let text = format!("the chain has {} octets; 256 KiB are allowed", pem.len());
            return Err(problem("chainTooLarge", &text, &path));
        }
        if fs::read(&path).is_ok_and(|there| there == pem) {
            // Its name may not be durable yet: a life that was killed before that left it.
            if let Some(parent) = path.parent() {
                durable::sync_directory(parent)
                    .map_err(|cause| problem("diskWrite", &cause.to_string(), &path))?;
            }
            return Ok(hash);
        }
        durable::replace(&path, pem, durable::SECRET_MODE)
            .map_err(|cause| problem("diskWrite", &cause.to_string(), &path))?;
        Ok(hash)
    }

    /// The chain of this hash, checked against it; absent when there is none.
    ///
    /// # Errors
    /// It is not readable, or not what was put.
    pub fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, Problem> {
        let path = self.path(hash);
        let failed = |cause: &io::Error| problem("diskRead", &cause.to_string(), &path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failed(&cause)),
        };
        let limit = u64::try_from(CHAIN_OCTETS_MAX).unwrap_or(u64::MAX);
        let mut pem = Vec::new();
        file.take(limit).read_to_end(&mut pem).map_err(|cause| failed(&cause))?;
        if Hash::of(&pem) == hash {
            Ok(Some(pem))
        } else {
            let text = "the stored chain is damaged: its bytes do not have the hash in its name. \
                        Another certificate is ordered by itself";
            Err(problem("chainDamaged", text, &path))
        }
    }

    fn path(&self, hash: Hash) -> PathBuf {
        self.directory.join(format!("{hash}.pem"))
    }
}

fn problem(kind: &str, text: &str, path: &Path) -> Problem {
    Problem::new(ProblemClass::Local, kind, text).about(&path.display().to_string())
}
