//! The whole road with the real `renewd`, a real ACME server (Pebble), the real log on disk and real
//! sockets: issue, renew, be killed anywhere, meet a bad CA, a taken port, a damaged log.
//!
//! Each test has a site of its own. They mostly wait, so all are in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails loudly, its helpers too"
)]
#![expect(clippy::print_stdout, reason = "how often a kill cost an order is worth a line")]

mod ca;
mod ca_answers;
mod ca_cases;
mod ca_cases_order;
mod ca_foreign;
mod ca_moods;
mod check;
mod clock;
mod damage;
mod damaged_index;
mod degraded;
mod force_ssl;
mod held_port;
mod issue;
mod kill;
mod kill_random;
mod kill_renewal;
mod lives;
mod lost_issue;
mod lost_order;
mod mend;
mod namespace;
mod old_keys;
mod place;
mod process;
mod read_only;
mod renew;
mod restart;
mod secrets;
mod signals;
mod terms;
mod vault_key;
mod waiting;
