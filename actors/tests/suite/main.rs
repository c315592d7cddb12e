//! The six actors over a world in memory.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails loudly and reads the clock"
)]
#![expect(clippy::print_stdout, reason = "what a fleet costs is worth a line")]

mod aside;
mod fleet;
mod guards;
mod mailbox;
mod outage;
mod restart;
mod road;
mod served;
mod twins;
mod world;
