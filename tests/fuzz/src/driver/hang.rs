//! Watches for an input that does not come to an end: nothing else could say which one it was.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files;
use crate::targets::Target;

/// Far more than [`super::watch`] allows; whatever takes so long does not end.
const HANG_AFTER: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
struct State {
    running: Option<(Instant, Vec<u8>)>,
    over: bool,
}

/// A thread that looks at the clock.
pub(super) struct Hang {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Hang {
    pub(super) fn new(target: Target) -> Self {
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let watched = Arc::clone(&shared);
        let thread = std::thread::spawn(move || look(target, &watched));
        Self { shared, thread: Some(thread) }
    }

    /// This input begins.
    pub(super) fn begin(&self, input: &[u8]) {
        self.set(Some((Instant::now(), input.to_vec())));
    }

    /// It has ended.
    pub(super) fn end(&self) {
        self.set(None);
    }

    fn set(&self, running: Option<(Instant, Vec<u8>)>) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).running = running;
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.shared.1.notify_all();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn look(target: Target, (state, wake): &(Mutex<State>, Condvar)) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.over {
        state = wake.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        if let Some((from, input)) = &state.running
            && from.elapsed() > HANG_AFTER
        {
            give_up(target, input);
        }
    }
}

/// A thread cannot be stopped from outside: the process ends, and says why.
#[expect(clippy::print_stderr, reason = "the last words of a process")]
fn give_up(target: Target, input: &[u8]) -> ! {
    match files::keep(&target, input) {
        Ok(file) => eprintln!("{}: no end with the input {}", target.name, file.display()),
        Err(cause) => eprintln!("{}: no end with {input:?} ({cause})", target.name),
    }
    std::process::abort()
}
