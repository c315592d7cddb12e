//! A program with renewd inside: its own HTTP server answers the challenges, its own HTTPS server
//! shows the certificate, and both go on while it is renewed.
//!
//! `cargo run --example embed -- example.org ops@example.org ./state` orders at Let's Encrypt's
//! staging CA and needs ports 80 and 443; the name must lead here. Ctrl-C ends it.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use renewd::{Account, Certificate, Renewd};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(email), Some(state)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: embed NAME EMAIL STATE_DIR".into());
    };
    let account = Account::lets_encrypt_staging().email(email).terms_accepted_by_operator();
    let renewd = Renewd::builder()
        .state_dir(state)
        .account(account)
        .certificate(Certificate::new([name]))
        .start()
        .await?;
    let mut events = renewd.events();
    tokio::spawn(plain(TcpListener::bind("[::]:80").await?, renewd.clone()));
    tokio::spawn(secure(TcpListener::bind("[::]:443").await?, renewd.clone()));
    let mut out = std::io::stdout();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => writeln!(out, "{} {:?}", event.certificate, event.what)?,
                None => return Err(renewd.failed().await.into()),
            },
            asked = tokio::signal::ctrl_c() => {
                asked?;
                return Ok(renewd.shutdown().await?);
            }
        }
    }
}

/// What the program is for.
async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello from the host\n"))))
}

/// Port 80: challenges for renewd, everything else as before.
pub(crate) async fn plain(listener: TcpListener, renewd: Renewd) {
    let service = renewd.http01_or(service_fn(hello));
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(one(stream, service.clone()));
    }
}

/// Port 443: the host's own rustls, with the resolver in it.
pub(crate) async fn secure(listener: TcpListener, renewd: Renewd) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(renewd.cert_resolver());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                one(stream, service_fn(hello)).await;
            }
        });
    }
    Ok(())
}

async fn one<I, S, B>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Clients close as they like.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}
