//! The log on disk. One directory holds
//!
//! - `mirror/events-….rlog`: the frames, concatenated. **The truth**, and the export format.
//! - `HEAD`: two slots that name the last acknowledged event, so that a log which was shortened
//!   or emptied is noticed: a hash chain alone stays valid when its end is missing.
//! - `sled/`: an index from place to frame. It is made again from the mirror whenever it disagrees.
//! - `CLEAN`: present after an orderly end only. `LOCK`: held by the one writer.
//!
//! A commit is written in this order: mirror and its sync, sled, `HEAD`, acknowledgement. sled and
//! `HEAD` are synced now and then (ADR 0014). Hence the mirror may be ahead of the other two, by one
//! commit after a kill and by some after a power cut, never behind: behind is damage and is refused.
//!
//! Read in this order: [`bounds`], `files`, `anchor` (`HEAD` and `CLEAN`), `segment` (writing the
//! mirror), `walk` (reading it), `index` (sled), `recover` (the checks at open), `writing` (the files of a commit), [`SledLog`], `scan` (reading it); and for
//! other processes [`MirrorReader`], [`export`] and [`mod@verify`].
//!
//! A damaged log: [`mod@examine`] says what is wrong and what cures it; `salvage`, `scratch` and `join`
//! find what can be proven, `survey` says what is lost, `fresh` writes a log anew, and [`mod@repair`] and
//! [`mod@restore`] are the two ways to come to one; [`leftovers`] are what is beside a log when one of them
//! was cut short.

mod anchor;
pub mod bounds;
#[cfg(test)]
mod chained;
mod examine;
mod files;
mod fresh;
mod index;
mod join;
mod leftover;
mod mirror;
mod recover;
mod repair;
mod restore;
mod salvage;
mod scan;
mod scratch;
mod segment;
mod sled_log;
mod survey;
mod verify;
mod walk;
mod writing;

pub use examine::{CleanCheck, Cure, Examined, IndexCheck, examine};
pub use files::{is_held, room_left};
pub use fresh::MendError;
pub use leftover::{Leftover, LeftoverKind, Placed, is_absent, leftovers, put_in_place, unplaced};
pub use mirror::{MirrorReader, export};
pub use recover::{Opened, Torn};
pub use repair::{Repaired, Wish, look, repair};
pub use restore::{Restored, restore};
pub use sled_log::SledLog;
pub use survey::Survey;
pub use verify::{AnchorCheck, FirstBad, Verified, verify};
