//! The admin server without its sockets, for fuzz tests: any stream is a connection, any user asks.

use std::net::SocketAddr;
use std::sync::Arc;

use renewd_actors::Handle;
use tokio::io::{AsyncRead, AsyncWrite};

use super::guard::Hosts;
use super::metrics::Counters;
use super::routes::Desk;
use super::server;
use crate::challenge::Waiting;

/// Where connections come in.
#[derive(Debug)]
pub struct AdminDoor {
    desk: Arc<Desk>,
    hosts: Hosts,
}

impl AdminDoor {
    /// In front of this engine, as if its page listened on `listen`.
    pub fn new(handle: Handle, listen: SocketAddr) -> Self {
        let desk =
            Desk::new(handle, None, (Vec::new(), Arc::<Waiting>::default()), &Counters::default());
        Self { desk: Arc::new(desk), hosts: Hosts::of(listen) }
    }

    /// One connection to the page.
    pub async fn page(&self, io: impl AsyncRead + AsyncWrite + Unpin) {
        server::page(io, &self.desk, self.hosts).await;
    }

    /// One connection on the Unix socket by this user.
    pub async fn socket(&self, uid: u32, io: impl AsyncRead + AsyncWrite + Unpin) {
        server::commands_of(uid, io, &self.desk).await;
    }
}
