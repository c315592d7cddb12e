//! The CA over the wire (RFC 8555, RFC 9773): `instant-acme` for what it can do, our own transport
//! below it, and our own signature for the three requests it cannot make.
//!
//! Read in this order: [`settings`] (what it is given, bounds), [`client`] (the port), `seat` (one
//! account), `orders`, `order` and `authorization` (what is worked on), `lost` with `unread` (finding an order whose
//! answer was lost), `jws` (our own signature), `transport` with `wire`, `nonces`, `roots`, `directory` and
//! `fault` (sockets and their errors), `call` (what one port call saw), `limits` (what is
//! taken of an answer), `problem` (errors as
//! evidence), [`chain`] (what a downloaded chain says), `renewal_info` (RFC 9773).
//!
//! Not here: when to ask, how often, and what to do about an answer. Nothing here waits or decides.

pub mod chain;
pub mod client;
pub mod settings;

mod authorization;
mod call;
mod directory;
mod fault;
mod jws;
mod limits;
mod lost;
mod nonces;
mod order;
mod orders;
mod problem;
mod renewal_info;
pub(crate) mod roots;
mod seat;
mod transport;
mod unread;
mod wire;

pub use client::AcmeClient;
pub(crate) use fault::unanswered;
pub use settings::{
    AccountConfig, AccountFacts, AccountKeys, Bounds, ChainSink, KnownAccount, Roots,
};
#[cfg(feature = "fuzzing")]
pub use wire::Script;
