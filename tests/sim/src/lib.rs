//! The six actors in a world of virtual time: ended at every boundary, harmed by seed, and held to
//! named invariants.
//!
//! Real are the actors, the journal, the codec and the fold, as the daemon runs them. Simulated are
//! time (tokio's paused clock), the disk, the CA, the vault, what serves, and the process itself: an
//! end is the runtime dropped with everything in it, after which the world starts the next life.
//! All chance comes from one seed, so a run repeats itself byte for byte.
//!
//! Read in this order: [`plan`] (what a run is), [`fate`] (what goes wrong, and where), [`disk`],
//! [`world`] with `ca` and `places` (the ports), [`life`] (from start to end, and again),
//! [`invariant`], `audit`, `folded`, `story`, `spans` and `verdicts` (what must hold), [`crash`], [`seeds`], `planted` (the
//! commands).

mod accounts;
mod audit;
mod ca;
pub mod crash;
mod declared;
pub mod disk;
pub mod draws;
pub mod fate;
mod folded;
pub mod invariant;
pub mod life;
mod medium;
mod pace;
mod places;
pub mod plan;
#[cfg(feature = "planted")]
pub mod planted;
mod secrets;
pub mod seeds;
mod spans;
mod story;
mod tick;
mod time;
pub mod timeline;
mod verdicts;
pub mod world;
