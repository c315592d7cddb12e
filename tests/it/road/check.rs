//! What is checked in many tests.

use std::collections::BTreeSet;
use std::time::Duration;

use renewd_tests::process::Process;
use renewd_tests::record::Record;
use renewd_tests::site::{Site, Wanted};
use renewd_tests::tls::Served;

/// A clean end: the drain of six actors and one commit; a machine may be slow.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(120);

/// What the log says was adopted last for a certificate with this first name.
pub(crate) fn adopted(events: &[Record], stream: &str) -> String {
    let last = events.iter().rfind(|e| e.name == "GenerationAdopted" && e.stream == stream);
    last.unwrap().text("/leaf/fingerprint").to_owned()
}

/// The stream of the certificate with this configured name.
pub(crate) fn stream_of(events: &[Record], name: &str) -> String {
    let declared =
        events.iter().find(|e| e.name == "CertificateDeclared" && e.text("/name") == name);
    declared.unwrap().stream.clone()
}

/// It is served with Pebble's chain, it is the one the log says, and holds the key of the vault (else
/// there would be no handshake).
pub(crate) fn is_served(site: &Site, wanted: &Wanted) -> Served {
    let served = site.handshake(wanted, &wanted.domains[0]).unwrap();
    let events = site.events();
    let stream = stream_of(&events, &wanted.name);
    assert_eq!(served.leaf_sha256, adopted(&events, &stream));
    served
}

/// `renewd log verify` finds nothing.
pub(crate) fn log_is_whole(site: &Site) {
    let ran = site.host.run(&["log", "verify"]).unwrap();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("order and hash chain: whole"), "{}", ran.stdout);
}

/// Different tokens, orders, keys: nothing is used twice.
pub(crate) fn all_differ<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    let mut seen = BTreeSet::new();
    for text in texts {
        assert!(seen.insert(text), "{text} comes twice");
    }
    seen.len()
}

/// Ends it with SIGTERM, as a service manager does.
pub(crate) fn stop(mut renewd: Process) {
    renewd.sigterm().unwrap();
    let status = renewd.wait_for_end(STOP_TIME_MAX).unwrap();
    assert_eq!(status.code(), Some(0), "{}", renewd.stderr());
}
