//! Whether an engine stands behind a log that is read. A log alone cannot tell: what a killed process
//! left reads like that of one which waits for the next renewal.

use std::path::Path;
use std::time::Duration;

use http::Method;
use renewd_events::log::is_held;
use renewd_replay::{escape, when};

use super::exit::Reply;
use super::form::Reading;
use super::source::Source;
use crate::admin::LOG_PATH;
use crate::admin::client::{ClientError, ask};
use crate::start::LOG;

/// An engine that is stopped, or too busy to say, does not hold up what the log says.
const ENGINE_TIME_MAX: Duration = Duration::from_secs(2);

/// What was found at the socket of the engine that writes this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// It answers, or says nothing that contradicts the log; or the log is a copy, or the past.
    Unremarkable,
    /// It cannot write its log, for this reason.
    Unwritable(String),
    /// Nobody listens there, and some process holds the log.
    Mute,
    /// Nobody listens there.
    Absent,
}

/// Asks it, and lets what was read of the log agree: a killed process wrote no end of its life, and it
/// serves as little as one that did. (The past of `--at` is told by its log alone, as it was known then.)
pub(super) fn look(reading: &Reading, config: Option<&Path>, source: &mut Source) -> Engine {
    let engine = reading.socket(config).map_or(Engine::Unremarkable, |socket| at(&socket));
    source.facts.engine.stopped |= engine == Engine::Absent;
    engine
}

fn at(socket: &Path) -> Engine {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Engine::Unremarkable;
    };
    let asked = runtime.block_on(async {
        tokio::time::timeout(ENGINE_TIME_MAX, ask(socket, Method::GET, LOG_PATH)).await
    });
    let answer = match asked {
        Ok(Ok(answer)) => answer.json(),
        Ok(Err(ClientError::NoEngine { .. })) if is_held(&socket.with_file_name(LOG)) => {
            return Engine::Mute;
        }
        Ok(Err(ClientError::NoEngine { .. })) => return Engine::Absent,
        // Somebody holds the socket.
        Ok(Err(ClientError::Permission { .. } | ClientError::Broken { .. })) | Err(_) => {
            return Engine::Unremarkable;
        }
    };
    let cause = answer.get("data").and_then(|data| data.get("unwritable")?.as_str());
    cause.map_or(Engine::Unremarkable, |cause| Engine::Unwritable(cause.to_owned()))
}

/// What a person must know of it, to stderr: what programs read stays as it is.
pub(super) fn words(engine: &Engine, source: &Source) -> String {
    let mut said = state(engine, source);
    said.extend(source.facts.engine.set_aside.iter().map(|((stream, actor), aside)| {
        format!(
            "degraded: {actor} failed over {stream} and leaves it alone until renewd is started \
             again: {} (R0805)\n",
            escape::field(&aside.text, 200)
        )
    }));
    said
}

fn state(engine: &Engine, source: &Source) -> String {
    match engine {
        Engine::Unremarkable => String::new(),
        Engine::Unwritable(cause) => format!(
            "degraded: the engine cannot write its log: {}\n  \
             published tokens are answered and certificates served on; `renewd explain` with the \
             code says more\n",
            escape::text(cause)
        ),
        Engine::Mute => "warning: a process holds the log, and nobody listens at its socket: the engine \
             starts or ends, or its state directory could not be written when it started (R0620, R0621)\n  \
             then published tokens are answered and certificates served on, and the socket comes back \
             by itself; the engine's log lines say more\n"
            .to_owned(),
        Engine::Absent => {
            let last = source.envelopes.last().map_or_else(String::new, |last| {
                let when = when::both(last.at, source.now);
                format!("; its last sign of life: {when}, {}", last.event.name())
            });
            format!(
                "warning: the engine is not running: nothing is renewed{last}\n  \
                 start it with `renewd run`, or the service that runs it\n"
            )
        }
    }
}

/// The answer of a reading command, with what a person must know of the engine.
pub(super) fn with_words(mut reply: Reply, engine: &Engine, source: &Source) -> Reply {
    reply.err.push_str(&words(engine, source));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    fn source() -> Source {
        let (facts, envelopes) = story::failing();
        let witnesses = story::witnesses(&envelopes);
        Source { place: "log".into(), envelopes, facts, witnesses, now: story::NOW }
    }

    #[test]
    fn a_socket_that_is_missing_or_left_behind_is_an_absent_engine() {
        let root = tempfile::TempDir::new().unwrap();
        let socket = root.path().join("socket");
        assert_eq!(at(&socket), Engine::Absent);
        // The file outlives a killed process.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        assert_eq!(at(&socket), Engine::Absent);
    }

    #[test]
    fn a_log_that_is_held_without_a_socket_is_no_absent_engine() {
        let root = tempfile::TempDir::new().unwrap();
        let socket = root.path().join("socket");
        let log = renewd_events::log::SledLog::create(&root.path().join(LOG)).unwrap();
        assert_eq!(at(&socket), Engine::Mute);
        drop(log);
        assert_eq!(at(&socket), Engine::Absent);
    }

    #[test]
    fn somebody_who_closes_at_once_is_not_an_absent_engine() {
        let root = tempfile::TempDir::new().unwrap();
        let socket = root.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let taking = std::thread::spawn(move || drop(listener.accept()));
        assert_eq!(at(&socket), Engine::Unremarkable);
        taking.join().unwrap();
    }

    #[test]
    fn the_last_sign_of_life_is_told() {
        let said = words(&Engine::Absent, &source());
        for part in ["is not running", "nothing is renewed", "last sign of life", "`renewd run`"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let said = words(&Engine::Unwritable("no\u{1b} room".to_owned()), &source());
        assert!(said.contains("degraded") && !said.contains('\u{1b}'), "{said}");
        assert_eq!(words(&Engine::Unremarkable, &source()), "");
    }
}
