//! A TLS handshake as a client makes it, to see which certificate is shown. Whether it is trusted is
//! not asked: a private CA's and an expired certificate are seen too. That the server holds the key
//! is proven by its signature.

use std::sync::Arc;
use std::time::Duration;

use renewd_events::id::Fingerprint;
use renewd_events::problem::{Problem, ProblemClass};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::listener::server_config;

/// Connect and handshake together: the port's promise.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);
/// Room for a handshake in memory; both sides read while they write.
const PIPE_OCTETS: usize = 16 * 1024;
/// A label in place of `*`: no certificate is likely to hold it by itself.
const ANY_LABEL: &str = "renewd-check";

/// Connects to `address` and gives the address that answered and the certificate it showed.
pub(super) async fn look(
    address: &str,
    server_name: &str,
) -> Result<(String, Fingerprint), Problem> {
    let looked = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|cause| problem("connect", &format!("cannot connect: {cause}"), address))?;
        let peer =
            stream.peer_addr().map_err(|cause| problem("connect", &cause.to_string(), address))?;
        let seen = shake(stream, server_name, address).await?;
        Ok((peer.to_string(), seen))
    };
    within_bound(looked, address).await
}

/// The same through a resolver that an embedding program holds: both ends are in this process.
pub(super) async fn look_inside(
    resolver: Arc<dyn ResolvesServerCert>,
    server_name: &str,
) -> Result<Fingerprint, Problem> {
    let place = "library";
    let tls = |cause: Error| problem("tls", &cause.to_string(), place);
    let acceptor = TlsAcceptor::from(server_config(resolver).map_err(tls)?);
    let (near, far) = tokio::io::duplex(PIPE_OCTETS);
    let looked = async {
        let (seen, served) = tokio::join!(shake(near, server_name, place), acceptor.accept(far));
        // The client's error is the evidence; the server's follows from it.
        drop(served);
        seen
    };
    within_bound(looked, place).await
}

async fn within_bound<T>(
    looked: impl Future<Output = Result<T, Problem>>,
    address: &str,
) -> Result<T, Problem> {
    tokio::time::timeout(LOOK_TIME_MAX, looked).await.unwrap_or_else(|_| {
        let text = format!("no TLS handshake within {} s", LOOK_TIME_MAX.as_secs());
        Err(problem("timeout", &text, address))
    })
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    server_name: &str,
    address: &str,
) -> Result<Fingerprint, Problem> {
    let host = server_name.replacen('*', ANY_LABEL, 1);
    let tls = |text: &str| problem("tls", text, address);
    let name = ServerName::try_from(host)
        .map_err(|_| tls(&format!("`{server_name}` is not a name for a TLS handshake")))?;
    let config = client_config().map_err(|cause| tls(&cause.to_string()))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|cause| tls(&format!("the handshake for {server_name} failed: {cause}")))?;
    let (_, session) = stream.get_ref();
    session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| Fingerprint::of(leaf))
        .ok_or_else(|| tls("no certificate was shown"))
}

fn client_config() -> Result<ClientConfig, Error> {
    let provider = default_provider();
    let look = JustLook(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(look))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes every certificate and checks every signature.
#[derive(Debug)]
struct JustLook(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for JustLook {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn problem(kind: &str, text: &str, address: &str) -> Problem {
    Problem::new(ProblemClass::Transport, kind, text).about(address)
}
