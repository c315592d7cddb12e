//! What a person and a monitor can see of a running engine: the status page, the same as JSON, health
//! and metrics, on a loopback port; and one command, `renew`, on a Unix socket only.
//!
//! Read in this order: [`server`] (the two sockets), `port` (the page's, awaited while another program
//! holds it), `guard` (which Host names are answered), `asked` and `routes` (request to answer), `reply`
//! (headers), `view` and `page` (facts to words and HTML), `bar` (the validity bar), `story` (past renewals,
//! read from the log's mirror), `present` (facts and evidence), `health`, [`metrics`]
//! and `gauges`, [`client`] (the other end of the Unix socket).
//!
//! Not here: what the states and sentences are (`renewd-replay`), what is done (`renewd-actors`).

mod asked;
mod bar;
pub mod client;
#[cfg(feature = "fuzzing")]
pub(crate) mod door;
mod gauges;
mod guard;
mod health;
pub mod metrics;
mod page;
mod port;
mod present;
mod reply;
mod routes;
pub mod server;
mod story;
mod view;

pub(crate) use asked::ACCEPT_TERMS;
pub use metrics::Counters;
pub(crate) use routes::{LOG_PATH, TERMS_SCHEMA};
pub use server::{Admin, Options};

/// The Unix socket's name inside the state directory.
pub const SOCKET: &str = "admin.sock";
