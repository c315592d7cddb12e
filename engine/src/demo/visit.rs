//! A visitor: a TLS handshake that trusts the CA's root and nothing else, and what it was shown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::id::Hash;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::error::DemoError;

/// Connect and handshake on loopback; a loaded machine was never seen above one second.
const VISIT_TIME_MAX: Duration = Duration::from_secs(10);

/// The page has some 10 KiB.
const PAGE_OCTETS_MAX: u64 = 1024 * 1024;

/// The certificate that a visitor got and trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The names it is valid for.
    pub(super) names: Vec<String>,
    /// Its issuer.
    pub(super) issuer: String,
    /// Its serial number, hexadecimal.
    pub(super) serial: String,
    /// Valid from.
    pub(super) not_before: WallMs,
    /// Valid to.
    pub(super) not_after: WallMs,
    /// SHA-256 of the certificate.
    pub(super) fingerprint: Hash,
}

/// Shakes hands with `site` as a browser would for `name`, trusting only `roots_pem`.
pub(super) async fn visit(
    site: SocketAddr,
    name: &str,
    roots_pem: &str,
) -> Result<Shown, DemoError> {
    let failed = |cause: String| DemoError::Handshake { address: site.to_string(), cause };
    let leaf = tokio::time::timeout(VISIT_TIME_MAX, shake(site, name, roots_pem))
        .await
        .map_err(|_| failed(format!("no handshake within {VISIT_TIME_MAX:?}")))?
        .map_err(|cause| failed(cause.to_string()))?;
    read(&leaf).map_err(failed)
}

/// The head of the status page's answer: its status line and what it is.
pub(super) async fn page(admin: SocketAddr) -> Result<String, DemoError> {
    let failed = |cause: String| DemoError::Page { address: admin.to_string(), cause };
    let answer = tokio::time::timeout(VISIT_TIME_MAX, get(admin))
        .await
        .map_err(|_| failed(format!("no answer within {VISIT_TIME_MAX:?}")))?
        .map_err(|cause| failed(cause.to_string()))?;
    let status = answer.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(failed(format!("it answers `{}`", renewd_replay::escape::field(status, 80))));
    }
    let title = answer.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map_or("", |(title, _)| title);
    Ok(format!("{status}: {}", renewd_replay::escape::field(title, 80)))
}

async fn get(admin: SocketAddr) -> Result<String, Cause> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(PAGE_OCTETS_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

async fn shake(site: SocketAddr, name: &str, roots_pem: &str) -> Result<Vec<u8>, Cause> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerName::try_from(name.to_owned())?;
    let stream = TcpStream::connect(site).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
    Ok(leaf.ok_or("no certificate was shown")?.to_vec())
}

fn read(der: &[u8]) -> Result<Shown, String> {
    let (_, leaf) = parse_x509_certificate(der).map_err(|cause| cause.to_string())?;
    let alternative = leaf.subject_alternative_name().map_err(|cause| cause.to_string())?;
    let names = alternative.map_or_else(Vec::new, |extension| {
        let names = extension.value.general_names.iter();
        names
            .filter_map(|name| {
                if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }
            })
            .collect()
    });
    let time = |time: x509_parser::time::ASN1Time| WallMs::from_seconds(time.timestamp());
    Ok(Shown {
        names,
        issuer: leaf.issuer().to_string(),
        serial: leaf.raw_serial_as_string(),
        not_before: time(leaf.validity().not_before),
        not_after: time(leaf.validity().not_after),
        fingerprint: Hash::of(der),
    })
}
