//! What the engine says while it runs: log lines on stderr, and traces to an OTLP collector.
//!
//! Read in this order: [`TracesEndpoint`] (where to), `open` (events into spans), `spans` (in
//! OpenTelemetry's form), `traces` (the exporter), `client` (its HTTP), `live` and `ca` (calls of the CA as they
//! happen), `file` (past renewals). Beside them `lines` (a log line per event).
//!
//! Traces are made from events, not from the code that runs: a renewal has one trace, whichever lives
//! of the process it spans, with ids that follow from the log (`renewd_replay::trace`). Without an
//! endpoint nothing of it is started.

mod ca;
mod client;
mod endpoint;
mod file;
mod lines;
mod live;
mod open;
mod roots;
mod spans;
mod traces;

pub use endpoint::{BadEndpoint, TracesEndpoint};
pub(crate) use file::otlp_json;
pub(crate) use lines::Lines;
pub(crate) use open::History;
pub(crate) use traces::Traces;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Sends log lines to stderr: text for people, JSON for machines.
pub(crate) fn log(log: &Log) {
    let filter = EnvFilter::new(log.level.as_str());
    let to_stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal && std::env::var_os("JOURNAL_STREAM").is_none(),
    };
    // A second subscriber in one process: the first one stays.
    drop(if json {
        to_stderr.json().try_init()
    } else {
        to_stderr.with_ansi(terminal).with_target(false).try_init()
    });
}
