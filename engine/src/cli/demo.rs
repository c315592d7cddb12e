//! `renewd demo`: the offline tour in the foreground; Ctrl-C stops everything it started.

use std::path::PathBuf;

use clap::CommandFactory;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Arguments;
use super::exit::{Exit, Reply};
use crate::demo::{DemoError, Options, tour};

/// Commands that the demo runs itself on what it made, if this program has them.
const RUN: [&str; 5] = ["status", "history demo", "timeline demo", "why demo", "log verify"];
/// Commands for the person to try. `demo` is the certificate's name.
const HINTS: [&str; 5] = ["status", "history demo", "timeline demo", "why demo", "log verify"];

/// The flags of `renewd demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Keep everything running at the end until Ctrl-C, and keep its folder: this one, which must be
    /// empty, or a new one
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    keep: Option<Option<PathBuf>>,
}

/// Makes the tour.
pub(super) fn run(flags: Flags) -> Reply {
    let options = Options {
        keep: flags.keep.is_some(),
        folder: flags.keep.flatten(),
        program: std::env::args().next().unwrap_or_else(|| "renewd".to_owned()),
        run: RUN.into_iter().filter(exists).collect(),
        hints: HINTS.into_iter().filter(exists).collect(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(until_signal(&options))) {
        Ok(Ok(exit)) => Reply { out: String::new(), err: String::new(), exit },
        Ok(Err(error)) => failed(&error),
        Err(cause) => failed(&cause),
    }
}

fn failed(cause: &dyn std::error::Error) -> Reply {
    let text =
        format!("error: {cause}\n  help: `renewd demo --keep DIR` leaves its folder to look at\n");
    Reply::failed(Exit::Failed, text)
}

/// Whether this program has the command; a word after the last subcommand is an argument.
fn exists(command: &&'static str) -> bool {
    let arguments = Arguments::command();
    let mut inside = &arguments;
    for word in command.split_whitespace() {
        match inside.find_subcommand(word) {
            Some(found) => inside = found,
            None => return !inside.has_subcommands(),
        }
    }
    true
}

/// A signal during the tour drops it, which kills its process and removes its folder. After the tour
/// (`--keep`) it is what everything waits for.
async fn until_signal(options: &Options) -> Result<Exit, DemoError> {
    let mut signals = Signals::listen()?;
    let mut stage = tokio::select! {
        stage = tour(options) => stage?,
        exit = signals.first() => return Ok(exit),
    };
    if options.keep {
        tokio::select! {
            ended = stage.watch() => return Err(ended),
            _ = signals.first() => {}
        }
    }
    stage.close().await.map(|()| Exit::Done)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, DemoError> {
        let listen = |kind| signal(kind).map_err(DemoError::io("listen for", "signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn first(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::Terminated,
        }
    }
}
