//! Where the vault's key comes from, besides a file: a systemd credential, an environment variable. And
//! what the operator is told when it is not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use renewd_tests::host::Ran;
use renewd_tests::site::{Place, Plan, Site, Wanted};

use crate::check;

/// 32 octets in base64: no secret.
const KEY: &str = "YSBrZXkgb2YgYSB0ZXN0LCBhbmQgbm8gc2VjcmV0ISE=";
/// Another 32.
const OTHER_KEY: &str = "YW5vdGhlciBrZXkgb2YgYSB0ZXN0LCBubyBzZWNyZXQ=";
/// The variable of these tests.
const VARIABLE: &str = "RENEWD_TEST_VAULT_KEY";
/// The credential of these tests.
const CREDENTIAL: &str = "renewd.vault";
/// The exit code of what the operator has to permit or to give.
const PERMISSION: i32 = 6;

/// A site whose `[vault]` says this, with the certificate served at `place`.
fn site(vault: &str, place: Option<&str>) -> (Site, Wanted) {
    let mut wanted = Wanted::new("web", &["vault.test"]).unwrap();
    if let Some(lines) = place {
        wanted = wanted.at(Place::Bind(lines.to_owned()));
    }
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let toml = site.toml().replace("key_file = \"vault.key\"", vault);
    assert!(toml.contains(vault));
    site.host.write_config(&toml).unwrap();
    // Nothing may come from there.
    fs::remove_file(site.host.folder().join("vault.key")).unwrap();
    (site, wanted)
}

/// `renewd run` refuses with this code and these words, and shows no key.
fn refused(site: &Site, case: &str, code: &str, words: &[&str]) {
    let Ran { code: exit, stderr, stdout } = site.host.run(&["run"]).unwrap();
    assert_eq!(exit, Some(PERMISSION), "{case}: {stderr}");
    assert!(stderr.contains(code), "{case}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{case}: {word} is missing: {stderr}");
    }
    for secret in [KEY, OTHER_KEY] {
        assert!(!stderr.contains(secret) && !stdout.contains(secret), "{case}: a key is shown");
    }
}

/// Issues, ends, and comes back with the same key.
fn issues_and_comes_back(site: &Site, wanted: &Wanted) {
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(site, wanted);
    check::stop(renewd);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", 2).unwrap();
    assert_eq!(check::is_served(site, wanted).leaf_sha256, first.leaf_sha256);
    check::stop(renewd);
    assert_eq!(site.pebble.orders_made(), 1);
}

#[test]
fn a_systemd_credential_opens_the_vault() {
    let (mut site, wanted) = site(&format!("key_credential = \"{CREDENTIAL}\""), None);
    refused(&site, "no credentials", "R0502", &["CREDENTIALS_DIRECTORY", CREDENTIAL]);
    // As systemd does it: a directory of its own, closed to others, files of mode 0400.
    let folder = site.host.folder().join("credentials");
    fs::create_dir(&folder).unwrap();
    site.host.set_env("CREDENTIALS_DIRECTORY", &folder.display().to_string());
    refused(&site, "no such credential", "R0502", &[CREDENTIAL]);
    let file = folder.join(CREDENTIAL);
    fs::write(&file, "c2hvcnQ=\n").unwrap();
    refused(&site, "too short", "R0502", &[CREDENTIAL, "32 bytes"]);
    fs::write(&file, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    issues_and_comes_back(&site, &wanted);
    fs::remove_file(&file).unwrap();
    fs::write(&file, format!("{OTHER_KEY}\n")).unwrap();
    refused(&site, "another key", "R0501", &[CREDENTIAL]);
    check::log_is_whole(&site);
}

#[test]
fn an_environment_variable_opens_the_vault() {
    let (mut site, wanted) = site(&format!("key_env = \"{VARIABLE}\""), None);
    refused(&site, "not set", "R0502", &[VARIABLE]);
    site.host.set_env(VARIABLE, "not a key");
    refused(&site, "no key", "R0502", &[VARIABLE, "32 bytes"]);
    site.host.set_env(VARIABLE, KEY);
    issues_and_comes_back(&site, &wanted);
    site.host.set_env(VARIABLE, OTHER_KEY);
    refused(&site, "another key", "R0501", &[VARIABLE]);
    check::log_is_whole(&site);
}

#[test]
fn a_reload_command_does_not_see_the_key_in_its_environment() {
    let bind = "target = \"files\"\ndirectory = \"tls\"\nreload = [\"/bin/sh\", \"-c\", \"env > \\\"$RENEWD_DIRECTORY/../seen\\\"\"]";
    let (mut site, _) = site(&format!("key_env = \"{VARIABLE}\""), Some(bind));
    site.host.set_env(VARIABLE, KEY);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    let seen = fs::read_to_string(site.host.folder().join("seen")).unwrap();
    assert!(seen.contains("RENEWD_CERTIFICATE"), "{seen}");
    assert!(!seen.contains(VARIABLE) && !seen.contains(KEY), "{seen}");
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let wanted = Wanted::new("web", &["vault.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let file = site.host.folder().join("vault.key");
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        refused(&site, &format!("{mode:o}"), "R0502", &["chmod 0600", "vault.key"]);
    }
    fs::remove_file(&file).unwrap();
    refused(&site, "missing", "R0502", &["vault.key"]);
    assert_eq!(site.passage.connections(), 0, "the CA was asked");
}
