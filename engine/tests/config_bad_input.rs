//! Every broken configuration in `tests/golden/config` gives exactly the words beside it, and every
//! good one is accepted. `RENEWD_GOLDEN=write` writes the expected words anew; read the diff.

#![expect(clippy::unwrap_used, reason = "a test fails loudly, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use renewd::cli::explain;
use renewd::config::{Config, Style};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/config")
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files
}

/// The tests run in the folder of the package; names in messages must not depend on it.
fn check(file: &Path) -> Result<Config, renewd::config::ConfigErrors> {
    let name = Path::new(file.file_name().unwrap());
    Config::from_bytes(name, &fs::read(file).unwrap())
}

#[test]
fn every_broken_file_gives_exactly_the_words_beside_it() {
    let write = std::env::var_os("RENEWD_GOLDEN").is_some_and(|value| value == "write");
    let files = toml_files(&folder());
    assert!(files.len() >= 40, "only {} broken files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let Err(errors) = check(&file) else {
            wrong.push(format!("{} was accepted", file.display()));
            continue;
        };
        for error in errors.errors() {
            let line = error.line().unwrap_or_default();
            assert!(line >= 1, "{}: {error} names no line", file.display());
            assert!(explain::page(&error.code()).is_some(), "{} has no page", error.code());
        }
        let words = errors.render(Style::PLAIN);
        let expected = file.with_extension("stderr");
        if write {
            fs::write(&expected, &words).unwrap();
        } else if fs::read_to_string(&expected).ok().as_ref() != Some(&words) {
            wrong.push(format!("{}:\n{words}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_file_is_accepted() {
    let files = toml_files(&folder().join("good"));
    assert!(!files.is_empty());
    for file in files {
        if let Err(errors) = Config::from_bytes(&file, &fs::read(&file).unwrap()) {
            panic!("{}", errors.render(Style::PLAIN));
        }
    }
}

#[test]
fn no_secret_of_a_broken_file_is_ever_shown() {
    for file in toml_files(&folder()) {
        let Err(errors) = check(&file) else { continue };
        for words in [errors.render(Style::PLAIN), errors.to_string(), format!("{errors:?}")] {
            assert!(!words.contains("hunter2"), "{}: {words}", file.display());
        }
    }
}

#[test]
fn every_code_of_the_configuration_is_shown_by_a_broken_file() {
    // Those that concern the file itself are tested in config_files.rs, those of `init` there.
    let elsewhere = ["R0101", "R0109", "R0110", "R0112", "R0113", "R0169"];
    let shown: BTreeSet<String> = toml_files(&folder())
        .iter()
        .filter_map(|file| check(file).err())
        .flat_map(|errors| errors.errors().iter().map(|error| error.code()).collect::<Vec<_>>())
        .collect();
    let missing: Vec<&str> = explain::codes()
        .filter(|code| code.starts_with("R01") && *code < "R0170")
        .filter(|code| !shown.contains(*code) && !elsewhere.contains(code))
        .collect();
    assert!(missing.is_empty(), "no broken file for {missing:?}");
}
