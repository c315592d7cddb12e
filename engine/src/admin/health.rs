//! `/livez` and `/readyz`: looked at when asked, never remembered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use renewd_actors::Handle;
use renewd_actors::ports::TimeSource;
use renewd_events::account::Registration;
use renewd_events::id::CertificateId;
use renewd_events::log::{bounds::ROOM_LOW_OCTETS, room_left};
use renewd_events::store::LOW;
use renewd_events::{Facts, WallMs};
use renewd_replay::codes;
use renewd_replay::status::{self, CertificateStatus, State, Trouble};
use renewd_replay::why::Witnesses;
use tokio::net::TcpStream;

use crate::challenge::Waiting;
use crate::host::socket::reachable;
use crate::wire::SystemClock;

/// To connect to a listener of this machine.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);
/// Between the end of a renewal and the next plan lies one commit of the log; a slow disk needs this.
const PLAN_GRACE: Duration = Duration::from_millis(500);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// What.
    pub(super) name: String,
    /// Why it is not well; absent when it is.
    pub(super) fault: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Health {
    /// In the order in which it was looked at.
    pub(super) checks: Vec<Check>,
    /// Certificates that something is wrong with, and what: shown, and no reason to send nobody here. The
    /// CA's validator, which cures most of it, comes the same way as everybody else.
    pub(super) degraded: Vec<(String, String)>,
    /// Octets left for the log, when they are few: shown likewise.
    pub(super) room_low: Option<u64>,
}

impl Health {
    /// All is well.
    pub(super) fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.fault.is_none())
    }

    /// As Kubernetes writes it.
    pub(super) fn body(&self, verbose: bool) -> String {
        let mut out = String::new();
        for check in &self.checks {
            match &check.fault {
                None if verbose => out.push_str(&format!("[+]{} ok\n", check.name)),
                None => {}
                Some(fault) => out.push_str(&format!("[-]{} failed: {fault}\n", check.name)),
            }
        }
        if verbose {
            if let Some(octets) = self.room_low {
                out.push_str(&format!(
                    "[!]log/room degraded: {octets} octets are left ({LOW}): make room\n"
                ));
            }
            for (name, what) in &self.degraded {
                out.push_str(&format!("[!]{name} degraded: {what}\n"));
            }
        }
        out.push_str(match (self.is_ready(), verbose) {
            (true, false) => "ok\n",
            (true, true) => "readyz check passed\n",
            (false, _) => "readyz check failed\n",
        });
        out
    }
}

/// Looks at everything that a ready engine needs. Ends within three seconds.
pub(super) async fn look(
    handle: &Handle,
    responder: &[SocketAddr],
    waiting: &Waiting,
    log: Option<&Path>,
) -> Health {
    let mut checks = vec![Check { name: "log".to_owned(), fault: handle.log_broken() }];
    for (actor, alive) in handle.beats().await {
        let fault = (!alive).then(|| "it does not answer".to_owned());
        checks.push(Check { name: format!("actor/{actor}"), fault });
    }
    for (name, open) in listeners(handle, responder) {
        checks.push(Check { name, fault: open.err() });
    }
    let mut waiting = waiting.all();
    for address in responder {
        // Somebody else answers there: a connection would prove nothing.
        let fault = match waiting.remove(address) {
            Some(why) => Some(why),
            None => connect(*address).await.err(),
        };
        checks.push(Check { name: format!("challenge/{address}"), fault });
    }
    let mut idle = without_next_action(handle);
    if !idle.is_empty() {
        tokio::time::sleep(PLAN_GRACE).await;
        let still = without_next_action(handle);
        idle.retain(|name| still.contains(name));
    }
    let fault = (!idle.is_empty()).then(|| format!("nothing is planned for {}", idle.join(", ")));
    checks.push(Check { name: "next-action".to_owned(), fault });
    let facts = handle.facts();
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    let degraded = degraded(&facts, SystemClock.now());
    let room = log.and_then(|log| room_left(log).ok());
    Health { checks, degraded, room_low: room.filter(|octets| *octets < ROOM_LOW_OCTETS) }
}

/// What is wrong, by what the facts alone tell: this is asked every few seconds.
fn degraded(facts: &Facts, now: WallMs) -> Vec<(String, String)> {
    let rows = status::status(facts, &Witnesses::default(), now);
    let mut all: Vec<(String, String)> = rows
        .into_iter()
        .filter(|row| row.state != State::Orphan)
        .filter_map(|row| {
            let failed = matches!(row.state, State::Failing | State::Retrying | State::Renewing);
            let what = match row.trouble? {
                // The evidence in the log may name a more exact cause.
                _ if failed => format!("its last renewal failed: renewd why {}", row.name),
                trouble => words(&trouble),
            };
            Some((format!("certificate/{}", row.name), what))
        })
        .collect();
    all.extend(facts.engine.set_aside.keys().map(|(stream, actor)| {
        (stream.to_string(), format!("{actor} leaves it alone until a restart (R0805)"))
    }));
    all
}

/// The cause in our own words: what other servers said is for `renewd why`, not for every monitor.
fn words(trouble: &Trouble) -> String {
    let title = codes::find(&trouble.code).map_or("", |code| code.title);
    format!("{} {title}", trouble.code)
}

/// Why this certificate cannot be served everywhere it is wanted; nothing when it is.
pub(super) fn unserved(row: &CertificateStatus) -> Option<String> {
    let missing: Vec<&str> = row
        .bindings
        .iter()
        .filter(|binding| !binding.served)
        .map(|binding| binding.target.as_str())
        .collect();
    if row.generation.is_none() {
        Some("there is none yet".to_owned())
    } else if row.expired {
        Some("it has expired".to_owned())
    } else if !missing.is_empty() {
        let why = row.trouble.as_ref().map_or_else(String::new, words);
        Some(format!("the newest was not seen at {}: {why}", missing.join(", ")))
    } else {
        None
    }
}

/// HTTPS listeners of ours that this life of the process needs.
fn listeners(handle: &Handle, responder: &[SocketAddr]) -> Vec<(String, Result<(), String>)> {
    let facts = handle.facts();
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    let boot = facts.engine.boot;
    let needed = facts.listeners.values().filter(|listener| listener.needed == Some(boot));
    let mut all: Vec<_> = needed
        .map(|listener| {
            let open = listener.opened == Some(boot) && listener.setback.is_none();
            let cause = || match &listener.setback {
                Some(setback) => renewd_replay::escape::text(&setback.problem.detail),
                None => "it is not open yet".to_owned(),
            };
            let state = if open { Ok(()) } else { Err(cause()) };
            (format!("listener/{}", listener.address), state)
        })
        .collect();
    if responder.is_empty() && !facts.certificates.is_empty() {
        let cause = "no address answers challenges ([http] listen)".to_owned();
        all.push(("challenge".to_owned(), Err(cause)));
    }
    all
}

/// Whether somebody accepts connections there.
async fn connect(address: SocketAddr) -> Result<(), String> {
    match tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(reachable(address))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(cause)) => Err(cause.to_string()),
        Err(_) => Err(format!("no connection within {CONNECT_TIME_MAX:?}")),
    }
}

/// Certificates for which nothing is under way, planned or awaited.
fn without_next_action(handle: &Handle) -> Vec<String> {
    let facts = handle.facts();
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    facts
        .certificates
        .iter()
        .filter(|(id, it)| {
            it.declared.is_some()
                && it.orphaned.is_none()
                && it.anomaly.is_none()
                && it.run.is_none()
                && account_is_there(&facts, **id)
                && !has_plan(&facts, **id)
                && handle.next_wake(**id).is_none()
        })
        .map(|(_, it)| it.name().to_owned())
        .collect()
}

/// Without an account the next action is the account's.
fn account_is_there(facts: &Facts, id: CertificateId) -> bool {
    let declared = facts.certificates.get(&id).and_then(|it| it.declared.as_ref());
    declared.and_then(|declared| facts.accounts.get(&declared.account)).is_some_and(|account| {
        account.terms_are_accepted()
            && matches!(account.registration, Registration::Registered { .. })
    })
}

fn has_plan(facts: &Facts, id: CertificateId) -> bool {
    facts
        .schedules
        .get(&id)
        .is_some_and(|schedule| schedule.planned.is_some() || schedule.requested.is_some())
}
