//! Tests of the log on disk.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, its helpers too")]

mod common;
mod damage;

mod doubt;
#[expect(clippy::disallowed_methods, reason = "it starts a process, waits, and kills it")]
mod kill;
mod mend;
#[expect(clippy::disallowed_methods, reason = "it starts a process, waits, and kills it")]
mod mend_kill;
#[expect(clippy::disallowed_methods, reason = "it starts a process, waits, and kills it")]
mod power_cut;
mod store;
