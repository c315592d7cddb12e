//! HTTP to a collector: our own hyper client, on the runtime that the program has.
//!
//! The SDK's batch thread has no reactor, so every request is handed over to the runtime.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// A collector is next door; one that takes longer is dead.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);
/// One POST and its answer. Whoever waits for the exit waits no longer than this.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);
/// An idle connection; collectors close theirs after a minute or more.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// The answer says how many spans were refused, in a sentence.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;

/// Sends to a collector.
#[derive(Clone)]
pub(super) struct CollectorClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorClient").finish_non_exhaustive()
    }
}

impl CollectorClient {
    /// On this runtime. For https the system's roots are trusted.
    ///
    /// # Errors
    /// The system has no roots.
    pub(super) fn new(runtime: Handle) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIME_MAX));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .build(https);
        Ok(Self { client, runtime })
    }

    async fn exchange(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new)).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_OCTETS_MAX).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = self.clone().exchange(request);
        let task = self
            .runtime
            .spawn(async move { tokio::time::timeout(REQUEST_TIME_MAX, exchange).await });
        task.await??
    }
}
