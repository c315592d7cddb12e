//! Where inputs are: `corpus/TARGET` (what mutations begin with), `regressions/TARGET` (what failed
//! once, for ever run first).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use renewd_events::id::Hash;

use crate::targets::Target;

/// A seed: every mutation copies it.
const SEED_OCTETS_MAX: usize = 64 * 1024;

/// The folder of this package.
pub fn own() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All seeds of a target, in the order of their names.
///
/// # Errors
/// When a folder cannot be read, or there is no seed at all.
pub fn corpus(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let root = own().join("../..");
    let mut all = folder(&own().join("corpus").join(target.name))?;
    for seeds in target.seeds {
        all.extend(folder(&root.join(seeds))?);
    }
    all.retain(|input| input.len() <= SEED_OCTETS_MAX);
    match all.is_empty() {
        true => Err(io::Error::other(format!("{} has no corpus", target.name))),
        false => Ok(all),
    }
}

/// What failed once.
///
/// # Errors
/// When the folder cannot be read.
pub fn regressions(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    folder(&own().join("regressions").join(target.name))
}

/// Writes a failing input; gives its path from the root of the repository.
///
/// # Errors
/// When it cannot be written.
pub fn keep(target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    let folder = own().join("regressions").join(target.name);
    fs::create_dir_all(&folder)?;
    let name: String = Hash::of(input).to_string().chars().take(16).collect();
    fs::write(folder.join(&name), input)?;
    Ok(Path::new("tests/fuzz/regressions").join(target.name).join(name))
}

fn folder(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(cause),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // The words that a golden configuration gives stand beside it.
        if path.is_file() && path.extension().is_none_or(|end| end != "stderr") {
            files.push(path);
        }
    }
    files.sort();
    files.into_iter().map(fs::read).collect()
}
