//! Certificates as files for another program:
//!
//! ```text
//! DIRECTORY/current -> generations/7
//! DIRECTORY/generations/7/{privkey.pem, fullchain.pem, cert.pem, chain.pem}
//! ```
//!
//! A generation is complete and on disk before `current` points to it, and never changes after. Who
//! resolves `current` once and reads there never sees a key and a chain of two generations.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use renewd_events::id::Generation;
use renewd_events::problem::{Problem, ProblemClass};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::vault::durable::{self, PUBLIC_MODE, SECRET_MODE, WriteError, at, random_name};

/// Kept beside each other: the one in use, and two to go back to by hand.
const GENERATIONS_KEPT: usize = 3;
/// The link that other programs are pointed to.
const CURRENT: &str = "current";
/// Of folders that we make: other programs, of other users, look into them. The keys have a mode of
/// their own.
const DIRECTORY_MODE: u32 = 0o755;
/// The folder of generations.
const GENERATIONS: &str = "generations";
/// Ends a PEM certificate (RFC 7468 §5.1).
const CERTIFICATE_END: &str = "-----END CERTIFICATE-----\n";
/// Octets per PEM line before encoding: 64 characters (RFC 7468 §2).
const PEM_LINE_OCTETS: usize = 48;

/// Puts an issue in place. Repeatable: the same issue again changes nothing. Blocks for some ten
/// milliseconds: six fsyncs.
///
/// # Errors
/// A later generation is in place, or the disk refuses; what was in place stays.
pub fn deploy(
    directory: &Path,
    generation: Generation,
    chain_pem: &[u8],
    pkcs8: &[u8],
) -> Result<(), Problem> {
    let contents =
        Contents::new(chain_pem, pkcs8).map_err(|text| problem("badChain", text, directory))?;
    if let Some(there) = current(directory)
        && there > generation
    {
        let text = format!(
            "generation {there} is in place; generation {generation} is older and is not put in \
             its place"
        );
        return Err(problem("olderGeneration", &text, directory));
    }
    put(directory, generation, &contents)
        .map_err(|cause| problem("diskWrite", &cause.to_string(), directory))
}

/// The generation that is in place. Absent when there is none, or `current` is not our link.
pub fn current(directory: &Path) -> Option<Generation> {
    let link = fs::read_link(directory.join(CURRENT)).ok()?;
    let number = link.strip_prefix(GENERATIONS).ok()?.to_str()?.parse().ok()?;
    Some(Generation(number))
}

/// The chain and the key (PKCS#8 DER) that are in place, as another program reads them.
///
/// # Errors
/// They are not there, or not PEM.
pub fn read(directory: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Problem> {
    let place = directory.join(CURRENT);
    let failed = |cause: &dyn std::fmt::Display| problem("diskRead", &cause.to_string(), directory);
    let chain = fs::read(place.join("fullchain.pem")).map_err(|cause| failed(&cause))?;
    let pem = fs::read(place.join("privkey.pem")).map_err(|cause| failed(&cause))?;
    let pem = Zeroizing::new(pem);
    let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|cause| failed(&cause))?;
    Ok((chain, Zeroizing::new(key.secret_pkcs8_der().to_vec())))
}

/// The files of a generation.
struct Contents {
    key: Zeroizing<String>,
    full: Vec<u8>,
    leaf: Vec<u8>,
    rest: Vec<u8>,
}

impl Contents {
    fn new(chain_pem: &[u8], pkcs8: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(chain_pem).map_err(|_| "the chain is not text")?;
        let mut text = text.replace("\r\n", "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let (leaf, rest) =
            text.split_once(CERTIFICATE_END).ok_or("the chain has no PEM certificate")?;
        Ok(Self {
            key: key_pem(pkcs8),
            leaf: format!("{leaf}{CERTIFICATE_END}").into_bytes(),
            rest: rest.trim_start().as_bytes().to_vec(),
            full: text.into_bytes(),
        })
    }

    fn files(&self) -> [(&'static str, &[u8], u32); 4] {
        [
            ("privkey.pem", self.key.as_bytes(), SECRET_MODE),
            ("fullchain.pem", &self.full, PUBLIC_MODE),
            ("cert.pem", &self.leaf, PUBLIC_MODE),
            ("chain.pem", &self.rest, PUBLIC_MODE),
        ]
    }

    /// Whether a generation on disk is this one.
    fn is_in(&self, folder: &Path) -> bool {
        let same = |(name, bytes, _): (&str, &[u8], u32)| {
            let there = fs::read(folder.join(name)).map(Zeroizing::new);
            there.is_ok_and(|there| there.as_slice() == bytes)
        };
        self.files().into_iter().all(same)
    }
}

/// PKCS#8 in PEM (RFC 7468 §10).
fn key_pem(pkcs8: &[u8]) -> Zeroizing<String> {
    // Room for all of it at once: a growing string leaves copies behind.
    let mut pem = Zeroizing::new(String::with_capacity(pkcs8.len() * 2 + 128));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in pkcs8.chunks(PEM_LINE_OCTETS) {
        STANDARD.encode_string(line, &mut pem);
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

fn put(directory: &Path, generation: Generation, contents: &Contents) -> Result<(), WriteError> {
    let generations = directory.join(GENERATIONS);
    durable::directory(&generations, DIRECTORY_MODE)?;
    sweep(&generations);
    durable::sweep(directory);
    let folder = generations.join(generation.to_string());
    // What is there already may be the work of a life that was killed between a rename and the sync
    // after it; a power cut would take that name away. So each step ends with its sync in any case.
    if !contents.is_in(&folder) {
        write_generation(&generations, &folder, contents)?;
    }
    durable::sync_directory(&generations)?;
    if current(directory) != Some(generation) {
        point(directory, generation)?;
    }
    durable::sync_directory(directory)?;
    prune(&generations, generation);
    Ok(())
}

fn temporary(parent: &Path) -> Result<PathBuf, WriteError> {
    let random = random_name().map_err(at("name a new file in", parent))?;
    Ok(parent.join(format!(".{random}.tmp")))
}

/// Writes all files into a folder of another name, then gives it its name in one step. The caller syncs
/// that name.
fn write_generation(
    generations: &Path,
    folder: &Path,
    contents: &Contents,
) -> Result<(), WriteError> {
    let new = temporary(generations)?;
    durable::bare_directory(&new, DIRECTORY_MODE).map_err(at("create", &new))?;
    for (name, bytes, mode) in contents.files() {
        durable::create(&new.join(name), bytes, mode)?;
    }
    durable::sync_directory(&new)?;
    // A folder of that name with other files was changed by somebody: exchange, so that `current`
    // points to one or the other at every instant. `sweep` takes the old one.
    let flags = if folder.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, &new, CWD, folder, flags)
        .map_err(io::Error::from)
        .map_err(at("rename a new folder to", folder))
}

/// Lets the link point to a generation, in one step. The caller syncs that.
fn point(directory: &Path, generation: Generation) -> Result<(), WriteError> {
    let link = directory.join(CURRENT);
    let new = temporary(directory)?;
    let target = format!("{GENERATIONS}/{generation}");
    symlink(&target, &new).map_err(at("create", &new))?;
    fs::rename(&new, &link).map_err(at("rename a new link to", &link))
}

/// Removes the older ones. What cannot be removed stays: it does no harm, and the next one tries.
fn prune(generations: &Path, in_place: Generation) {
    let mut older: Vec<u32> = entries(generations)
        .filter_map(|name| name.parse().ok())
        .filter(|number| *number <= in_place.0)
        .collect();
    older.sort_unstable_by(|a, b| b.cmp(a));
    for number in older.into_iter().skip(GENERATIONS_KEPT) {
        drop(fs::remove_dir_all(generations.join(number.to_string())));
    }
}

/// Removes folders that a crash left half written.
fn sweep(generations: &Path) {
    for name in entries(generations).filter(|name| name.starts_with('.') && name.ends_with(".tmp"))
    {
        drop(fs::remove_dir_all(generations.join(name)));
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
}

fn problem(kind: &str, text: &str, directory: &Path) -> Problem {
    Problem::new(ProblemClass::Local, kind, text).about(&directory.display().to_string())
}

#[cfg(test)]
mod tests;
