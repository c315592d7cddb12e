//! `renewd config check [FILE]`: every mistake at once, or what the file means and what it lacks.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::{Value, json};

use super::exit::{self, Exit, Reply};
use crate::config::{Bind, Certificate, Config, ConfigError, ConfigErrors, Style};

/// The schema of this JSON.
const SCHEMA: &str = "renewd.config-check/1";

/// Flags of the command.
#[derive(Debug, Default, clap::Args)]
pub struct Flags {
    /// The file, instead of --config
    pub file: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Checks the file that is named, else the one that `run` would use. Exit code 3 when it is
/// invalid. Nothing is changed and no host is asked.
pub fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let path = Config::locate(flags.file.as_deref().or(config));
    let loaded = Config::check(&path);
    if flags.json {
        let exit = if loaded.is_ok() { Exit::Done } else { Exit::Config };
        let out = format!("{}\n", exit::json(SCHEMA, data(&path, &loaded)));
        return Reply { out, err: String::new(), exit };
    }
    match loaded {
        Ok((config, warnings)) => {
            let err = warnings.iter().map(|warning| style.draw(warning)).collect();
            Reply { err, ..Reply::done(summary(&path, &config)) }
        }
        Err(errors) => Reply::failed(Exit::Config, errors.render(style)),
    }
}

fn data(path: &Path, loaded: &Result<(Config, Vec<ConfigError>), ConfigErrors>) -> Value {
    let file = path.display().to_string();
    match loaded {
        Ok((config, warnings)) => {
            let warnings: Vec<Value> = warnings.iter().map(mistake).collect();
            let certificates: Vec<Value> = config.certificates.iter().map(described).collect();
            let ca = config.account.ca.title();
            json!({ "file": file, "valid": true, "ca": ca, "certificates": certificates,
                "notes": notes(config), "warnings": warnings, "errors": [] })
        }
        Err(errors) => {
            let told: Vec<Value> = errors.errors().iter().map(mistake).collect();
            json!({ "file": file, "valid": false, "errors": told,
                "errors_not_shown": errors.not_shown() })
        }
    }
}

fn described(certificate: &Certificate) -> Value {
    let names: Vec<String> = certificate.domains.iter().map(ToString::to_string).collect();
    let places: Vec<String> = certificate.bindings.iter().map(place).collect();
    json!({ "name": certificate.name.to_string(), "domains": names, "served": places })
}

fn mistake(error: &ConfigError) -> Value {
    json!({
        "code": error.code(),
        "field": error.field(),
        "line": error.line(),
        "error": error.fault().to_string(),
        "help": error.help().map(|help| help.to_string()),
    })
}

fn summary(path: &Path, config: &Config) -> String {
    let names: usize = config.certificates.iter().map(|c| c.domains.len()).sum();
    let mut lines = vec![format!(
        "ok: {}: {} certificate(s), {names} name(s), CA {}",
        path.display(),
        config.certificates.len(),
        config.account.ca.title(),
    )];
    lines.extend(config.certificates.iter().map(certificate));
    lines.extend(notes(config).into_iter().map(|note| format!("note: {note}")));
    lines.push(String::new());
    lines.join("\n")
}

fn certificate(certificate: &Certificate) -> String {
    let names: Vec<String> = certificate.domains.iter().map(ToString::to_string).collect();
    let places: Vec<String> = certificate.bindings.iter().map(place).collect();
    let places = if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
    format!("  {}: {}; served: {places}", certificate.name, names.join(", "))
}

fn place(bind: &Bind) -> String {
    match bind {
        Bind::Builtin(builtin) => {
            let sockets: Vec<String> = builtin.sockets().iter().map(ToString::to_string).collect();
            sockets.join(", ")
        }
        Bind::Files(files) => format!("files in {}", files.directory.display()),
    }
}

/// What is allowed, but seldom meant to stay.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if config.certificates.is_empty() {
        notes.push("there is no [[certificate]]: nothing will be ordered".to_owned());
    }
    if config.account.ca.known.is_some_and(|ca| ca.staging) {
        notes.push("a staging CA is for trying: browsers refuse its certificates".to_owned());
    }
    for certificate in config.certificates.iter().filter(|c| c.bindings.is_empty()) {
        notes.push(format!(
            "certificate {} has no bind: it will be kept, not served",
            certificate.name
        ));
    }
    notes
}
