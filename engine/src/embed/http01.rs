//! Challenges on a port-80 server of the host.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Body;
use hyper::service::Service;

use crate::challenge::Responder;

/// A hyper service that answers pending challenges and leaves all else to the service inside.
#[derive(Clone)]
pub struct Http01Or<S> {
    responder: Weak<Responder>,
    inner: S,
}

impl<S> fmt::Debug for Http01Or<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http01Or").finish_non_exhaustive()
    }
}

impl<S> Http01Or<S> {
    pub(super) fn new(responder: Weak<Responder>, inner: S) -> Self {
        Self { responder, inner }
    }

    fn challenge<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return None;
        }
        let path = request.uri().path();
        let authorization = self.responder.upgrade()?.key_authorization(path)?;
        let mut answer = Response::new(Full::new(Bytes::from(authorization)));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(answer)
    }
}

impl<S, B, A> Service<Request<B>> for Http01Or<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    A: Body<Data = Bytes>,
    A::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Either<Full<Bytes>, A>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        if let Some(answer) = self.challenge(&request) {
            return Box::pin(async move { Ok(answer.map(Either::Left)) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(Either::Right)) })
    }
}
