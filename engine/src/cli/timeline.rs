//! `renewd timeline`: one renewal drawn, as text, picture or JSON.

use std::path::Path;

use renewd_events::Envelope;
use renewd_replay::fold;
use renewd_replay::renewals::{NotFound, Renewals};
use renewd_replay::timeline;

use super::exit::{Exit, Reply, json};
use super::form::{Form, Reading};
use crate::config::Style;

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Picture {
    /// Lines for a terminal
    Text,
    /// A picture, complete in one file
    Svg,
    /// For programs
    Json,
}

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A certificate (its newest renewal), or the beginning of a renewal's id; otherwise the newest
    /// renewal of all
    wanted: Option<String>,
    /// In which form
    #[arg(long, value_enum, default_value = "text")]
    format: Picture,
    #[command(flatten)]
    reading: Reading,
}

/// The command.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let source = match flags.reading.read(config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let (picture, columns) = match flags.reading.form() {
        Form::Json => (Picture::Json, 0),
        Form::Text(columns) => (flags.format, columns),
    };
    let mut reply = render(&source.envelopes, flags.wanted.as_deref(), picture, columns);
    if picture == Picture::Text && reply.exit == Exit::Done {
        reply.out = format!("source {}\n{}", source.place.display(), reply.out);
    }
    reply
}

/// The renewal that is meant.
pub(super) fn render(
    envelopes: &[Envelope],
    wanted: Option<&str>,
    picture: Picture,
    columns: u16,
) -> Reply {
    let renewals = fold::read(Renewals::default(), envelopes);
    let newest = || renewals.rows().last().ok_or(NotFound::Never);
    let found = match wanted.map_or_else(newest, |wanted| renewals.find(wanted)) {
        Ok(found) => found,
        Err(error) => {
            let text = renewd_replay::escape::text(&error.to_string());
            return Reply::failed(Exit::NotFound, format!("error: {text}\n"));
        }
    };
    let part = envelopes.iter().skip_while(|envelope| envelope.seq < found.first_seq);
    let part = part.take_while(|envelope| envelope.seq <= found.last_seq);
    let Some(timeline) = timeline::timeline(part, found.id, &found.certificate) else {
        return Reply::failed(Exit::NotFound, "error: the renewal has no events\n");
    };
    Reply::done(match picture {
        Picture::Text => timeline::text(&timeline, columns.into()),
        Picture::Svg => timeline::svg(&timeline),
        Picture::Json => format!("{}\n", json(timeline::SCHEMA, serde_json::json!(timeline))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    #[test]
    fn a_renewal_is_found_by_certificate_and_by_id() {
        let (_, envelopes) = story::failing();
        let text = render(&envelopes, Some("example"), Picture::Text, 100).out;
        assert!(text.contains("R0211") && text.contains("failed after"), "{text}");
        let json = render(&envelopes, Some("example"), Picture::Json, 0).out;
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let id: String = value["data"]["renewal"].as_str().unwrap().chars().take(8).collect();
        assert_eq!(render(&envelopes, Some(&id), Picture::Text, 100).out, text);
        assert_eq!(render(&envelopes, None, Picture::Text, 100).out, text);
        assert_eq!(render(&[], None, Picture::Text, 100).exit, Exit::NotFound);
        assert!(render(&envelopes, Some(&id), Picture::Svg, 0).out.starts_with("<svg"));
        assert_eq!(render(&envelopes, Some("other"), Picture::Text, 100).exit, Exit::NotFound);
    }
}
