//! A small, strict ACME CA (RFC 8555, RFC 9773) over real HTTPS that can be told to misbehave.
//!
//! `renewd demo` runs against it, and so do the tests: it refuses and writes down every deviation
//! of a client ([`TestCa::violations`]), counts requests ([`TestCa::counts`]), and plays scripted
//! faults ([`Fault`]) a public CA shows once a year.
//!
//! Read in this order: [`options`] (how it is set up), [`ca`] (the handle), `server` (sockets and
//! the road of one request), `jws` and `gate` (who may ask), `endpoints/` (what each URL does),
//! `store` (the state), `validate` (http-01), `issue` (certificates), [`fault`] (misbehaviour).
//!
//! Not here: external account binding, keyChange, dns-01, wildcards, IP identifiers, a database
//! (all state dies with the value), any trust: its roots are made at start and never leave memory.

pub mod ca;
pub mod fault;
pub mod ledger;
pub mod options;

mod authority;
mod bend;
mod body;
mod clock;
mod endpoints;
mod gate;
mod issue;
mod jws;
mod nonce;
mod pause;
mod problem;
mod reply;
mod route;
mod server;
mod store;
mod tls;
mod validate;

pub use ca::{CertificateSummary, OrderSummary, TestCa};
pub use clock::{ClockSkew, http_date};
pub use fault::{ERROR_TYPES, Fault, FaultKind};
pub use ledger::{Counts, Endpoint};
pub use options::{Agreement, Options};
pub use store::Root;
