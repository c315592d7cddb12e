//! SIGKILL, thousands of times: the real `renewd run`, a real ACME server over TLS, the real log, and
//! the count of what must never happen, taken from the CA's side.
//!
//! Read in this order: [`run`] (rounds on several lanes at once), `round` (a host from its first life to
//! its judgement), `moment` (when a life ends), `judge` (the CA's side against the log's), then what the
//! judge reads: `ledger` (Pebble's words), `door` (each fetch of a challenge), `story` (the log). Below:
//! `watch` (how far a host is), `totals` (the sums), `random`.
//!
//! `suspend` has the same rounds and the same judge for a life that stands still instead.
//!
//! One command runs it as long as wanted: `cargo xtask kill --count N`; a test runs 200.

mod door;
mod judge;
mod ledger;
mod moment;
mod random;
mod round;
mod story;
mod suspend;
mod totals;
mod watch;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

pub use self::suspend::{Suspensions, suspend};
pub use self::totals::Totals;
use crate::error::HarnessError;

/// Kills of one host. More would only make its log longer; Pebble and its memory end with the round.
const KILLS_PER_ROUND: u64 = 25;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Kills in all.
    pub kills: u64,
    /// From which all moments are drawn.
    pub seed: u64,
    /// Hosts at the same time. They wait more than they compute: two a core.
    pub lanes: u32,
    /// Another program instead of the `renewd` that was built: a worse one, to see it found.
    pub program: Option<PathBuf>,
}

/// What the lanes share.
struct Shared<'a> {
    order: Order,
    began: Instant,
    progress: &'a (dyn Fn(&str) + Sync),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    given: u64,
    rounds: u64,
    totals: Totals,
    failed: Option<HarnessError>,
}

/// Kills, counts, and tells after each round how far it is.
///
/// # Errors
/// When the harness itself cannot go on; what is wrong with `renewd` is in [`Totals`].
pub fn run(order: Order, progress: &(dyn Fn(&str) + Sync)) -> Result<Totals, HarnessError> {
    let lanes = order.lanes.max(1);
    let shared =
        Shared { order, began: Instant::now(), progress, state: Mutex::new(State::default()) };
    std::thread::scope(|threads| {
        for _ in 0..lanes {
            threads.spawn(|| shared.lane());
        }
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(cause) => Err(cause),
        None => Ok(state.totals),
    }
}

impl Shared<'_> {
    fn lane(&self) {
        while let Some((seed, kills)) = self.next() {
            let outcome = round::run(seed, kills, self.order.program.as_deref());
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(outcome) => {
                    for line in state.totals.take(seed, &outcome) {
                        (self.progress)(&line);
                    }
                    let told = state.totals.progress(self.order.kills, self.began.elapsed());
                    (self.progress)(&told);
                }
                Err(cause) => state.failed = Some(cause),
            }
        }
    }

    /// The seed and the kills of the next round.
    fn next(&self) -> Option<(u64, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kills = KILLS_PER_ROUND.min(self.order.kills.saturating_sub(state.given));
        if kills == 0 || state.failed.is_some() {
            return None;
        }
        state.given += kills;
        state.rounds += 1;
        // The first round has the seed itself: a round is repeated by its own seed.
        Some((self.order.seed.wrapping_add(state.rounds - 1), kills))
    }
}
