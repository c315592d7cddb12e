//! The whole road with the real `renewd`, a real ACME server (Pebble), the real log on disk and real
//! sockets: issue, renew, be killed anywhere, meet a bad CA, a taken port, a damaged log.
//!
//! Each test has a site of its own. They mostly wait, so all are in one binary.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

mod ca;
mod check;
mod damage;
mod issue;
mod kill;
mod place;
mod process;
mod renew;
