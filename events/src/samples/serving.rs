//! Samples of what it takes to serve a certificate, and of the installation itself.

use strum::IntoEnumIterator;

use super::Fresh;
use crate::binding::{BindingEvent, Deployment, Target};
use crate::event::Event;
use crate::id::{BootNo, CertificateId, Generation, ListenerId, RestartId, Seq};
use crate::intent::ActorName;
use crate::listener::ListenerEvent;
use crate::problem::ProblemClass;
use crate::process::{ClockEvent, EngineEvent, Mending, Previous, StopReason};
use crate::restart::{Method, ProcessIdentity, RestartEvent};

fn events<E: Into<Event>>(list: impl IntoIterator<Item = E>) -> Vec<Event> {
    list.into_iter().map(E::into).collect()
}

fn identity(f: &mut Fresh) -> ProcessIdentity {
    ProcessIdentity {
        os_boot: f.text("boot"),
        pid: f.number(),
        start_ticks: f.long(),
        boot: BootNo(f.number()),
    }
}

pub(super) fn engine() -> Vec<Event> {
    let previous = [Previous::None, Previous::Clean, Previous::Crashed, Previous::PowerLost];
    let booted = previous.map(|previous| {
        let mut f = Fresh::new();
        EngineEvent::EngineBooted {
            identity: identity(&mut f),
            version: f.text("version"),
            previous,
            tail: Seq(f.long()),
        }
    });
    let reasons =
        [StopReason::Asked, StopReason::Restart(RestartId(Fresh::new().id())), StopReason::Fatal];
    let stopping = reasons.map(|reason| EngineEvent::EngineStopping { reason });
    let failed = ActorName::iter().map(|actor| {
        let mut f = Fresh::new();
        EngineEvent::ActorFailed { actor, incarnation: f.short(), text: f.text("panicked") }
    });
    let mut f = Fresh::new();
    let others = [
        EngineEvent::EngineStopped,
        EngineEvent::ActorRestarted { actor: ActorName::Validator, incarnation: f.short() },
        EngineEvent::RestartIntensityExceeded { actor: ActorName::Binder, failures: f.number() },
        EngineEvent::LogWritableAgain {
            since: f.moment(),
            cause: f.text("no space"),
            refused: f.number(),
        },
    ];
    let mended = Mending::iter().map(|by| {
        let mut f = Fresh::new();
        EngineEvent::LogMended {
            by,
            kept: Seq(f.long()),
            lost_to: Seq(f.long()),
            end_known: by == Mending::Repair,
            evidence: f.text("evidence"),
        }
    });
    let mut f = Fresh::new();
    let aside = EngineEvent::SubjectSetAside {
        actor: ActorName::Issuer,
        stream: CertificateId(f.id()).into(),
        strikes: f.number(),
        text: f.text("a decision panicked"),
    };
    let all = booted.into_iter().chain(stopping).chain(failed).chain(others).chain(mended);
    events(all.chain([aside]))
}

pub(super) fn clock() -> Vec<Event> {
    let mut f = Fresh::new();
    events([
        ClockEvent::DailyCheckRan {
            certificates: f.number(),
            renewing: f.number(),
            failing: f.number(),
        },
        ClockEvent::WallClockJumped { delta_ms: -70_001 },
        ClockEvent::WallClockJumped { delta_ms: 70_002 },
    ])
}

pub(super) fn binding() -> Vec<Event> {
    let targets = [
        Target::Builtin { address: "192.0.2.1:443".to_owned() },
        Target::Files {
            directory: "/srv/one".to_owned(),
            reload: true,
            verify: Some("192.0.2.2:443".to_owned()),
        },
        Target::Library,
    ];
    let declared = targets.map(|target| BindingEvent::BindingDeclared {
        certificate: CertificateId(Fresh::new().id()),
        target,
    });
    let f = &mut Fresh::new();
    let others = [
        BindingEvent::BindingRemoved,
        BindingEvent::DeploymentRequested(Deployment {
            generation: Generation(f.number()),
            fingerprint: f.hash(),
        }),
        BindingEvent::Deployed { generation: Generation(f.number()) },
        BindingEvent::DeploymentFailed {
            generation: Generation(f.number()),
            problem: f.problem(ProblemClass::Local),
        },
        BindingEvent::ReloadRequested { generation: Generation(f.number()) },
        BindingEvent::ReloadFinished {
            generation: Generation(f.number()),
            problem: Some(f.problem(ProblemClass::Local)),
        },
        BindingEvent::ReloadFinished { generation: Generation(f.number()), problem: None },
        BindingEvent::ServedVerified {
            generation: Generation(f.number()),
            address: f.text("address"),
            fingerprint: f.hash(),
        },
        BindingEvent::ServedMismatch {
            generation: Generation(f.number()),
            address: f.text("address"),
            problem: f.problem(ProblemClass::Transport),
        },
    ];
    events(declared.into_iter().chain(others))
}

pub(super) fn listener() -> Vec<Event> {
    let f = &mut Fresh::new();
    events([
        ListenerEvent::ListenerNeeded { address: f.text("address") },
        ListenerEvent::ListenerOpened { address: f.text("address") },
        ListenerEvent::ListenerFailed {
            address: f.text("address"),
            problem: f.problem(ProblemClass::Local),
            holder: Some(f.text("holder")),
            needs_restart: true,
        },
    ])
}

pub(super) fn restart() -> Vec<Event> {
    let f = &mut Fresh::new();
    let planned = RestartEvent::RestartPlanned {
        listener: ListenerId(f.id()),
        address: f.text("address"),
        problem: f.problem(ProblemClass::Local),
    };
    let requested = [Method::Exec, Method::Exit, Method::Host].map(|method| {
        let mut f = Fresh::new();
        RestartEvent::RestartRequested { before: identity(&mut f), method, deadline: f.moment() }
    });
    let others = [
        RestartEvent::RestartObserved { after: identity(f), attributed: true },
        RestartEvent::RestartNotObserved { problem: f.problem(ProblemClass::Local) },
        RestartEvent::RestartFinished { verified: true },
    ];
    events([planned].into_iter().chain(requested).chain(others))
}
