//! TOML with places: the tables of the file, read key by key.
//!
//! Every key that a section may have stands in [`SCHEMA`]; another is refused when the section is
//! opened, with the nearest known one or the section it belongs to.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::shown;
use super::fault::Fault;
use super::mask::{is_private_key, is_secret_key};
use super::sink::Sink;

/// The sections and their keys. The first entry is the top of the file.
pub(super) const SCHEMA: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "version",
            "state_dir",
            "account",
            "certificate",
            "renew",
            "http",
            "restart",
            "admin",
            "vault",
            "telemetry",
        ],
    ),
    ("account", &["ca", "email", "terms_accepted", "ca_root_file"]),
    ("certificate", &["name", "domains", "profile", "renew", "bind"]),
    ("certificate.renew", &["ari", "at_life_left"]),
    (
        "certificate.bind",
        &["target", "address", "port", "directory", "reload", "reload_timeout", "verify"],
    ),
    ("renew", &["ari", "at_life_left", "check_every", "retry_first", "max_parallel"]),
    ("http", &["listen", "force_ssl", "hsts"]),
    ("http.hsts", &["enabled", "max_age", "include_subdomains", "preload"]),
    ("restart", &["when", "method"]),
    ("admin", &["listen", "allow_remote"]),
    ("vault", &["key_file", "key_credential", "key_env"]),
    ("telemetry", &["otlp_endpoint", "log"]),
    ("telemetry.log", &["format", "level"]),
];

/// Names closer than this share of their letters count as a slip of the hand (0 to 1).
pub(super) const SIMILAR: f64 = 0.8;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    /// `account.email`
    pub(super) field: String,
}

/// A list of texts, and the place of each.
pub(super) type Texts<'r> = At<Vec<At<&'r str>>>;

/// One table of the file.
pub(super) struct Section<'r, 'i> {
    name: String,
    pub(super) span: Range<usize>,
    table: Option<&'r DeTable<'i>>,
}

impl<'r, 'i> Section<'r, 'i> {
    /// The top of the file.
    pub(super) fn root(root: &'r Spanned<DeTable<'i>>, sink: &mut Sink) -> Self {
        Self::open("", String::new(), 0..0, root.get_ref(), sink)
    }

    fn open(
        kind: &str,
        name: String,
        span: Range<usize>,
        table: &'r DeTable<'i>,
        sink: &mut Sink,
    ) -> Self {
        let section = Self { name, span, table: Some(table) };
        let known = SCHEMA.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, keys)| keys);
        for (key, value) in table {
            let field = section.field(&shown(key.get_ref()));
            if known.contains(&key.get_ref().as_ref()) {
                refuse_private_key(&field, value, sink);
            } else if is_secret_key(key.get_ref()) {
                sink.push(&field, key.span(), Fault::InlineSecret { instead: instead_of(kind) });
            } else {
                let hint = hint_for(key.get_ref(), kind, known);
                sink.push(&field, key.span(), Fault::UnknownKey { hint });
            }
        }
        section
    }

    /// Gives the section the name it has in messages, once that is known.
    pub(super) fn rename(&mut self, name: String) {
        self.name = name;
    }

    /// The full name of one of its keys.
    pub(super) fn field(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn get(&self, key: &str) -> Option<At<&'r DeValue<'i>>> {
        let value = self.table?.get(key)?;
        Some(At { value: value.get_ref(), span: value.span(), field: self.field(key) })
    }

    /// Where a key's value stands; the section itself when the key is absent.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.span.clone(), |found| found.span)
    }

    /// Whether the key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn text(&self, key: &str, sink: &mut Sink) -> Option<At<&'r str>> {
        let found = self.get(key)?;
        let text = found.value.as_str();
        if text.is_none() {
            let example = format!("{key} = \"…\"");
            wrong_type(&found, "a text in quotes", example, sink);
        }
        text.map(|value| At { value, span: found.span, field: found.field })
    }

    /// The first text of a list (or the text itself), without a word about mistakes.
    pub(super) fn first_text(&self, key: &str) -> Option<&'r str> {
        let value = self.get(key)?.value;
        let first = || value.as_array()?.iter().next()?.get_ref().as_str();
        value.as_str().or_else(first)
    }

    pub(super) fn flag(&self, key: &str, sink: &mut Sink) -> Option<bool> {
        let found = self.get(key)?;
        let flag = found.value.as_bool();
        if flag.is_none() {
            wrong_type(&found, "true or false", format!("{key} = true"), sink);
        }
        flag
    }

    pub(super) fn integer(&self, key: &str, example: i64, sink: &mut Sink) -> Option<At<i64>> {
        let found = self.get(key)?;
        let value = found.value.as_integer().and_then(|integer| {
            let digits = integer.as_str().replace('_', "");
            i64::from_str_radix(&digits, integer.radix()).ok()
        });
        if value.is_none() {
            wrong_type(&found, "a whole number", format!("{key} = {example}"), sink);
        }
        value.map(|value| At { value, span: found.span, field: found.field })
    }

    /// A list of texts; one text alone is a list of one.
    pub(super) fn text_or_texts(&self, key: &str, sink: &mut Sink) -> Option<Texts<'r>> {
        let found = self.get(key)?;
        let At { span, field, .. } = found.clone();
        match found.value.as_str() {
            Some(value) => {
                let one = At { value, span: span.clone(), field: field.clone() };
                Some(At { value: vec![one], span, field })
            }
            None => self.texts(key, sink),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str, sink: &mut Sink) -> Option<Texts<'r>> {
        let found = self.get(key)?;
        let At { span, field, .. } = found.clone();
        let example = format!("{key} = [\"…\", \"…\"]");
        let Some(array) = found.value.as_array() else {
            wrong_type(&found, "a list of texts", example, sink);
            return None;
        };
        let mut texts = Vec::new();
        for entry in array {
            let at = At { value: entry.get_ref(), span: entry.span(), field: field.clone() };
            match at.value.as_str() {
                Some(value) => texts.push(At { value, span: at.span, field: at.field }),
                None => wrong_type(&at, "a text in quotes", example.clone(), sink),
            }
        }
        // All of it was of a wrong type: that is told already, and is not an empty list.
        if texts.is_empty() && array.iter().next().is_some() {
            return None;
        }
        Some(At { value: texts, span, field })
    }

    /// A table inside this one; an empty one when it is not written.
    pub(super) fn section(&self, key: &str, kind: &str, sink: &mut Sink) -> Section<'r, 'i> {
        let name = self.field(key);
        let empty = |span| Section { name: name.clone(), span, table: None };
        let Some(found) = self.get(key) else {
            return empty(self.span.clone());
        };
        let Some(table) = found.value.as_table() else {
            wrong_type(&found, "a table", format!("[{kind}]"), sink);
            return empty(found.span);
        };
        Section::open(kind, name, found.span, table, sink)
    }

    /// A list of tables; one table alone is a list of one.
    pub(super) fn sections(&self, key: &str, kind: &str, sink: &mut Sink) -> Vec<Section<'r, 'i>> {
        let Some(found) = self.get(key) else {
            return Vec::new();
        };
        if let Some(table) = found.value.as_table() {
            return vec![Section::open(kind, self.field(key), found.span, table, sink)];
        }
        let Some(array) = found.value.as_array() else {
            wrong_type(&found, "a list of tables", format!("[[{kind}]]"), sink);
            return Vec::new();
        };
        self.open_all(key, kind, array, sink)
    }

    fn open_all(
        &self,
        key: &str,
        kind: &str,
        array: &'r DeArray<'i>,
        sink: &mut Sink,
    ) -> Vec<Section<'r, 'i>> {
        let mut sections = Vec::new();
        for (nth, entry) in array.iter().enumerate() {
            let name = format!("{}[{}]", self.field(key), nth + 1);
            match entry.get_ref().as_table() {
                Some(table) => sections.push(Section::open(kind, name, entry.span(), table, sink)),
                None => {
                    let at = At { value: entry.get_ref(), span: entry.span(), field: name };
                    wrong_type(&at, "a table", format!("[[{kind}]]"), sink);
                }
            }
        }
        sections
    }
}

fn wrong_type(found: &At<&DeValue<'_>>, wanted: &'static str, example: String, sink: &mut Sink) {
    let kind = match found.value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let fault = Fault::WrongType { wanted, found: kind, example };
    sink.push(&found.field, found.span.clone(), fault);
}

fn refuse_private_key(field: &str, value: &Spanned<DeValue<'_>>, sink: &mut Sink) {
    if value.get_ref().as_str().is_some_and(is_private_key) {
        let instead = OWN_KEYS;
        sink.push(field, value.span(), Fault::InlineSecret { instead });
    }
}

/// Where a key of a certificate or an account comes from.
const OWN_KEYS: &str = "remove it: renewd makes its keys itself and keeps them in its vault";

fn instead_of(kind: &str) -> &'static str {
    match kind {
        "vault" => {
            "keep it in a file of mode 0600 and name that: key_file = \"vault.key\" (or key_credential, key_env)"
        }
        "certificate" | "certificate.bind" => OWN_KEYS,
        _ => {
            "remove it: the only secret that renewd is given is the vault's key, by [vault] key_file, key_credential or key_env"
        }
    }
}

fn hint_for(key: &str, kind: &str, known: &[&str]) -> String {
    let similar = |candidate: &&&str| strsim::jaro_winkler(key, candidate);
    let nearest = known.iter().max_by(|a, b| similar(a).total_cmp(&similar(b)));
    if let Some(nearest) = nearest.filter(|candidate| similar(candidate) >= SIMILAR) {
        return format!("did you mean `{nearest}`?");
    }
    let elsewhere = SCHEMA.iter().find(|(of, keys)| *of != kind && keys.contains(&key));
    match elsewhere {
        Some(("", _)) => {
            format!("`{key}` belongs to the top of the file, before the first [section]")
        }
        Some((section, _)) => format!("`{key}` belongs into [{section}]"),
        None => format!("known here: {}", known.join(", ")),
    }
}
