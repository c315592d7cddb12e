//! Challenge addresses that another program holds: tried again in the background, so that everything
//! else starts, and HTTPS is served, without them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use renewd_actors::ports::ListenerRefused;

use super::responder::Responder;

/// The first retry: a web server that gives way to us while both start is gone by then.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(2);
/// The slowest: whoever stops the other program waits a minute at most.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

/// Addresses that are not open yet, and why.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<BTreeMap<SocketAddr, ListenerRefused>>);

impl Waiting {
    /// All of them, with the reason and the holder in words.
    pub fn all(&self) -> BTreeMap<SocketAddr, String> {
        let all = self.refusals().into_iter();
        all.map(|(address, refused)| (address, refused.problem.detail)).collect()
    }

    /// All of them, with all that is known.
    pub fn refusals(&self) -> BTreeMap<SocketAddr, ListenerRefused> {
        self.lock().clone()
    }

    /// No more retries: the responder is closed.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, ListenerRefused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Responder {
    /// Opens an address that was refused as soon as it is free. Tried after two seconds, then slower up
    /// to once a minute, until it is open or the responder is closed. Inside a tokio runtime.
    pub fn open_later(self: &Arc<Self>, address: SocketAddr, refused: &ListenerRefused) {
        let detail = &refused.problem.detail;
        tracing::error!(%address, %detail, "no challenges are answered here yet; it is tried again");
        self.waiting.lock().insert(address, refused.clone());
        let weak = Arc::downgrade(self);
        tokio::spawn(async move { keep_trying(&weak, address).await });
    }

    /// Whether it need not be tried again. The lock is held meanwhile, so that a close comes before or
    /// after it.
    fn try_again(&self, address: SocketAddr) -> bool {
        let mut waiting = self.waiting.lock();
        let Some(known) = waiting.get_mut(&address) else {
            return true;
        };
        match self.open(address) {
            Ok(local) => {
                waiting.remove(&address);
                tracing::info!(address = %local, "answering http-01 challenges");
                if let Some(opened) = &self.opened {
                    opened(address);
                }
                true
            }
            Err(refused) => {
                if *known != refused {
                    let detail = &refused.problem.detail;
                    tracing::error!(%address, %detail, "still no challenges are answered here");
                    *known = refused;
                }
                false
            }
        }
    }
}

async fn keep_trying(responder: &Weak<Responder>, address: SocketAddr) {
    let mut wait = RETRY_FIRST;
    loop {
        tokio::time::sleep(wait).await;
        match responder.upgrade() {
            Some(responder) if !responder.try_again(address) => {}
            Some(_) | None => return,
        }
        wait = wait.saturating_mul(2).min(RETRY_MAX);
    }
}
