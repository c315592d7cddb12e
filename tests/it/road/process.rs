//! Starts and ends of the process: exit codes are API.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use renewd_tests::site::{Plan, Site, Wanted};

use crate::check;

fn issued() -> (Site, Wanted) {
    let wanted = Wanted::new("web", &["process.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    (site, wanted)
}

#[test]
fn a_second_engine_on_the_same_state_is_refused() {
    let (site, wanted) = issued();
    let mut first = site.run().unwrap();
    site.wait_for(&mut first, "EngineBooted", 2).unwrap();
    let second = site.host.run(&["run"]).unwrap();
    assert_eq!(second.code, Some(8), "{}", second.stderr);
    let names = ["log", "another"].iter().all(|word| second.stderr.contains(word));
    assert!(names, "{}", second.stderr);
    assert!(first.ended().is_none());
    check::is_served(&site, &wanted);
    check::stop(first);
    check::log_is_whole(&site);
}

#[test]
fn a_vault_key_that_is_wrong_missing_or_open_to_others_is_refused() {
    let (site, _) = issued();
    let path = site.host.folder().join("vault.key");
    let good = fs::read_to_string(&path).unwrap();
    let cases = [
        ("another key", "YW5vdGhlciB0ZXN0IGtleSwgYWxzbyBubyBzZWNyZXQ=\n"),
        ("too short", "c2hvcnQ=\n"),
        ("empty", ""),
    ];
    for (case, text) in cases {
        site.write_vault_key(text).unwrap();
        let ran = site.host.run(&["run"]).unwrap();
        assert_eq!(ran.code, Some(6), "{case}: {}", ran.stderr);
        assert!(ran.stderr.contains("vault"), "{case}: {}", ran.stderr);
        let shown = !text.trim().is_empty() && ran.stderr.contains(text.trim());
        assert!(!shown && !ran.stderr.contains(good.trim()), "{case}: a key is shown");
    }
    site.write_vault_key(&good).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = site.host.run(&["run"]).unwrap();
    assert_eq!(ran.code, Some(6), "open to others: {}", ran.stderr);
    fs::remove_file(&path).unwrap();
    let ran = site.host.run(&["run"]).unwrap();
    assert_eq!(ran.code, Some(6), "missing: {}", ran.stderr);
    assert_eq!(site.pebble.orders_made(), 1);
    check::log_is_whole(&site);
}

#[test]
fn a_broken_configuration_ends_with_three_and_touches_nothing() {
    let wanted = Wanted::new("web", &["config.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let broken = site.toml().replace("config.test", "https://config.test");
    site.host.write_config(&broken).unwrap();
    let ran = site.host.run(&["run"]).unwrap();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("renewd.toml:"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(site.host.state_dir()).unwrap().count(), 0);
    let none = site.host.run(&["log", "cat"]).unwrap();
    assert_eq!(none.code, Some(3), "{}", none.stderr);
    assert_eq!(site.passage.connections(), 0);
}
