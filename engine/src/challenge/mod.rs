//! Answers http-01 challenges (RFC 8555 §8.3) and fetches them the way the CA will.
//!
//! Read in this order: `answer` (one request, one answer), `visits` (who came), [`Responder`] (the
//! server), `probe` (our own fetch).
//!
//! Not here: which tokens are pending. They are a projection of the log, asked through [`Lookup`].

mod answer;
mod probe;
mod responder;
mod visits;
mod waiting;

pub use answer::{Lookup, Redirect};
pub use responder::{Opened, Responder, ResponderOptions};
pub use visits::Visited;
pub use waiting::Waiting;
pub(crate) use waiting::{RETRY_FIRST, RETRY_MAX};
