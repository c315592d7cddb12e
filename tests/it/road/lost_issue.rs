//! The key or the chain of the served certificate is gone when the process starts again: another one is
//! ordered and served without a person, and until then nobody is told that all is well.

use std::fs;
use std::path::PathBuf;

use renewd_tests::host::Ran;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;

/// The exit code of a command, and what it prints.
fn said(site: &Site, command: &[&str]) -> (Option<i32>, String) {
    let Ran { code, stdout, .. } = site.host.run(command).unwrap();
    (code, stdout)
}

/// The file in this folder of the state that holds what the newest issue is served with.
fn file(site: &Site, folder: &str, field: &str) -> PathBuf {
    let adopted = site.events_named("GenerationAdopted");
    let name = adopted.last().unwrap().text(field).to_owned();
    let folder = fs::read_dir(site.host.state_dir().join(folder)).unwrap();
    let mut paths = folder.map(|entry| entry.unwrap().path());
    paths.find(|path| path.display().to_string().contains(&name)).expect("the file")
}

fn mended(domain: &str, folder: &str, field: &str, kind: &str) {
    let wanted = Wanted::new("web", &[domain]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(&site, &wanted);
    renewd.sigkill().unwrap();
    fs::remove_file(file(&site, folder, field)).unwrap();

    // While the CA is away, nothing is mended; and nothing is called well.
    site.passage.close();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "DeploymentFailed", 1).unwrap();
    let failed = site.events_named("DeploymentFailed");
    assert_eq!(failed[0].text("/problem/kind"), kind);
    let (code, status) = said(&site, &["status", "--check"]);
    assert!(code.is_some_and(|code| code != 0), "{status}");
    assert!(status.contains("NOT SERVED") && !status.contains("yes 1/1"), "{status}");
    let (_, why) = said(&site, &["why", "web"]);
    assert!(why.contains("R0713") && why.contains("ordered by itself"), "{why}");

    site.passage.reopen();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let second = check::is_served(&site, &wanted);
    assert_ne!(second.leaf_sha256, first.leaf_sha256);
    let started = site.events_named("RenewalStarted");
    assert_eq!(started[1].text("/cause"), "Lost", "{:?}", started[1]);
    assert_eq!(site.pebble.orders_made(), 2, "one more, no matter how often it was tried");
    let well = wait::until(EVENT_TIME_MAX, || {
        (said(&site, &["status", "--check"]).0 == Some(0)).then_some(())
    });
    assert!(well.is_some(), "{}", said(&site, &["status"]).1);
    check::stop(renewd);

    // It is whole again, for another life too.
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", 3).unwrap();
    assert_eq!(check::is_served(&site, &wanted).leaf_sha256, second.leaf_sha256);
    assert_eq!(site.pebble.orders_made(), 2);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn a_lost_key_is_replaced_by_another_certificate() {
    mended("key.lost.test", "vault", "/key_ref", "vaultKeyAbsent");
}

#[test]
fn a_lost_chain_is_replaced_by_another_certificate() {
    mended("chain.lost.test", "chains", "/leaf/chain", "chainAbsent");
}
