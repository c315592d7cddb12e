//! Every wait of the engine in one ordered set: the earliest is slept for, nothing is polled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use renewd_events::planted::{self, Bug};
use renewd_events::{ActorName, Subject, WallMs};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bounds::JUMP_MIN;
use crate::hive::ACTORS;
use crate::ports::TimeSource;

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

/// Sleeps for the earliest wake and hands out what is due; tells of jumps of the wall clock.
pub(crate) async fn run(
    timers: Arc<Timers>,
    time: Arc<dyn TimeSource>,
    wake: impl Fn(ActorName, Subject) + Send,
    jumped: impl Fn(i64) + Send,
) {
    loop {
        for (actor, subject) in timers.take_due(time.now()) {
            wake(actor, subject);
        }
        let now = time.now();
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
