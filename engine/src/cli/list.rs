//! `renewd list`: what the log knows, by kind, one line each.

use std::path::Path;

use comfy_table::Table;
use renewd_events::account::Registration;
use renewd_events::{Facts, WallMs};
use renewd_replay::escape;
use renewd_replay::sentence::names;
use renewd_replay::status::{self, CertificateStatus};
use serde_json::{Value, json};

use super::alive;
use super::exit::Reply;
use super::form::{Form, Reading, lines, moment, table};
use crate::config::Style;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Certificates and the names in them
    #[value(alias = "certificate", alias = "cert", alias = "certs")]
    Certificates,
    /// Accounts at CAs
    #[value(alias = "account")]
    Accounts,
    /// Orders of renewals under way
    #[value(alias = "order")]
    Orders,
    /// Where certificates are served
    #[value(alias = "binding")]
    Bindings,
}

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// What to list
    #[arg(value_enum, default_value = "certificates")]
    kind: Kind,
    #[command(flatten)]
    reading: Reading,
}

/// The command.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    match flags.reading.read(config, style) {
        Ok(source) => {
            let rows = || status::status(&source.facts, &source.witnesses, source.now);
            let reply = render(&source.facts, rows, flags.kind, (source.now, flags.reading.form()));
            alive::with_words(reply, &flags.reading, config, &source)
        }
        Err(reply) => reply,
    }
}

/// Everything of one kind.
fn render(
    facts: &Facts,
    status: impl FnOnce() -> Vec<CertificateStatus>,
    kind: Kind,
    (now, form): (WallMs, Form),
) -> Reply {
    let (schema, (head, rows)) = match kind {
        Kind::Certificates => ("renewd.certificates/1", certificates(facts, status(), now)),
        Kind::Accounts => ("renewd.accounts/1", accounts(facts)),
        Kind::Orders => ("renewd.orders/1", orders(facts)),
        Kind::Bindings => ("renewd.bindings/1", bindings(status(), now)),
    };
    match form {
        Form::Json => {
            let objects: Vec<Value> = rows.iter().map(|row| object(&head, row)).collect();
            Reply::done(format!("{}\n", super::exit::json(schema, json!(objects))))
        }
        Form::Text(columns) => {
            let mut table: Table = table(columns, &head);
            for row in &rows {
                table.add_row(row);
            }
            Reply::done(lines(&table))
        }
    }
}

type Rows = (Vec<&'static str>, Vec<Vec<String>>);

fn object(head: &[&str], row: &[String]) -> Value {
    let fields = head.iter().zip(row);
    fields.map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value.as_str()))).collect()
}

fn certificates(facts: &Facts, rows: Vec<CertificateStatus>, now: WallMs) -> Rows {
    let rows = rows.into_iter().map(|row| {
        let issue = facts.certificates.get(&row.id).and_then(|it| it.current.as_ref());
        let or = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let code = row.trouble.map_or_else(String::new, |trouble| format!(" {}", trouble.code));
        vec![
            row.name,
            format!("{}{code}", row.state.word()),
            row.identifiers.join(", "),
            or(issue.map(|issue| issue.generation.to_string())),
            moment(row.expires, now),
            or(issue.map(|issue| issue.leaf.fingerprint.to_string())),
        ]
    });
    (vec!["NAME", "STATE", "NAMES", "ISSUE", "EXPIRES", "FINGERPRINT"], rows.collect())
}

fn accounts(facts: &Facts) -> Rows {
    let rows = facts.accounts.values().map(|account| {
        let (state, url) = match &account.registration {
            Registration::Absent => ("absent", String::new()),
            Registration::Requested(_) => ("requested", String::new()),
            Registration::Registered { url } => ("registered", escape::field(url, 200)),
            Registration::Refused { .. } => ("refused", String::new()),
        };
        let terms = if account.terms_are_accepted() { "accepted" } else { "NOT accepted" };
        let profiles = account.directory.as_ref().map(|directory| directory.profiles.join(", "));
        let key = account.key.as_ref().map(|key| escape::field(&key.thumbprint, 64));
        vec![
            escape::field(&account.directory_url, 200),
            state.to_owned(),
            url,
            key.unwrap_or_default(),
            terms.to_owned(),
            escape::field(&profiles.unwrap_or_default(), 200),
        ]
    });
    (vec!["DIRECTORY", "STATE", "ACCOUNT", "THUMBPRINT", "TERMS", "PROFILES"], rows.collect())
}

fn orders(facts: &Facts) -> Rows {
    let rows = facts.orders.iter().map(|(id, order)| {
        let certificate = order
            .request
            .as_ref()
            .and_then(|request| facts.certificates.get(&request.certificate))
            .map(|certificate| escape::text(certificate.name()));
        let wanted = order.request.as_ref().map(|request| names(&request.identifiers));
        let doing = order
            .request
            .as_ref()
            .and_then(|request| status::doing(facts, request.certificate))
            .map(|doing| doing.what);
        vec![
            id.to_string().chars().take(12).collect(),
            certificate.unwrap_or_default(),
            wanted.unwrap_or_default(),
            doing.unwrap_or_default(),
            order.url.as_deref().map(|url| escape::field(url, 200)).unwrap_or_default(),
        ]
    });
    (vec!["ORDER", "CERTIFICATE", "NAMES", "DOING", "URL"], rows.collect())
}

fn bindings(rows: Vec<CertificateStatus>, now: WallMs) -> Rows {
    let rows = rows.into_iter().flat_map(|row| {
        let name = row.name;
        row.bindings.into_iter().map(move |binding| {
            let served = if binding.served { "yes" } else { "no" };
            let generation =
                binding.generation.map_or_else(|| "–".to_owned(), |number| number.to_string());
            let trouble =
                binding.trouble.map(|trouble| format!("{} {}", trouble.code, trouble.sentence));
            vec![
                name.clone(),
                binding.target,
                served.to_owned(),
                generation,
                moment(binding.seen, now),
                trouble.unwrap_or_default(),
            ]
        })
    });
    (vec!["CERTIFICATE", "TARGET", "SERVED", "GENERATION", "SEEN", "TROUBLE"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    #[test]
    fn every_kind_has_its_table_and_its_json() {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        let rows = || status::status(&facts, &witnesses, story::NOW);
        let render = |kind, form| render(&facts, rows, kind, (story::NOW, form));
        for (kind, schema, part) in [
            (Kind::Certificates, "renewd.certificates/1", "example.org"),
            (Kind::Accounts, "renewd.accounts/1", "https://ca.test/dir"),
            (Kind::Bindings, "renewd.bindings/1", "0.0.0.0:443"),
        ] {
            let text = render(kind, Form::Text(120)).out;
            assert!(text.contains(part), "{text}");
            let value: Value = serde_json::from_str(&render(kind, Form::Json).out).unwrap();
            assert_eq!(value["schema"], schema);
            assert_eq!(value["data"].as_array().map(Vec::len), Some(1));
        }
        assert_eq!(render(Kind::Orders, Form::Text(80)).out.lines().count(), 1);
    }
}
