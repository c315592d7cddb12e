//! A passage between `renewd` and its CA: it carries the bytes of TLS unread, late, or not at all.
//!
//! Late answers make each step of an order long enough to be hit by a kill; a closed passage shows
//! what `renewd` does before it has spoken to its CA.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::HarnessError;
use crate::pebble::Said;
use crate::wait;

/// Bytes carried at once: a TLS record.
const CHUNK_OCTETS: usize = 16 * 1024;
/// A closed passage lets go of a connection after this time.
const CLOSED_TIME_MAX: Duration = Duration::from_secs(60);

/// An open passage. Its connections end with the programs at both ends.
#[derive(Debug)]
pub struct Passage {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    answers_late_ms: AtomicU64,
    closed: AtomicBool,
    connections: AtomicU64,
    over: AtomicBool,
    lost_after: Mutex<Option<Said>>,
}

impl State {
    /// Whether an answer that is here now must not arrive.
    fn loses_answers(&self) -> bool {
        let said = self.lost_after.lock().unwrap_or_else(PoisonError::into_inner).clone();
        said.is_some_and(|said| said.times() > 0)
    }
}

impl Passage {
    /// Listens on `port` of 127.0.0.1 and carries to `target` there.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn open(port: u16, target: u16) -> Result<Self, HarnessError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(HarnessError::io("open a passage", format!("127.0.0.1:{port}")))?;
        let state: Arc<State> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || accept(&listener, target, &shared));
        Ok(Self { port, state })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every piece of an answer comes so much later from now on.
    pub fn answers_late(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.state.answers_late_ms.store(ms, Ordering::Relaxed);
    }

    /// Nothing passes from now on; connections are accepted and stay silent.
    pub fn close(&self) {
        self.state.closed.store(true, Ordering::Relaxed);
    }

    /// What was held passes.
    pub fn reopen(&self) {
        self.state.closed.store(false, Ordering::Relaxed);
    }

    /// No answer arrives any more once Pebble has said this. It is looked for before each piece of an
    /// answer, and Pebble says what it has done before it answers: the answer to that very request is
    /// lost whatever the machine does meanwhile.
    pub fn lose_answers_after(&self, said: Said) {
        *self.state.lost_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    /// Answers arrive again; what was lost stays lost, with its connection.
    pub fn lose_no_answers(&self) {
        *self.state.lost_after.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Connections that were ever made.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; when nobody is there it has ended already.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn accept(listener: &TcpListener, target: u16, state: &Arc<State>) {
    for client in listener.incoming() {
        if state.over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            // Either end may go at any time: that is what the passage is for.
            drop(carry_both(&client, target, &state));
        });
    }
}

fn carry_both(client: &TcpStream, target: u16, state: &Arc<State>) -> std::io::Result<()> {
    wait_until_open(state);
    let server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, target)))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (asking, asked) = (client.try_clone()?, server.try_clone()?);
    let questions = Arc::clone(state);
    std::thread::spawn(move || carry(&asking, &asked, &questions, false));
    carry(&server, client, state, true);
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, state: &State, is_answer: bool) {
    let mut chunk = vec![0; CHUNK_OCTETS];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if is_answer {
            let ms = state.answers_late_ms.load(Ordering::Relaxed);
            wait::for_a_while(Duration::from_millis(ms));
            if state.loses_answers() {
                // The client waits for it until it is killed.
                let over = || !state.loses_answers() || state.over.load(Ordering::Relaxed);
                let _ = wait::until(CLOSED_TIME_MAX, || over().then_some(()));
                break;
            }
        }
        wait_until_open(state);
        let sent = to.write_all(chunk.get(..length).unwrap_or_default());
        if sent.is_err() {
            break;
        }
    }
    // The other direction ends with it.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

fn wait_until_open(state: &State) {
    let open = || !state.closed.load(Ordering::Relaxed) || state.over.load(Ordering::Relaxed);
    // A passage that is closed for longer is given up by both ends anyway.
    let _ = wait::until(CLOSED_TIME_MAX, || open().then_some(()));
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::ports;

    /// A passage to a server that does `act` with each word, and then gives it back.
    fn to_an_echo(act: impl Fn(&[u8; 4]) + Send + 'static) -> Passage {
        let [port, target] = ports::free().unwrap();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, target)).unwrap();
        std::thread::spawn(move || {
            for mut stream in server.incoming().flatten() {
                let mut word = [0; 4];
                stream.read_exact(&mut word).unwrap();
                act(&word);
                stream.write_all(&word).unwrap();
            }
        });
        Passage::open(port, target).unwrap()
    }

    /// For an answer that must come.
    const COMES: Duration = Duration::from_secs(60);
    /// Long enough to see that none comes.
    const COMES_NOT: Duration = Duration::from_millis(400);

    fn ask(passage: &Passage, time: Duration) -> std::io::Result<[u8; 4]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, passage.port())).unwrap();
        stream.set_read_timeout(Some(time)).unwrap();
        stream.write_all(b"ping").unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).map(|()| word)
    }

    #[test]
    fn the_answer_to_the_act_that_was_said_is_lost_and_those_before_and_later_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("pebble.out");
        let said = Said::new(log.clone(), "ping");
        let passage = to_an_echo(move |word| std::fs::write(&log, word).unwrap());
        assert_eq!(&ask(&passage, COMES).unwrap(), b"ping");
        assert_eq!(said.times(), 1);
        std::fs::remove_file(folder.path().join("pebble.out")).unwrap();
        passage.lose_answers_after(said.clone());
        assert!(ask(&passage, COMES_NOT).is_err());
        let acted = wait::until(COMES, || (said.times() == 1).then_some(()));
        assert!(acted.is_some(), "the server acts all the same");
        passage.lose_no_answers();
        assert_eq!(&ask(&passage, COMES).unwrap(), b"ping");
    }

    #[test]
    fn it_carries_late_and_not_while_it_is_closed() {
        let passage = to_an_echo(|_| {});
        passage.answers_late(Duration::from_millis(80));
        let ask = |time| ask(&passage, time);
        let start = Instant::now();
        assert_eq!(&ask(COMES).unwrap(), b"ping");
        assert!(start.elapsed() >= Duration::from_millis(80));
        passage.close();
        assert!(ask(COMES_NOT).is_err());
        passage.reopen();
        assert_eq!(&ask(COMES).unwrap(), b"ping");
        assert_eq!(passage.connections(), 3);
    }
}
