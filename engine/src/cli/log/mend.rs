//! `renewd log repair` and `renewd log restore`: what is shown, asked and said.

use std::path::{Path, PathBuf};

use renewd_events::log::{self, Leftover, MendError, Placed, Repaired, Survey, Wish};
use renewd_events::store::StoreError;
use renewd_events::{Envelope, Facts};
use renewd_replay::check::{Checker, OpenIntent};
use renewd_replay::fold::Projection;
use renewd_replay::sentence::sentence;
use serde_json::{Value, json};

use super::Where;
use crate::cli::exit::{self, Exit, Reply};
use crate::cli::{form, source};

/// Readable events without a place that are shown; the kept directory has all of them.
const STRAYS_SHOWN_MAX: usize = 40;
/// Certificates that are named; of more the number is told.
const NAMES_MAX: usize = 20;

/// The end of `renewd log repair --help`.
pub(super) const REPAIR_EXIT_CODES: &str = "Exit codes: 0 repaired, or nothing to repair; 1 no room, or \
    the disk said no; 5 there is no log; 7 it cannot be repaired, and why; 8 the engine runs; 10 shown \
    only: there is something to repair, --yes does it.";
/// The end of `renewd log restore --help`.
pub(super) const RESTORE_EXIT_CODES: &str = "Exit codes: 0 restored; 1 the place is taken, there is no \
    room, or the disk said no; 5 there is no such file; 7 the file is damaged. DIR is the log's own \
    directory: STATE_DIR/log.";

/// How a log is repaired.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RepairFlags {
    /// Only show what would be kept and lost (as without --yes)
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it. The damaged log is kept beside the new one
    #[arg(long)]
    yes: bool,
    /// No newer renewd ever wrote this log: what looks so (R0607) is damage
    #[arg(long)]
    not_newer: bool,
    #[command(flatten)]
    pub(super) place: Where,
}

/// What is restored, and where.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RestoreFlags {
    /// An exported file, or a directory with `mirror` in it
    source: PathBuf,
    /// The new log's directory; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What the kept events say.
#[derive(Default)]
struct Story {
    facts: Facts,
    checker: Checker,
}

/// Shows, and with `--yes` does, what a repair is.
pub(super) fn repair(path: &Path, flags: &RepairFlags) -> Reply {
    if let Some(left) = log::unplaced(path) {
        return place(path, flags, &left);
    }
    let wish = Wish { not_newer: flags.not_newer };
    let mut story = Story::default();
    let mut see = |envelope: &Envelope| {
        story.facts.apply(envelope);
        story.checker.apply(envelope);
    };
    let survey = match log::look(path, wish, &mut see) {
        Ok(Some(survey)) => survey,
        Ok(None) => return nothing(path, flags.place.json),
        Err(error) => return refused(&error),
    };
    let repaired = match flags.yes.then(|| log::repair(path, wish, form::now())).transpose() {
        Ok(repaired) => repaired.flatten(),
        Err(error) => return refused(&error),
    };
    let open = story.checker.open();
    let exit = if repaired.is_some() { Exit::Done } else { Exit::Finding };
    let out = if flags.place.json {
        let data = data(path, &survey, &open, repaired.as_ref());
        format!("{}\n", exit::json("renewd.log-repair/1", data))
    } else {
        text(path, wish, &survey, &story.facts, &open, repaired.as_ref())
    };
    Reply { out, err: String::new(), exit }
}

fn nothing(path: &Path, json: bool) -> Reply {
    if json {
        let data = json!({ "needed": false, "done": false, "leftovers": leftovers(path) });
        return Reply::done(format!("{}\n", exit::json("renewd.log-repair/1", data)));
    }
    let beside = source::beside(path);
    Reply::done(format!("{}: nothing to repair; `renewd run` opens it\n{beside}", path.display()))
}

/// There is no log, but a whole one beside its place, which an earlier command was about to move there.
fn place(path: &Path, flags: &RepairFlags, left: &Leftover) -> Reply {
    let placed = match flags.yes.then(|| log::put_in_place(path)).transpose() {
        Ok(placed) => placed.flatten(),
        Err(error) => return source::refused(&error),
    };
    let exit = if placed.is_some() { Exit::Done } else { Exit::Finding };
    let out = match (&placed, flags.place.json) {
        (_, true) => {
            let data = json!({
                "needed": true,
                "done": placed.is_some(),
                "placed": left.path.display().to_string(),
                "events": placed.as_ref().map(|placed| placed.head.0),
                "leftovers": leftovers(path),
            });
            format!("{}\n", exit::json("renewd.log-repair/1", data))
        }
        (Some(Placed { from, head, .. }), false) => format!(
            "{}: {} was put there, {head} events; the last one says what is lost\n\
             next: `renewd log verify`, then `renewd run`\n",
            path.display(),
            from.display(),
        ),
        (None, false) => format!("{}: there is no log\n{}", path.display(), source::beside(path)),
    };
    Reply { out, err: String::new(), exit }
}

fn leftovers(path: &Path) -> Value {
    let told = |left: &Leftover| json!({ "path": left.path.display().to_string(), "what": left.to_string() });
    log::leftovers(path).iter().map(told).collect()
}

fn refused(error: &MendError) -> Reply {
    let exit = match error {
        MendError::Store(error) => return source::refused(error),
        MendError::NothingProven { .. }
        | MendError::TwoLogs { .. }
        | MendError::Newer { .. }
        | MendError::Source { .. } => Exit::Damaged,
        MendError::NoRoom { .. } | MendError::Taken { .. } | _ => Exit::Failed,
    };
    let help = "nothing was changed; ops/runbooks has a page for each code";
    Reply::failed(exit, format!("error: {error}\n  help: {help}\n"))
}

fn data(path: &Path, survey: &Survey, open: &[OpenIntent], repaired: Option<&Repaired>) -> Value {
    let event = |event: &Envelope| {
        json!({
            "seq": event.seq.0,
            "at": event.at.rfc3339(),
            "stream": event.stream.to_string(),
            "event": event.event,
        })
    };
    json!({
        "needed": true,
        "done": repaired.is_some(),
        "kept": survey.kept.seq.0,
        "from_index": survey.from_index,
        "lost": survey.lost().map(|(from, to)| json!({ "from": from.0, "to": to.0 })),
        "end_known": survey.end_known,
        "unreadable_octets": survey.skipped,
        "readable_without_place": survey.strays.iter().map(event).collect::<Vec<_>>(),
        "open": open,
        "aside": repaired.map(|repaired| repaired.aside.display().to_string()),
        "leftovers": leftovers(path),
        "events": repaired.map(|repaired| repaired.head.seq.0),
    })
}

fn text(
    path: &Path,
    wish: Wish,
    survey: &Survey,
    facts: &Facts,
    open: &[OpenIntent],
    repaired: Option<&Repaired>,
) -> String {
    let kept = survey.kept.seq;
    let filled = match survey.from_index {
        0 => String::new(),
        n => format!("; {n} of them are missing in the mirror and came from the index"),
    };
    let mut out =
        format!("{}\nkept: events 1 to {kept}, proven by the hash chain{filled}\n", path.display());
    out.push_str(&match (survey.lost(), survey.end_known) {
        (Some((from, to)), true) => format!("LOST: events {from} to {to}\n"),
        (Some((from, to)), false) => {
            format!("LOST: events {from} to {to}, perhaps more: HEAD is not readable\n")
        }
        (None, true) => "lost: nothing\n".to_owned(),
        (None, false) => format!(
            "lost: whether there were events after {kept} cannot be told: HEAD is not readable\n"
        ),
    });
    strays(&mut out, &survey.strays);
    for intent in open {
        out.push_str(&format!(
            "open: {:?} of event {} ({}) has no outcome among what is kept; the engine asks\n",
            intent.act, intent.seq, intent.stream
        ));
    }
    if survey.lost().is_some() || !survey.end_known {
        asked(&mut out, facts);
    }
    for removed in repaired.iter().flat_map(|repaired| &repaired.removed) {
        out.push_str(&format!(
            "removed: {}, which an attempt that was cut short had written, with the same events\n",
            removed.display()
        ));
    }
    out.push_str(&source::beside(path));
    match repaired {
        Some(repaired) => out.push_str(&format!(
            "repaired: {} events; the last one says what is lost\nthe damaged log is kept as it was: {}\n\
             next: `renewd log verify`, then `renewd run`\n",
            repaired.head.seq,
            repaired.aside.display()
        )),
        None => {
            let same = if wish.not_newer { " --not-newer" } else { "" };
            out.push_str(&format!("nothing was changed; `renewd log repair{same} --yes` does it\n"));
        }
    }
    out
}

/// Events that are readable and have no place any more: they say what the world was asked for.
fn strays(out: &mut String, strays: &[Envelope]) {
    if strays.is_empty() {
        return;
    }
    out.push_str("still readable, but not to be joined, since an event before them is lost:\n");
    for event in strays.iter().take(STRAYS_SHOWN_MAX) {
        let line = super::line(event, false);
        out.push_str(&format!("{line}: {}\n", sentence(&event.event)));
    }
    let more = strays.len().saturating_sub(STRAYS_SHOWN_MAX);
    if more > 0 {
        out.push_str(&format!("  and {more} more (--json has them)\n"));
    }
}

/// What may have happened in lost events, and how it is found out.
fn asked(out: &mut String, facts: &Facts) {
    let wanted = facts.certificates.values().filter(|certificate| certificate.orphaned.is_none());
    let names: Vec<&str> = wanted.map(|certificate| certificate.name()).collect();
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    out.push_str(&format!(
        "what may be in lost events, and how the next `renewd run` finds out:\n\
         \x20 an order        the CA is asked for the account's list before each certificate's next order\n\
         \x20                 ({names}{more}); without a list, or once it is issued, it is ordered once more\n\
         \x20 a key           has the same name again and is used as it is, from the vault\n\
         \x20 an account      is asked for with the same key: the CA gives the same one\n\
         \x20 a certificate   that was issued and adopted is not known any more: it is renewed once more\n\
         \x20 a restart       is planned again only for a listener that cannot be opened then\n\
         \x20 a wish          (`renewd renew`, `renewd accept-terms`) must be said again\n"
    ));
}

/// Restores.
pub(super) fn restore(flags: &RestoreFlags) -> Reply {
    let restored = match log::restore(&flags.source, &flags.into, form::now()) {
        Ok(restored) => restored,
        Err(MendError::Store(error @ StoreError::Absent { .. })) => return source::refused(&error),
        Err(error) => return refused(&error),
    };
    if flags.json {
        let data = json!({
            "into": flags.into.display().to_string(),
            "kept": restored.kept.seq.0,
            "events": restored.head.seq.0,
        });
        return Reply::done(format!("{}\n", exit::json("renewd.log-restore/1", data)));
    }
    Reply::done(format!(
        "{} events of {} are the log at {}; event {} says that they were restored\n\
         DANGER: run one engine only on this history. If the log's old engine still runs somewhere, stop it \
         first: both would use the same account and order the same certificates.\n\
         the keys are not in a log: put the vault and the chains of the same backup beside it\n\
         next: `renewd log verify`, then `renewd run`; it asks the CA before it orders anything\n",
        restored.kept.seq,
        flags.source.display(),
        flags.into.display(),
        restored.head.seq,
    ))
}
