//! `renewd log verify`: which parts agree, where the first fault is, and what cures it.

use std::path::Path;

use renewd_events::log::{Cure, Examined, examine};
use serde_json::{Value, json};

use crate::cli::exit::{self, Exit, Reply};
use crate::cli::source;

/// The end of `--help`.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 whole, or the next start mends it; 5 there is no log; \
    6 not permitted to read it; 7 damaged, the last line names the cure. Nothing is changed.";

/// Carries it out.
pub(super) fn run(path: &Path, json: bool) -> Reply {
    let scratch = std::env::temp_dir().join(format!("renewd-look-{}", std::process::id()));
    let found = match examine(path, &scratch) {
        Ok(found) => found,
        Err(error) => return source::refused(&error),
    };
    let whole = is_whole(&found);
    let exit = if whole { Exit::Done } else { Exit::Damaged };
    let out = if json {
        format!("{}\n", exit::json("renewd.log-verify/1", data(&found, whole)))
    } else {
        text(path, &found, whole)
    };
    Reply { out, err: String::new(), exit }
}

fn is_whole(found: &Examined) -> bool {
    found.verified.is_whole() && found.refusal.is_none()
}

/// A cure as a word for programs.
fn word(cure: Cure) -> &'static str {
    match cure {
        Cure::Nothing => "nothing",
        Cure::Start => "start",
        Cure::Repair => "repair",
        Cure::Restore => "restore",
        Cure::NewerVersion => "newer-version",
    }
}

fn data(found: &Examined, whole: bool) -> Value {
    let bad = found.verified.first_bad.as_ref();
    json!({
        "whole": whole,
        "events": found.verified.events,
        "segments": found.verified.segments,
        "head": found.verified.head.hash.to_string(),
        "anchor": format!("{:?}", found.verified.anchor),
        "clean": found.clean.to_string(),
        "index": found.index.to_string(),
        "first_bad": bad.map(ToString::to_string),
        "first_bad_event": bad.map(|bad| bad.seq.0),
        "first_bad_file": bad.map(|bad| bad.file.display().to_string()),
        "first_bad_octet": bad.map(|bad| bad.offset),
        "refusal": found.refusal.as_ref().map(ToString::to_string),
        "cure": word(found.cure),
    })
}

fn text(path: &Path, found: &Examined, whole: bool) -> String {
    let verified = &found.verified;
    let mut out = format!(
        "{}\n{} events in {} segments, head {}\nanchor: {}\nclean mark: {}\nindex: {}\n",
        path.display(),
        verified.events,
        verified.segments,
        verified.head.hash,
        verified.anchor,
        found.clean,
        found.index,
    );
    match &verified.first_bad {
        None if whole => out.push_str("order and hash chain: whole\n"),
        None => {}
        Some(bad) if whole => out.push_str(&format!("never acknowledged: {bad}\n")),
        Some(bad) => out.push_str(&format!("DAMAGED: {bad}\n")),
    }
    if let Some(error) = &found.refusal {
        out.push_str(&format!("a start refuses it: {error}\n"));
    }
    out.push_str(&source::beside(path));
    out.push_str(&format!("to do: {}\n", found.cure));
    out
}
