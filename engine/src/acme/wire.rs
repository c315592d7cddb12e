//! What carries a request to the CA: sockets with TLS; in fuzz tests a function in their place, so
//! that everything above it is the product's own.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

use super::fault::Fault;
use super::settings::Bounds;

/// Public CAs close idle connections after a minute or more; we are first, so that a request never
/// runs into their closing.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Connections kept to one CA: as many as certificates in flight.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// The answer to a request, without sockets.
#[cfg(feature = "fuzzing")]
pub type Script = std::sync::Arc<dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync>;

/// The way to one CA.
#[derive(Clone)]
pub(super) enum Wire {
    /// One pool of TLS connections.
    Sockets(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    /// A function that answers.
    #[cfg(feature = "fuzzing")]
    Script(Script),
}

impl Wire {
    /// Over TLS only.
    pub(super) fn sockets(tls: rustls::ClientConfig, bounds: &Bounds) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(bounds.connect));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(https);
        Self::Sockets(client)
    }

    /// The request goes out; its answer's head comes back, with a body that is still to be read.
    pub(super) async fn carry(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Either<Incoming, Full<Bytes>>>, Fault> {
        match self {
            Self::Sockets(client) => {
                let answer = client.request(request.map(Full::new)).await;
                let answer = answer.map_err(|error| Fault::of_client(&error))?;
                Ok(answer.map(Either::Left))
            }
            #[cfg(feature = "fuzzing")]
            Self::Script(script) => Ok(script(&request).map(|body| Either::Right(Full::new(body)))),
        }
    }
}
