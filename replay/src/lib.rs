//! What the log means: status, history, timeline, cause, trace. Pure: no clock, no I/O, no tokio;
//! times come in as arguments, and the same events always give the same words.
//!
//! Read in this order: [`fold`] (how a reader takes events), [`status`] and [`renewals`] (one line per
//! certificate and per renewal), [`timeline`] (one renewal drawn), [`codes`] and [`why`] (the cause of
//! a failure and what to do), [`trace`] (the same renewal as spans), [`check`] (what must always hold).
//! [`sentence`], [`escape`] and [`when`] are the words they share; [`intent`] pairs intents with
//! outcomes.

pub mod check;
pub mod codes;
pub mod escape;
pub mod fold;
pub mod intent;
pub mod renewals;
pub mod sentence;
pub mod status;
#[cfg(test)]
mod testlog;
pub mod timeline;
pub mod trace;
pub mod when;
pub mod why;
