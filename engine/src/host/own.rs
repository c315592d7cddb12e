//! The host when renewd is a program of its own.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use renewd_actors::ports::{Act, HostProcess, ListenerRefused};
use renewd_events::Durable;
use renewd_events::id::{BootNo, RestartId};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity};
use tokio::sync::watch;

use super::socket;
use crate::bind::TlsServer;

/// What the configuration says about the host.
#[derive(Clone, Copy, Debug)]
pub struct OwnProcessOptions {
    /// How to restart; absent: never.
    pub restart: Option<Method>,
    /// Open new listeners in the running process. When false, only those of the start are open, and
    /// a new one needs a restart.
    pub add_live: bool,
}

/// This process, with its HTTPS listeners.
#[derive(Debug)]
pub struct OwnProcess {
    identity: ProcessIdentity,
    server: Arc<TlsServer>,
    options: OwnProcessOptions,
    asked: watch::Sender<Option<RestartId>>,
}

impl OwnProcess {
    /// # Errors
    /// `/proc` does not tell who we are.
    pub fn new(server: Arc<TlsServer>, options: OwnProcessOptions) -> Result<Self, Problem> {
        Ok(Self { identity: identity()?, server, options, asked: watch::Sender::new(None) })
    }

    /// Changes to the restart that is asked for. The main loop then ends cleanly and, for
    /// [`Method::Exec`], calls [`super::exec_again`].
    pub fn restart_asked(&self) -> watch::Receiver<Option<RestartId>> {
        self.asked.subscribe()
    }

    /// Opens the listeners that the configuration names, at the start of the process. Those that
    /// fail are given back; the engine goes on without them and tries again.
    pub fn open_at_start(&self, addresses: &[SocketAddr]) -> Vec<ListenerRefused> {
        addresses.iter().filter_map(|address| self.server.open(*address).err()).collect()
    }

    fn open(&self, text: &str) -> Result<(), ListenerRefused> {
        let refuse = |problem| ListenerRefused { problem, holder: None, needs_restart: false };
        let address = socket::parse(text).map_err(refuse)?;
        if self.server.is_open(address) {
            return Ok(());
        }
        let can_restart = self.options.restart.is_some();
        if !self.options.add_live {
            let detail = format!(
                "{address} was not among the listeners at the start of this process, and adding \
                 one to a running process is switched off"
            );
            let problem = Problem::new(ProblemClass::Local, "listenerNotLive", &detail);
            return Err(ListenerRefused {
                needs_restart: can_restart,
                ..refuse(problem.about(text))
            });
        }
        self.server.open(address).map(|_| ()).map_err(|refused| ListenerRefused {
            // A new process begins with the privileges that this one has given up.
            needs_restart: can_restart && refused.problem.kind == socket::NOT_PERMITTED,
            ..refused
        })
    }
}

impl HostProcess for OwnProcess {
    fn identity(&self) -> ProcessIdentity {
        self.identity.clone()
    }

    fn open_listener<'a>(&'a self, address: &'a str) -> Act<'a, Result<(), ListenerRefused>> {
        // Finding the holder of a taken address reads all of /proc, some 10 ms: not worth a thread.
        Box::pin(async move { self.open(address) })
    }

    fn restart_method(&self) -> Option<Method> {
        self.options.restart
    }

    fn restart<'a>(
        &'a self,
        restart: RestartId,
        _intent: &'a Durable<ProcessIdentity>,
    ) -> Act<'a, Result<(), Problem>> {
        Box::pin(async move {
            if self.options.restart.is_none() {
                let text = "a restart is asked for and none is configured";
                return Err(Problem::new(ProblemClass::Local, "noRestartMethod", text));
            }
            self.asked.send_replace(Some(restart));
            Ok(())
        })
    }
}

/// Who this process is. A pid comes round again; with the start time and the boot of the machine it
/// does not.
fn identity() -> Result<ProcessIdentity, Problem> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|cause| {
            Problem::new(ProblemClass::Local, "procfs", &cause.to_string()).about(path)
        })
    };
    let stat = read("/proc/self/stat")?;
    let start_ticks = start_ticks(&stat).ok_or_else(|| {
        Problem::new(ProblemClass::Local, "procfs", "no start time").about("/proc/self/stat")
    })?;
    Ok(ProcessIdentity {
        os_boot: read("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
        pid: std::process::id(),
        start_ticks,
        boot: BootNo::default(),
    })
}

/// Field 22 of proc_pid_stat(5). The second field is the name in parentheses and may hold anything,
/// so fields are counted from the last `)`: the next one is field 3.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_strange_name() {
        let stat = "1 (a) b ) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_ticks(stat), Some(4242));
    }

    #[test]
    fn this_process_has_one_identity() {
        let (first, second) = (identity().unwrap(), identity().unwrap());
        assert_eq!(first, second);
        assert_eq!(first.pid, std::process::id());
        assert!(first.start_ticks > 0);
        assert_eq!(first.os_boot.len(), 36);
    }
}
