//! What a certificate's latest renewal left as evidence. The fold of all states drops orders and
//! authorizations when a renewal ends; `why` still needs what they saw.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd_events::account::AccountEvent;
use renewd_events::authorization::{AuthorizationEvent, Probe, UNDECIDED};
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, RenewalId, Seq, StreamId};
use renewd_events::listener::ListenerEvent;
use renewd_events::order::OrderEvent;
use renewd_events::problem::Problem;
use renewd_events::process::EngineEvent;
use renewd_events::restart::RestartEvent;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{Envelope, Event, WallMs};

use crate::codes::{Step, step_of};
use crate::fold::Projection;

/// Authorizations kept: a certificate has up to 100 names.
const AUTHORIZATIONS_MAX: usize = 128;

/// A verdict that is found later than this after a start is about what the CA met in that life: the
/// first look at the order comes at once.
const VERDICT_AFTER_START_MAX: Duration = Duration::from_secs(60);

/// The process was not there while the CA was to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// The request to look.
    pub(super) asked: (Seq, WallMs),
    /// The last event of the life that ended.
    pub(super) from: WallMs,
    /// The start after it.
    pub(super) started: (Seq, WallMs),
}

/// What one authorization of the latest renewal saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    pub(super) identifier: String,
    pub(super) probe: Option<Probe>,
    pub(super) visits: u32,
    asked: Option<(Seq, WallMs)>,
    /// The latest absence since the CA was asked.
    pub(super) absence: Option<Absence>,
    /// What failed, and whether already the request to look was refused.
    pub(super) failed: Option<(Step, Problem, Seq, WallMs)>,
}

/// One failure.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) code: String,
    pub(super) seq: Seq,
    pub(super) at: WallMs,
}

/// The evidence about one certificate.
#[derive(Clone, Debug)]
pub struct Witness {
    certificate: CertificateId,
    renewal: Option<RenewalId>,
    /// The latest event of all.
    last: WallMs,
    pub(super) checked: BTreeMap<StreamId, Checked>,
    /// The last problem of the latest renewal's order, and its step.
    pub(super) order: Option<(Step, Problem, Seq, WallMs)>,
    /// Failures since the last success, oldest first.
    pub(super) failures: Vec<Failed>,
    /// Orders of the latest renewal whose fate nobody can tell.
    pub(super) unresolved: u32,
    /// The last refusal or outage of each account, binding, listener and restart stream.
    pub(super) places: BTreeMap<StreamId, (Seq, WallMs)>,
}

/// Failures remembered in a row: enough to see the first and the latest.
const FAILURES_MAX: usize = 64;

impl Witness {
    /// For this certificate.
    pub fn new(certificate: CertificateId) -> Self {
        Self {
            certificate,
            renewal: None,
            last: WallMs(0),
            checked: BTreeMap::new(),
            order: None,
            failures: Vec::new(),
            unresolved: 0,
            places: BTreeMap::new(),
        }
    }

    fn certificate(&mut self, envelope: &Envelope, event: &CertificateEvent) {
        match event {
            CertificateEvent::RenewalStarted { .. } => {
                self.renewal = envelope.renewal;
                self.checked.clear();
                self.order = None;
                self.unresolved = 0;
            }
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. } => {
                self.failures.clear();
                self.checked.clear();
                self.order = None;
            }
            CertificateEvent::RenewalFailed { code, problem: _ } => {
                if self.failures.len() >= FAILURES_MAX {
                    // The first and the latest matter; one in the middle goes.
                    self.failures.remove(FAILURES_MAX / 2);
                }
                self.failures.push(Failed {
                    code: code.clone(),
                    seq: envelope.seq,
                    at: envelope.at,
                });
            }
            CertificateEvent::CertificateKeyFailed { problem } => {
                self.order = Some((Step::Key, problem.clone(), envelope.seq, envelope.at));
            }
            CertificateEvent::CertificateDeclared(_)
            | CertificateEvent::CertificateOrphaned
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyCreated { .. }
            | CertificateEvent::GenerationAdopted(_) => {}
        }
    }

    fn authorization(&mut self, envelope: &Envelope, event: &AuthorizationEvent) {
        if !self.checked.contains_key(&envelope.stream) && self.checked.len() >= AUTHORIZATIONS_MAX
        {
            return;
        }
        let checked = self.checked.entry(envelope.stream).or_default();
        match event {
            AuthorizationEvent::AuthorizationSeen { identifier, .. } => {
                checked.identifier.clone_from(identifier);
            }
            AuthorizationEvent::Published { probe } => checked.probe = Some(probe.clone()),
            AuthorizationEvent::AuthorizationBecameInvalid { problem, visits } => {
                checked.visits = *visits;
                if problem.kind == UNDECIDED {
                    return;
                }
                let at = envelope.at;
                checked.absence = checked
                    .absence
                    .filter(|absence| at.since(absence.started.1) <= VERDICT_AFTER_START_MAX);
                checked.failed = Some((Step::Validation, problem.clone(), envelope.seq, at));
            }
            AuthorizationEvent::AuthorizationBecameValid { visits } => checked.visits = *visits,
            AuthorizationEvent::ReadinessRefused { problem } if problem.kind != UNDECIDED => {
                let at = envelope.at;
                checked.failed = Some((Step::Readiness, problem.clone(), envelope.seq, at));
            }
            AuthorizationEvent::ReadinessRequested { .. } => {
                checked.asked = Some((envelope.seq, envelope.at));
                checked.absence = None;
            }
            // An answer to this life: it was asked again, and looks only now.
            AuthorizationEvent::ReadinessAccepted { inferred: false } => checked.absence = None,
            AuthorizationEvent::ReadinessRefused { .. }
            | AuthorizationEvent::ChallengeChosen(_)
            | AuthorizationEvent::ReadinessAccepted { inferred: true }
            | AuthorizationEvent::ChallengeWithdrawn => {}
        }
    }

    /// A new life of the process: whoever was asked before and has no verdict may have looked between.
    fn booted(&mut self, envelope: &Envelope) {
        let (from, started) = (self.last, (envelope.seq, envelope.at));
        for checked in self.checked.values_mut().filter(|checked| checked.failed.is_none()) {
            checked.absence = checked.asked.map(|asked| Absence { asked, from, started });
        }
    }
}

impl Projection for Witness {
    fn apply(&mut self, envelope: &Envelope) {
        let mine = envelope.renewal.is_some() && envelope.renewal == self.renewal;
        match &envelope.event {
            Event::Certificate(event) if envelope.stream == self.certificate.into() => {
                self.certificate(envelope, event);
            }
            Event::Authorization(event) if mine => self.authorization(envelope, event),
            Event::Order(event) if mine => {
                if let OrderEvent::OrderRequestUnresolved { .. } = event {
                    self.unresolved = self.unresolved.saturating_add(1);
                }
                // An answer that was missing for a while is not why the renewal ended.
                if !matches!(event, OrderEvent::AnswerMissing { .. })
                    && let Some((step, problem)) = problem_of(&envelope.event)
                {
                    self.order = Some((step, problem.clone(), envelope.seq, envelope.at));
                }
            }
            Event::Account(_) | Event::Binding(_) | Event::Listener(_) | Event::Restart(_) => {
                if problem_of(&envelope.event).is_some() {
                    self.places.insert(envelope.stream, (envelope.seq, envelope.at));
                }
            }
            Event::Engine(EngineEvent::EngineBooted { .. }) => self.booted(envelope),
            Event::Certificate(_)
            | Event::Authorization(_)
            | Event::Order(_)
            | Event::Engine(_)
            | Event::Clock(_)
            | Event::Schedule(_) => {}
        }
        self.last = envelope.at;
    }
}

/// The problem that an event tells of, and the step at which it came up.
pub fn problem_of(event: &Event) -> Option<(Step, &Problem)> {
    match event {
        Event::Account(
            AccountEvent::DirectoryUnreachable { problem }
            | AccountEvent::AccountRefused { problem }
            | AccountEvent::RegistrationUnanswered { problem }
            | AccountEvent::PersonRequired { problem, .. }
            | AccountEvent::AgreementRefused { problem }
            | AccountEvent::ContactsChangeFailed { problem, .. },
        ) => Some((Step::Account, problem)),
        Event::Certificate(CertificateEvent::CertificateKeyFailed { problem }) => {
            Some((Step::Key, problem))
        }
        Event::Order(event) => problem_of_order(event),
        Event::Authorization(AuthorizationEvent::ReadinessRefused { problem }) => {
            Some((Step::Readiness, problem))
        }
        Event::Authorization(AuthorizationEvent::AuthorizationBecameInvalid {
            problem, ..
        }) => Some((Step::Validation, problem)),
        Event::Binding(
            BindingEvent::DeploymentFailed { problem, .. }
            | BindingEvent::ServedMismatch { problem, .. }
            | BindingEvent::ReloadFinished { problem: Some(problem), .. },
        ) => Some((Step::Binding, problem)),
        Event::Listener(ListenerEvent::ListenerFailed { problem, .. }) => {
            Some((Step::Listener, problem))
        }
        Event::Restart(RestartEvent::RestartNotObserved { problem }) => {
            Some((Step::Restart, problem))
        }
        Event::Schedule(ScheduleEvent::AriLookFailed { problem, .. }) => {
            Some((Step::Account, problem))
        }
        Event::Engine(_)
        | Event::Clock(_)
        | Event::Account(_)
        | Event::Certificate(_)
        | Event::Schedule(_)
        | Event::Authorization(_)
        | Event::Binding(_)
        | Event::Listener(_)
        | Event::Restart(_) => None,
    }
}

fn problem_of_order(event: &OrderEvent) -> Option<(Step, &Problem)> {
    match event {
        OrderEvent::OrderRefused { problem } => Some((Step::NewOrder, problem)),
        OrderEvent::FinalizationRefused { problem } => Some((Step::Finalize, problem)),
        OrderEvent::ChainRejected { problem } => Some((Step::Chain, problem)),
        OrderEvent::OrderBecameInvalid { problem } | OrderEvent::OrderGone { problem } => {
            Some((Step::Order, problem))
        }
        OrderEvent::AnswerMissing { asked, problem, again: _ } => Some((step_of(*asked), problem)),
        OrderEvent::AnswerCame { .. }
        | OrderEvent::OrderRequested(_)
        | OrderEvent::OrderCreated { .. }
        | OrderEvent::OrderRequestUnresolved { .. }
        | OrderEvent::OrderBecameReady { .. }
        | OrderEvent::FinalizationRequested { .. }
        | OrderEvent::FinalizationAccepted { .. }
        | OrderEvent::CertificateReady { .. }
        | OrderEvent::ChainDownloaded(_) => None,
    }
}
