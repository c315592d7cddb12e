//! What a process that holds keys does first: no file of its own is for others to read, and no core
//! dump carries a key away.

use std::sync::{Mutex, PoisonError};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

/// The umask that the process was started with; absent while it was not hardened.
static BEFORE: Mutex<Option<Mode>> = Mutex::new(None);

/// For the program only: an embedding host decides for itself. What sets a mode on purpose, as the
/// public half of a files binding does, is not narrowed by it.
pub fn harden() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = umask(closed());
    before.get_or_insert(found);
    // Not to be had in some sandboxes; the umask and the seal of the vault remain.
    if let Err(cause) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%cause, "core dumps cannot be switched off");
    }
}

/// Nothing for the group, nothing for others.
fn closed() -> Mode {
    Mode::RWXG | Mode::RWXO
}

/// Starts another program with the umask that this one was started with: what it writes is the
/// operator's, not ours. The umask belongs to the whole process, so it is narrow again as soon as
/// `start` returns. What other threads make meanwhile is not for others either: the vault, the log and
/// the socket set the modes of their files and folders themselves.
pub(crate) fn as_started<T>(start: impl FnOnce() -> T) -> T {
    // Held: of two at once, the second must not take the first one's umask for the narrow one.
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(before) = *before else { return start() };
    let _narrow_again = Narrow;
    umask(before);
    start()
}

/// Narrows the umask when it is dropped.
struct Narrow;

impl Drop for Narrow {
    fn drop(&mut self) {
        umask(closed());
    }
}
