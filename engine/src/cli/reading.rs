//! The commands that read: `status`, `list`, `history`, `timeline`, `why`. They work beside a running
//! engine, without one, and on an exported log on a laptop.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use renewd_events::WallMs;
use renewd_events::id::CertificateId;
use renewd_replay::renewals::{Outcome, Renewal, Renewals};
use renewd_replay::status::{CertificateStatus, Served, State, status as rows};
use renewd_replay::timeline::{self, timeline as draw};
use renewd_replay::why::{self, Witness};
use renewd_replay::{fold, sentence, when};

use super::exit::{Exit, Reply, json};
use super::source::{self, Source};
use crate::config::Style;

/// Width of text when the terminal does not say its own.
const COLUMNS: usize = 100;

/// What every reading command takes.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// A state directory, a log directory, or an exported file, instead of the configured one
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `renewd status`.
#[derive(Debug, Args)]
pub(super) struct StatusFlags {
    /// Only these certificates
    names: Vec<String>,
    /// Exit with 10 when something needs a person
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    reading: Reading,
}

/// What `renewd list` lists.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Listed {
    /// Certificates and their names
    Certificates,
    /// Accounts at CAs
    Accounts,
    /// Places where certificates are served
    Bindings,
}

/// `renewd list`.
#[derive(Debug, Args)]
pub(super) struct ListFlags {
    /// What
    #[arg(value_enum, default_value = "certificates")]
    what: Listed,
    #[command(flatten)]
    reading: Reading,
}

/// `renewd history`.
#[derive(Debug, Args)]
pub(super) struct HistoryFlags {
    /// Only this certificate
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// How a timeline is drawn.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    Text,
    /// A picture
    Svg,
    /// For programs
    Json,
}

/// `renewd timeline`.
#[derive(Debug, Args)]
pub(super) struct TimelineFlags {
    /// A certificate's name (its newest renewal) or the beginning of a renewal's id
    what: String,
    /// How to draw it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    reading: Reading,
}

/// `renewd why`.
#[derive(Debug, Args)]
pub(super) struct WhyFlags {
    /// A certificate's name; without one, every certificate that is in trouble
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

fn now() -> WallMs {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn open(reading: &Reading, config: Option<&Path>, style: Style) -> Result<Source, Reply> {
    source::read(source::locate(reading.log.as_deref(), config, style)?)
}

fn done(out: String, exit: Exit) -> Reply {
    Reply {
        out,
        err: String::new(),
        exit,
    }
}

fn data<T: serde::Serialize>(schema: &str, rows: &T, exit: Exit) -> Reply {
    let value = serde_json::to_value(rows).unwrap_or_default();
    done(format!("{}\n", json(schema, value)), exit)
}

fn unknown(name: &str, facts: &renewd_events::Facts) -> Reply {
    let names: Vec<&str> = facts.certificates.values().map(|c| c.name()).collect();
    let err = format!(
        "error: the log knows no certificate `{name}`\n  help: it knows {}\n",
        if names.is_empty() {
            "none yet".to_owned()
        } else {
            names.join(", ")
        }
    );
    Reply {
        out: String::new(),
        err,
        exit: Exit::NotFound,
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(
            head.iter()
                .map(|title| (*title).to_owned())
                .collect::<Vec<_>>(),
        );
    table
}

fn shown(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

/// One line per certificate.
pub(super) fn status(flags: &StatusFlags, config: Option<&Path>, style: Style) -> Reply {
    let source = match open(&flags.reading, config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let now = now();
    let all = rows(&source.facts, now);
    if let Some(missing) = flags
        .names
        .iter()
        .find(|name| !all.iter().any(|row| row.name == **name))
    {
        return unknown(missing, &source.facts);
    }
    let rows: Vec<CertificateStatus> = all
        .into_iter()
        .filter(|row| flags.names.is_empty() || flags.names.contains(&row.name))
        .collect();
    let troubled: Vec<&str> = rows
        .iter()
        .filter(|row| row.state.needs_a_person())
        .map(|row| row.name.as_str())
        .collect();
    let exit = if flags.check && !troubled.is_empty() {
        Exit::Finding
    } else {
        Exit::Done
    };
    if flags.reading.json {
        return data(renewd_replay::status::SCHEMA, &rows, exit);
    }
    let mut table = table(&[
        "NAME",
        "STATE",
        "SERVED",
        "LAST RENEWED",
        "EXPIRES",
        "NEXT",
        "WHY",
    ]);
    for row in &rows {
        let date = |at: Option<WallMs>| at.map_or("-".to_owned(), |at| when::both(at, now));
        let doing = match (&row.doing, row.state) {
            (Some(doing), State::Renewing) => doing.what.clone(),
            (Some(_) | None, _) => row.next.what.clone(),
        };
        let next = match row.next.at {
            Some(at) => format!("{doing} {}", when::both(at, now)),
            None => doing,
        };
        let why = match &row.trouble {
            Some(trouble) => format!("{} {}", trouble.code, trouble.sentence),
            None => row.next.why.clone(),
        };
        table.add_row([
            row.name.clone(),
            row.state.word().to_owned(),
            served(row.served).to_owned(),
            date(row.last_renewed),
            date(row.expires),
            next,
            why,
        ]);
    }
    let mut out = shown(&table);
    out.push_str(&format!(
        "{} certificate{}",
        rows.len(),
        if rows.len() == 1 { "" } else { "s" }
    ));
    if let Some(first) = troubled.first() {
        out.push_str(&format!(
            " - {} to look at: renewd why {first}",
            troubled.len()
        ));
    }
    out.push('\n');
    done(out, exit)
}

fn served(served: Served) -> &'static str {
    match served {
        Served::Nothing => "-",
        Served::Everywhere => "yes",
        Served::Older => "older",
        Served::Partly => "partly",
    }
}

/// What there is.
pub(super) fn list(flags: &ListFlags, config: Option<&Path>, style: Style) -> Reply {
    let source = match open(&flags.reading, config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let facts = &source.facts;
    let (schema, head, lines): (&str, &[&str], Vec<Vec<String>>) = match flags.what {
        Listed::Certificates => (
            "renewd.certificates/1",
            &["NAME", "NAMES", "ISSUE", "FINGERPRINT"],
            {
                let row = |c: &renewd_events::certificate::Certificate| {
                    let names = c.declared.as_ref().map(|d| sentence::names(&d.identifiers));
                    let issue = c.current.as_ref();
                    vec![
                        c.name().to_owned(),
                        names.unwrap_or_default(),
                        issue.map_or("-".to_owned(), |issue| issue.generation.to_string()),
                        issue.map_or("-".to_owned(), |issue| issue.leaf.fingerprint.to_string()),
                    ]
                };
                facts.certificates.values().map(row).collect()
            },
        ),
        Listed::Accounts => (
            "renewd.accounts/1",
            &["DIRECTORY", "ACCOUNT", "THUMBPRINT", "TERMS"],
            {
                let row = |a: &renewd_events::account::Account| {
                    vec![
                        a.directory_url.clone(),
                        a.url().unwrap_or("-").to_owned(),
                        a.key
                            .as_ref()
                            .map_or("-".to_owned(), |key| key.thumbprint.clone()),
                        if a.terms_are_accepted() {
                            "accepted"
                        } else {
                            "NOT ACCEPTED"
                        }
                        .to_owned(),
                    ]
                };
                facts.accounts.values().map(row).collect()
            },
        ),
        Listed::Bindings => (
            "renewd.bindings/1",
            &["CERTIFICATE", "WHERE", "ISSUE", "SEEN"],
            {
                let row = |(_, b): (_, &renewd_events::binding::Binding)| {
                    let certificate = facts.certificates.get(&b.certificate);
                    let target = b.target.as_ref()?;
                    let seen = b.served.as_ref();
                    Some(vec![
                        certificate.map_or(String::new(), |c| c.name().to_owned()),
                        target.label(),
                        seen.map_or("-".to_owned(), |seen| seen.generation.to_string()),
                        seen.map_or("never".to_owned(), |seen| when::minute(seen.at)),
                    ])
                };
                facts.bindings.iter().filter_map(row).collect()
            },
        ),
    };
    if flags.reading.json {
        let keys: Vec<String> = head.iter().map(|title| title.to_lowercase()).collect();
        let object = |line: Vec<String>| -> serde_json::Value {
            let fields = keys
                .iter()
                .cloned()
                .zip(line.into_iter().map(serde_json::Value::from));
            serde_json::Value::Object(fields.collect())
        };
        let rows: Vec<serde_json::Value> = lines.into_iter().map(object).collect();
        return data(schema, &rows, Exit::Done);
    }
    let mut table = table(head);
    for line in lines {
        table.add_row(line);
    }
    done(shown(&table), Exit::Done)
}

/// One line per renewal.
pub(super) fn history(flags: &HistoryFlags, config: Option<&Path>, style: Style) -> Reply {
    let source = match open(&flags.reading, config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let renewals = fold::read(Renewals::default(), &source.envelopes);
    let rows: Vec<&Renewal> = match &flags.name {
        Some(name) if find(&source, name).is_none() => return unknown(name, &source.facts),
        Some(name) => renewals.of(name).collect(),
        None => renewals.rows().iter().collect(),
    };
    if flags.reading.json {
        return data("renewd.history/1", &rows, Exit::Done);
    }
    let mut table = table(&[
        "STARTED",
        "CERTIFICATE",
        "RENEWAL",
        "CAUSE",
        "TRY",
        "RESULT",
        "TOOK",
        "ORDERS",
        "CRASHES",
    ]);
    for row in rows {
        let result = match &row.outcome {
            Outcome::Running => "running".to_owned(),
            Outcome::Succeeded { generation } => format!("ok, issue {generation}"),
            Outcome::Unserved { generation } => format!("issue {generation}, NOT SERVED"),
            Outcome::Failed { code } => format!("FAIL {code}"),
        };
        let took = row
            .ended
            .map_or("-".to_owned(), |ended| when::span(ended.since(row.started)));
        let id: String = row.id.to_string().chars().take(8).collect();
        table.add_row([
            when::moment(row.started),
            row.certificate.clone(),
            id,
            row.cause.to_string(),
            row.attempt.to_string(),
            result,
            took,
            row.orders.to_string(),
            row.crashes.to_string(),
        ]);
    }
    done(shown(&table), Exit::Done)
}

fn find(source: &Source, name: &str) -> Option<CertificateId> {
    source
        .facts
        .certificates
        .iter()
        .find(|(_, c)| c.name() == name)
        .map(|(id, _)| *id)
}

/// One renewal, drawn.
pub(super) fn timeline(flags: &TimelineFlags, config: Option<&Path>, style: Style) -> Reply {
    let source = match open(&flags.reading, config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let renewals = fold::read(Renewals::default(), &source.envelopes);
    let row = match renewals.find(&flags.what) {
        Ok(row) => row,
        Err(cause) => {
            let err = format!("error: {cause}\n  help: `renewd history` lists the renewals\n");
            return Reply {
                out: String::new(),
                err,
                exit: Exit::NotFound,
            };
        }
    };
    let Some(drawn) = draw(&source.envelopes, row.id, &row.certificate) else {
        return unknown(&flags.what, &source.facts);
    };
    let format = if flags.reading.json {
        Format::Json
    } else {
        flags.format
    };
    done(
        match format {
            Format::Text => {
                let place = format!("source: {}\n", source.place.display());
                place + &timeline::text(&drawn, COLUMNS)
            }
            Format::Svg => timeline::svg(&drawn),
            Format::Json => format!("{}\n", timeline::json(&drawn)),
        },
        Exit::Done,
    )
}

/// The cause, the evidence, and what to do.
pub(super) fn why(flags: &WhyFlags, config: Option<&Path>, style: Style) -> Reply {
    let source = match open(&flags.reading, config, style) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    let now = now();
    let ids: Vec<CertificateId> = match &flags.name {
        Some(name) => match find(&source, name) {
            Some(id) => vec![id],
            None => return unknown(name, &source.facts),
        },
        None => rows(&source.facts, now)
            .into_iter()
            .filter(|row| row.state.needs_a_person())
            .map(|row| row.id)
            .collect(),
    };
    let answers: Vec<why::Why> = ids
        .into_iter()
        .filter_map(|id| {
            let witness = fold::read(Witness::new(id), &source.envelopes);
            why::why(&source.facts, &witness, id, now)
        })
        .collect();
    if flags.reading.json {
        return data("renewd.why/1", &answers, Exit::Done);
    }
    if answers.is_empty() {
        return done("nothing is in trouble\n".to_owned(), Exit::Done);
    }
    let texts: Vec<String> = answers.iter().map(why::text).collect();
    done(texts.join("\n"), Exit::Done)
}
