//! Every wait of the engine in one ordered set: the earliest is slept for, nothing is polled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use renewd_events::planted::{self, Bug};
use renewd_events::{ActorName, Subject, WallMs};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bounds::{INTENSITY_MAX, JUMP_MIN, respawn_wait};
use crate::hive::ACTORS;
use crate::intensity::Intensity;
use crate::ports::TimeSource;
use crate::unwinding::unwinding;

type Key = (ActorName, Subject);

/// Wakes by actor and subject: one each, so it is bounded by the certificates.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    waits: Mutex<Waits>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waits {
    by_time: BTreeSet<(WallMs, ActorName, Subject)>,
    by_key: BTreeMap<Key, (WallMs, &'static str)>,
}

impl Timers {
    /// Wakes this actor for this subject then; replaces an earlier wish. `None` takes it back.
    pub(crate) fn set(&self, key: Key, wake: Option<(WallMs, &'static str)>) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.by_key.get(&key).copied() == wake {
            return;
        }
        if let Some((old, _)) = waits.by_key.remove(&key) {
            waits.by_time.remove(&(old, key.0, key.1));
        }
        if let Some((at, why)) = wake {
            let earliest = waits.by_time.first().is_none_or(|(first, _, _)| at < *first);
            waits.by_key.insert(key, (at, why));
            waits.by_time.insert((at, key.0, key.1));
            if earliest {
                self.changed.notify_one();
            }
        }
    }

    /// The next wake of this subject over all actors, and why.
    pub(crate) fn next_of(&self, subject: Subject) -> Option<(WallMs, ActorName, &'static str)> {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked up, not searched for: a status page asks this once for each of many certificates.
        let of = |actor| waits.by_key.get(&(actor, subject)).map(|(at, why)| (*at, actor, *why));
        ACTORS.into_iter().filter_map(of).min()
    }

    fn take_due(&self, now: WallMs) -> Vec<Key> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some((at, actor, subject)) = waits.by_time.first().copied() {
            if at > now {
                break;
            }
            waits.by_time.pop_first();
            waits.by_key.remove(&(actor, subject));
            due.push((actor, subject));
        }
        due
    }

    /// Every wait at once: after a jump of the wall clock all of them are wrong.
    fn take_all(&self) -> Vec<Key> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.by_time.clear();
        std::mem::take(&mut waits.by_key).into_keys().collect()
    }

    fn earliest(&self) -> Option<WallMs> {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.by_time.first().map(|(at, _, _)| *at)
    }
}

/// As `run`, begun again after a panic, at once and then more slowly: without it nothing that waits
/// would ever go on. Every wait is handed out then, since what was due in that moment may be lost.
/// `failed` hears of each failure with its number; gives that number back when there were more than
/// [`INTENSITY_MAX`] within the window of [`Intensity`].
pub(crate) async fn run_supervised(
    timers: &Timers,
    time: &dyn TimeSource,
    wake: impl Fn(ActorName, Subject) + Send + Sync,
    jumped: impl Fn(i64) + Send + Sync,
    failed: impl Fn(u16) + Send + Sync,
) -> usize {
    let mut failures = Intensity::default();
    let mut number = 0u16;
    loop {
        let _panicked: Option<()> = unwinding(run(timers, time, &wake, &jumped)).await;
        number = number.saturating_add(1);
        failed(number);
        let count = failures.failed();
        if count > INTENSITY_MAX {
            return count;
        }
        tokio::time::sleep(respawn_wait(count)).await;
        for (actor, subject) in timers.take_all() {
            wake(actor, subject);
        }
    }
}

/// Sleeps for the earliest wake and hands out what is due; tells of jumps of the wall clock. It does not
/// end by itself.
async fn run(
    timers: &Timers,
    time: &dyn TimeSource,
    wake: impl Fn(ActorName, Subject) + Send + Sync,
    jumped: impl Fn(i64) + Send + Sync,
) {
    loop {
        let now = time.now();
        for (actor, subject) in timers.take_due(now) {
            wake(actor, subject);
        }
        let until = timers.earliest().map_or(time.nap_max(), |at| at.since(now));
        // A hair longer: waking a fraction of a millisecond early would spin.
        let nap = until.min(time.nap_max()).saturating_add(Duration::from_millis(1));
        let began = Instant::now();
        // A change of the set ends the nap early; both ways lead to the same look.
        drop(tokio::time::timeout(nap, timers.changed.notified()).await);
        let wall = i128::from(time.now().0).saturating_sub(i128::from(now.0));
        let elapsed = i128::try_from(began.elapsed().as_millis()).unwrap_or(i128::MAX);
        let mut delta = wall.saturating_sub(elapsed);
        if planted::is(Bug::ClockBackIgnored) {
            delta = delta.max(0);
        }
        if delta.unsigned_abs() > JUMP_MIN.as_millis() {
            jumped(i64::try_from(delta).unwrap_or(0));
            for (actor, subject) in timers.take_all() {
                wake(actor, subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use renewd_events::id::AccountId;

    use super::*;

    /// A clock that panics when it is read, the first so many times.
    #[derive(Debug)]
    struct Broken(AtomicUsize);

    impl TimeSource for Broken {
        fn now(&self) -> WallMs {
            let left =
                self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
            assert!(left.is_err(), "a planted panic");
            WallMs(1000)
        }
    }

    fn waiting() -> Timers {
        let timers = Timers::default();
        let due = Some((WallMs(u64::MAX), "a wait"));
        timers.set((ActorName::Registrar, Subject::Account(AccountId([1; 16]))), due);
        timers
    }

    #[tokio::test(start_paused = true)]
    async fn timers_that_panic_are_begun_again_and_nothing_that_waits_is_forgotten() {
        let (timers, woken, failed) = (waiting(), AtomicUsize::new(0), AtomicUsize::new(0));
        let wake = |_, _| {
            woken.fetch_add(1, Ordering::AcqRel);
        };
        let told = |_| {
            failed.fetch_add(1, Ordering::AcqRel);
        };
        let time = Broken(AtomicUsize::new(3));
        let ran = run_supervised(&timers, &time, wake, |_| {}, told);
        assert!(tokio::time::timeout(Duration::from_secs(30), ran).await.is_err(), "it goes on");
        assert_eq!(failed.into_inner(), 3);
        assert_eq!(woken.into_inner(), 1, "a wait of a far future is looked at at once");
    }

    #[tokio::test(start_paused = true)]
    async fn timers_that_panic_again_and_again_end_with_the_number() {
        let time = Broken(AtomicUsize::new(usize::MAX));
        let timers = waiting();
        let ran = run_supervised(&timers, &time, |_, _| {}, |_| {}, |_| {});
        let ended = tokio::time::timeout(Duration::from_secs(120), ran).await;
        assert_eq!(ended.ok(), Some(INTENSITY_MAX + 1));
    }
}
