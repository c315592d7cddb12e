//! An answer before it is put on the wire (faults may still bend it).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::problem::Problem;

/// Status, headers and whole body of an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// An answer with a body of that media type.
    pub(crate) fn new(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> Self {
        let reply = Self { status, headers: HeaderMap::new(), body: body.into() };
        reply.with(CONTENT_TYPE, media_type)
    }

    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// One more header. A value that cannot be a header is left out: it would come from a script.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// `Location: url`.
    pub(crate) fn located(self, url: &str) -> Self {
        self.with(LOCATION, url)
    }

    /// `Link: <url>;rel="rel"`.
    pub(crate) fn linked(self, url: &str, rel: &str) -> Self {
        self.with(LINK, &format!("<{url}>;rel=\"{rel}\""))
    }

    /// `Retry-After: seconds`, when there is one.
    pub(crate) fn retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with(RETRY_AFTER, &seconds.to_string()),
            None => self,
        }
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = problem.to_json().to_string();
        let mut reply = Self::new(status, "application/problem+json", body);
        if let Some(wait) = &problem.retry_after {
            reply = reply.with(RETRY_AFTER, wait);
        }
        match &problem.terms {
            Some(terms) => reply.linked(terms, "terms-of-service"),
            None => reply,
        }
    }
}
