//! The CA under test, an HTTPS client that trusts it, an http-01 responder, CSRs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use renewd_testca::{Options, TestCa};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::{TcpListener, TcpStream};

/// Looks before a test gives up waiting; with [`LOOK_EVERY`] ten seconds.
pub(crate) const LOOKS_MAX: usize = 3_000;
/// Pause between two looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A CA whose http-01 fetches go to `responder`.
pub(crate) async fn ca(responder: &Responder, options: Options) -> TestCa {
    TestCa::start(Options { http01_target: responder.address, ..options }).await.unwrap()
}

/// An HTTP client over TLS that trusts only that CA's web root, and never repeats a request.
pub(crate) fn web<B>(ca: &TestCa) -> Client<HttpsConnector<HttpConnector>, B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector)
}

/// The transport for instant-acme.
pub(crate) struct Transport(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Transport {
    pub(crate) fn new(ca: &TestCa) -> Self {
        Self(web(ca))
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = self.0.request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(|cause| Error::Other(Box::new(cause)))?;
            Ok(BytesResponse::from(answer))
        })
    }
}

/// An http-01 responder on a port of its own.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Responder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let shared = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, answers }
    }

    /// Answers `token` with `body` from now on.
    pub(crate) fn publish(&self, token: &str, body: &str) {
        self.answers.lock().unwrap().insert(token.to_owned(), body.to_owned());
    }
}

async fn serve(stream: TcpStream, answers: Arc<Mutex<BTreeMap<String, String>>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let token = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let answer = answers.lock().unwrap().get(&token).cloned();
        async move { Ok::<_, Infallible>(respond(answer)) }
    });
    let ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(ended); // the CA closes as it likes
}

fn respond(answer: Option<String>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.clone().unwrap_or_default()));
    if answer.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// A CSR for those names with a new key.
pub(crate) fn csr(names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    request.der().to_vec()
}
