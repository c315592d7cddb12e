//! A configuration file with any octets in it: it loads and holds what the model promises, or every
//! mistake has its code and its place, and no secret is shown.

mod print;

use std::collections::BTreeSet;
use std::path::Path;

use renewd::cli::explain;
use renewd::config::{Bind, Config, ConfigErrors, LifeLeft, Style};
use renewd::declare::declarations;
use renewd::settings::Settings;
use renewd_events::codec::encode_body;
use renewd_events::{Event, Facts};

/// The name in messages. Without a folder: relative paths stay what they are.
const FILE: &str = "renewd.toml";
/// Mistakes that are told at once.
const SHOWN_MAX: usize = 16;
/// A secret, and the line that holds it.
const SECRET: &str = "correct-horse-battery";
const SECRET_LINE: &str = "\npassword = \"correct-horse-battery\"\n";

/// The octets as a file, and once more with a secret at their end.
pub fn configuration(data: &[u8]) {
    match Config::from_bytes(Path::new(FILE), data) {
        Ok(config) => loaded(&config),
        Err(errors) => refused(&errors, data),
    }
    let with_secret = [data, SECRET_LINE.as_bytes()].concat();
    if let Err(errors) = Config::from_bytes(Path::new(FILE), &with_secret) {
        for words in [errors.render(Style::PLAIN), errors.to_string(), format!("{errors:?}")] {
            assert!(!words.contains(SECRET), "a secret is shown:\n{words}");
        }
    }
}

fn loaded(config: &Config) {
    bounded(config);
    let printed = print::toml(config);
    match Config::from_bytes(Path::new(FILE), printed.as_bytes()) {
        Ok(again) => assert_eq!(&again, config, "printed and read again:\n{printed}"),
        Err(errors) => panic!("{errors}\nin\n{printed}"),
    }
    let mut streams = BTreeSet::new();
    for new in declarations(&Settings::from(config), &Facts::default()) {
        let event: &Event = &new.event;
        if let Err(cause) = encode_body(event) {
            panic!("{} cannot be recorded: {cause}", event.name());
        }
        let once = streams.insert((new.stream, event.name()));
        assert!(once, "{} is declared twice in {}", event.name(), new.stream);
    }
}

/// What the model says of itself.
fn bounded(config: &Config) {
    assert!(config.account.ca.url.starts_with("https://"));
    assert!(!config.http.listen.is_empty());
    assert!((1..=64).contains(&config.renew.max_parallel));
    let mut names = BTreeSet::new();
    for certificate in &config.certificates {
        assert!(names.insert(&certificate.name), "{} twice", certificate.name);
        assert!((1..=100).contains(&certificate.domains.len()));
        let domains: BTreeSet<_> = certificate.domains.iter().map(|d| d.name()).collect();
        assert_eq!(domains.len(), certificate.domains.len());
        if let LifeLeft::Share { numerator, denominator } = certificate.renew.at_life_left {
            assert!(0 < numerator && numerator < denominator && denominator <= 100);
        }
        for bind in &certificate.bindings {
            match bind {
                Bind::Builtin(builtin) => assert!(builtin.port > 0),
                Bind::Files(files) => assert!(!files.directory.as_os_str().is_empty()),
            }
        }
    }
}

fn refused(errors: &ConfigErrors, data: &[u8]) {
    assert!((1..=SHOWN_MAX).contains(&errors.errors().len()));
    let lines = data.iter().filter(|octet| **octet == b'\n').count() + 1;
    for error in errors.errors() {
        assert_eq!(error.file(), FILE);
        assert!(explain::page(&error.code()).is_some(), "{} has no page", error.code());
        let line = error.line();
        let whole_file = error.code() == "R0103" && data.len() > 1024 * 1024;
        assert!(
            line.is_some_and(|line| (1..=lines).contains(&line)) || whole_file,
            "{error}: line {line:?} of {lines}"
        );
    }
    let words = errors.render(Style::PLAIN);
    let odd = words.chars().find(|c| is_obeyed(*c));
    assert!(odd.is_none(), "{odd:?} goes to the terminal in\n{words:?}");
}

/// Whether a terminal does something else with it than to draw it.
fn is_obeyed(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
