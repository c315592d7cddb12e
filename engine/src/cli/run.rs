//! `renewd run`: the engine in the foreground, until a signal or a planned restart.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use renewd_actors::EngineError;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::StopReason;
use renewd_events::restart::Method;
use renewd_events::store::StoreError;
use renewd_replay::codes::{Step, classify};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Reply};
use super::source;
use crate::admin::{self, Admin, Counters};
use crate::config::{Config, Style};
use crate::host;
use crate::settings::Settings;
use crate::start::{Extras, LOG, Running, StartError, start};
use crate::vault::VaultError;

/// Why it ended.
enum End {
    Signal(Exit),
    Restart(renewd_events::id::RestartId),
    Fatal(String),
}

/// Runs until something ends it.
pub(super) fn run(config: Option<&Path>, style: Style) -> Reply {
    let config = match Config::load(&Config::locate(config)) {
        Ok(config) => config,
        Err(errors) => {
            return Reply { out: String::new(), err: errors.render(style), exit: Exit::Config };
        }
    };
    crate::telemetry::log(&config.telemetry.log);
    host::harden();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return failed(&format!("no threads: {cause}"), Exit::Failed),
    };
    let reply = runtime.block_on(serve(&config));
    // What is still under way belongs to the next life.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match reply {
        Ok((reply, Some(Method::Exec))) => {
            let cause = host::exec_again();
            failed(&format!("the restart failed: {cause}"), reply.exit)
        }
        Ok((reply, _)) | Err(reply) => reply,
    }
}

async fn serve(config: &Config) -> Result<(Reply, Option<Method>), Reply> {
    // Before anything is opened: a signal that comes during a long start then ends it cleanly too.
    let signals = Signals::listen().map_err(|cause| failed(&cause, Exit::Failed))?;
    let settings = Settings::from(config);
    let counters = Counters::new();
    let extras = Extras { observers: vec![counters.observer()], page: None, lines: true };
    let running = start(&settings, extras).await.map_err(|error| refused(&error))?;
    for address in running.responder().addresses() {
        tracing::info!(%address, "answering http-01 challenges");
    }
    let mut admin = admin(config, &running, counters);
    let end = tokio::select! {
        end = wait(&running, signals) => end,
        never = begin(&running, &mut admin, settings.certificates.len()) => match never {},
    };
    let (reason, exit, method) = match &end {
        End::Signal(exit) => (StopReason::Asked, *exit, None),
        End::Restart(id) => (StopReason::Restart(*id), Exit::Done, settings.restart),
        End::Fatal(_) => (StopReason::Fatal, Exit::Failed, None),
    };
    drop(admin);
    let stopped = running.stop(reason).await;
    if let End::Fatal(cause) = end {
        return Err(failed(&cause, Exit::Failed));
    }
    match stopped {
        Ok(()) => Ok((Reply { out: String::new(), err: String::new(), exit }, method)),
        Err(cause) => Err(failed(&cause.to_string(), Exit::Failed)),
    }
}

/// Says when the life has begun: at once, unless the log waits for room. Then the state directory can be
/// written, and so the admin socket opened that could not be before.
async fn begin(running: &Running, admin: &mut Admin, certificates: usize) -> Infallible {
    let mut begun = running.engine().begun();
    if begun.wait_for(|begun| *begun).await.is_ok() {
        if let Err(cause) = admin.open_missing() {
            tracing::warn!("{cause}");
        }
        tracing::info!(certificates, boot = running.engine().boot().0, "renewd is ready");
    }
    std::future::pending().await
}

/// The admin sockets. The engine runs without them too: certificates come first.
fn admin(config: &Config, running: &Running, counters: Counters) -> Admin {
    let responder = running.responder();
    let mut addresses = responder.addresses();
    addresses.extend(responder.waiting().all().into_keys());
    let options = admin::Options {
        socket: Some(config.state_dir.join(admin::SOCKET)),
        listen: config.admin.listen,
        log: Some(config.state_dir.join(LOG)),
        responder: addresses,
        waiting: Arc::clone(responder.waiting()),
        counters,
    };
    let admin = Admin::start(options, running.handle());
    for cause in &admin.refused {
        tracing::warn!("{cause}");
    }
    if let Some(address) = admin.page() {
        tracing::info!("the status page is at http://{address}/");
    }
    admin
}

/// The signals that end it, and the one that does not.
struct Signals {
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|cause| format!("no signals: {cause}"));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The first that ends it. A terminal that is gone ends what ran in it; a service is sent SIGHUP
    /// by those who expect a reload, and nothing is lost when it goes on as it was.
    async fn first(&mut self) -> Exit {
        loop {
            tokio::select! {
                _ = self.term.recv() => return Exit::Done,
                _ = self.int.recv() => return Exit::Interrupted,
                Some(()) = self.hangup.recv() => {
                    if std::io::stderr().is_terminal() {
                        return Exit::Done;
                    }
                    tracing::warn!(
                        "SIGHUP: there is no reload; a changed configuration is read at the next start"
                    );
                }
            }
        }
    }
}

async fn wait(running: &Running, mut signals: Signals) -> End {
    let mut restart = running.host().restart_asked();
    let mut fatal = running.engine().fatal();
    tokio::select! {
        exit = signals.first() => End::Signal(exit),
        Ok(asked) = restart.wait_for(Option::is_some) => match *asked {
            Some(id) => End::Restart(id),
            None => End::Fatal("a restart without a plan".to_owned()),
        },
        Ok(cause) = fatal.wait_for(Option::is_some) => {
            End::Fatal(cause.clone().unwrap_or_default())
        }
    }
}

fn failed(text: &str, exit: Exit) -> Reply {
    Reply { out: String::new(), err: format!("error: {text}\n"), exit }
}

fn refused(error: &StartError) -> Reply {
    match error {
        StartError::Log(error @ StoreError::Locked { .. }) => {
            let cure = "another renewd runs on this state directory; `renewd explain R0609` says how \
                        to find it";
            failed(&format!("R0609: {error}\n  help: {cure}"), Exit::Locked)
        }
        StartError::Log(error) => source::refused(error),
        StartError::LogMissing { .. } | StartError::LogUnfinished { .. } => {
            let cure = "nothing was changed; `renewd explain R0605` says what to do";
            failed(&format!("{error}\n  help: {cure}"), Exit::Damaged)
        }
        StartError::Vault(cause) => {
            let problem = Problem::new(ProblemClass::Local, cause.kind(), "");
            coded(Step::Key, &problem, error, vault_exit(cause))
        }
        StartError::Engine(EngineError::Append(_)) => {
            let cure = "nothing is lost; mend the disk, then start renewd again";
            failed(&format!("{error}\n  help: {cure}"), Exit::Failed)
        }
        StartError::Listener(refused) => {
            coded(Step::Listener, &refused.problem, error, Exit::Failed)
        }
        StartError::Problem(_) | StartError::Engine(_) => failed(&error.to_string(), Exit::Failed),
    }
}

/// The error under its code, whose page says more.
fn coded(step: Step, problem: &Problem, error: &StartError, exit: Exit) -> Reply {
    let code = classify(step, problem);
    failed(&format!("{code}: {error}\n  help: `renewd explain {code}` says what to do"), exit)
}

/// A key that cannot be read or is another vault's is the operator's to mend; the rest is damage.
fn vault_exit(error: &VaultError) -> Exit {
    if error.kind().starts_with("vaultKey") || error.kind() == "vaultWrongKey" {
        Exit::Permission
    } else {
        Exit::Damaged
    }
}
