//! A disk that takes no more, for a while: since when, when it is tried again, and how the log goes on.
//! Shortly before that, what room is left is kept for the outcomes of acts that are under way. A failed
//! sync is not of that kind: what is on the disk is then unknown to this process, for good.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use renewd_events::codec::Frame;
use renewd_events::id::StreamId;
use renewd_events::log::bounds::{LAST_OCTETS, REOPEN_OCTETS_MIN, ROOM_LOW_OCTETS};
use renewd_events::problem::cut;
use renewd_events::process::EngineEvent;
use renewd_events::store::{EventStore, FULL, StoreError};
use renewd_events::{Envelope, WallMs};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Accepted, Batch, Group, Writer};
use crate::bounds::{LOG_RETRY_FIRST, LOG_RETRY_MAX, ROOM_LOOK_EVERY};
use crate::decision::{backoff, fact};

/// Of the cause, in the event that tells of the end.
const CAUSE_OCTETS_MAX: usize = 512;

/// Why and since when the log cannot be written.
#[derive(Debug)]
pub(super) struct Outage {
    since: WallMs,
    /// The error that began it.
    first: String,
    /// What it is now, and what to do.
    text: String,
    refused: u32,
    tries: u32,
    /// `None`: never again in this process.
    next_try: Option<Instant>,
    /// Commits succeed still; only new acts wait.
    takes_outcomes: bool,
    /// There is room again: the commit that says so ends it.
    over: bool,
}

impl Outage {
    fn begin(error: &StoreError, now: WallMs) -> Self {
        let mut outage = Self {
            since: now,
            first: cut(&error.to_string(), CAUSE_OCTETS_MAX),
            text: String::new(),
            refused: 0,
            tries: 0,
            next_try: None,
            takes_outcomes: false,
            over: false,
        };
        outage.failed(error);
        outage
    }

    /// Whether appends are taken: only new acts wait.
    pub(super) fn takes_outcomes(&self) -> bool {
        self.takes_outcomes
    }

    /// One more write that failed: the next is tried later, or never.
    fn failed(&mut self, error: &StoreError) {
        self.text = format!("{error}; no new act is begun; {}", error.cure());
        self.tries = self.tries.saturating_add(1);
        let wait = backoff(LOG_RETRY_FIRST, LOG_RETRY_MAX, self.tries);
        self.next_try = error.may_pass().then(|| Instant::now() + wait);
        self.takes_outcomes = false;
        self.over = false;
    }

    /// Too little room for new acts, at `octets`.
    fn short(&mut self, octets: u64) {
        let error = no_room(octets);
        self.failed(&error);
        self.text =
            format!("{error}; no new act is begun, outcomes are recorded; {}", error.cure());
        self.takes_outcomes = true;
    }

    /// One append more that was refused.
    pub(super) fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// Why, and what to do.
    pub(super) fn text(&self) -> String {
        self.text.clone()
    }

    /// When the log is opened again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.next_try
    }

    fn ended(&self) -> EngineEvent {
        let (since, cause, refused) = (self.since, self.first.clone(), self.refused);
        EngineEvent::LogWritableAgain { since, cause, refused }
    }
}

/// What is said when the room that is left is for outcomes only.
fn no_room(octets: u64) -> StoreError {
    StoreError::NoRoom {
        code: FULL,
        what: "keeping room for outcomes",
        path: "the log".into(),
        cause: std::io::Error::new(
            std::io::ErrorKind::StorageFull,
            format!("{octets} octets are left, fewer than {LAST_OCTETS}"),
        ),
    }
}

impl Writer {
    /// A write failed: no append until the log is open again. Gives what to say.
    pub(super) fn failed(&mut self, error: &StoreError) -> String {
        let outage = match &mut self.outage {
            Some(outage) => {
                outage.failed(error);
                outage
            }
            None => {
                let outage = Outage::begin(error, self.time.now());
                tracing::error!(
                    cause = %error,
                    cure = error.cure(),
                    "the log cannot be written; no new act is begun, what was published is served on"
                );
                self.outage.insert(outage)
            }
        };
        if outage.next_try.is_none() {
            self.hopeless.store(true, Ordering::Release);
            tracing::error!(cause = %error, "the log is not written any more by this process");
        }
        let text = outage.text();
        self.broken.send_replace(Some(text.clone()));
        text
    }

    /// Opens the log again and, if that goes, records that it does.
    pub(super) fn heal(&mut self) -> ControlFlow<()> {
        if let Some(outage) = self.outage.as_mut().filter(|outage| outage.takes_outcomes) {
            match self.store.room() {
                Some(octets) if octets < REOPEN_OCTETS_MIN => outage.short(octets),
                Some(_) | None => self.tell_of_the_end(),
            }
            return ControlFlow::Continue(());
        }
        match self.store.reopen().and_then(|_| self.catch_up()) {
            Ok(()) => self.tell_of_the_end(),
            Err(error) => drop(self.failed(&error)),
        }
        ControlFlow::Continue(())
    }

    /// The commit that failed may be on the disk all the same: then it counts, as after a crash.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        let from = self.head.borrow().seq.next();
        let mut found: Vec<Arc<Envelope>> = Vec::new();
        for frame in self.store.scan(from)? {
            let frame = frame?;
            let envelope = Frame::decode(&frame.bytes);
            let seq = frame.seq;
            let envelope = envelope.map_err(|cause| StoreError::Frame { seq, cause })?;
            found.push(Arc::new(envelope));
        }
        if !found.is_empty() {
            let folded = self.fold(&found);
            self.head.send_replace(self.store.head());
            self.hearers.tell(&self.facts, &folded);
        }
        Ok(())
    }

    /// A commit succeeded: unless only outcomes are taken, the outage is over.
    pub(super) fn end_outage(&mut self) {
        if self.outage.as_ref().is_some_and(|outage| outage.over) {
            self.outage = None;
            self.broken.send_replace(None);
        }
    }

    /// After a commit: whether there is room for more than outcomes.
    pub(super) fn look_at_room(&mut self) {
        let Some(octets) = self.room.look(&*self.store) else {
            return;
        };
        if octets < LAST_OCTETS && self.outage.is_none() {
            let mut outage = Outage::begin(&no_room(octets), self.time.now());
            outage.short(octets);
            let cause = outage.text();
            tracing::error!(cause, "hardly any room is left for the log; no new act is begun");
            self.broken.send_replace(Some(cause));
            self.outage = Some(outage);
        }
    }

    fn tell_of_the_end(&mut self) {
        // Always the first event of a life.
        let mut events: Vec<_> = self.opening().into_iter().collect();
        let Some(outage) = self.outage.as_mut() else {
            return;
        };
        outage.over = true;
        events.push(fact(StreamId::ENGINE, outage.ended(), None, None));
        let batch = Batch::of_engine(events);
        let mut group = Group::new(self.store.head());
        match self.check(&mut group, batch) {
            Ok(envelopes) => {
                // Nobody waits for this one; it is told like any other.
                let (reply, _) = oneshot::channel();
                group.accepted.push(Accepted { envelopes, reply });
                self.commit(group);
                if self.outage.is_none() {
                    tracing::info!("the log is written again; everything is looked at anew");
                }
            }
            Err(cause) => drop(self.failed(&StoreError::Poisoned(cause.to_string()))),
        }
    }
}

/// Whether space runs low, so that a person hears of it while everything still works.
#[derive(Debug, Default)]
pub(super) struct Room {
    looked: Option<Instant>,
    low: bool,
}

impl Room {
    /// Looks, from time to time, and while it is low each time; tells of a change.
    fn look(&mut self, store: &dyn EventStore) -> Option<u64> {
        let now = Instant::now();
        let lately = self.looked.is_some_and(|at| now.duration_since(at) < ROOM_LOOK_EVERY);
        if lately && !self.low {
            return None;
        }
        self.looked = Some(now);
        let octets = store.room()?;
        let low = octets < ROOM_LOW_OCTETS;
        if low && !self.low {
            tracing::warn!(
                code = renewd_events::store::LOW,
                octets,
                "little space is left for the log; without any, no new act is begun: make room"
            );
        } else if self.low && !low {
            tracing::info!(octets, "there is enough space for the log again");
        }
        self.low = low;
        Some(octets)
    }
}
