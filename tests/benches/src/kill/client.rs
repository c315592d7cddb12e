//! The clients: how each is started on a host of its own, and how it shows that it has its certificate.

use std::process::ExitStatus;

use renewd_tests::pebble::PROFILE_DEFAULT;
use renewd_tests::process::Process;
use renewd_tests::tls;

use super::Ca;
use crate::error::BenchError;
use crate::history::History;
use crate::peer::{self, caddy, domain, lego};
use crate::rig;

/// A client.
pub(super) struct Client {
    pub(super) name: &'static str,
    /// Its name with its version.
    pub(super) who: fn() -> Result<String, BenchError>,
    /// A host without history that wants the certificate of this number.
    pub(super) site: fn(&Ca, u32) -> Result<Site, BenchError>,
}

/// Ours.
pub(super) const OURS: Client =
    Client { name: "renewd", who: || Ok("renewd".to_owned()), site: ours };
/// `lego run` again is what its documentation says for a certificate that is not there yet.
pub(super) const LEGO: Client =
    Client { name: "lego", who: || peer::with_version("lego"), site: lego };
/// Caddy is started again with its storage, as a service manager does.
pub(super) const CADDY: Client =
    Client { name: "caddy", who: || peer::with_version("caddy"), site: caddy };

/// How a client shows that it has its certificate.
enum Proof {
    /// It serves it.
    Handshake,
    /// It ends well: lego serves nothing.
    GoodEnd,
}

/// One host of one client, which wants one certificate. What the client keeps lives as long.
pub(super) struct Site {
    name: String,
    proof: Proof,
    start: Box<dyn Fn() -> Result<Process, BenchError>>,
}

impl Site {
    /// Starts the client, for the first time or again.
    pub(super) fn start(&self) -> Result<Process, BenchError> {
        (self.start)()
    }

    /// Whether the client has the certificate now.
    pub(super) fn has_its_certificate(
        &self,
        ca: &Ca,
        ended: Option<ExitStatus>,
        issuer_root: &str,
    ) -> bool {
        let address = ([127, 0, 0, 1], ca.https_port).into();
        match self.proof {
            Proof::Handshake => tls::handshake(address, &self.name, issuer_root).is_ok(),
            Proof::GoodEnd => ended.is_some_and(|status| status.success()),
        }
    }
}

fn ours(ca: &Ca, number: u32) -> Result<Site, BenchError> {
    let lineage = History::at(&ca.directory_url).lineage(number)?;
    let host = rig::host(&rig::Wanted {
        directory_url: &ca.directory_url,
        root_pem: Some(ca.pebble.root_pem()),
        http_port: ca.http_port,
        https_port: Some(ca.https_port),
        profile: Some(PROFILE_DEFAULT),
        sites: std::slice::from_ref(&lineage),
    })?;
    Ok(Site {
        name: lineage.domain.as_str().to_owned(),
        proof: Proof::Handshake,
        start: Box::new(move || Ok(host.start(&["run"])?)),
    })
}

fn lego(ca: &Ca, number: u32) -> Result<Site, BenchError> {
    let folder = lego::folder(ca.pebble.root_pem())?;
    let (url, name) = (ca.directory_url.clone(), domain(number));
    let challenge = lego::standalone(ca.http_port);
    Ok(Site {
        name: name.clone(),
        proof: Proof::GoodEnd,
        start: Box::new(move || {
            let mut command = lego::command(folder.path(), &url, &name, &challenge)?;
            Ok(Process::start("lego", &mut command, folder.path())?)
        }),
    })
}

fn caddy(ca: &Ca, number: u32) -> Result<Site, BenchError> {
    let name = domain(number);
    let site = caddy::Site::new(&caddy::Wanted {
        directory_url: &ca.directory_url,
        root_pem: ca.pebble.root_pem(),
        http_port: ca.http_port,
        https_port: ca.https_port,
        names: std::slice::from_ref(&name),
        options: "",
    })?;
    Ok(Site { name, proof: Proof::Handshake, start: Box::new(move || site.start()) })
}
