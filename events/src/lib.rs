//! What can happen to a certificate, and how it is kept.
//!
//! Read in this order: [`id`] and [`time`] (names of things), [`certificate`] (one stream: its facts,
//! its state, how a fact changes it; [`schedule`], [`account`], [`order`], [`authorization`],
//! [`binding`], [`listener`], [`restart`] and [`process`] have this shape), [`problem`] (what the
//! world answered), [`event`] (the record around a fact), [`facts`] (all streams folded), [`codec`]
//! (bytes). The rest is the log: [`store`] says what it must do, `log` makes facts durable and is
//! the only place with sled.
//!
//! Not here: decisions (`renewd-actors`), meaning (`renewd-replay`), clocks, sockets, keys.

pub mod account;
pub mod authorization;
pub mod binding;
#[cfg(test)]
mod binding_tests;
pub mod certificate;
pub mod codec;
pub mod event;
pub mod facts;
#[cfg(test)]
mod facts_tests;
pub mod id;
pub mod intent;
#[cfg(test)]
mod links_tests;
pub mod listener;
#[expect(clippy::disallowed_methods, reason = "this crate's only I/O")]
pub mod log;
pub mod memory;
mod name;
pub mod order;
#[doc(hidden)]
pub mod planted;
pub mod problem;
pub mod process;
pub mod restart;
#[doc(hidden)]
pub mod samples;
pub mod schedule;
pub mod store;
pub mod time;

pub use event::{Envelope, Event, NewEvent};
pub use facts::{Facts, Subject};
pub use intent::{ActorName, Durable, EffectId, Meta};
pub use time::WallMs;
