//! Keeps one actor still for as long as a test wants.

use std::sync::{Condvar, Mutex, PoisonError};

/// Held is the actor that handles the next message after [`Hold::want`].
#[derive(Default)]
pub(crate) struct Hold {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    Wanted,
    Held,
}

impl Hold {
    pub(crate) fn want(&self) {
        self.set(Stage::Wanted);
    }

    pub(crate) fn release(&self) {
        self.set(Stage::Open);
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) == Stage::Held
    }

    /// An actor is about to handle a message.
    pub(super) fn pass(&self) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage != Stage::Wanted {
            return;
        }
        *stage = Stage::Held;
        // The runtime puts another thread in this one's place: only this actor stands still.
        tokio::task::block_in_place(|| {
            drop(self.changed.wait_while(stage, |stage| *stage == Stage::Held));
        });
    }

    fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.changed.notify_all();
    }
}
