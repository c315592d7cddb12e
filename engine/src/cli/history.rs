//! `renewd history`: one line per renewal, the newest last.

use std::path::Path;

use renewd_events::certificate::CertificateEvent;
use renewd_events::{Envelope, Event, WallMs};
use renewd_replay::fold;
use renewd_replay::renewals::{Outcome, Renewal, Renewals};
use renewd_replay::{escape, when};

use super::exit::{Exit, Reply, json};
use super::form::{Form, Reading, lines, plural, table};
use crate::config::Style;

/// The schema of this JSON.
const SCHEMA: &str = "renewd.history/1";

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Only this certificate
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// The command.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    match flags.reading.read(config, style) {
        Ok(source) => {
            render(&source.envelopes, flags.name.as_deref(), source.now, flags.reading.form())
        }
        Err(reply) => reply,
    }
}

/// All renewals, or those of one certificate.
pub(super) fn render(envelopes: &[Envelope], name: Option<&str>, now: WallMs, form: Form) -> Reply {
    let renewals = fold::read(Renewals::default(), envelopes);
    let rows: Vec<&Renewal> = renewals
        .rows()
        .iter()
        .filter(|row| name.is_none_or(|name| row.certificate == name))
        .collect();
    if let Some(name) = name.filter(|name| rows.is_empty() && !is_declared(envelopes, name)) {
        let text = format!(
            "error: the log knows no certificate `{}`\n  help: `renewd list` shows their names\n",
            escape::field(name, 80)
        );
        return Reply::failed(Exit::NotFound, text);
    }
    match form {
        Form::Json => Reply::done(format!("{}\n", json(SCHEMA, serde_json::json!(rows)))),
        Form::Text(columns) => Reply::done(text(&rows, now, columns)),
    }
}

/// Whether a certificate of this name was ever wanted: one that was not renewed yet has no rows.
fn is_declared(envelopes: &[Envelope], name: &str) -> bool {
    envelopes.iter().any(|envelope| {
        matches!(&envelope.event,
            Event::Certificate(CertificateEvent::CertificateDeclared(it)) if it.name == name)
    })
}

fn text(rows: &[&Renewal], now: WallMs, columns: u16) -> String {
    let head = [
        "RENEWAL",
        "CERTIFICATE",
        "STARTED",
        "CAUSE",
        "TRY",
        "TOOK",
        "OUTCOME",
        "ORDERS",
        "CRASHES",
    ];
    let mut table = table(columns, &head);
    for row in rows {
        let ended = row.ended.unwrap_or(now);
        table.add_row([
            row.id.to_string().chars().take(12).collect(),
            escape::text(&row.certificate),
            when::minute(row.started),
            row.cause.to_string(),
            row.attempt.to_string(),
            when::span(ended.since(row.started)),
            outcome(&row.outcome),
            row.orders.to_string(),
            row.crashes.to_string(),
        ]);
    }
    let failed = rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed { .. })).count();
    format!("{}\n{} renewal{}, {failed} failed\n", lines(&table), rows.len(), plural(rows.len()))
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Running => "under way".to_owned(),
        Outcome::Succeeded { generation } => format!("generation {generation}"),
        Outcome::Unserved { generation } => format!("generation {generation}, NOT SERVED"),
        Outcome::Failed { code } => format!("FAILED {}", escape::field(code, 16)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    #[test]
    fn each_renewal_is_a_line() {
        let (_, envelopes) = story::failing();
        let text = render(&envelopes, None, story::NOW, Form::Text(140)).out;
        assert!(text.contains("FAILED R0211") && text.contains("1 renewal, 1 failed"), "{text}");
        let json = render(&envelopes, Some("example"), story::NOW, Form::Json).out;
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["data"][0]["result"], "failed");
        assert_eq!(value["data"][0]["cause"], "first-issue");
        let before = &envelopes[..4];
        let none = render(before, Some("example"), story::NOW, Form::Text(140));
        assert!(none.exit == Exit::Done && none.out.contains("0 renewals"), "{none:?}");
        for form in [Form::Text(140), Form::Json] {
            let unknown = render(&envelopes, Some("other"), story::NOW, form);
            assert_eq!((unknown.exit, unknown.out.as_str()), (Exit::NotFound, ""));
            assert!(unknown.err.contains("no certificate `other`"), "{}", unknown.err);
        }
    }
}
