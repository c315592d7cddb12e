//! `renewd config check [FILE]`: every mistake at once, or what the file means.

use std::path::Path;

use super::exit::{Exit, Reply};
use crate::config::{Bind, Certificate, Config, Style};

/// Checks the file that is named, else the one that `run` would use. Exit code 3 when it is
/// invalid. Nothing is changed and no host is asked.
pub fn run(file: Option<&Path>, style: Style) -> Reply {
    let path = Config::locate(file);
    match Config::load(&path) {
        Ok(config) => Reply::done(summary(&path, &config)),
        Err(errors) => Reply::failed(Exit::Config, errors.render(style)),
    }
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
    if !config.account.terms_accepted {
        let ca = config.account.ca.title();
        notes.push(format!("account.terms_accepted is false: nothing will be ordered until a person accepts the terms of {ca}"));
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
