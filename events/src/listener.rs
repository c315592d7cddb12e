//! A listening socket of our own process. What it says about being open holds for one life of the
//! process only.

use serde::{Deserialize, Serialize};

use crate::binding::Setback;
use crate::id::BootNo;
use crate::intent::Meta;
use crate::problem::Problem;

/// What can happen to a listener.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum ListenerEvent {
    /// A binding needs this socket.
    ListenerNeeded {
        /// `address:port`.
        address: String,
    },
    /// The socket is open in this life of the process.
    ListenerOpened {
        /// `address:port`.
        address: String,
    },
    /// The socket could not be opened. Whoever holds it is left alone.
    ListenerFailed {
        /// `address:port`.
        address: String,
        /// The error.
        problem: Problem,
        /// The program that holds the address, where it can be told.
        holder: Option<String>,
        /// Only a restart of the host can open it.
        needs_restart: bool,
    },
}

/// The state of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// `address:port`.
    pub address: String,
    /// The life of the process in which it was needed last.
    pub needed: Option<BootNo>,
    /// The life of the process in which it was opened last.
    pub opened: Option<BootNo>,
    /// Why it is not open.
    pub setback: Option<Setback>,
    /// The program that holds the address.
    pub holder: Option<String>,
    /// Since which life of the process only a restart can open it.
    pub needs_restart: Option<BootNo>,
}

impl Listener {
    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &ListenerEvent) {
        match event {
            ListenerEvent::ListenerNeeded { address } => {
                self.address.clone_from(address);
                self.needed = Some(meta.boot);
            }
            ListenerEvent::ListenerOpened { address } => {
                self.address.clone_from(address);
                self.opened = Some(meta.boot);
                self.setback = None;
                self.holder = None;
                self.needs_restart = None;
            }
            ListenerEvent::ListenerFailed { address, problem, holder, needs_restart } => {
                self.address.clone_from(address);
                let count = self.setback.as_ref().map_or(0, |old| old.count).saturating_add(1);
                self.setback = Some(Setback { problem: problem.clone(), at: meta.at, count });
                self.holder.clone_from(holder);
                self.needs_restart = needs_restart.then_some(meta.boot);
            }
        }
    }
}
