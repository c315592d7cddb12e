//! What was looked at, what was seen, and what to do.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works now; somebody should look.
    Warn,
    /// A renewal would fail, or serve nobody.
    Fail,
    /// It could not be looked at.
    Unknown,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Unknown => "unknown",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What kind of thing.
    pub(super) check: &'static str,
    /// Which one.
    pub(super) subject: String,
    /// How it is.
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) seen: String,
    /// What to do.
    pub(super) todo: Option<String>,
}

impl Finding {
    fn new(check: &'static str, subject: &str, verdict: Verdict, seen: &str) -> Self {
        Self {
            check,
            subject: subject.to_owned(),
            verdict,
            seen: renewd_replay::escape::text(seen),
            todo: None,
        }
    }

    /// As it should be.
    pub(super) fn ok(check: &'static str, subject: &str, seen: &str) -> Self {
        Self::new(check, subject, Verdict::Ok, seen)
    }

    /// Not as it should be, with the cure.
    pub(super) fn bad(
        verdict: Verdict,
        (check, subject): (&'static str, &str),
        seen: &str,
        todo: &str,
    ) -> Self {
        Self { todo: Some(todo.to_owned()), ..Self::new(check, subject, verdict, seen) }
    }

    /// It could not be looked at.
    pub(super) fn unknown(check: &'static str, subject: &str, seen: &str) -> Self {
        Self::new(check, subject, Verdict::Unknown, seen)
    }
}

/// One line per check, and a line below with what to do.
pub(super) fn render(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["", "CHECK", "OF", "SEEN"]);
    let mut rest = findings.iter().peekable();
    while let Some(finding) = rest.next() {
        let word = finding.verdict.word();
        table.add_row([word, finding.check, &finding.subject, &finding.seen]);
        // One cure for neighbours with the same trouble.
        let again = rest.peek().is_some_and(|next| next.todo == finding.todo);
        if let Some(todo) = finding.todo.as_ref().filter(|_| !again) {
            table.add_row(["", "", "do:", todo]);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
