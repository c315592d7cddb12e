//! The door on which the CA's validator knocks: it carries each fetch of a challenge to `renewd` and
//! keeps what came of it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd_events::WallMs;

use crate::error::HarnessError;
use crate::ports;

/// A request of a validator: some 200 octets.
const REQUEST_OCTETS_MAX: usize = 8 * 1024;
/// An answer to one: some 400 octets.
const ANSWER_OCTETS_MAX: u64 = 64 * 1024;
/// Each read and write, on loopback; Pebble's own bound for the whole fetch is longer.
const SOCKET_TIME_MAX: Duration = Duration::from_secs(5);

/// One fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// What was asked for.
    pub(super) path: String,
    /// When the door was reached.
    pub(super) begun: WallMs,
    /// When the answer was there, or it was clear that none comes.
    pub(super) ended: WallMs,
    /// The status of a whole answer; `None` when nobody listened or the answer was cut off.
    pub(super) status: Option<u16>,
}

/// An open door. It closes with the value.
#[derive(Debug)]
pub(super) struct Door {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    visits: Mutex<Vec<Visit>>,
    over: AtomicBool,
}

impl Door {
    /// Opens it on a free port; behind it is `target`, on 127.0.0.1 both.
    pub(super) fn open(target: u16) -> Result<Self, HarnessError> {
        let [port] = ports::free()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(HarnessError::io("open the door", format!("127.0.0.1:{port}")))?;
        let state: Arc<State> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let state = Arc::clone(&shared);
                std::thread::spawn(move || receive(client, target, &state));
            }
        });
        Ok(Self { port, state })
    }

    /// Where it is.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// All fetches so far, in the order of their ends.
    pub(super) fn visits(&self) -> Vec<Visit> {
        self.state.visits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// The wall clock, as the log's records have it.
pub(super) fn now() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn receive(mut client: TcpStream, target: u16, state: &State) {
    let begun = now();
    // A knock without a request is nobody's fetch.
    let Ok(request) = request(&mut client) else { return };
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = ask(target, &request).unwrap_or_default();
    let status = whole(&answer);
    let visit = Visit { path, begun, ended: now(), status };
    state.visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
    // The validator may have gone; what it makes of a cut answer is its own affair.
    drop(client.write_all(&answer));
}

fn request(client: &mut TcpStream) -> io::Result<String> {
    client.set_read_timeout(Some(SOCKET_TIME_MAX))?;
    client.set_write_timeout(Some(SOCKET_TIME_MAX))?;
    let (mut all, mut chunk) = (Vec::new(), [0; 1024]);
    while !all.ends_with(b"\r\n\r\n") {
        let length = client.read(&mut chunk)?;
        if length == 0 || all.len() > REQUEST_OCTETS_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// The request says `Connection: close` (Pebble's validator does), so the answer ends with the stream.
fn ask(target: u16, request: &str) -> io::Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
    let mut server = TcpStream::connect_timeout(&address, SOCKET_TIME_MAX)?;
    server.set_read_timeout(Some(SOCKET_TIME_MAX))?;
    server.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    server.take(ANSWER_OCTETS_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The status, when the body is as long as the head says.
fn whole(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let complete = length.is_none_or(|length| body.len() >= length);
    let status = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
    complete.then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::Endpoint;
    use crate::wait;

    #[test]
    fn a_fetch_is_carried_and_kept_and_one_at_a_closed_port_too() {
        let [target] = ports::free().unwrap();
        let door = Door::open(target).unwrap();
        let ask =
            || Endpoint { port: door.port(), host: "a.test".to_owned(), roots_pem: None }.get("/x");
        assert!(ask().is_err());
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, target)).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            request(&mut stream).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").unwrap();
        });
        assert_eq!(ask().unwrap().status, 404);
        let visits = wait::until(Duration::from_secs(60), || {
            Some(door.visits()).filter(|visits| visits.len() == 2)
        });
        let visits = visits.unwrap();
        assert_eq!(visits.iter().map(|v| v.status).collect::<Vec<_>>(), [None, Some(404)]);
        assert!(visits.iter().all(|visit| visit.path == "/x" && visit.begun <= visit.ended));
    }

    #[test]
    fn an_answer_that_was_cut_off_has_no_status() {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some(200)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", None),
            ("HTTP/1.1 200 OK\r\nContent-Le", None),
            ("", None),
        ] {
            assert_eq!(whole(answer.as_bytes()), status, "{answer}");
        }
    }
}
