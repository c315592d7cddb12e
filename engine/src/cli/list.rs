//! `renewd list`: what the log knows, by kind, one line each.

use std::path::Path;

use renewd_events::account::Registration;
use renewd_events::{Facts, WallMs};
use renewd_replay::escape;
use renewd_replay::sentence::names;
use renewd_replay::status::{self, CertificateStatus, Proof};
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
        Ok(mut source) => {
            let engine = alive::look(&flags.reading, config, &mut source);
            let rows = || status::status(&source.facts, &source.witnesses, source.now);
            let reply = render(&source.facts, rows, flags.kind, (source.now, flags.reading.form()));
            alive::with_words(reply, &engine, &source)
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
    let (schema, head, rows) = match kind {
        Kind::Certificates => {
            ("renewd.certificates/1", CERTIFICATE, certificates(facts, status(), now))
        }
        Kind::Accounts => ("renewd.accounts/1", ACCOUNT, accounts(facts)),
        Kind::Orders => ("renewd.orders/1", ORDER, orders(facts)),
        Kind::Bindings => ("renewd.bindings/1", BINDING, bindings(status(), now)),
    };
    match form {
        Form::Json => {
            let all: Vec<Value> = rows.into_iter().map(|row| row.data).collect();
            Reply::done(format!("{}\n", super::exit::json(schema, json!(all))))
        }
        Form::Text(columns) => {
            let mut table = table(columns, head);
            for row in rows {
                table.add_row(row.cells);
            }
            Reply::done(lines(&table))
        }
    }
}

/// One thing, for people and for programs.
struct Row {
    cells: Vec<String>,
    data: Value,
}

const CERTIFICATE: &[&str] = &["NAME", "STATE", "NAMES", "ISSUE", "EXPIRES", "FINGERPRINT"];
const ACCOUNT: &[&str] = &["DIRECTORY", "STATE", "ACCOUNT", "THUMBPRINT", "TERMS", "PROFILES"];
const ORDER: &[&str] = &["ORDER", "CERTIFICATE", "NAMES", "DOING", "URL"];
const BINDING: &[&str] = &["CERTIFICATE", "TARGET", "SERVED", "GENERATION", "SEEN", "TROUBLE"];

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// RFC 3339, as in every JSON of ours.
fn time(at: Option<WallMs>) -> Option<String> {
    at.map(WallMs::rfc3339)
}

fn certificates(facts: &Facts, rows: Vec<CertificateStatus>, now: WallMs) -> Vec<Row> {
    let rows = rows.into_iter().map(|row| {
        let issue = facts.certificates.get(&row.id).and_then(|it| it.current.as_ref());
        let number = issue.map(|issue| issue.generation.0);
        let fingerprint = issue.map(|issue| issue.leaf.fingerprint.to_string());
        let code = row.trouble.map(|trouble| trouble.code);
        let told = code.as_ref().map_or_else(String::new, |code| format!(" {code}"));
        Row {
            data: json!({
                "name": row.name, "state": row.state, "code": code, "names": row.identifiers, "issue": number,
                "expires": time(row.expires), "fingerprint": fingerprint,
            }),
            cells: vec![
                row.name,
                format!("{}{told}", row.state.word()),
                row.identifiers.join(", "),
                or_dash(number.map(|number| number.to_string())),
                moment(row.expires, now),
                or_dash(fingerprint),
            ],
        }
    });
    rows.collect()
}

fn accounts(facts: &Facts) -> Vec<Row> {
    let rows = facts.accounts.values().map(|account| {
        let (state, url) = match &account.registration {
            Registration::Absent => ("absent", None),
            Registration::Requested(_) => ("requested", None),
            Registration::Registered { url } => ("registered", Some(escape::field(url, 200))),
            Registration::Refused { .. } => ("refused", None),
        };
        let accepted = account.terms_are_accepted();
        let directory = escape::field(&account.directory_url, 200);
        let offered = account.directory.as_ref().map(|it| it.profiles.as_slice());
        let profiles: Vec<String> =
            offered.unwrap_or_default().iter().map(|name| escape::field(name, 64)).collect();
        let key = account.key.as_ref().map(|key| escape::field(&key.thumbprint, 64));
        Row {
            data: json!({
                "directory": directory, "state": state, "account": url, "thumbprint": key,
                "terms_accepted": accepted, "profiles": profiles,
            }),
            cells: vec![
                directory,
                state.to_owned(),
                url.unwrap_or_default(),
                key.unwrap_or_default(),
                if accepted { "accepted" } else { "NOT accepted" }.to_owned(),
                escape::field(&profiles.join(", "), 200),
            ],
        }
    });
    rows.collect()
}

fn orders(facts: &Facts) -> Vec<Row> {
    let rows = facts.orders.iter().map(|(id, order)| {
        let request = order.request.as_ref();
        let certificate = request
            .and_then(|request| facts.certificates.get(&request.certificate))
            .map(|certificate| escape::text(certificate.name()));
        let identifiers = request.map(|request| request.identifiers.as_slice()).unwrap_or_default();
        let all: Vec<&str> = identifiers.iter().map(|name| name.as_str()).collect();
        let doing = request
            .and_then(|request| status::doing(facts, request.certificate))
            .map(|doing| doing.what);
        let url = order.url.as_deref().map(|url| escape::field(url, 200));
        Row {
            data: json!({
                "order": id.to_string(), "certificate": certificate, "names": all,
                "doing": doing, "url": url,
            }),
            cells: vec![
                id.to_string().chars().take(12).collect(),
                certificate.unwrap_or_default(),
                names(identifiers),
                doing.unwrap_or_default(),
                url.unwrap_or_default(),
            ],
        }
    });
    rows.collect()
}

fn bindings(rows: Vec<CertificateStatus>, now: WallMs) -> Vec<Row> {
    let rows = rows.into_iter().flat_map(|row| {
        let name = row.name;
        row.bindings.into_iter().map(move |binding| {
            let told = binding.trouble.as_ref();
            let told = told.map(|trouble| format!("{} {}", trouble.code, trouble.sentence));
            Row {
                data: json!({
                    "certificate": name, "target": binding.target, "served": binding.served,
                    "proof": binding.proof,
                    "generation": binding.generation, "seen": time(binding.seen),
                    "trouble": binding.trouble,
                }),
                cells: vec![
                    name.clone(),
                    binding.target,
                    match (binding.served, binding.proof) {
                        (true, Proof::Handshake) => "yes",
                        (true, Proof::Files) => "on disk",
                        (false, _) => "no",
                    }
                    .to_owned(),
                    or_dash(binding.generation.map(|number| number.to_string())),
                    moment(binding.seen, now),
                    told.unwrap_or_default(),
                ],
            }
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;
    use renewd_events::certificate::{Issue, Leaf};
    use renewd_events::id::{CertificateName, Generation, Hash, KeyRef, OrderId};
    use renewd_replay::why::Witnesses;

    fn data(facts: &Facts, witnesses: &Witnesses, kind: Kind) -> Value {
        let rows = || status::status(facts, witnesses, story::NOW);
        let out = render(facts, rows, kind, (story::NOW, Form::Json)).out;
        serde_json::from_str::<Value>(&out).unwrap()["data"].take()
    }

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

    #[test]
    fn programs_get_times_numbers_and_lists_instead_of_words() {
        let (mut facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        let id = CertificateName::parse("example").unwrap().id();
        let leaf = Leaf { not_after: WallMs(1_800_000_000_000), ..Leaf::default() };
        facts.certificates.get_mut(&id).unwrap().current = Some(Issue {
            generation: Generation(3),
            order: OrderId::default(),
            key_ref: KeyRef("key".to_owned()),
            spki: Hash::default(),
            leaf,
        });
        let row = &data(&facts, &witnesses, Kind::Certificates)[0];
        assert_eq!(row["names"], json!(["example.org"]));
        assert_eq!(
            (&row["issue"], &row["expires"]),
            (&json!(3), &json!("2027-01-15T08:00:00.000Z"))
        );
        let row = &data(&facts, &witnesses, Kind::Bindings)[0];
        let empty = (&Value::Bool(false), &Value::Null, &Value::Null);
        assert_eq!((&row["served"], &row["generation"], &row["seen"]), empty);
        let row = &data(&facts, &witnesses, Kind::Accounts)[0];
        assert_eq!((&row["terms_accepted"], &row["account"]), (&Value::Bool(true), &Value::Null));
    }
}
