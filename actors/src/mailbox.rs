//! The way to one life of an actor. The queue behind it is ractor's and has no bound of its own: each
//! kind of message is bounded where it comes from, all of them by [`MAILBOX_MAX`](bounds::MAILBOX_MAX),
//! and what waits is counted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::ActorRef;

use crate::hive::Message;

#[cfg(doc)]
use crate::bounds;

/// Where an actor's messages are put.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    actor: ActorRef<Message>,
    counted: Arc<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    waiting: AtomicUsize,
    most: AtomicUsize,
}

impl Mailbox {
    pub(crate) fn of(actor: ActorRef<Message>) -> Self {
        Self { actor, counted: Arc::default() }
    }

    /// Whether the actor lives; a message to a dead one is dropped.
    pub(crate) fn put(&self, message: Message) -> bool {
        let before = self.counted.waiting.fetch_add(1, Ordering::AcqRel);
        self.counted.most.fetch_max(before.saturating_add(1), Ordering::AcqRel);
        let lives = self.actor.cast(message).is_ok();
        if !lives {
            self.taken();
        }
        lives
    }

    /// The actor begins to handle a message.
    pub(crate) fn taken(&self) {
        self.counted.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Messages that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.counted.waiting.load(Ordering::Acquire)
    }

    /// The most that ever waited.
    pub(crate) fn most(&self) -> usize {
        self.counted.most.load(Ordering::Acquire)
    }

    /// The actor itself, to stop it.
    pub(crate) fn actor(&self) -> &ActorRef<Message> {
        &self.actor
    }
}
