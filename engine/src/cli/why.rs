//! `renewd why`: the cause, the evidence, what to do, and what happens otherwise.

use std::path::Path;

use renewd_events::id::CertificateId;
use renewd_events::{Facts, WallMs};
use renewd_replay::status::status;
use renewd_replay::why;

use super::alive;
use super::exit::{Exit, Reply, json};
use super::form::{Form, Reading};
use crate::config::Style;

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The certificate; otherwise every one that needs a person
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// The command.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    match flags.reading.read(config, style) {
        Ok(mut source) => {
            let engine = alive::look(&flags.reading, config, &mut source);
            let reply = render(
                &source.facts,
                &source.witnesses,
                flags.name.as_deref(),
                source.now,
                flags.reading.form(),
            );
            alive::with_words(reply, &engine, &source)
        }
        Err(reply) => reply,
    }
}

/// Why this certificate is as it is, or each one that needs a person.
pub(super) fn render(
    facts: &Facts,
    witnesses: &why::Witnesses,
    name: Option<&str>,
    now: WallMs,
    form: Form,
) -> Reply {
    let rows = status(facts, witnesses, now);
    let wanted: Vec<CertificateId> = rows
        .iter()
        .filter(|row| match name {
            Some(name) => row.name == name,
            None => row.state.needs_a_person(),
        })
        .map(|row| row.id)
        .collect();
    if let (Some(name), true) = (name, wanted.is_empty()) {
        let text = format!(
            "error: the log knows no certificate `{}`\n  help: `renewd list` shows their names\n",
            crate::config::shown(name)
        );
        return Reply::failed(Exit::NotFound, text);
    }
    let told: Vec<why::Why> =
        wanted.into_iter().filter_map(|id| why::why(facts, witnesses, id, now)).collect();
    match form {
        Form::Json => Reply::done(format!("{}\n", json(why::SCHEMA, serde_json::json!(told)))),
        Form::Text(_) if told.is_empty() => Reply::done(well(rows.len())),
        Form::Text(_) => {
            Reply::done(told.iter().map(why::text).collect::<Vec<String>>().join("\n"))
        }
    }
}

fn well(certificates: usize) -> String {
    match certificates {
        0 => "no certificate is known yet\n".to_owned(),
        1 => {
            "the one certificate needs nobody: `renewd why NAME` says what comes next\n".to_owned()
        }
        n => format!(
            "none of {n} certificates needs a person: `renewd why NAME` says what comes next\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    #[test]
    fn the_cause_is_told_with_evidence_and_cure() {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        let reply = render(&facts, &witnesses, None, story::NOW, Form::Text(100));
        for part in [
            "Nothing listens on port 80 of 203.0.113.7.",
            "R0211",
            "evidence   event ",
            "do         forward port 80",
            "meanwhile",
        ] {
            assert!(reply.out.contains(part), "{part} in {}", reply.out);
        }
        let named = render(&facts, &witnesses, Some("example"), story::NOW, Form::Text(100));
        assert_eq!(named, reply);
    }

    #[test]
    fn json_holds_the_same() {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        let reply = render(&facts, &witnesses, Some("example"), story::NOW, Form::Json);
        let value: serde_json::Value = serde_json::from_str(&reply.out).unwrap();
        assert_eq!(value["data"][0]["code"]["code"], "R0211");
        assert_eq!(value["data"][0]["tries"], 1);
    }

    #[test]
    fn an_unknown_name_is_not_found() {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        let reply = render(&facts, &witnesses, Some("x"), story::NOW, Form::Json);
        assert_eq!(reply.exit, Exit::NotFound);
    }
}
