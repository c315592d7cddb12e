//! The process that serves: who it is, its sockets, how it restarts.
//!
//! Read in this order: [`socket`] (opening an address, or saying why not), [`holder`] (who holds it),
//! `accept` and `http`
//! (bounded loops and connections), [`OwnProcess`] (the port the actors use), [`exec_again`].
//!
//! Not here: what is served (`bind`, `challenge`), signals and the main loop.

pub(crate) mod accept;
pub(crate) mod admission;
mod harden;
pub mod holder;
pub(crate) mod http;
mod own;
mod restart;
pub mod socket;

pub(crate) use harden::as_started;
pub use harden::harden;
pub use own::{OwnProcess, OwnProcessOptions};
pub use restart::exec_again;
