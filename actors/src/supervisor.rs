//! One supervisor over the six: starts them, starts a failed one again from its streams, and gives up
//! when one fails too often.

use std::collections::BTreeMap;
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use renewd_events::ActorName;
use renewd_events::id::StreamId;
use renewd_events::process::EngineEvent;
use tokio::sync::watch;

use crate::bounds::{INTENSITY_MAX, respawn_wait};
use crate::decision::fact;
use crate::hive::{ACTORS, Hive, Message};
use crate::intensity::Intensity;
use crate::journal::{Batch, Journal};
use crate::shell::Shell;

/// A message to the supervisor.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start this actor again.
    Respawn(ActorName),
}

/// The supervisor.
pub(crate) struct Supervisor;

/// What it remembers.
pub(crate) struct Watch {
    hive: Arc<Hive>,
    fatal: watch::Sender<Option<String>>,
    names: BTreeMap<ActorId, ActorName>,
    incarnations: BTreeMap<ActorName, u16>,
    failures: BTreeMap<ActorName, Intensity>,
}

impl Actor for Supervisor {
    type Msg = Order;
    type State = Watch;
    type Arguments = (Arc<Hive>, watch::Sender<Option<String>>);

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        (hive, fatal): Self::Arguments,
    ) -> Result<Watch, ActorProcessingErr> {
        let mut watch = Watch {
            hive,
            fatal,
            names: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        for actor in ACTORS {
            if let Err(cause) = watch.spawn(&myself, actor).await {
                return Err(watch.did_not_begin(actor, &cause).await.into());
            }
        }
        Ok(watch)
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        Order::Respawn(actor): Order,
        watch: &mut Watch,
    ) -> Result<(), ActorProcessingErr> {
        // A start that fails is not a supervision event: it is treated as a failure here.
        if let Err(cause) = watch.spawn(&myself, actor).await {
            watch.failed(&myself, actor, &cause.to_string());
        } else {
            let incarnation = watch.incarnations.get(&actor).copied().unwrap_or(1);
            watch.record(EngineEvent::ActorRestarted { actor, incarnation });
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        watch: &mut Watch,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(cell, cause) = event
            && let Some(actor) = watch.names.remove(&cell.get_id())
        {
            watch.failed(&myself, actor, &cause.to_string());
        }
        Ok(())
    }
}

impl Watch {
    async fn spawn(&mut self, myself: &ActorRef<Order>, actor: ActorName) -> Result<(), SpawnErr> {
        let incarnation = self.incarnations.get(&actor).copied().unwrap_or(0).saturating_add(1);
        self.incarnations.insert(actor, incarnation);
        let spawned = spawn(actor, (Arc::clone(&self.hive), incarnation), myself).await?;
        self.names.insert(spawned.get_id(), actor);
        Ok(())
    }

    fn failed(&mut self, myself: &ActorRef<Order>, actor: ActorName, text: &str) {
        self.hive.inboxes().set_address(actor, None);
        let incarnation = self.incarnations.get(&actor).copied().unwrap_or(1);
        tracing::error!(%actor, incarnation, text, "an actor failed; it is started again");
        let text = renewd_events::problem::cut(text, 512);
        self.record(EngineEvent::ActorFailed { actor, incarnation, text });
        let count = self.failures.entry(actor).or_default().failed();
        if count > INTENSITY_MAX {
            let failures = u32::try_from(count).unwrap_or(u32::MAX);
            self.record(EngineEvent::RestartIntensityExceeded { actor, failures });
            let cause = format!("{actor} failed {count} times within a minute");
            self.fatal.send_replace(Some(cause));
            return;
        }
        drop(myself.send_after(respawn_wait(count), move || Order::Respawn(actor)));
    }

    /// One of the first six did not start: nothing runs yet, so the engine does not start at all. It is
    /// in the log before anybody hears of it.
    async fn did_not_begin(&self, actor: ActorName, cause: &SpawnErr) -> String {
        let text = format!("{actor} could not start: {cause}");
        for started in ACTORS {
            if let Some(address) = self.hive.inboxes().address(started) {
                self.hive.inboxes().set_address(started, None);
                address.actor().stop(None);
            }
        }
        tracing::error!(%actor, text, "the engine does not start");
        let event = EngineEvent::ActorFailed {
            actor,
            incarnation: 1,
            text: renewd_events::problem::cut(&text, 512),
        };
        if let Err(cause) = self.hive.journal.append(batch(event)).await {
            return format!("{text}; it could not be recorded: {cause}");
        }
        text
    }

    /// Appends without waiting: a supervisor that waits does not see failures.
    fn record(&self, event: EngineEvent) {
        record(self.hive.journal.clone(), event);
    }
}

/// Appends to the stream of the installation without waiting. A log that cannot be written refuses it.
pub(crate) fn record(journal: Journal, event: EngineEvent) {
    tokio::spawn(async move {
        drop(journal.append(batch(event)).await);
    });
}

/// What is told of the installation, on its stream: nobody decided it on a state.
fn batch(event: EngineEvent) -> Batch {
    Batch::of_engine(vec![fact(StreamId::ENGINE, event, None, None)])
}

async fn spawn(
    actor: ActorName,
    arguments: (Arc<Hive>, u16),
    supervisor: &ActorRef<Order>,
) -> Result<ActorRef<Message>, SpawnErr> {
    async fn part<R: crate::decision::Role>(
        arguments: (Arc<Hive>, u16),
        supervisor: &ActorRef<Order>,
    ) -> Result<ActorRef<Message>, SpawnErr> {
        let linked = Actor::spawn_linked(None, Shell::<R>::new(), arguments, supervisor.get_cell());
        Ok(linked.await?.0)
    }
    match actor {
        ActorName::Registrar => part::<crate::registrar::Registrar>(arguments, supervisor).await,
        ActorName::Validator => part::<crate::validator::Validator>(arguments, supervisor).await,
        ActorName::Issuer => part::<crate::issuer::Issuer>(arguments, supervisor).await,
        ActorName::Binder => part::<crate::binder::Binder>(arguments, supervisor).await,
        ActorName::RestartCoordinator => {
            part::<crate::restart_coordinator::RestartCoordinator>(arguments, supervisor).await
        }
        ActorName::Clock | ActorName::Engine => {
            part::<crate::clock::Clock>(arguments, supervisor).await
        }
    }
}
