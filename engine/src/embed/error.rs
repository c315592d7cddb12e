//! What can go wrong for the embedding program.

use std::net::SocketAddr;
use std::path::PathBuf;

use renewd_actors::EngineError;
use renewd_events::store::StoreError;

use crate::config::Fault;
use crate::start::StartError;
use crate::telemetry::BadEndpoint;
use crate::vault::VaultError;

/// Why an engine did not start, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// Nothing was said about where state lives.
    #[error(
        "no state directory: call state_dir(..) with one that outlives the process; without it every \
         start would order every certificate again"
    )]
    NoStateDir,
    /// Nothing was said about the account.
    #[error("no account: call account(Account::lets_encrypt()..) or account(Account::at(URL)..)")]
    NoAccount,
    /// Nobody accepted the CA's terms.
    #[error(
        "the terms of {directory} are not accepted: let the operator read them, then call \
         terms_accepted_by_operator() on the account"
    )]
    Terms {
        /// The CA's directory.
        directory: String,
    },
    /// A value breaks a rule of the configuration file, which holds here too.
    #[error("{field}: {fault}{}", cure(fault))]
    Setting {
        /// Which value.
        field: String,
        /// The rule.
        fault: Box<Fault>,
    },
    /// Two certificates have the same name.
    #[error(
        "two certificates are named `{0}`; give one of them another name with \
         Certificate::named(..)"
    )]
    CertificateTwice(String),
    /// Another engine, of this or of another process, works on the state directory.
    #[error(
        "another engine works on {}: one state directory has one engine at a time. Give this one a \
         directory of its own, or wait until the other has shut down", .state_dir.display()
    )]
    AlreadyRunning {
        /// The directory.
        state_dir: PathBuf,
    },
    /// The traces' collector is not named by a URL.
    #[error(transparent)]
    Traces(#[from] BadEndpoint),
    /// The vault's key could not be made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The state directory could not be made.
    #[error("the state directory {} cannot be made: {cause}", .state_dir.display())]
    StateDir {
        /// The directory.
        state_dir: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The engine did not start. Nothing was asked of a CA.
    #[error(transparent)]
    Start(StartError),
    /// The engine could not do what it was asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine was shut down.
    #[error("the engine was shut down")]
    ShutDown,
    /// An HTTPS listener of the host could not be opened.
    #[error("{detail}")]
    Listener {
        /// The address.
        address: SocketAddr,
        /// Why, and what to do.
        detail: String,
    },
}

/// What to do about a setting, where the rule knows it.
fn cure(fault: &Fault) -> String {
    miette::Diagnostic::help(fault).map_or_else(String::new, |help| format!(" ({help})"))
}

impl EmbedError {
    pub(super) fn setting(field: &str, fault: Fault) -> Self {
        Self::Setting { field: field.to_owned(), fault: Box::new(fault) }
    }

    pub(super) fn start(error: StartError, state_dir: PathBuf) -> Self {
        if let StartError::Log(StoreError::Locked { .. }) = error {
            return Self::AlreadyRunning { state_dir };
        }
        Self::Start(error)
    }
}
