//! Not part of the tests' program: a library that is loaded before libc and stands for a disk with a cache.
//! What the process asks to be made durable is copied aside, and nothing else; so when the process is killed,
//! the copy holds what a power cut would have left. `POWER_CUT_ROOT` says which files, `POWER_CUT_IMAGE` where
//! the copy goes, `POWER_CUT_DEAF` which syncs do nothing (a part of the path; with `$`, its end).

use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::Path;

#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: i32) -> i32 {
    kept(fd)
}

#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: i32) -> i32 {
    kept(fd)
}

/// As the system calls: -1 when it failed, which the caller tells.
fn kept(fd: i32) -> i32 {
    if keep(fd).is_some() { 0 } else { -1 }
}

fn keep(fd: i32) -> Option<()> {
    let open = format!("/proc/self/fd/{fd}");
    let path = fs::read_link(&open).ok()?;
    let root = std::env::var("POWER_CUT_ROOT").ok()?;
    if !path.starts_with(root) || deaf(path.to_str()?) {
        return Some(());
    }
    let image = std::env::var("POWER_CUT_IMAGE").ok()?;
    let file = fs::metadata(&open).ok()?;
    let bytes = if file.is_dir() { names(&path)? } else { fs::read(&open).ok()? };
    // At once or not at all: the process may be killed here too.
    let (new, kept) = (format!("{image}/new-{}", file.ino()), format!("{image}/{}", file.ino()));
    fs::write(&new, bytes).ok()?;
    fs::rename(new, kept).ok()
}

fn deaf(path: &str) -> bool {
    let Ok(deaf) = std::env::var("POWER_CUT_DEAF") else { return false };
    match deaf.strip_suffix('$') {
        Some(end) => path.ends_with(end),
        None => path.contains(&deaf),
    }
}

/// A line for each: kind, number, name.
fn names(directory: &Path) -> Option<Vec<u8>> {
    let mut lines = String::new();
    for entry in fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        let kind = if entry.file_type().ok()?.is_dir() { "directory" } else { "file" };
        lines.push_str(&format!("{kind} {} {}\n", entry.ino(), entry.file_name().to_str()?));
    }
    Some(lines.into_bytes())
}
