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
    watch();
    WATCHING.set(true);
    SEEN.set(None);
    let from = Instant::now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = from.elapsed();
    WATCHING.set(false);
    if let Some(failed) = SEEN.take() {
        return Err(failed);
    }
    let slow = || Failed {
        place: "the time of one input".to_owned(),
        words: format!("it took {took:?}; {INPUT_TIME_MAX:?} are allowed"),
    };
    match outcome {
        Ok(()) if took <= INPUT_TIME_MAX => Ok(()),
        Ok(()) | Err(_) => Err(slow()),
    }
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
