//! What a process that holds keys does first: no file of its own is for others to read, and no core
//! dump carries a key away.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

/// For the program only: an embedding host decides for itself. What sets a mode on purpose, as the
/// public half of a files binding does, is not narrowed by it.
pub fn harden() {
    umask(Mode::RWXG | Mode::RWXO);
    // Not to be had in some sandboxes; the umask and the seal of the vault remain.
    if let Err(cause) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%cause, "core dumps cannot be switched off");
    }
}
