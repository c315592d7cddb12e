//! The fault CA is checked by clients that we did not write: each obtains a certificate from it over
//! real HTTPS and http-01, and a CA that broke the RFC, or saw it broken, fails here.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use renewd_testca::{Endpoint, Fault, FaultKind, Options};
use renewd_tests::fault_site::FaultCa;
use renewd_tests::process::Process;
use renewd_tests::{foreign, ports, tls};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;

/// certbot takes seconds to start and sleeps between looks; a loaded machine doubles that.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(300);
const NAMES: [&str; 2] = ["foreign.test", "www.foreign.test"];

/// What a client needs to know.
struct Job {
    directory: String,
    http: SocketAddr,
    root: String,
    folder: TempDir,
}

/// Runs a client against a fresh CA that, like Pebble, refuses some good nonces, until it has a chain.
fn obtains(name: &'static str, chain: &str, command: impl FnOnce(&mut Command, &Job)) {
    let program = foreign::find(name).unwrap();
    let [port] = ports::free().unwrap();
    let http = SocketAddr::from(([127, 0, 0, 1], port));
    let options =
        Options { http01_target: http, processing: Duration::from_secs(1), ..Options::default() };
    let ca = FaultCa::start(options).unwrap();
    // What every client must survive: a nonce refused at the worst moment.
    ca.inject(Fault::once(Endpoint::NewOrder, FaultKind::BadNonce));
    ca.inject(Fault::once(Endpoint::Finalize, FaultKind::BadNonce));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    fs::write(&root, ca.root_pem()).unwrap();
    let root = root.display().to_string();
    let job = Job { directory: ca.directory_url(), http, root, folder };
    let at = job.folder.path();
    let mut start = Command::new(program);
    start.current_dir(at);
    command(&mut start, &job);
    let mut client = Process::start(name, &mut start, at).unwrap();
    let status = client.wait_for_end(CLIENT_TIME_MAX).unwrap();
    let said = client.stdout() + &client.stderr();
    assert!(status.success(), "{name}: {said}");

    let pem = fs::read_to_string(at.join(chain)).unwrap();
    is_good(&pem, ca.issuer_root_pem());
    let [certificate] = ca.certificates().try_into().unwrap();
    assert_eq!(certificate.names, NAMES);
    assert_eq!(tls::pem_leaf_sha256(&pem).unwrap(), tls::sha256_hex(&certificate.der));
    let counts = ca.counts();
    assert_eq!((ca.orders().len(), counts.faults, counts.unknown), (1, 2, 0));
    assert!(counts.bad_nonce >= 2, "{counts:?}");
    assert_eq!(ca.orders()[0].status, "valid");
    // The ledger is looked at when the CA goes.
}

/// The chain leads to the root, for every name.
fn is_good(pem: &str, root: &str) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider.into()).build().unwrap();
    let chain: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
    let (leaf, rest) = chain.split_first().unwrap();
    assert_eq!(rest.len(), 1, "leaf and intermediate");
    for name in NAMES {
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()).unwrap();
    }
}

#[test]
fn lego_obtains_a_certificate_from_the_fault_ca() {
    let chain = Path::new("lego/certificates").join(format!("{}.crt", NAMES[0]));
    obtains("lego", &chain.display().to_string(), |command, job| {
        command
            .args(["--server", &job.directory, "--accept-tos", "--email", "ops@example.org"])
            .args(["--path", "lego", "--key-type", "ec256"])
            .args(["--http", "--http.port", &job.http.to_string()])
            .args(NAMES.iter().flat_map(|name| ["--domains", name]))
            .arg("run")
            .env("LEGO_CA_CERTIFICATES", &job.root);
    });
}

#[test]
fn certbot_obtains_a_certificate_from_the_fault_ca() {
    let chain = format!("config/live/{}/fullchain.pem", NAMES[0]);
    obtains("certbot", &chain, |command, job| {
        command
            .args(["certonly", "--standalone", "--non-interactive", "--agree-tos"])
            .args(["--email", "ops@example.org", "--key-type", "ecdsa"])
            .args(["--server", &job.directory])
            .args(["--http-01-address", &job.http.ip().to_string()])
            .args(["--http-01-port", &job.http.port().to_string()])
            .args(["--config-dir", "config", "--work-dir", "work", "--logs-dir", "logs"])
            .args(NAMES.iter().flat_map(|name| ["--domain", name]))
            .env("REQUESTS_CA_BUNDLE", &job.root);
    });
}
