//! A TLS client that trusts exactly the roots it is given: what is served, as a visitor sees it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::error::HarnessError;

/// Connect, each read and each write. Loopback answers in microseconds; a machine that is slow or stands
/// still for a while gets the rest.
pub const SOCKET_TIME_MAX: Duration = Duration::from_secs(60);

/// An open, verified connection.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// What a server showed in one handshake. The chain was verified against the given roots and the
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// SHA-256 of the leaf's DER, lower-case hex: the fingerprint.
    pub leaf_sha256: String,
    /// DER, leaf first, as sent.
    pub chain: Vec<Vec<u8>>,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
}

/// Shakes hands with `address`, asking for `name`, and says what was served.
///
/// # Errors
/// When nobody answers, or the certificate does not fit `name` and `roots_pem`.
pub fn handshake(address: SocketAddr, name: &str, roots_pem: &str) -> Result<Served, HarnessError> {
    let stream = connect(address, name, roots_pem)?;
    let chain: Vec<Vec<u8>> = stream
        .conn
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.to_vec())
        .collect();
    let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
    let alpn = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    Ok(Served { leaf_sha256: sha256_hex(leaf), chain, alpn })
}

/// Opens a connection and completes the handshake.
///
/// # Errors
/// When nobody answers, or the certificate does not fit `name` and `roots_pem`.
pub fn connect(address: SocketAddr, name: &str, roots_pem: &str) -> Result<Stream, HarnessError> {
    let at = format!("{name} at {address}");
    let config = client_config(roots_pem)?;
    let server = ServerName::try_from(name.to_owned()).map_err(HarnessError::tls(&*at))?;
    let connection =
        ClientConnection::new(Arc::new(config), server).map_err(HarnessError::tls(&*at))?;
    let socket = TcpStream::connect_timeout(&address, SOCKET_TIME_MAX)
        .map_err(HarnessError::io("connect to", &*at))?;
    bounded(&socket).map_err(HarnessError::io("set timeouts of", &*at))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        match stream.conn.complete_io(&mut stream.sock) {
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => {
                return Err(HarnessError::Tls { at, cause: cause.to_string() });
            }
        }
    }
    Ok(stream)
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 fingerprint of the first certificate of a PEM text.
///
/// # Errors
/// When the text holds no certificate.
pub fn pem_leaf_sha256(pem: &str) -> Result<String, HarnessError> {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(HarnessError::tls("PEM"))?;
    Ok(sha256_hex(&leaf))
}

fn bounded(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_read_timeout(Some(SOCKET_TIME_MAX))?;
    socket.set_write_timeout(Some(SOCKET_TIME_MAX))
}

fn client_config(roots_pem: &str) -> Result<ClientConfig, HarnessError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        let root = root.map_err(HarnessError::tls("roots"))?;
        roots.add(root).map_err(HarnessError::tls("roots"))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(HarnessError::tls("client"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
