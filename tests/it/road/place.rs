//! Where a certificate is served: a port that somebody else has, files for another program, nginx.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use renewd_tests::process::Process;
use renewd_tests::site::{EVENT_TIME_MAX, Place, Plan, Site, Wanted};
use renewd_tests::{ports, tls, wait};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::check;
use crate::renew::call_for_renewal;

/// nginx where Debian puts it, else on PATH.
const NGINX: [&str; 2] = ["/usr/sbin/nginx", "/usr/bin/nginx"];

#[test]
fn a_port_in_use_is_left_alone_and_opened_when_it_is_free() {
    let taken = Wanted::new("taken", &["taken.test"]).unwrap();
    let free = Wanted::new("free", &["free.test"]).unwrap();
    let other = TcpListener::bind(taken.address().unwrap()).unwrap();
    let site = Site::start(Plan::repeatable(vec![taken.clone(), free.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    // Both are issued; one is served.
    site.wait_for(&mut renewd, "GenerationAdopted", 2).unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &free);
    let failed = site.wait_for(&mut renewd, "ListenerFailed", 1).unwrap();
    assert_eq!(failed[0].text("/address"), taken.address().unwrap().to_string());
    let holder = failed[0].text("/holder");
    assert!(holder.contains(&std::process::id().to_string()), "{:?}", failed[0]);
    // The other program still has its port.
    drop(TcpStream::connect(taken.address().unwrap()).unwrap());
    other.accept().unwrap();
    let row = status(&site, "taken");
    assert_eq!((&row["state"], &row["served"]), (&json!("not-served"), &json!("partly")), "{row}");
    assert_eq!(row["bindings"][0]["served"], false, "{row}");
    let next = row["next"]["what"].as_str().unwrap();
    assert!(next.starts_with("try again to listen on") && row["next"]["at"].is_string(), "{row}");
    assert_eq!(status(&site, "free")["served"], "everywhere");

    drop(other);
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    check::is_served(&site, &taken);
    assert_eq!(site.pebble.orders_made(), 2);
    assert_eq!(status(&site, "taken")["served"], "everywhere");
    // A killed engine writes no end: that nothing is served any more is seen at its socket.
    renewd.sigkill().unwrap();
    let row = status(&site, "taken");
    assert_eq!((&row["state"], &row["served"]), (&json!("not-served"), &json!("partly")), "{row}");
    assert_eq!(row["next"]["why"], "the engine is not running: a person must start it");
    let listed = site.host.run(&["list", "bindings", "--json"]).unwrap().stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for row in listed["data"].as_array().unwrap() {
        assert_eq!(row["served"], false, "{row}");
    }
    let why = site.host.run(&["why", "taken"]).unwrap().stdout;
    assert!(why.contains("not seen anywhere"), "{why}");
    check::log_is_whole(&site);
}

/// What `status --json` says of a certificate.
fn status(site: &Site, name: &str) -> Value {
    let said = site.host.run(&["status", name, "--json"]).unwrap().stdout;
    let value: Value = serde_json::from_str(&said).unwrap();
    value["data"][0].clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Key and chain in a folder belong together; the fingerprint of the certificate.
fn pair(folder: &Path) -> String {
    let chain = fs::read_to_string(folder.join("fullchain.pem")).unwrap();
    let key = fs::read(folder.join("privkey.pem")).unwrap();
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    assert!(certificates.len() >= 2);
    let key = any_supported_type(&PrivateKeyDer::from_pem_slice(&key).unwrap()).unwrap();
    CertifiedKey::new(certificates, key).keys_match().unwrap();
    // Another user's server must come to the chain, through folders that a hardened process made.
    let folder = folder.canonicalize().unwrap();
    let folders: Vec<u32> = folder.ancestors().take(3).map(mode).collect();
    assert_eq!(folders, [0o755; 3], "{}", folder.display());
    assert_eq!(mode(&folder.join("privkey.pem")), 0o600);
    assert_eq!(mode(&folder.join("fullchain.pem")), 0o644);
    tls::pem_leaf_sha256(&chain).unwrap()
}

#[test]
fn files_are_one_generation_and_the_reload_command_sees_it() {
    let bind = "target = \"files\"\ndirectory = \"tls\"\nreload = [\"/bin/sh\", \"reload.sh\"]";
    let wanted = Wanted::new("web", &["files.test"]).unwrap().at(Place::Bind(bind.to_owned()));
    let site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let folder = site.host.folder().to_owned();
    let script = "echo \"$RENEWD_CERTIFICATE $(readlink \"$RENEWD_DIRECTORY/current\")\" >> \"$(dirname \"$RENEWD_DIRECTORY\")/marker\"\n";
    let script = site.host.write("reload.sh", script).unwrap();
    let bind = bind.replace("reload.sh", &script.display().to_string());
    let mut site = site;
    site.plan.certificates[0].place = Place::Bind(bind);
    site.configure().unwrap();

    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    call_for_renewal(&site);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    check::stop(renewd);

    let marker = fs::read_to_string(folder.join("marker")).unwrap();
    assert_eq!(marker, "web generations/1\nweb generations/2\n");
    // What the command writes is the operator's: it has the umask that renewd was started with.
    let probe = site.host.write("probe", "").unwrap();
    assert_eq!(mode(&folder.join("marker")), mode(&probe));
    let adopted = site.events_named("GenerationAdopted");
    for (number, event) in (1..).zip(&adopted) {
        let generation = folder.join(format!("tls/generations/{number}"));
        assert_eq!(pair(&generation), event.text("/leaf/fingerprint"));
    }
    assert_eq!(pair(&folder.join("tls/current")), adopted[1].text("/leaf/fingerprint"));
    let row = status(&site, "web");
    assert_eq!(row["served"], "on-disk", "no `verify`: no server was asked: {row}");
    let reloads = site.events_named("ReloadFinished");
    assert_eq!(reloads.len(), 2);
    assert!(reloads.iter().all(|e| e.data["problem"].is_null()), "{reloads:?}");
    check::log_is_whole(&site);
}

/// A running nginx; ended with its workers.
struct Nginx(Process);

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL of the master would leave the workers.
        if self.0.sigterm().is_ok() {
            drop(self.0.wait_for_end(check::STOP_TIME_MAX));
        }
    }
}

fn nginx() -> PathBuf {
    NGINX.iter().map(PathBuf::from).find(|path| path.is_file()).expect(
        "nginx is needed and not there: apt-get install --no-install-recommends nginx-light",
    )
}

/// Starts nginx with the certificate in `tls`, in the host's folder.
fn start_nginx(site: &Site, address: SocketAddr) -> Nginx {
    let folder = site.host.folder().display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/tmp-{name};\n"))
        .concat();
    let config = format!(
        "daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temporary}server {{\nlisten {address} ssl;\n\
         ssl_certificate {folder}/tls/current/fullchain.pem;\n\
         ssl_certificate_key {folder}/tls/current/privkey.pem;\nreturn 200 ok;\n}}\n}}\n"
    );
    let config = site.host.write("nginx.conf", config).unwrap();
    let mut command = Command::new(nginx());
    command.args(["-e", "stderr", "-p", &folder, "-c"]).arg(config);
    let mut started = Nginx(Process::start("nginx", &mut command, site.host.folder()).unwrap());
    started.0.wait_until("nginx", EVENT_TIME_MAX, |_| TcpStream::connect(address).ok()).unwrap();
    started
}

#[test]
fn nginx_serves_the_renewed_certificate_after_its_reload() {
    let nginx_at = nginx();
    let plain = "target = \"files\"\ndirectory = \"tls\"".to_owned();
    let wanted = Wanted::new("web", &["nginx.test"]).unwrap().at(Place::Bind(plain.clone()));
    let mut site = Site::start(Plan::repeatable(vec![wanted]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);

    let [port] = ports::free().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _nginx = start_nginx(&site, address);
    let folder = site.host.folder().display().to_string();
    let config = format!("{folder}/nginx.conf");
    let nginx_at = nginx_at.display();
    site.plan.certificates[0].place = Place::Bind(format!(
        "{plain}\nreload = [\"{nginx_at}\", \"-e\", \"stderr\", \"-p\", \"{folder}\", \"-c\", \"{config}\", \"-s\", \"reload\"]\nverify = \"{address}\""
    ));
    site.configure().unwrap();
    call_for_renewal(&site);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    let adopted = site.events_named("GenerationAdopted");
    let second = adopted[1].text("/leaf/fingerprint");
    let verified = site.events_named("ServedVerified");
    let last = verified.last().unwrap();
    assert_eq!(
        (last.text("/fingerprint"), last.text("/address")),
        (second, address.to_string().as_str())
    );
    let root = site.pebble.issuer_root_pem().unwrap();
    // A worker of before may still take a connection or two while it goes.
    let seen = wait::until(check::STOP_TIME_MAX, || {
        let served = tls::handshake(address, "nginx.test", &root).ok()?;
        (served.leaf_sha256 == second).then_some(())
    });
    assert!(seen.is_some(), "nginx does not show {second}");
    check::stop(renewd);
    check::log_is_whole(&site);
}
