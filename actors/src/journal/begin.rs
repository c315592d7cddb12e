//! The first fact of a life, also on a disk that takes none yet: then the writer keeps it, and commits it
//! before anything else once the log is open.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use renewd_events::event::NewEvent;
use tokio::sync::oneshot;

use super::{AppendError, Appended, Batch, Group, Journal, Request, Writer};

impl Journal {
    /// Begins a life with this event. When the log cannot be written for now ([`Self::may_heal`]), it is
    /// kept: [`Self::writable`] then returns when it is durable.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn begin(&self, booted: NewEvent) -> Appended {
        let (reply, answer) = oneshot::channel();
        let ended = || AppendError::ReadOnly("the journal ended".to_owned());
        let request = Request::Begin(Box::new(booted), reply);
        self.requests.send(request).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Whether a log that cannot be written may be written again by this process.
    pub fn may_heal(&self) -> bool {
        !self.requests.is_closed() && !self.hopeless.load(Ordering::Acquire)
    }

    /// Returns `true` when the log can be written, and `false` once that will not be in this process.
    pub async fn writable(&self) -> bool {
        let mut broken = self.broken.clone();
        let seen = broken.wait_for(|broken| broken.is_none() || !self.may_heal()).await;
        seen.is_ok_and(|broken| broken.is_none()) && self.may_heal()
    }
}

impl Writer {
    pub(super) fn begin(
        &mut self,
        group: &mut Group,
        booted: NewEvent,
        reply: oneshot::Sender<Appended>,
    ) {
        self.opening = Some(booted.clone());
        self.accept(group, Batch::of_engine(vec![booted]), reply);
    }

    /// What begins this life, unless the log says already that it has begun: a commit that failed may be
    /// on the disk all the same.
    pub(super) fn opening(&mut self) -> Option<NewEvent> {
        let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
        let begun = facts.engine.boot == self.boot;
        self.opening.take_if(|_| begun);
        self.opening.clone()
    }
}
