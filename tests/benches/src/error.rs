//! Why a bench has no figure.

use renewd_actors::journal::AppendError;
use renewd_events::codec::CodecError;
use renewd_events::store::StoreError;
use renewd_tests::error::HarnessError;

/// Addressed to the person who ran the bench.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A server, process or handshake of the harness.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// An event that cannot be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A file or process call.
    #[error("cannot {what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// Something answered, and not as it must for the figure to mean anything.
    #[error("{0}")]
    Wrong(String),
}

/// For `map_err`: names the act.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
    let what = what.into();
    move |cause| BenchError::Io { what, cause }
}
