//! `renewd status`: every certificate in one line, and what happens next to it.

use std::path::Path;

use renewd_events::WallMs;
use renewd_replay::status::{self, CertificateStatus, Served};
use renewd_replay::when;

use super::alive::{self, Engine};
use super::exit::{Exit, Reply, json};
use super::form::{Form, Reading, lines, moment, plural, table};
use crate::config::Style;

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Only these certificates
    names: Vec<String>,
    /// End with 10 when anything needs a person or the engine is not running; a running engine that
    /// cannot write its log always does
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    reading: Reading,
}

/// The command.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let mut source = match flags.reading.read(config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let engine = alive::look(&flags.reading, config, &mut source);
    let rows = status::status(&source.facts, &source.witnesses, source.now);
    let troubled = rows.iter().any(|row| row.state.needs_a_person());
    let mut reply = render(rows, &flags.names, source.now, flags.reading.form());
    reply.err.push_str(&alive::words(&engine, &source));
    let found = match engine {
        Engine::Unwritable(_) => true,
        Engine::Absent | Engine::Mute => flags.check,
        Engine::Unremarkable => flags.check && troubled,
    };
    if found && reply.exit == Exit::Done {
        reply.exit = Exit::Finding;
    }
    reply
}

/// All certificates, or those with these names.
fn render(mut rows: Vec<CertificateStatus>, names: &[String], now: WallMs, form: Form) -> Reply {
    if let Some(unknown) = names.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        let text = format!(
            "error: the log knows no certificate `{}`\n  help: `renewd list` shows their names\n",
            crate::config::shown(unknown)
        );
        return Reply::failed(Exit::NotFound, text);
    }
    if !names.is_empty() {
        rows.retain(|row| names.contains(&row.name));
    }
    match form {
        Form::Json => Reply::done(format!("{}\n", json(status::SCHEMA, serde_json::json!(rows)))),
        Form::Text(columns) => Reply::done(text(&rows, now, columns)),
    }
}

fn text(rows: &[CertificateStatus], now: WallMs, columns: u16) -> String {
    if rows.is_empty() {
        return "no certificate yet: `renewd init` writes a configuration, `renewd run` starts\n"
            .to_owned();
    }
    let mut table =
        table(columns, &["NAME", "STATE", "SERVED", "RENEWED", "EXPIRES", "NEXT", "WHY"]);
    for row in rows {
        table.add_row([
            row.name.clone(),
            row.state.word().to_owned(),
            served(row),
            row.last_renewed.map_or_else(|| "–".to_owned(), |at| when::relative(at, now)),
            expires(row, now),
            next(row, now),
            why(row),
        ]);
    }
    let mut out = lines(&table);
    let troubled: Vec<&CertificateStatus> =
        rows.iter().filter(|row| row.state.needs_a_person()).collect();
    out.push_str(&format!("\n{} certificate{}", rows.len(), plural(rows.len())));
    if let Some(first) = troubled.first() {
        let need = if troubled.len() == 1 { "needs" } else { "need" };
        out.push_str(&format!(" · {} {need} a person: renewd why {}", troubled.len(), first.name));
    }
    out.push('\n');
    out
}

fn served(row: &CertificateStatus) -> String {
    let all = row.bindings.len();
    let good = row.bindings.iter().filter(|binding| binding.served).count();
    match row.served {
        Served::Nothing => "–".to_owned(),
        Served::Everywhere => format!("yes {good}/{all}"),
        Served::OnDisk => format!("disk {good}/{all}"),
        Served::Older => format!("old {good}/{all}"),
        Served::Partly => format!("no {good}/{all}"),
    }
}

fn expires(row: &CertificateStatus, now: WallMs) -> String {
    if row.expired {
        format!("EXPIRED {}", moment(row.expires, now))
    } else {
        moment(row.expires, now)
    }
}

fn next(row: &CertificateStatus, now: WallMs) -> String {
    match row.next.at {
        Some(at) => format!("{} {}", row.next.what, when::relative(at, now)),
        None => row.next.what.clone(),
    }
}

/// The cause when something is wrong, else why the next action is when it is.
fn why(row: &CertificateStatus) -> String {
    let title = |code: &str| renewd_replay::codes::find(code).map_or("", |code| code.title);
    match &row.trouble {
        Some(trouble) => format!("{} {}", trouble.code, title(&trouble.code)),
        None => row.next.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    fn failing() -> Vec<CertificateStatus> {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        status::status(&facts, &witnesses, story::NOW)
    }

    #[test]
    fn a_failing_certificate_is_seen_at_once() {
        let reply = render(failing(), &[], story::NOW, Form::Text(120));
        assert_eq!(reply.exit, Exit::Done);
        assert!(reply.out.lines().all(|line| line.chars().count() <= 120), "{}", reply.out);
        for part in ["NAME", "example", "FAIL", "R0211", "1 needs a person: renewd why example"] {
            assert!(reply.out.contains(part), "{part} in {}", reply.out);
        }
    }

    #[test]
    fn json_has_its_envelope() {
        let reply = render(failing(), &["example".to_owned()], story::NOW, Form::Json);
        let value: serde_json::Value = serde_json::from_str(&reply.out).unwrap();
        assert_eq!(value["schema"], "renewd.status/1");
        assert_eq!(value["data"][0]["state"], "failing");
        assert_eq!(value["data"][0]["trouble"]["code"], "R0211");
        assert!(value["generated_at"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_unknown_name_is_said_and_inert() {
        let reply = render(failing(), &["no\u{1b}".to_owned()], story::NOW, Form::Text(80));
        assert_eq!(reply.exit, Exit::NotFound);
        assert!(!reply.err.contains('\u{1b}'));
    }
}
