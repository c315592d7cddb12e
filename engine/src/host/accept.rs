//! A bounded accept loop for one listener.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::admission::Admission;

/// After a failed accept (mostly: no descriptor left), so that the loop does not spin until some
/// connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An open listener. Dropping it closes the socket; connections end by their own bounds.
#[derive(Debug)]
pub(crate) struct OpenListener {
    /// Where it listens, with the real port.
    pub(crate) local: SocketAddr,
    task: AbortHandle,
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts until dropped. Each connection runs in its own task and holds its place to its end.
/// A connection over the bounds is closed at once.
///
/// # Errors
/// The socket cannot be handed to the runtime.
pub(crate) fn accept<H, F>(
    listener: std::net::TcpListener,
    admission: Arc<Admission>,
    handle: H,
) -> io::Result<OpenListener>
where
    H: Fn(TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let local = listener.local_addr()?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => admit(&admission, stream, peer, &handle),
                Err(cause) => {
                    tracing::debug!(%local, %cause, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(OpenListener { local, task: task.abort_handle() })
}

fn admit<F: Future<Output = ()> + Send + 'static>(
    admission: &Arc<Admission>,
    stream: TcpStream,
    peer: SocketAddr,
    handle: &impl Fn(TcpStream) -> F,
) {
    let Some(place) = admission.admit(peer.ip()) else {
        return;
    };
    // Answers are small and whole: waiting to fill a segment only adds delay.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = handle(stream);
    tokio::spawn(async move {
        let _place = place;
        connection.await;
    });
}
