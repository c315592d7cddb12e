//! What a command hands back: text for stdout, text for stderr, and an exit code.

/// Exit codes. They are API: scripts and systemd units depend on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Tried and failed; the error's code is on stderr.
    Failed,
    /// Wrong usage; also what clap uses.
    Usage,
    /// The configuration is invalid.
    Config,
    /// The daemon cannot be reached.
    NoDaemon,
    /// No such certificate, order or event.
    NotFound,
    /// A permission is missing or a secret cannot be read.
    Permission,
    /// The log or the vault is damaged; nothing was changed.
    Damaged,
    /// Another instance holds the lock.
    Locked,
    /// Not now: blocked until a time, which is printed.
    NotNow,
    /// A check found something: a certificate that needs a person, or no engine that runs.
    Finding,
    /// Ended by SIGINT, cleanly.
    Interrupted,
    /// Ended by SIGTERM, cleanly.
    Terminated,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::NoDaemon => 4,
            Self::NotFound => 5,
            Self::Permission => 6,
            Self::Damaged => 7,
            Self::Locked => 8,
            Self::NotNow => 9,
            Self::Finding => 10,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The outcome of a command that only computes text. Who prints it is `cli/output.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Data, for stdout.
    pub out: String,
    /// Talk, for stderr.
    pub err: String,
    /// How the process ends.
    pub exit: Exit,
}

impl Reply {
    /// Data and success.
    pub fn done(out: impl Into<String>) -> Self {
        Self { out: out.into(), err: String::new(), exit: Exit::Done }
    }

    /// Talk and another end.
    pub fn failed(exit: Exit, err: impl Into<String>) -> Self {
        Self { out: String::new(), err: err.into(), exit }
    }
}

/// The envelope around every JSON answer: within a schema's number, fields are only added.
pub fn json(schema: &str, data: serde_json::Value) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let generated_at = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    serde_json::json!({ "schema": schema, "generated_at": generated_at, "data": data }).to_string()
}
