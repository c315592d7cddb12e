//! Runs one input and sees a panic wherever on this thread it happens, also in a task of a runtime,
//! which would swallow it.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

use crate::targets::Target;

/// One input of at most 64 KiB. Everything behind the targets is linear in it, and unoptimised code
/// takes milliseconds; what takes so long is a way to keep renewd busy.
const INPUT_TIME_MAX: Duration = Duration::from_secs(10);
/// A machine may stand still for a while, but not each time that the same input is run.
const SLOW_TRIES_MAX: u32 = 3;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// File and line of the assertion.
    pub place: String,
    /// Its words.
    pub words: String,
}

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Option<Failed>> = const { RefCell::new(None) };
}

/// Panics of a watched thread are noted instead of printed; those of others go their way.
fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !WATCHING.get() {
                return usual(panic);
            }
            let payload = panic.payload();
            let words = payload.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let failed = Failed { place, words: words.to_owned() };
            SEEN.with_borrow_mut(|seen| seen.get_or_insert(failed).place.len());
        }));
    });
}

/// # Errors
/// What the target said first.
pub(super) fn run(target: Target, input: &[u8]) -> Result<(), Failed> {
    let mut tries = 1;
    loop {
        let (outcome, took) = once(target, input);
        if outcome.is_err() || took <= INPUT_TIME_MAX {
            return outcome;
        }
        if tries == SLOW_TRIES_MAX {
            return Err(Failed {
                place: "the time of one input".to_owned(),
                words: format!("it took {took:?}; {INPUT_TIME_MAX:?} are allowed"),
            });
        }
        tries += 1;
    }
}

/// One run and how long it took.
fn once(target: Target, input: &[u8]) -> (Result<(), Failed>, Duration) {
    watch();
    WATCHING.set(true);
    SEEN.set(None);
    let from = Instant::now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = from.elapsed();
    WATCHING.set(false);
    let unseen = || Failed { place: String::new(), words: "a panic without a place".to_owned() };
    let outcome = match (SEEN.take(), outcome) {
        (Some(failed), _) => Err(failed),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => Err(unseen()),
    };
    (outcome, took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(run: fn(&[u8])) -> Target {
        Target { name: "test", run, seeds: &[], words: &[], inputs: 0 }
    }

    #[test]
    fn a_broken_promise_is_seen_with_its_place_also_inside_a_task() {
        let good = target(|input| assert_eq!(input, b"x"));
        assert_eq!(run(good, b"x"), Ok(()));
        let failed = run(good, b"y").unwrap_err();
        assert!(failed.place.contains("watch.rs"), "{failed:?}");
        let swallowed = target(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let task = async { assert!(std::hint::black_box(false), "in a task") };
            drop(runtime.block_on(async { tokio::spawn(task).await }));
        });
        assert_eq!(run(swallowed, b"").unwrap_err().words, "in a task");
    }
}
