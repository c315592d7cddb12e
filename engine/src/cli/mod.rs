//! The command line: one file per command. stdout is data, stderr is talk.

mod accept_terms;
mod alive;
mod at;
pub mod config_check;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
pub mod exit;
pub mod explain;
mod form;
mod history;
pub mod init;
mod list;
mod log;
mod renew;
mod run;
mod source;
mod status;
#[cfg(test)]
pub(crate) mod story;
mod timeline;
mod why;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::exit::{Exit, Reply};
use crate::config::Style;

/// Keeps TLS certificates valid, and tells why when it cannot.
#[derive(Debug, Parser)]
#[command(name = "renewd", version, max_term_width = 100)]
struct Arguments {
    /// The configuration; otherwise ./renewd.toml, then the user's, then /etc/renewd/renewd.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first configuration, asking what it needs to know
    Init(init::Flags),
    /// Run the engine in the foreground
    Run,
    /// How every certificate is: last renewed, due to expire, served, next action and why
    Status(status::Flags),
    /// List certificates, accounts or bindings
    List(list::Flags),
    /// Every renewal, one line each
    History(history::Flags),
    /// One renewal drawn: what happened, when, and how long it waited
    Timeline(timeline::Flags),
    /// Why a certificate was not renewed, with evidence and what to do
    Why(why::Flags),
    /// Look at everything a renewal needs, and say what to do
    Doctor(doctor::Flags),
    /// Renew a certificate now, by the running engine
    Renew(renew::Flags),
    /// Accept the terms that the CA shows now, after a person has read them
    AcceptTerms(accept_terms::Flags),
    /// A tour without network: order, kill in the middle, resume, serve, renew
    #[cfg(feature = "demo")]
    Demo(demo::Flags),
    /// Check the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Check, export, print, repair or restore the event log
    Log {
        #[command(subcommand)]
        command: log::LogCommand,
    },
    /// The long text of an error code, e.g. R0103
    Explain(explain::Flags),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and say what is wrong with it
    Check(config_check::Flags),
}

/// Parses the arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            drop(usage.print());
            let asked = !usage.use_stderr();
            return if asked { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let reply = dispatch(arguments);
    print(&reply);
    reply.exit.into()
}

fn dispatch(arguments: Arguments) -> Reply {
    let config = arguments.config.as_deref();
    match arguments.command {
        Command::Init(flags) => init::run(&flags, &mut init::Terminal, style()),
        Command::Run => run::run(config, style()),
        Command::Status(flags) => status::run(&flags, config, style()),
        Command::List(flags) => list::run(&flags, config, style()),
        Command::History(flags) => history::run(&flags, config, style()),
        Command::Timeline(flags) => timeline::run(&flags, config, style()),
        Command::Why(flags) => why::run(&flags, config, style()),
        Command::Doctor(flags) => doctor::run(&flags, config, style()),
        Command::Renew(flags) => renew::run(&flags, config, style()),
        Command::AcceptTerms(flags) => accept_terms::run(&flags, config, style()),
        #[cfg(feature = "demo")]
        Command::Demo(flags) => demo::run(flags),
        Command::Config { command: ConfigCommand::Check(flags) } => {
            config_check::run(&flags, config, style())
        }
        Command::Log { command } => log::run(&command, config, style()),
        Command::Explain(flags) => explain::run(&flags),
    }
}

/// How errors are drawn here.
fn style() -> Style {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Style { color, ..Style::PLAIN }
}

/// A closed pipe (`| head`) is no error of ours.
fn print(reply: &Reply) {
    drop(std::io::stdout().lock().write_all(reply.out.as_bytes()));
    drop(std::io::stderr().lock().write_all(reply.err.as_bytes()));
}
