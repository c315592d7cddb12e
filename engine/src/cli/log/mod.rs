//! `renewd log`: check, export and print the event log, beside a running engine too; and, while it is
//! stopped, repair or restore it.

mod mend;
mod verify;

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use renewd_events::Envelope;
use renewd_events::log::{self, MirrorReader};
use renewd_events::store::StoreError;
use serde::Serialize;

use super::exit::{self, Exit, Reply};
use super::source;
use crate::config::Style;
use crate::telemetry;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Check every event and every part: order, hash chain, HEAD, CLEAN, index; and name the cure
    #[command(after_help = verify::EXIT_CODES)]
    Verify(Where),
    /// Make a damaged log run again, and say what is lost. Shows only, unless told --yes
    #[command(after_help = mend::REPAIR_EXIT_CODES)]
    Repair(mend::RepairFlags),
    /// Make a log out of an export or a copy of one, for an engine that lost its own
    #[command(after_help = mend::RESTORE_EXIT_CODES)]
    Restore(mend::RestoreFlags),
    /// Write the whole log into one file that a stranger may read: it holds no secret
    Export {
        /// The file to write
        file: PathBuf,
        /// What to write: the events, or the traces of all renewals
        #[arg(long, value_enum, default_value_t = Format::Events)]
        format: Format,
        #[command(flatten)]
        place: Where,
    },
    /// Print the events
    Cat(Where),
}

/// What an export is made of.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// The events, for `--log FILE` anywhere
    Events,
    /// OpenTelemetry traces, one OTLP request in JSON per line, for a collector's otlpjsonfile receiver
    OtlpJson,
}

/// Which log.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// A state directory, a log directory, or an exported file, instead of the configured one
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Carries the command out.
pub(super) fn run(command: &LogCommand, config: Option<&Path>, style: Style) -> Reply {
    let place = match command {
        LogCommand::Verify(place) | LogCommand::Export { place, .. } | LogCommand::Cat(place) => {
            place
        }
        LogCommand::Repair(flags) => &flags.place,
        LogCommand::Restore(flags) => return mend::restore(flags),
    };
    let path = match source::locate(place.log.as_deref(), config, style) {
        Ok(path) => path,
        Err(reply) => return reply,
    };
    match command {
        LogCommand::Verify(place) => verify::run(&path, place.json),
        LogCommand::Repair(flags) => mend::repair(&path, flags),
        LogCommand::Restore(flags) => mend::restore(flags),
        LogCommand::Export { file, format, place } => match format {
            Format::Events => export(&path, file, place.json),
            Format::OtlpJson => export_traces(path, file, place.json),
        },
        LogCommand::Cat(place) => cat(path, place.json),
    }
}

fn export(path: &Path, file: &Path, json: bool) -> Reply {
    let exported = MirrorReader::open(path).and_then(|reader| log::export(&reader, file));
    match exported {
        Ok(head) => exported_as("events", head.seq.0, file, json),
        Err(StoreError::Io { cause, .. }) if cause.kind() == ErrorKind::AlreadyExists => {
            there(file)
        }
        Err(error) => source::refused(&error),
    }
}

fn exported_as(what: &str, count: impl fmt::Display + Serialize, file: &Path, json: bool) -> Reply {
    Reply::done(if json {
        let data = serde_json::json!({ what: count, "file": file.display().to_string() });
        format!("{}\n", exit::json("renewd.log-export/1", data))
    } else {
        format!("{count} {what} written to {}\n", file.display())
    })
}

/// It may be an earlier export, and the only one.
fn there(file: &Path) -> Reply {
    let text = format!(
        "error: {} exists and is not written over\n  help: choose another name, or remove it first\n",
        file.display()
    );
    Reply::failed(Exit::Failed, text)
}

/// A file that is there is not written over.
fn export_traces(path: PathBuf, file: &Path, json: bool) -> Reply {
    let source = match source::read(path, None) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let written = File::create_new(file).and_then(|file| {
        let mut out = BufWriter::new(file);
        let lines = telemetry::otlp_json(&source.envelopes, &mut out)?;
        out.flush().map(|()| lines)
    });
    match written {
        Ok(lines) => exported_as("traces", lines, file, json),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => there(file),
        Err(cause) => Reply {
            out: String::new(),
            err: format!("error: cannot write {}: {cause}\n", file.display()),
            exit: Exit::Failed,
        },
    }
}

fn cat(path: PathBuf, json: bool) -> Reply {
    let source = match source::read(path, None) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let mut out = String::new();
    for envelope in &source.envelopes {
        out.push_str(&line(envelope, json));
        out.push('\n');
    }
    Reply { out, err: String::new(), exit: Exit::Done }
}

fn line(envelope: &Envelope, json: bool) -> String {
    if json {
        return serde_json::json!({
            "seq": envelope.seq.0,
            "at": envelope.at.rfc3339(),
            "stream": envelope.stream.to_string(),
            "version": envelope.version,
            "boot": envelope.boot.0,
            "actor": envelope.actor.to_string(),
            "renewal": envelope.renewal.map(|id| id.to_string()),
            "cause": envelope.cause.map(|seq| seq.0),
            "event": envelope.event,
        })
        .to_string();
    }
    format!(
        "{:>6}  {}  {:<22} v{:<3} boot {:<3} {:<19} {}",
        envelope.seq,
        envelope.at,
        envelope.stream.to_string(),
        envelope.version,
        envelope.boot,
        envelope.actor.to_string(),
        envelope.event.name(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_named_and_kept() {
        let root = tempfile::TempDir::new().unwrap();
        let file = root.path().join("export");
        std::fs::write(&file, "the only one").unwrap();
        let log = root.path().join("log");
        std::fs::write(&log, "").unwrap();
        let reply = export(&log, &file, false);
        assert_eq!(reply.exit, Exit::Failed);
        assert!(reply.err.contains("is not written over"), "{}", reply.err);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "the only one");
    }
}
