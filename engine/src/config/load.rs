//! Finding the file, reading it within bounds, and putting the sections together.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::bind::Places;
use super::error::{ConfigError, ConfigErrors, shown};
use super::fault::Fault;
use super::mask::masked;
use super::model::Config;
use super::raw::Section;
use super::sink::Sink;
use super::{account, certificate, sections, values};

/// A configuration of 10,000 certificates has about 1 MB; more is another file.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;
/// The format that this version reads.
const VERSION: u32 = 1;
/// Where the engine keeps its state unless the file says otherwise.
const STATE_DIR: &str = "/var/lib/renewd";
/// Name of the file in the working directory and below the configuration folders.
const FILE_NAME: &str = "renewd.toml";
/// The system's file, also the answer when none exists.
const SYSTEM_FILE: &str = "/etc/renewd/renewd.toml";

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most 16 at once.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::check(path).map(|(config, _)| config)
    }

    /// The same, with what is allowed and seldom meant to stay.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most 16 at once.
    pub fn check(path: &Path) -> Result<(Self, Vec<ConfigError>), ConfigErrors> {
        let bytes =
            read(path).map_err(|fault| ConfigErrors::one(ConfigError::of_file(fault, path)))?;
        checked(path, &bytes)
    }

    /// Checks the content of a file; `path` is used for messages, and relative paths start at its
    /// folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most 16 at once.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ConfigErrors> {
        checked(path, bytes).map(|(config, _)| config)
    }

    /// The file to use: the one named, else the first that exists of `./renewd.toml`,
    /// `$XDG_CONFIG_HOME/renewd/renewd.toml` (or below `~/.config`) and `/etc/renewd/renewd.toml`.
    pub fn locate(explicit: Option<&Path>) -> PathBuf {
        if let Some(path) = explicit {
            return path.to_path_buf();
        }
        let xdg = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty());
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
        let folder = xdg.map(PathBuf::from).or_else(home);
        first_existing(folder.as_deref(), Path::exists)
    }
}

fn checked(path: &Path, bytes: &[u8]) -> Result<(Config, Vec<ConfigError>), ConfigErrors> {
    let octets = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if octets > FILE_OCTETS_MAX {
        let fault = Fault::TooLarge { octets, max: FILE_OCTETS_MAX };
        return Err(ConfigErrors::one(ConfigError::of_file(fault, path)));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => from_text(path, text),
        Err(cause) => Err(not_utf8(path, bytes, cause.valid_up_to())),
    }
}

fn first_existing(folder: Option<&Path>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let personal = folder.map(|folder| folder.join("renewd").join(FILE_NAME));
    let candidates = [Some(PathBuf::from(FILE_NAME)), personal];
    let found = candidates.into_iter().flatten().find(|path| exists(path));
    found.unwrap_or_else(|| PathBuf::from(SYSTEM_FILE))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |cause: std::io::Error| {
        let file = shown(&path.display().to_string());
        if cause.kind() == ErrorKind::NotFound {
            return Fault::FileMissing { file };
        }
        Fault::FileUnreadable { file, reason: cause.to_string() }
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        let file = shown(&path.display().to_string());
        return Err(Fault::FileUnreadable { file, reason: "it is a directory".to_owned() });
    }
    check_owner(path, &metadata)?;
    if metadata.len() > FILE_OCTETS_MAX {
        return Err(Fault::TooLarge { octets: metadata.len(), max: FILE_OCTETS_MAX });
    }
    let mut bytes = Vec::new();
    // One byte more than allowed shows that a growing file or a pipe has too much.
    file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The file names commands that renewd runs, so the rule is that of sshd's StrictModes: it belongs
/// to root or to us, and nobody else may write it.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Fault> {
    use std::os::unix::fs::MetadataExt;
    /// Write permission of group and others.
    const OTHERS_WRITE: u32 = 0o022;
    let file = || shown(&path.display().to_string());
    if metadata.is_file() && metadata.mode() & OTHERS_WRITE != 0 {
        return Err(Fault::WritableByOthers { file: file(), mode: metadata.mode() & 0o7777 });
    }
    let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if metadata.is_file() && owner != 0 && owner != us {
        return Err(Fault::ForeignOwner { file: file(), owner, us });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), Fault> {
    Ok(())
}

fn not_utf8(path: &Path, bytes: &[u8], offset: usize) -> ConfigErrors {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (root, _) = DeTable::parse_recoverable(&text);
    let mut sink = Sink::new(path, masked(&text, root.get_ref()));
    // The first broken byte became U+FFFD, three bytes long.
    sink.push("", offset..offset + 3, Fault::NotUtf8 { offset });
    match sink.finish() {
        Err(errors) => errors,
        Ok(_) => ConfigErrors::one(ConfigError::of_file(Fault::NotUtf8 { offset }, path)),
    }
}

fn from_text(path: &Path, text: &str) -> Result<(Config, Vec<ConfigError>), ConfigErrors> {
    let (root, syntax) = DeTable::parse_recoverable(text);
    let mut sink = Sink::new(path, masked(text, root.get_ref()));
    if !syntax.is_empty() {
        // What follows a broken line cannot be trusted: repair the syntax first.
        for cause in &syntax {
            let reason = shown(cause.message().trim_end_matches('\n'));
            let end = text.len()..text.len();
            sink.push("", cause.span().unwrap_or(end), Fault::Syntax { reason });
        }
    }
    sink.finish()?;
    let mut sink = Sink::new(path, masked(text, root.get_ref()));
    let config = assemble(&Section::root(&root, &mut sink), &mut sink);
    let warnings = sink.finish()?;
    Ok((config, warnings))
}

fn assemble(root: &Section<'_, '_>, sink: &mut Sink) -> Config {
    check_version(root, sink);
    let state_dir = values::path(root, "state_dir", sink)
        .map_or_else(|| PathBuf::from(STATE_DIR), |found| found.value);
    let account = account::parse(&root.section("account", "account", sink), sink);
    let renew = sections::renew(&root.section("renew", "renew", sink), sink);
    let mut places = Places::default();
    let certificates = certificate::parse_all(root, &account.ca, renew.policy, &mut places, sink);
    let listeners = &mut places.listeners;
    let http = sections::http(&root.section("http", "http", sink), listeners, sink);
    let admin = sections::admin(&root.section("admin", "admin", sink), listeners, sink);
    places.listeners.check(sink);
    Config {
        certificates,
        renew,
        http,
        restart: sections::restart(&root.section("restart", "restart", sink), sink),
        admin,
        vault: sections::vault(&root.section("vault", "vault", sink), &state_dir, sink),
        telemetry: sections::telemetry(&root.section("telemetry", "telemetry", sink), sink),
        state_dir,
        account,
    }
}

fn check_version(root: &Section<'_, '_>, sink: &mut Sink) {
    if !root.has("version") {
        let fault = Fault::MissingKey { key: "version", example: "version = 1" };
        sink.push("", root.span.clone(), fault);
    }
    let Some(found) = root.integer("version", VERSION.into(), sink) else {
        return;
    };
    if found.value != i64::from(VERSION) {
        let fault = Fault::Version { found: found.value.to_string(), known: VERSION };
        sink.push(&found.field, found.span, fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_is_used_and_the_system_s_when_there_is_none() {
        let home = Path::new("/somebody/.config");
        let personal = home.join("renewd/renewd.toml");
        let table = [
            ("here", vec![PathBuf::from(FILE_NAME), personal.clone()], PathBuf::from(FILE_NAME)),
            ("personal", vec![personal.clone()], personal.clone()),
            ("none", vec![], PathBuf::from(SYSTEM_FILE)),
        ];
        for (case, existing, expected) in table {
            let found = first_existing(Some(home), |path| existing.iter().any(|p| p == path));
            assert_eq!(found, expected, "{case}");
        }
        assert_eq!(Config::locate(Some(Path::new("x.toml"))), PathBuf::from("x.toml"));
    }
}
