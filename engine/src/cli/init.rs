//! `renewd init`: a few answers in, a commented configuration and the vault's key out.
//!
//! Read in this order: [`Answers`], [`run`], then [`ask`] (flags and questions), [`mod@render`] (the
//! text of the file), [`mod@write`] (files and their modes).

mod ask;
mod render;
mod write;

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::{Addresses, Domain, Email, Style};

use super::exit::{Exit, Reply};
pub use ask::{Dialog, Terminal};
pub use render::render;
#[cfg(feature = "demo")]
pub(crate) use write::make_key;

/// What `init` needs to know, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// At least one name.
    pub domains: Vec<Domain>,
    /// Short name or directory URL.
    pub ca: String,
    /// What the CA's own servers are trusted by, instead of the system's roots.
    pub ca_root: Option<PathBuf>,
    /// Whether a person accepted the CA's terms.
    pub terms_accepted: bool,
    /// Contact, if given.
    pub email: Option<Email>,
    /// Where to serve.
    pub addresses: Addresses,
    /// On which port.
    pub port: u16,
    /// Where the engine keeps its state.
    pub state_dir: PathBuf,
}

/// The flags of `renewd init`: one for every question, so that it runs without a terminal.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// DNS name of the certificate; repeat for more (the first gives it its name)
    #[arg(long = "domain", value_name = "NAME")]
    pub domains: Vec<String>,
    /// The CA: short name or directory URL; letsencrypt-staging for the first try
    #[arg(long)]
    pub ca: Option<String>,
    /// For a private CA: the PEM file with the root of its servers, or "system" where this host trusts
    /// them already
    #[arg(long, value_name = "FILE|system")]
    pub ca_root: Option<PathBuf>,
    /// Accept the CA's terms (=false: decide later)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub accept_terms: Option<bool>,
    /// Contact for the CA; optional
    #[arg(long)]
    pub email: Option<String>,
    /// Serve on "all" addresses, or on this one
    #[arg(long, value_name = "all|IP")]
    pub address: Option<String>,
    /// Serve on this port (443)
    #[arg(long)]
    pub port: Option<u16>,
    /// Where the engine keeps its log and its keys
    #[arg(long, value_name = "DIR", default_value = "/var/lib/renewd")]
    pub state_dir: PathBuf,
    /// Where the configuration is written
    #[arg(long, short, value_name = "FILE", default_value = "/etc/renewd/renewd.toml")]
    pub output: PathBuf,
    /// Replace a configuration that exists; the vault's key is never replaced
    #[arg(long)]
    pub force: bool,
    /// Never ask, even on a terminal
    #[arg(long)]
    pub non_interactive: bool,
}

/// What stops `init`.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum InitError {
    /// No terminal, no flag.
    #[error("{} no answer, and there is no terminal to ask at", missing(.flags))]
    #[diagnostic(code(R0170), help("add {}", .flags.join("\n    ")))]
    Unanswered {
        /// How to say what is not known, all of it.
        flags: Vec<&'static str>,
    },
    /// A private CA's servers would be trusted by nothing.
    #[error("--ca-root: {reason}")]
    #[diagnostic(
        code(R0174),
        help(
            "--ca-root FILE: the PEM file of the root certificate that signs the CA's own servers; --ca-root system where this host trusts them already"
        )
    )]
    Root {
        /// What is wrong.
        reason: String,
    },
    /// A file is there.
    #[error("`{file}` exists already")]
    #[diagnostic(
        code(R0171),
        help("choose another with --output FILE, or replace it with --force")
    )]
    Exists {
        /// Which.
        file: String,
    },
    /// The system said no.
    #[error("`{file}` cannot be written: {cause}")]
    #[diagnostic(
        code(R0172),
        help("run it as a user who may write there, or choose --output and --state-dir")
    )]
    Write {
        /// Which.
        file: String,
        /// The system's words.
        cause: String,
    },
    /// An answer breaks a rule.
    #[error("{flag}: {reason} ({code})")]
    #[diagnostic(code(R0173), help("{help}"))]
    Answer {
        /// The flag of the question.
        flag: &'static str,
        /// The broken rule.
        reason: String,
        /// Its code.
        code: String,
        /// The cure.
        help: String,
    },
}

/// The questions behind flags, for a sentence.
fn missing(flags: &[&'static str]) -> String {
    let names: Vec<String> = flags.iter().map(|flag| format!("`{}`", ask::subject(flag))).collect();
    let has = if names.len() == 1 { "has" } else { "have" };
    format!("{} {has}", names.join(", "))
}

impl InitError {
    fn exit(&self) -> Exit {
        match self {
            Self::Unanswered { .. } | Self::Root { .. } | Self::Answer { .. } => Exit::Usage,
            Self::Exists { .. } => Exit::Failed,
            Self::Write { .. } => Exit::Permission,
        }
    }
}

/// The command. Questions go to the dialog; the reply says what was written and what comes next.
/// Exit code 2 when an answer is missing or cannot be used, 1 when a file is in the way, 6 when
/// it cannot be written.
pub fn run(flags: &Flags, dialog: &mut dyn Dialog, style: Style) -> Reply {
    match try_run(flags, dialog) {
        Ok(text) => Reply::done(text),
        Err(error) => Reply::failed(error.exit(), style.draw(&error)),
    }
}

/// Why the key should not stay there.
const APART: &str = "  it lies beside what it seals: a copy or backup of the state directory holds both. Better is\n  \
                     a systemd credential ([vault] key_credential; `renewd explain R0502`), or a file elsewhere\n  \
                     ([vault] key_file): move it before the first run\n";

fn try_run(flags: &Flags, dialog: &mut dyn Dialog) -> Result<String, InitError> {
    write::refuse_existing(flags)?;
    let answers = ask::ask(flags, dialog)?;
    let written = write::write(flags, &render(&answers))?;
    let config = flags.output.display();
    let later = if answers.terms_accepted { "" } else { "set terms_accepted = true, then\n" };
    Ok(format!(
        "{written}{APART}next:\n{later}  renewd config check {config}\n  renewd run --config {config}\n"
    ))
}

/// "all", or one IP address.
fn parse_address(text: &str) -> Option<Addresses> {
    if text == "all" {
        return Some(Addresses::All);
    }
    let ip: IpAddr = text.parse().ok()?;
    Some(Addresses::These(vec![ip]))
}
