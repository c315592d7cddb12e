//! The page's port: opened at the start, or as soon as whoever holds it is gone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::guard::Hosts;
use super::routes::Desk;
use super::server::{PAGE_CONNECTIONS_MAX, PAGE_CONNECTIONS_PER_ADDRESS_MAX, page};
use crate::challenge::{RETRY_FIRST, RETRY_MAX};
use crate::host::accept::{OpenListener, accept};
use crate::host::admission::{Admission, Bounds};
use crate::host::socket;

/// The port, open or awaited. Dropping it closes it and ends the wait.
#[derive(Debug)]
pub(super) struct Port {
    open: Arc<Mutex<Option<OpenListener>>>,
    retry: Option<AbortHandle>,
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(retry) = &self.retry {
            retry.abort();
        }
    }
}

impl Port {
    /// Opens it, or says why not and tries again: after two seconds, then slower up to once a minute,
    /// as for the challenge addresses. Inside a tokio runtime.
    pub(super) fn open(address: SocketAddr, desk: Arc<Desk>) -> (Self, Option<String>) {
        let cause = match open(address, &desk) {
            Ok(listener) => {
                return (Self { open: Arc::new(Mutex::new(Some(listener))), retry: None }, None);
            }
            Err(cause) => cause,
        };
        let place = Arc::new(Mutex::new(None));
        let task = tokio::spawn(keep_trying(address, desk, Arc::clone(&place)));
        (Self { open: place, retry: Some(task.abort_handle()) }, Some(cause))
    }

    /// Where it is open, with the real port.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|listener| listener.local)
    }
}

async fn keep_trying(
    address: SocketAddr,
    desk: Arc<Desk>,
    place: Arc<Mutex<Option<OpenListener>>>,
) {
    let mut wait = RETRY_FIRST;
    loop {
        tokio::time::sleep(wait).await;
        if let Ok(listener) = open(address, &desk) {
            tracing::info!("the status page is at http://{}/", listener.local);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
            return;
        }
        wait = wait.saturating_mul(2).min(RETRY_MAX);
    }
}

fn open(address: SocketAddr, desk: &Arc<Desk>) -> Result<OpenListener, String> {
    let listener = socket::listen(address).map_err(|refused| refused.problem.detail)?;
    let admission = Admission::new(Bounds {
        total: PAGE_CONNECTIONS_MAX,
        per_address: PAGE_CONNECTIONS_PER_ADDRESS_MAX,
    });
    let (hosts, desk) = (Hosts::of(address), Arc::clone(desk));
    let connection = move |stream| {
        let desk = Arc::clone(&desk);
        async move { page(stream, &desk, hosts).await }
    };
    accept(listener, admission, connection).map_err(|cause| cause.to_string())
}
