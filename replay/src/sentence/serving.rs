//! Sentences of bindings, listeners and restarts.

use super::*;
use crate::escape::field;
use crate::when;
use renewd_events::binding::BindingEvent;
use renewd_events::listener::ListenerEvent;
use renewd_events::restart::RestartEvent;

pub(super) fn binding(event: &BindingEvent) -> String {
    match event {
        BindingEvent::BindingDeclared { certificate: _, target } => {
            format!("to be served at {}", field(&target.label(), 80))
        }
        BindingEvent::BindingRemoved => "no longer to be served here".to_owned(),
        BindingEvent::DeploymentRequested(deployment) => {
            format!("generation {} to be put in place", deployment.generation)
        }
        BindingEvent::Deployed { generation } => format!("generation {generation} in place"),
        BindingEvent::DeploymentFailed { generation, problem: said } => {
            format!("generation {generation} not in place: {}", problem(said))
        }
        BindingEvent::ReloadRequested { generation } => {
            format!("reload requested for generation {generation}")
        }
        BindingEvent::ReloadFinished { generation, problem: None } => {
            format!("reloaded with generation {generation}")
        }
        BindingEvent::ReloadFinished { generation: _, problem: Some(said) } => {
            format!("reload failed: {}", problem(said))
        }
        BindingEvent::ServedVerified { generation, address, fingerprint: _ } => {
            let place = field(address, 60);
            if is_directory(address) {
                format!(
                    "files at {place} hold generation {generation} (no `verify`: no server was asked)"
                )
            } else {
                format!("handshake at {place} shows generation {generation}")
            }
        }
        BindingEvent::ServedMismatch { generation, address, problem: said } => {
            // What failed names the server that was asked; the event, in that case, the directory.
            let asked = Some(&said.subject).filter(|asked| !asked.is_empty() && *asked != INSIDE);
            let place = asked.unwrap_or(address);
            let shown = field(place, 60);
            let said = problem(said);
            if is_directory(place) {
                format!("files at {shown} do not hold generation {generation}: {said}")
            } else {
                format!("handshake at {shown} does not show generation {generation}: {said}")
            }
        }
    }
}

/// The subject of a handshake with ourselves, over the files or in a library.
const INSIDE: &str = "library";

/// What was looked at is a directory: a server's address never begins like one.
fn is_directory(place: &str) -> bool {
    place.starts_with('/')
}

pub(super) fn listener(event: &ListenerEvent) -> String {
    match event {
        ListenerEvent::ListenerNeeded { address } => {
            format!("listener needed on {}", field(address, 60))
        }
        ListenerEvent::ListenerOpened { address } => {
            format!("listening on {}", field(address, 60))
        }
        ListenerEvent::ListenerFailed { address, problem: said, holder, needs_restart } => {
            let holder = match holder {
                Some(program) => format!("; held by {}", field(program, 60)),
                None => String::new(),
            };
            let restart = if *needs_restart { "; only a restart can open it" } else { "" };
            format!("cannot listen on {}: {}{holder}{restart}", field(address, 60), problem(said))
        }
    }
}

pub(super) fn restart(event: &RestartEvent) -> String {
    match event {
        RestartEvent::RestartPlanned { listener: _, address, problem: said } => {
            format!("restart planned to open {}: {}", field(address, 60), problem(said))
        }
        RestartEvent::RestartRequested { before, method, deadline } => format!(
            "restart requested by {method} of pid {}; awaited until {}",
            before.pid,
            when::minute(*deadline)
        ),
        RestartEvent::RestartObserved { after, attributed } => {
            let how = if *attributed { "as planned" } else { "inferred: after a crash" };
            format!("restart observed ({how}): boot {}, pid {}", after.boot, after.pid)
        }
        RestartEvent::RestartNotObserved { problem: said } => {
            format!("no restart within the deadline: {}", problem(said))
        }
        RestartEvent::RestartFinished { verified } => {
            if *verified {
                "restart done: the listener is open".to_owned()
            } else {
                "restart given up: the listener is not open".to_owned()
            }
        }
    }
}
