//! The vault does not grow for ever: keys of earlier renewals go, those that are needed never do.

use std::collections::BTreeSet;
use std::fs;

use renewd_tests::site::{Plan, Site, Wanted};

use crate::check;

/// Renewals after the first issue; the three keys before the newest stay.
const RENEWALS: usize = 5;

/// The certificate keys in the vault.
fn keys(site: &Site) -> BTreeSet<String> {
    let vault = fs::read_dir(site.host.state_dir().join("vault")).unwrap();
    let names = vault.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("cert-")).collect()
}

#[test]
fn keys_of_renewals_long_over_are_removed_and_the_served_one_stays() {
    let wanted = Wanted::new("web", &["keys.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    for renewal in 1..=RENEWALS {
        let asked = site.host.run(&["renew", "web"]).unwrap();
        assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
        site.wait_for(&mut renewd, "RenewalSucceeded", renewal + 1).unwrap();
    }
    let last = check::is_served(&site, &wanted);
    check::stop(renewd);
    let all = keys(&site);
    assert_eq!(all.len(), RENEWALS + 1, "nothing goes while it runs: {all:?}");

    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", 2).unwrap();
    let left = keys(&site);
    assert_eq!(left.len(), 4, "{left:?}");
    let adopted = site.events_named("GenerationAdopted");
    for event in adopted.iter().rev().take(4) {
        let key = event.text("/key_ref");
        assert!(left.iter().any(|name| name.ends_with(key)), "{key} is gone: {left:?}");
    }
    assert_eq!(check::is_served(&site, &wanted).leaf_sha256, last.leaf_sha256);
    // Another renewal, and another start after a crash: nothing that is needed goes.
    site.host.run(&["renew", "web"]).unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", RENEWALS + 2).unwrap();
    renewd.sigkill().unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", 3).unwrap();
    check::is_served(&site, &wanted);
    assert_eq!(keys(&site).len(), 4);
    check::stop(renewd);
    check::log_is_whole(&site);
}
