//! What can go wrong in the harness, addressed to the person whose test run just stopped.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of the harness itself, never of the program under test.
///
/// `Debug` is the same text as `Display`: tests `unwrap`, and `unwrap` prints `Debug`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// A program the tests cannot do without is not there and could not be installed.
    #[error(
        "{program} is needed and cannot be had\n{tried}\n  do: install Go from https://go.dev/dl \
         (1.24 or newer), then run `cargo xtask test` again"
    )]
    Missing {
        /// The program's name.
        program: &'static str,
        /// Every way that was tried, one a line, with its outcome.
        tried: String,
    },
    /// A foreign ACME client is not there.
    #[error(
        "{program} is needed and not on PATH: it checks the fault CA as a foreign client\n  do: apt-get \
         install --no-install-recommends {program}"
    )]
    NoClient {
        /// The program, which is also its package in Debian.
        program: &'static str,
    },
    /// A file, socket or process call failed.
    #[error("cannot {what} ({at}): {cause}")]
    Io {
        /// What was tried, as a verb: "start", "read".
        what: &'static str,
        /// File, address or program.
        at: String,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// Something did not happen within its bound.
    #[error("waited {bound:?} for {what}, in vain; it said last:\n{evidence}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// The bound that was used up.
        bound: Duration,
        /// The end of the log of whoever should have done it.
        evidence: String,
    },
    /// A child ended before it was asked to.
    #[error(
        "{program} ended by itself ({status}) while waiting for {what}; it said last:\n{evidence}"
    )]
    Ended {
        /// The program's name.
        program: String,
        /// Exit status in the system's words.
        status: String,
        /// What was waited for.
        what: String,
        /// The end of its log.
        evidence: String,
    },
    /// TLS could not be set up or the handshake was refused.
    #[error("TLS with {at}: {cause}")]
    Tls {
        /// Address or file.
        at: String,
        /// The TLS library's answer.
        cause: String,
    },
    /// An HTTP answer is not what the harness needs.
    #[error("{url} answered {status}: {body}")]
    Http {
        /// What was asked.
        url: String,
        /// HTTP status; 0 when there was no status line.
        status: u16,
        /// The body, cut.
        body: String,
    },
    /// The binary under test was not built.
    #[error(
        "{path} is not there\n  do: run the tests with `cargo xtask test`, which builds it first, or set {var}"
    )]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
        /// The environment variable that overrides the place.
        var: &'static str,
    },
}

impl fmt::Debug for HarnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl HarnessError {
    /// For `map_err`: names the act and the place of a system error.
    pub fn io(what: &'static str, at: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let at = at.into();
        move |cause| Self::Io { what, at, cause }
    }

    /// For `map_err`: names the peer or file of a TLS error.
    pub fn tls<E: fmt::Display>(at: impl Into<String>) -> impl FnOnce(E) -> Self {
        let at = at.into();
        move |cause| Self::Tls { at, cause: cause.to_string() }
    }
}
