//! `renewd log verify`: which parts agree, where the first fault is, and what cures it.

use std::path::Path;

use renewd_events::log::{AnchorCheck, Cure, Examined, FirstBad, examine};
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

/// What the anchor says about the end of the log. Behind damage nobody has looked: that the last event
/// was not met there does not show that it was cut off.
fn anchor(named: AnchorCheck, first_bad: Option<&FirstBad>) -> String {
    match (named, first_bad) {
        (AnchorCheck::Ahead { anchor }, Some(bad)) => {
            format!(
                "names event {anchor}; the log is readable up to event {} only",
                bad.seq.0.saturating_sub(1)
            )
        }
        (anchor, _) => anchor.to_string(),
    }
}

fn text(path: &Path, found: &Examined, whole: bool) -> String {
    let verified = &found.verified;
    let mut out = format!(
        "{}\n{} events in {} segments, head {}\nanchor: {}\nclean mark: {}\nindex: {}\n",
        path.display(),
        verified.events,
        verified.segments,
        verified.head.hash,
        anchor(verified.anchor, verified.first_bad.as_ref()),
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

#[cfg(test)]
mod tests {
    use renewd_events::id::Seq;

    use super::*;

    #[test]
    fn damage_in_the_middle_is_not_called_a_shortened_log() {
        let bad = FirstBad {
            seq: Seq(5),
            file: "00000001.log".into(),
            offset: 900,
            what: "the check sum does not fit".to_owned(),
        };
        let ahead = AnchorCheck::Ahead { anchor: Seq(43) };
        let damaged = anchor(ahead, Some(&bad));
        assert_eq!(damaged, "names event 43; the log is readable up to event 4 only");
        assert!(anchor(ahead, None).contains("was shortened"));
    }
}
