//! What is known now: the engine's facts, and what the log holds besides as evidence of failures.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use renewd_actors::Handle;
use renewd_actors::ports::TimeSource;
use renewd_events::store::StoreError;
use renewd_events::{Facts, WallMs};
use renewd_replay::why::Witnesses;

use super::story::Story;
use crate::wire::SystemClock;

/// The present of one engine.
#[derive(Clone, Debug)]
pub(super) struct Present {
    handle: Handle,
    /// Absent when the log is in memory.
    story: Option<Arc<Mutex<Story>>>,
}

impl Present {
    /// Of this engine, whose log is in this folder.
    pub(super) fn new(handle: Handle, log: Option<PathBuf>) -> Self {
        Self { handle, story: log.map(|log| Arc::new(Mutex::new(Story::new(log)))) }
    }

    /// The engine.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Asks on a thread that may wait for the disk. Absent when asking failed.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Present) -> T + Send + 'static,
    ) -> Option<T> {
        let present = self.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&present)).await;
        answer.inspect_err(|cause| tracing::error!(%cause, "reading the log failed")).ok()
    }

    /// Shows facts and evidence. Blocks for the disk: at the first question the whole log is read, later
    /// what came since. Where it cannot be read, the facts alone name the causes, less exactly.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Facts, &Witnesses, WallMs) -> T) -> T {
        let nothing = Witnesses::default();
        let mut story =
            self.story.as_ref().map(|story| story.lock().unwrap_or_else(PoisonError::into_inner));
        let witnesses = match story.as_mut().map(|story| story.renewals()) {
            Some(Ok(renewals)) => renewals.witnesses(),
            Some(Err(cause)) => {
                tracing::warn!(%cause, "the evidence of failures cannot be read");
                &nothing
            }
            None => &nothing,
        };
        let facts = self.handle.facts();
        let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
        look(&facts, witnesses, SystemClock.now())
    }

    /// Asks the log. Blocks for the disk. Absent without one, and when it cannot be read.
    pub(super) fn story<T>(
        &self,
        ask: impl FnOnce(&mut Story) -> Result<T, StoreError>,
    ) -> Option<T> {
        let mut story = self.story.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        match ask(&mut story) {
            Ok(answer) => Some(answer),
            Err(cause) => {
                tracing::warn!(%cause, "past renewals cannot be read");
                None
            }
        }
    }
}
