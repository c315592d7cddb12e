//! `renewd demo`: the whole road in one minute, with no network and no root.
//!
//! Nothing is played: a small strict CA (`renewd-testca`) serves real HTTPS on loopback in this
//! process, and the engine is `renewd run` as a process of its own, so that SIGKILL is SIGKILL.
//!
//! Read in this order: [`mod@tour`] (the story), `stage` (everything that runs), `place` (folder,
//! configuration, key), `worker` (the engine's process), `follow` (its log, as it grows), `visit` (a
//! visitor's handshake), `reading` (our own commands on the result), `screen` (what a person sees).

mod error;
mod follow;
mod place;
mod reading;
mod screen;
mod stage;
mod tour;
mod visit;
mod worker;

pub use error::DemoError;
pub use stage::{Options, Stage};
pub use tour::tour;
