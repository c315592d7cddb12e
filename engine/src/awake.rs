//! What is done at the moment at which the life begins: at the start, or later, when a log that could not
//! be written can be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use renewd_actors::ports::ListenerRefused;
use renewd_actors::{Declarations, EngineError, Handle};
use renewd_events::event::NewEvent;
use renewd_events::id::ListenerId;
use renewd_events::listener::ListenerEvent;

use crate::challenge::Responder;
use crate::declare::declarations;
use crate::settings::Settings;
use crate::wire::Awake;

/// What is to be recorded when the life begins, which is later when the log cannot be written now.
pub(crate) fn declared(
    settings: &Settings,
    responder: &Arc<Responder>,
    any_held: &Arc<AtomicBool>,
) -> Declarations {
    let (settings, responder, any_held) =
        (settings.clone(), Arc::clone(responder), Arc::clone(any_held));
    Box::new(move |facts| {
        let mut events = declarations(&settings, facts);
        let held = held_ports(&responder);
        any_held.store(!held.is_empty(), Ordering::Relaxed);
        events.extend(held);
        events
    })
}

/// What remains to be done when the six work.
pub(crate) struct Awaking {
    pub(crate) handle: Handle,
    pub(crate) awake: Awake,
    pub(crate) responder: Arc<Responder>,
    /// Whether the life began with an address for challenges that another program held.
    pub(crate) any_held: Arc<AtomicBool>,
}

impl Awaking {
    /// Does it.
    ///
    /// # Errors
    /// When an address that became free is not recorded.
    pub(crate) async fn now(self) -> Result<(), EngineError> {
        *self.awake.write().unwrap_or_else(PoisonError::into_inner) = Some(self.handle.clone());
        let held = self.any_held.load(Ordering::Relaxed);
        if let Some(address) = self.responder.addresses().first().filter(|_| held) {
            // It became free in the meantime, when there was nobody yet to be told.
            self.handle.challenge_port_opened(&address.to_string()).await?;
        }
        Ok(())
    }
}

/// The addresses for challenges that another program holds, when none is open: renewals wait for them.
fn held_ports(responder: &Responder) -> Vec<NewEvent> {
    if !responder.addresses().is_empty() {
        return Vec::new();
    }
    let said = |(address, refused): (SocketAddr, ListenerRefused)| {
        let address = address.to_string();
        let stream = ListenerId::derive(&[b"http-01", address.as_bytes()]).into();
        let event = ListenerEvent::ListenerFailed {
            address,
            problem: refused.problem,
            holder: refused.holder,
            needs_restart: false,
        };
        NewEvent { stream, event: event.into(), renewal: None, cause: None }
    };
    responder.waiting().refusals().into_iter().map(said).collect()
}
