//! What to do about the bindings of a certificate and about a listener.

use std::time::Duration;

use renewd_events::binding::{Binding, BindingEvent, Deployment, Setback, Target};
use renewd_events::certificate::{Certificate, Issue, KeyStep};
use renewd_events::event::NewEvent;
use renewd_events::id::{BindingId, CertificateId, Generation, ListenerId, RenewalId};
use renewd_events::listener::ListenerEvent;
use renewd_events::order;
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::Phase;
use renewd_events::{Facts, WallMs};

use crate::bounds;
use crate::decision::{Context, Decision, Session, backoff, fact, spread};
use crate::effect::{Effect, Outcome, handshake_key};
use crate::restart_coordinator::deadline;

/// After a start each place is looked at once, at its own moment of this long for each place: a fleet's
/// handshakes, both ends on this host, must not time out for being all at once.
const START_LOOK_EACH: Duration = Duration::from_millis(10);

/// What to do about a certificate's bindings.
pub(super) fn certificate(
    facts: &Facts,
    id: CertificateId,
    session: &Session,
    cx: &Context,
) -> Decision {
    let mut decision = Decision::none();
    let Some(certificate) = facts.certificates.get(&id) else {
        return decision;
    };
    let early = too_early(facts, id, certificate);
    let current = if planted::is(Bug::AnothersIssueDeployed) {
        facts.certificates.values().find_map(|any| any.current.as_ref())
    } else {
        certificate.current.as_ref()
    };
    let Some(issue) = early.as_ref().or(current) else {
        return decision;
    };
    let renewal = certificate.run.as_ref().map(|run| run.renewal);
    for (binding_id, binding) in facts.bindings_of(id) {
        let place = Place { facts, id: binding_id, binding, issue, renewal };
        decision.and(place.decide(session, cx));
    }
    decision
}

/// Planted: the issue that will be adopted when it passes its checks.
fn too_early(facts: &Facts, id: CertificateId, certificate: &Certificate) -> Option<Issue> {
    if !planted::is(Bug::DeployBeforeAdopted) {
        return None;
    }
    let run = certificate.run.as_ref().filter(|run| run.adopted.is_none())?;
    let (order_id, state) = facts.order_of(id)?;
    let KeyStep::Created { key_ref, spki, .. } = &run.key else { return None };
    let order::Phase::Downloaded(leaf) = &state.phase else { return None };
    let before = certificate.current.as_ref();
    let generation = before.map_or(Generation(1), |issue| issue.generation.next());
    let (key_ref, leaf) = (key_ref.clone(), leaf.clone());
    Some(Issue { generation, order: order_id, key_ref, spki: *spki, leaf })
}

/// One binding and the issue that belongs there.
struct Place<'a> {
    facts: &'a Facts,
    id: BindingId,
    binding: &'a Binding,
    issue: &'a Issue,
    renewal: Option<RenewalId>,
}

impl Place<'_> {
    fn decide(&self, session: &Session, cx: &Context) -> Decision {
        let mut decision = Decision::none();
        let Some(target) = &self.binding.target else {
            return decision;
        };
        let open = self.listener(cx, &mut decision);
        if let Some(setback) = self.binding.setback.as_ref().filter(|it| !self.is_older(it, cx)) {
            let wait = backoff(bounds::READ_RETRY_FIRST, bounds::READ_RETRY_MAX, setback.count);
            let at = cx.due(setback.at, wait);
            if at > cx.now {
                decision.wake_at(at, "the binding is tried again");
                return decision;
            }
        }
        let wanted = self.issue.generation;
        if self.binding.deployed.map(|(generation, _)| generation) != Some(wanted) {
            self.deploy(target, session, cx, &mut decision);
        } else if self.needs_reload(target) {
            self.reload(session, cx, &mut decision);
        } else if open {
            self.verify(target, session, cx, &mut decision);
        }
        decision
    }

    /// It befell an earlier issue: a new one does not wait for it. A moment ahead of the clock proves
    /// nothing, and would mean tries without a pause.
    fn is_older(&self, setback: &Setback, cx: &Context) -> bool {
        let known = self.facts.certificates.get(&self.binding.certificate);
        let adopted = known.and_then(|known| known.renewed_at).filter(|at| *at <= cx.now);
        adopted.is_some_and(|adopted| setback.at < adopted)
    }

    /// Whether what serves here can be asked; asks for our listener when it is not open.
    fn listener(&self, cx: &Context, decision: &mut Decision) -> bool {
        let (Some(id), Some(Target::Builtin { address })) =
            (self.binding.listener, &self.binding.target)
        else {
            return true;
        };
        let listener = self.facts.listeners.get(&id);
        if listener.is_none_or(|listener| listener.needed != Some(cx.boot)) {
            let event = ListenerEvent::ListenerNeeded { address: address.clone() };
            decision.records.push(fact(id, event, self.renewal, None));
        }
        listener.is_some_and(|listener| listener.opened == Some(cx.boot))
    }

    fn deploy(&self, target: &Target, session: &Session, cx: &Context, decision: &mut Decision) {
        match &self.binding.deploying {
            Some(intent) if intent.intent().generation == self.issue.generation => {
                let (target, issue) = (target.clone(), self.issue.clone());
                let effect = Effect::Deploy(self.id, target, issue, intent.clone());
                decision.when_due(effect, session, cx, "the binding is tried again");
            }
            // None under way, or one of an older issue that this one supersedes.
            Some(_) | None => {
                let deployment = Deployment {
                    generation: self.issue.generation,
                    fingerprint: self.issue.leaf.fingerprint,
                };
                let event = BindingEvent::DeploymentRequested(deployment);
                decision.records.push(fact(self.id, event, self.renewal, None));
            }
        }
    }

    fn needs_reload(&self, target: &Target) -> bool {
        match target {
            Target::Files { reload, .. } => {
                *reload && self.binding.reloaded != Some(self.issue.generation)
            }
            Target::Builtin { .. } | Target::Library => false,
        }
    }

    fn reload(&self, session: &Session, cx: &Context, decision: &mut Decision) {
        match &self.binding.reloading {
            Some(intent) if *intent.intent() == self.issue.generation => {
                let effect = Effect::Reload(self.id, intent.clone());
                decision.when_due(effect, session, cx, "the reload is tried again");
            }
            Some(_) | None => {
                let event = BindingEvent::ReloadRequested { generation: self.issue.generation };
                decision.records.push(fact(self.id, event, self.renewal, None));
            }
        }
    }

    fn verify(&self, target: &Target, session: &Session, cx: &Context, decision: &mut Decision) {
        let seen = self.binding.served.as_ref().filter(|s| s.generation == self.issue.generation);
        let every =
            bounds::VERIFY_EVERY.saturating_sub(spread(&[&self.id.0], bounds::VERIFY_SPREAD));
        // A look that saw nothing new left no fact; it counts all the same.
        let looks = session.looks(&handshake_key(self.id));
        let good = if looks.failures == 0 { looks.last } else { WallMs(0) };
        let at = match seen {
            None => WallMs(0),
            // What was seen by a clock that was set back since: a look of the present counts alone.
            Some(served) if served.boot == cx.boot && cx.is_ahead(served.at) => good.after(every),
            Some(served) if served.boot == cx.boot => served.at.max(good).after(every),
            // What an earlier life saw says nothing of what this one has to show.
            Some(_) if good > WallMs(0) => good.after(every),
            Some(_) => self.first_look(cx),
        };
        if at <= cx.now {
            let name = self.issue.leaf.names.first().cloned().unwrap_or_default();
            let effect = Effect::Handshake(self.id, target.clone(), name, self.issue.generation);
            decision.when_due(effect, session, cx, "what serves is looked at again");
        } else {
            decision.wake_at(at, "what serves is looked at at each start and once a day");
        }
    }

    /// When it is looked at after a start: now, where the clock was set back since.
    fn first_look(&self, cx: &Context) -> WallMs {
        let places = u32::try_from(self.facts.bindings.len()).unwrap_or(u32::MAX);
        let span = START_LOOK_EACH.saturating_mul(places);
        let at = self.facts.engine.booted_at.after(spread(&[&self.id.0, b"start"], span));
        if at > cx.now.after(span) { cx.now } else { at }
    }
}

/// What to do about a listener: open it, in every life in which a binding needs it.
pub(super) fn listener(facts: &Facts, id: ListenerId, session: &Session, cx: &Context) -> Decision {
    let mut decision = Decision::none();
    let Some(listener) = facts.listeners.get(&id) else {
        return decision;
    };
    if listener.needed != Some(cx.boot) || listener.opened == Some(cx.boot) {
        return decision;
    }
    if let Some(deadline) = restart_on_its_way(facts, id, cx) {
        decision.wake_at(deadline, "the restart should have happened");
        return decision;
    }
    // None is, or those that were made were in vain: whoever gives the privilege to the running process
    // need not restart it.
    let effect = Effect::OpenListener(id, listener.address.clone());
    decision.when_due(effect, session, cx, "the listener is tried again");
    decision
}

/// Until when this life waits to be restarted for the listener: not at all after the clock was set back,
/// or the listener would stay shut for as long.
fn restart_on_its_way(facts: &Facts, id: ListenerId, cx: &Context) -> Option<WallMs> {
    let ours = facts.restarts.values().filter(|restart| restart.listener == id);
    let asked = ours.filter(|restart| {
        matches!(&restart.phase, Phase::Requested(intent) if intent.meta().boot == cx.boot)
    });
    asked.filter_map(|restart| deadline(restart, cx)).find(|deadline| *deadline > cx.now)
}

/// What an outcome says.
pub(super) fn observe(
    facts: &Facts,
    effect: &Effect,
    outcome: &Outcome,
    cx: &Context,
) -> Vec<NewEvent> {
    match (effect, outcome) {
        (Effect::Deploy(id, _, _, intent), Outcome::Done(result)) => {
            let generation = intent.intent().generation;
            let open = facts.bindings.get(id).and_then(|b| b.deploying.as_ref()) == Some(intent);
            let event = match result {
                Ok(()) => BindingEvent::Deployed { generation },
                Err(problem) => {
                    BindingEvent::DeploymentFailed { generation, problem: problem.clone() }
                }
            };
            let (renewal, cause) = (intent.meta().renewal, Some(intent.meta().seq));
            if open { vec![fact(*id, event, renewal, cause)] } else { Vec::new() }
        }
        (Effect::Reload(id, intent), Outcome::Done(result)) => {
            let open = facts.bindings.get(id).and_then(|b| b.reloading.as_ref()) == Some(intent);
            let event = BindingEvent::ReloadFinished {
                generation: *intent.intent(),
                problem: result.as_ref().err().cloned(),
            };
            let (renewal, cause) = (intent.meta().renewal, Some(intent.meta().seq));
            if open { vec![fact(*id, event, renewal, cause)] } else { Vec::new() }
        }
        (Effect::Handshake(id, target, _, generation), Outcome::Handshake(result)) => {
            handshake(facts, *id, target, *generation, result, cx)
        }
        (Effect::OpenListener(id, address), Outcome::Listener(result)) => {
            let listener = facts.listeners.get(id);
            let event = match result {
                Ok(()) => ListenerEvent::ListenerOpened { address: address.clone() },
                Err(refused) => {
                    let known = listener.and_then(|listener| listener.setback.as_ref());
                    let same = known.is_some_and(|setback| setback.problem == refused.problem);
                    let told = listener.and_then(|listener| listener.needs_restart);
                    if same && (!refused.needs_restart || told == Some(facts.engine.boot)) {
                        return Vec::new();
                    }
                    ListenerEvent::ListenerFailed {
                        address: address.clone(),
                        problem: refused.problem.clone(),
                        holder: refused.holder.clone(),
                        needs_restart: refused.needs_restart,
                    }
                }
            };
            vec![fact(*id, event, None, None)]
        }
        _ => Vec::new(),
    }
}

/// It was seen in this life, not long ago, and nothing else since: no news. When a moment that lies ahead
/// was, nobody can tell: it is said again.
fn is_known(binding: &Binding, issue: &Issue, cx: &Context) -> bool {
    let settled = binding.setback.is_none() && binding.mismatched.is_none();
    settled
        && binding.served.as_ref().is_some_and(|served| {
            served.generation == issue.generation
                && served.boot == cx.boot
                && !cx.is_ahead(served.at)
                && cx.now.since(served.at) < bounds::VERIFIED_RECORD
        })
}

fn handshake(
    facts: &Facts,
    id: BindingId,
    target: &Target,
    generation: Generation,
    result: &Result<(String, renewd_events::id::Fingerprint), Problem>,
    cx: &Context,
) -> Vec<NewEvent> {
    let Some(binding) = facts.bindings.get(&id) else {
        return Vec::new();
    };
    let Some(certificate) = facts.certificates.get(&binding.certificate) else {
        return Vec::new();
    };
    let Some(issue) = certificate.current.as_ref().filter(|i| i.generation == generation) else {
        return Vec::new();
    };
    let expected = issue.leaf.fingerprint;
    let right = |seen| expected == seen || planted::is(Bug::MismatchTaken);
    let event = match result {
        Ok((_, fingerprint)) if right(*fingerprint) && is_known(binding, issue, cx) => {
            return Vec::new();
        }
        Ok((address, fingerprint)) if right(*fingerprint) => BindingEvent::ServedVerified {
            generation,
            address: address.clone(),
            fingerprint: *fingerprint,
        },
        Ok((address, fingerprint)) => {
            let text = format!("the certificate {fingerprint} is served instead of {expected}");
            let problem =
                Problem::new(ProblemClass::Local, "served-mismatch", &text).about(address);
            BindingEvent::ServedMismatch { generation, address: address.clone(), problem }
        }
        Err(problem) => BindingEvent::ServedMismatch {
            generation,
            address: target.label(),
            problem: problem.clone(),
        },
    };
    let renewal = certificate.run.as_ref().map(|run| run.renewal);
    vec![fact(id, event, renewal, None)]
}
