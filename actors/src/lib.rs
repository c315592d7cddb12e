//! Who decides.
//!
//! One renewal on its road: the [`clock`] plans it and wakes the [`issuer`] when it is due; the issuer
//! records that it began, that a key and an order are wanted, and the effects are carried out; the
//! `validator` chooses challenges, probes them and tells the CA; the issuer looks, finalizes,
//! downloads, checks and adopts; the `binder` puts the issue in place and looks whether it is served;
//! the issuer ends the renewal and the clock plans the next. The `registrar` looks after the account,
//! the `restart_coordinator` after a listener that only a restart can open.
//!
//! Read in this order: [`ports`] (the world), [`decision`] (what a part decides), [`effect`] (acts as
//! data), the `decide` files of the six, `shell` (the loop around them), [`journal`] (the only
//! writer), `hive` (nudges), `mailbox`, `supervisor`, [`engine`].
//!
//! Not here: sockets, files, keys, HTTP, configuration (`renewd`); meaning of facts for people
//! (`renewd-replay`).

mod binder;
pub mod bounds;
pub mod clock;
pub mod decision;
#[cfg(test)]
mod decision_tests;
pub mod effect;
#[expect(clippy::disallowed_methods, reason = "starts the timers' task")]
pub mod engine;
#[cfg(test)]
mod folded_tests;
mod hive;
mod intensity;
pub mod issuer;
pub mod journal;
#[expect(
    clippy::disallowed_methods,
    reason = "starts the timers' task, and waits in one for the log"
)]
mod life;
mod mailbox;
pub mod ports;
pub mod registrar;
mod restart_coordinator;
mod restless;
mod shell;
#[expect(clippy::disallowed_methods, reason = "starts actors and appends without waiting")]
mod supervisor;
mod unwinding;
mod validator;
mod waiting;

pub use engine::{Engine, EngineError, Handle, Start};
pub use hive::Queued;
pub use life::Declarations;
