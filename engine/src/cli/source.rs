//! Where a reading command finds the log: the running engine's mirror, a stopped one's, or an export.
//! Reading never disturbs the engine and never needs it.

use std::path::{Path, PathBuf};

use renewd_events::id::Seq;
use renewd_events::log::{self, MirrorReader};
use renewd_events::store::{READ_ONLY, StoreError};
use renewd_events::{Envelope, Facts, WallMs};
use renewd_replay::fold::Projection;
use renewd_replay::why::Witnesses;

use super::at::At;
use super::exit::{Exit, Reply};
use super::form::now;
use crate::config::{Config, Style};
use crate::start::{LOG, VAULT, has_records};

/// A newer version wrote it.
const NEWER: &str = "R0607";

/// A log to read.
#[derive(Debug)]
pub(super) struct Source {
    /// What it is read from, for the first line.
    pub(super) place: PathBuf,
    /// Its events.
    pub(super) envelopes: Vec<Envelope>,
    /// Their fold.
    pub(super) facts: Facts,
    /// What the last renewals left as evidence.
    pub(super) witnesses: Witnesses,
    /// The present: when the command was given, or the moment of `--at`.
    pub(super) now: WallMs,
}

/// The log of `--log`, or of the configuration.
pub(super) fn locate(
    log: Option<&Path>,
    config: Option<&Path>,
    style: Style,
) -> Result<PathBuf, Reply> {
    if let Some(log) = log {
        let inside = log.join(LOG);
        return Ok(if inside.is_dir() { inside } else { log.to_owned() });
    }
    match Config::load(&Config::locate(config)) {
        Ok(config) => Ok(config.state_dir.join(LOG)),
        Err(errors) => {
            Err(Reply { out: String::new(), err: errors.render(style), exit: Exit::Config })
        }
    }
}

/// Reads and folds a whole log, or what it was at an earlier moment.
pub(super) fn read(place: PathBuf, at: Option<At>) -> Result<Source, Reply> {
    let mut facts = Facts::default();
    let mut witnesses = Witnesses::default();
    let asked = now();
    let mut more = false;
    let envelopes = MirrorReader::open(&place)
        .and_then(|reader| reader.envelopes(Seq(1)))
        .and_then(|envelopes| {
            let mut held = Vec::new();
            for envelope in envelopes {
                let envelope = envelope?;
                if at.is_some_and(|at| !at.holds(&envelope, asked)) {
                    more = true;
                    break;
                }
                facts.apply(&envelope);
                witnesses.apply(&envelope);
                held.push(envelope);
            }
            Ok::<_, StoreError>(held)
        })
        .map_err(|error| refused(&error))?;
    let now = match at {
        Some(at) => at.present(envelopes.last(), more, asked)?,
        None => asked,
    };
    Ok(Source { place, envelopes, facts, witnesses, now })
}

/// What to say when a log cannot be read.
pub(super) fn refused(error: &StoreError) -> Reply {
    let (exit, cure) = match error {
        StoreError::Absent { path } if has_records(&path.with_file_name(VAULT)) => (
            Exit::NotFound,
            "the vault beside it holds keys, so there was a log: `renewd explain R0605` says what to do; \
             or name another log or an export with --log PATH",
        ),
        StoreError::Absent { .. } => (
            Exit::NotFound,
            "start the engine once (`renewd run`), or name a log or an export with --log PATH",
        ),
        StoreError::Damaged { code: NEWER, .. } => (
            Exit::Damaged,
            "nothing was changed; run the version that wrote it, or a newer one (`renewd --version` \
             prints this one's); `renewd explain R0607` says more",
        ),
        StoreError::Damaged { .. } | StoreError::Frame { .. } => (
            Exit::Damaged,
            "nothing was changed; `renewd log verify` shows where and names the cure, `renewd \
             explain` with the code says what to do",
        ),
        StoreError::Locked { .. } => (Exit::Locked, "stop the other process first"),
        StoreError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::PermissionDenied => {
            (Exit::Permission, "run as the user that runs the engine")
        }
        StoreError::NoRoom { code, .. } if *code == READ_ONLY => {
            (Exit::Failed, "mount the file system read-write, then start renewd again")
        }
        StoreError::NoRoom { .. } => (
            Exit::Failed,
            "make room (`renewd explain R0620`), then start renewd again; nothing is lost",
        ),
        StoreError::Unsynced { .. } | StoreError::Index { .. } => (Exit::Failed, error.cure()),
        StoreError::Io { .. } | StoreError::Poisoned(_) | _ => {
            (Exit::Failed, "see the cause above")
        }
    };
    let mut err = format!("error: {error}\n  help: {cure}\n");
    if let StoreError::Absent { path } = error {
        err.push_str(&beside(path));
    }
    Reply { out: String::new(), err, exit }
}

/// What repairs and restores that were cut short left beside a log: a line each.
pub(super) fn beside(log: &Path) -> String {
    log::leftovers(log).iter().map(|left| format!("beside it: {left}\n")).collect()
}
