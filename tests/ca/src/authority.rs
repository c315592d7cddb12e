//! What all requests share: the options, the keys, the state behind its locks, running tasks.
//!
//! Locks are held for moments, never across an await, and never two at once except by
//! [`Authority::store`] first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::task::JoinSet;

use crate::clock::ClockSkew;
use crate::fault::{FaultKind, Script};
use crate::issue::Issuing;
use crate::jws;
use crate::ledger::{Endpoint, Ledger, Mark};
use crate::nonce::Nonces;
use crate::options::Options;
use crate::pause::Pauses;
use crate::problem::Problem;
use crate::route::Route;
use crate::store::Store;

/// Random bytes in an id, a nonce, a token: RFC 8555 §8.3 asks for 128 bits of entropy.
const RANDOM_BYTES: usize = 16;

/// One CA.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) options: Options,
    /// `https://address:port`.
    pub(crate) origin: String,
    /// First part of every path but the directory's; differs from start to start.
    pub(crate) prefix: String,
    pub(crate) issuing: Issuing,
    store: Mutex<Store>,
    nonces: Mutex<Nonces>,
    script: Mutex<Script>,
    ledger: Mutex<Ledger>,
    skew: Mutex<ClockSkew>,
    pauses: Mutex<Pauses>,
    /// Validations running. They hold the authority; the handle aborts them at its end.
    tasks: Mutex<JoinSet<()>>,
}

impl Authority {
    /// A CA without accounts.
    pub(crate) fn new(options: Options, origin: String, issuing: Issuing) -> Result<Self, Problem> {
        let skew = options.clock;
        let store = Store { terms: options.terms_url.clone(), ..Store::default() };
        Ok(Self {
            options,
            origin,
            prefix: random_id()?,
            issuing,
            store: Mutex::new(store),
            nonces: Mutex::default(),
            script: Mutex::default(),
            ledger: Mutex::default(),
            skew: Mutex::new(skew),
            pauses: Mutex::default(),
            tasks: Mutex::default(),
        })
    }

    /// The CA's own time.
    pub(crate) fn now(&self) -> SystemTime {
        lock(&self.skew).now()
    }

    /// Sets the CA's clock.
    pub(crate) fn set_skew(&self, skew: ClockSkew) {
        *lock(&self.skew) = skew;
    }

    /// The state.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// The nonces.
    pub(crate) fn nonces(&self) -> MutexGuard<'_, Nonces> {
        lock(&self.nonces)
    }

    /// The scripted faults.
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    /// The counters.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The waits that clients were asked for.
    pub(crate) fn pauses(&self) -> MutexGuard<'_, Pauses> {
        lock(&self.pauses)
    }

    /// The client broke a rule: writes it down.
    pub(crate) fn violation(&self, text: impl Into<String>) {
        self.ledger().violation(text.into());
    }

    /// The fault to play now at `endpoint`, counted.
    pub(crate) fn strike(&self, endpoint: Endpoint) -> Option<FaultKind> {
        let struck = self.script().strike(endpoint);
        if struck.is_some() {
            self.ledger().mark(Mark::Fault);
        }
        struck
    }

    /// The absolute URL of a route.
    pub(crate) fn url(&self, route: &Route) -> String {
        format!("{}{}", self.origin, route.path(&self.prefix))
    }

    /// A new nonce, remembered.
    pub(crate) fn nonce(&self) -> Result<String, Problem> {
        let nonce = random_id()?;
        self.nonces().hand_out(&nonce);
        Ok(nonce)
    }

    /// Runs a validation in the background and forgets those that ended.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all background work.
    pub(crate) fn abort(&self) {
        lock(&self.tasks).abort_all();
    }
}

/// 128 random bits, base64url.
pub(crate) fn random_id() -> Result<String, Problem> {
    Ok(jws::encode(&random_bytes()?))
}

/// 128 random bits.
pub(crate) fn random_bytes() -> Result<[u8; RANDOM_BYTES], Problem> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::internal("the system gives no random bytes"))?;
    Ok(bytes)
}

/// A panic while holding a lock leaves a test CA's state as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
