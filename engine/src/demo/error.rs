//! What can end the tour before its end.

use std::path::PathBuf;

/// Why the tour did not reach its end. Everything it started is stopped by then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The folder to keep has something in it.
    #[error("{folder} is not empty; name another one: `renewd demo --keep DIR`")]
    NotEmpty {
        /// Which.
        folder: PathBuf,
    },
    /// The system said no.
    #[error("cannot {act} {path}: {cause}")]
    Io {
        /// What was tried: `write`.
        act: &'static str,
        /// With what.
        path: String,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The engine's process ended by itself.
    #[error("the engine's process ended ({status}) while the demo waited for {what}. {said}")]
    Ended {
        /// Its exit status.
        status: String,
        /// What was awaited.
        what: &'static str,
        /// The end of its log, and where the whole is.
        said: String,
    },
    /// Something did not come.
    #[error("{what} did not come within {seconds} s. {said}")]
    TooLate {
        /// What was awaited.
        what: &'static str,
        /// The bound.
        seconds: u64,
        /// The end of its log, and where the whole is.
        said: String,
    },
    /// The listener did not show a certificate that a visitor can trust.
    #[error("a visitor at {address} does not get a trusted certificate: {cause}")]
    Handshake {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// The status page does not answer.
    #[error("there is no status page at {address}: {cause}")]
    Page {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// One of this program's own commands cannot read what the demo left behind.
    #[error("`renewd {command}` failed ({status}): {said}")]
    Reading {
        /// Which.
        command: &'static str,
        /// Its exit status.
        status: String,
        /// Its words.
        said: String,
    },
    /// The CA's book does not say what the demo promises.
    #[error("the CA's own book contradicts the demo: {what}")]
    Book {
        /// The promise that was broken, and what the book says instead.
        what: String,
    },
}

impl DemoError {
    /// An I/O error, said with what was tried.
    pub(crate) fn io(
        act: &'static str,
        path: impl std::fmt::Display,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_string();
        move |cause| Self::Io { act, path, cause }
    }
}
