//! What each certificate's latest renewal left as evidence. The fold of all states drops orders and
//! authorizations when a renewal ends; the cause of a failure is still found in what they saw.

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

use super::case;
use crate::codes::{Code, Step, step_of};
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// Its cause by all that was known then.
    pub(super) code: Code,
    pub(super) seq: Seq,
    pub(super) at: WallMs,
}

/// The evidence about one certificate.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    renewal: Option<RenewalId>,
    pub(super) checked: BTreeMap<StreamId, Checked>,
    /// The last problem of the latest renewal's order, and its step.
    pub(super) order: Option<(Step, Problem, Seq, WallMs)>,
    /// Failures since the last success, oldest first.
    pub(super) failures: Vec<Failed>,
    /// Orders of the latest renewal whose fate nobody can tell.
    pub(super) unresolved: u32,
}

/// Failures remembered in a row: enough to see the first and the latest.
const FAILURES_MAX: usize = 64;

impl Witness {
    /// Of a certificate that nothing went wrong with.
    const NOTHING: Self = Self {
        renewal: None,
        checked: BTreeMap::new(),
        order: None,
        failures: Vec::new(),
        unresolved: 0,
    };

    fn failed(&mut self, envelope: &Envelope, code: &str, problem: &Problem) {
        if self.failures.len() >= FAILURES_MAX {
            // The first and the latest matter; one in the middle goes.
            self.failures.remove(FAILURES_MAX / 2);
        }
        let code = case::code(self, code, problem);
        self.failures.push(Failed { code, seq: envelope.seq, at: envelope.at });
    }

    fn order(&mut self, envelope: &Envelope, event: &OrderEvent) {
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
    fn booted(&mut self, from: WallMs, started: (Seq, WallMs)) {
        for checked in self.checked.values_mut().filter(|checked| checked.failed.is_none()) {
            checked.absence = checked.asked.map(|asked| Absence { asked, from, started });
        }
    }
}

/// The evidence about all certificates. One whose last renewal went well takes no place.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    of: BTreeMap<CertificateId, Witness>,
    whose: BTreeMap<RenewalId, CertificateId>,
    /// The latest event of all.
    last: WallMs,
    /// The last refusal or outage of each account, binding, listener and restart stream.
    pub(super) places: BTreeMap<StreamId, (Seq, WallMs)>,
}

impl Witnesses {
    /// What the latest renewal of this certificate left.
    pub(super) fn of(&self, id: CertificateId) -> &Witness {
        const NOTHING: &Witness = &Witness::NOTHING;
        self.of.get(&id).unwrap_or(NOTHING)
    }

    /// The cause of the certificate's last failure since its last success: what `why` says, which knows
    /// more than the record of the failure does.
    pub fn last_failure(&self, id: CertificateId) -> Option<Code> {
        self.of(id).failures.last().map(|failed| failed.code)
    }

    /// The evidence of the renewal that this event belongs to.
    fn concerned(&mut self, envelope: &Envelope) -> Option<&mut Witness> {
        let id = self.whose.get(&envelope.renewal?)?;
        self.of.get_mut(id)
    }

    fn certificate(&mut self, envelope: &Envelope, event: &CertificateEvent) {
        let id = CertificateId(envelope.stream.id);
        match event {
            CertificateEvent::RenewalStarted { .. } => {
                let witness = self.of.entry(id).or_insert(Witness::NOTHING);
                let failures = std::mem::take(&mut witness.failures);
                let before = witness.renewal;
                *witness = Witness { renewal: envelope.renewal, failures, ..Witness::NOTHING };
                if let Some(before) = before {
                    self.whose.remove(&before);
                }
                self.whose.extend(envelope.renewal.map(|renewal| (renewal, id)));
            }
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. } => {
                let over = self.of.remove(&id).and_then(|witness| witness.renewal);
                if let Some(over) = over {
                    self.whose.remove(&over);
                }
            }
            CertificateEvent::RenewalFailed { code, problem } => {
                let witness = self.of.entry(id).or_insert(Witness::NOTHING);
                witness.failed(envelope, code, problem);
            }
            CertificateEvent::CertificateKeyFailed { problem } => {
                if let Some(witness) = self.of.get_mut(&id) {
                    let place = (Step::Key, problem.clone(), envelope.seq, envelope.at);
                    witness.order = Some(place);
                }
            }
            CertificateEvent::CertificateDeclared(_)
            | CertificateEvent::CertificateOrphaned
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyCreated { .. }
            | CertificateEvent::GenerationAdopted(_) => {}
        }
    }
}

impl Projection for Witnesses {
    fn apply(&mut self, envelope: &Envelope) {
        match &envelope.event {
            Event::Certificate(event) => self.certificate(envelope, event),
            Event::Authorization(event) => {
                if let Some(witness) = self.concerned(envelope) {
                    witness.authorization(envelope, event);
                }
            }
            Event::Order(event) => {
                if let Some(witness) = self.concerned(envelope) {
                    witness.order(envelope, event);
                }
            }
            Event::Account(_) | Event::Binding(_) | Event::Listener(_) | Event::Restart(_) => {
                if problem_of(&envelope.event).is_some() {
                    self.places.insert(envelope.stream, (envelope.seq, envelope.at));
                }
            }
            Event::Engine(EngineEvent::EngineBooted { .. }) => {
                let (from, started) = (self.last, (envelope.seq, envelope.at));
                self.of.values_mut().for_each(|witness| witness.booted(from, started));
            }
            Event::Engine(_) | Event::Clock(_) | Event::Schedule(_) => {}
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
