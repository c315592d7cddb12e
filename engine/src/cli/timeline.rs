//! `renewd timeline`: one renewal drawn, as text, picture or JSON.

use std::path::Path;

use renewd_events::{Envelope, WallMs};
use renewd_replay::fold;
use renewd_replay::renewals::{NotFound, Renewal, Renewals};
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
    /// The number of one of the certificate's renewals; otherwise its newest
    number: Option<u32>,
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
    let wanted = Wanted { named: flags.wanted.as_deref(), number: flags.number };
    let mut reply = render(&source.envelopes, wanted, source.now, picture, columns);
    if picture == Picture::Text && reply.exit == Exit::Done {
        reply.out = format!("source {}\n{}", source.place.display(), reply.out);
    }
    reply
}

/// What was given to say which renewal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// A certificate, or the beginning of a renewal's id.
    named: Option<&'a str>,
    /// Of the certificate's renewals the one with this number.
    number: Option<u32>,
}

impl Wanted<'_> {
    fn find(self, renewals: &Renewals) -> Result<&Renewal, String> {
        let found = match (self.named, self.number) {
            (None, _) => renewals.rows().last().ok_or(NotFound::Never),
            (Some(named), None) => renewals.find(named),
            (Some(named), Some(number)) => {
                let mut rows = renewals.rows().iter();
                let numbered = rows.find(|row| row.certificate == named && row.number == number);
                return numbered.ok_or_else(|| {
                    format!(
                        "`{named}` has no renewal {number}; `renewd history {named}` lists them"
                    )
                });
            }
        };
        found.map_err(|error| error.to_string())
    }
}

/// The renewal that is meant.
pub(super) fn render(
    envelopes: &[Envelope],
    wanted: Wanted<'_>,
    now: WallMs,
    picture: Picture,
    columns: u16,
) -> Reply {
    let renewals = fold::read(Renewals::default(), envelopes);
    let found = match wanted.find(&renewals) {
        Ok(found) => found,
        Err(error) => {
            let text = renewd_replay::escape::text(&error);
            return Reply::failed(Exit::NotFound, format!("error: {text}\n"));
        }
    };
    let part = envelopes.iter().skip_while(|envelope| envelope.seq < found.first_seq);
    let part = part.take_while(|envelope| envelope.seq <= found.last_seq);
    let Some(timeline) = timeline::timeline(part, found.id, &found.certificate) else {
        return Reply::failed(Exit::NotFound, "error: the renewal has no events\n");
    };
    let timeline = timeline.seen(now);
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

    fn drawn(envelopes: &[Envelope], named: Option<&str>, picture: Picture) -> Reply {
        let columns = if picture == Picture::Text { 100 } else { 0 };
        let wanted = Wanted { named, number: None };
        render(envelopes, wanted, story::NOW, picture, columns)
    }

    #[test]
    fn a_renewal_is_found_by_certificate_and_by_id() {
        let (_, envelopes) = story::failing();
        let text = drawn(&envelopes, Some("example"), Picture::Text).out;
        assert!(text.contains("R0211") && text.contains("failed after"), "{text}");
        let json = drawn(&envelopes, Some("example"), Picture::Json).out;
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let id: String = value["data"]["renewal"].as_str().unwrap().chars().take(8).collect();
        assert_eq!(drawn(&envelopes, Some(&id), Picture::Text).out, text);
        assert_eq!(drawn(&envelopes, None, Picture::Text).out, text);
        assert_eq!(drawn(&[], None, Picture::Text).exit, Exit::NotFound);
        assert!(drawn(&envelopes, Some(&id), Picture::Svg).out.starts_with("<svg"));
        assert_eq!(drawn(&envelopes, Some("other"), Picture::Text).exit, Exit::NotFound);
    }

    #[test]
    fn a_renewal_is_found_by_its_number() {
        let (_, envelopes) = story::failing();
        let newest = drawn(&envelopes, Some("example"), Picture::Text).out;
        let numbered = |number| {
            let wanted = Wanted { named: Some("example"), number: Some(number) };
            render(&envelopes, wanted, story::NOW, Picture::Text, 100)
        };
        assert_eq!(numbered(1).out, newest);
        let none = numbered(9);
        assert_eq!(none.exit, Exit::NotFound);
        assert!(none.err.contains("has no renewal 9"), "{}", none.err);
    }
}
