//! The harness: what a test needs to run the real `renewd` against a real ACME server.
//!
//! Read in this order: [`site`] (a CA, a host and a configuration that belong together), [`pebble`]
//! (the ACME server and its DNS), [`host`] (a directory, a configuration and the binary), [`record`]
//! (what the log says), [`tls`] (what is served, as a visitor sees it). Below them: [`passage`] (late
//! or no answers between the two), [`process`] (a child that dies with its owner), [`wait`] (the only
//! sleep), [`https`] (a bounded client without `renewd`'s own code), [`ports`] and [`error`]. On top of
//! all: [`kill`] (SIGKILL thousands of times, counted from the CA's side).
//!
//! [`damage`] needs none of them: it damages logs and opens them again.
//!
//! Everything here blocks and has a named bound. Not here: the fault-injecting CA
//! (`renewd-testca`) and the tests themselves (`tests/it`).
//!
//! Pebble is never optional: where it cannot be had, [`pebble::Pebble::start`] fails and says why.

pub mod damage;
pub mod error;
pub mod fault_site;
pub mod foreign;
pub mod host;
pub mod https;
pub mod kill;
pub mod passage;
pub mod pebble;
pub mod ports;
pub mod process;
pub mod record;
pub mod site;
pub mod tls;
pub mod wait;
