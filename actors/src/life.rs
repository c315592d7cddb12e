//! How a life begins: `EngineBooted`, what the configuration declares, then the six. While the log cannot
//! be written nothing of it happens, and all of it by itself once it can.

use std::sync::{Arc, PoisonError};

use ractor::{Actor, ActorRef};
use renewd_events::Facts;
use renewd_events::event::NewEvent;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::bounds::EVENTS_PER_BATCH_MAX;
use crate::engine::EngineError;
use crate::hive::Hive;
use crate::journal::{AppendError, Batch};
use crate::supervisor::{Order, Supervisor};

/// What the configuration says that the facts do not say yet. Asked when the log can be written, and
/// again when it could not.
pub type Declarations = Box<dyn FnMut(&Facts) -> Vec<NewEvent> + Send>;

/// Who works in a life that has begun.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) supervisor: ActorRef<Order>,
    pub(crate) timers: JoinHandle<()>,
}

/// What is to be done before the six work.
pub(crate) struct Beginning {
    pub(crate) hive: Arc<Hive>,
    /// `EngineBooted`, until the journal has it.
    pub(crate) booted: Option<NewEvent>,
    pub(crate) declarations: Declarations,
    pub(crate) fatal: watch::Sender<Option<String>>,
    /// Set once the six work.
    pub(crate) begun: watch::Sender<bool>,
}

impl Beginning {
    /// Does it, as far as the log takes it.
    ///
    /// # Errors
    /// The log cannot be written, or an actor does not start.
    pub(crate) async fn now(&mut self) -> Result<Crew, EngineError> {
        let journal = self.hive.journal.clone();
        if let Some(booted) = self.booted.take() {
            journal.begin(booted).await?;
        }
        let declared = {
            let facts = self.hive.facts.read().unwrap_or_else(PoisonError::into_inner);
            (self.declarations)(&facts)
        };
        for declared in declared.chunks(EVENTS_PER_BATCH_MAX) {
            journal.append(Batch::of_engine(declared.to_vec())).await?;
        }
        let arguments = (Arc::clone(&self.hive), self.fatal.clone());
        let (supervisor, _) = Actor::spawn(None, Supervisor, arguments)
            .await
            .map_err(|cause| EngineError::Start(cause.to_string()))?;
        let timers = crate::engine::timers(Arc::clone(&self.hive), self.fatal.clone());
        self.begun.send_replace(true);
        Ok(Crew { supervisor, timers: tokio::spawn(timers) })
    }

    /// Whether what failed with this is done later, by itself.
    pub(crate) fn may_heal(&self, cause: &EngineError) -> bool {
        let refused = matches!(cause, EngineError::Append(AppendError::ReadOnly(_)));
        refused && self.hive.journal.may_heal()
    }

    /// Does it as soon as the log can be written.
    pub(crate) fn later(self) -> Late {
        let crew = Arc::default();
        Late { waiting: tokio::spawn(self.wait(Arc::clone(&crew))), crew }
    }

    async fn wait(mut self, crew: Arc<Mutex<Option<Crew>>>) {
        // A log that is never written again ends the wait; what is served is served on all the same.
        while self.hive.journal.writable().await {
            let mut place = crew.lock().await;
            match self.now().await {
                Ok(crew) => {
                    *place = Some(crew);
                    return;
                }
                Err(cause) if self.may_heal(&cause) => {}
                Err(cause) => {
                    self.fatal.send_replace(Some(cause.to_string()));
                    return;
                }
            }
        }
    }
}

/// A life that begins when the log can be written.
#[derive(Debug)]
pub(crate) struct Late {
    waiting: JoinHandle<()>,
    /// Locked while the life begins.
    crew: Arc<Mutex<Option<Crew>>>,
}

impl Late {
    /// Waits no more; gives who works already.
    pub(crate) async fn end(self) -> Option<Crew> {
        let mut crew = self.crew.lock().await;
        self.waiting.abort();
        crew.take()
    }
}
