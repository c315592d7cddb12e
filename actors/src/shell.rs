//! One shell around each of the six parts: decide, append, fold, act. It does no more.
//!
//! A handler waits for the journal only. Every effect is a task of its own whose result comes back as
//! a message. When the shell dies its tasks are aborted; the next life settles their intents.

mod acting;

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use renewd_events::certificate::CertificateEvent;
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{AuthorizationId, StreamId, StreamKind};
use renewd_events::planted::{self, Bug};
use renewd_events::process::EngineEvent;
use renewd_events::{ActorName, EffectId, Facts, Subject};
use tokio::task::JoinSet;

use crate::bounds;
use crate::decision::{Context, Decision, Role, Session};
use crate::effect::{Effect, EffectKey, Outcome};
use crate::hive::{Hive, Message};
use crate::journal::{AppendError, Batch};
use crate::mailbox::Mailbox;
use crate::restless::Restless;

/// The actor that plays a part.
pub(crate) struct Shell<R>(PhantomData<R>);

impl<R> Shell<R> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// What one life of an actor remembers.
pub(crate) struct Life {
    hive: Arc<Hive>,
    mailbox: Mailbox,
    incarnation: u16,
    sessions: BTreeMap<Subject, Session>,
    /// Panics by subject: one broken certificate does not stop the others.
    strikes: BTreeMap<Subject, u32>,
    restless: Restless,
    /// Renewals that wait until fewer are under way.
    turns: BTreeSet<Subject>,
    /// Renewals that this round begins: the facts do not show them yet.
    starting: usize,
    /// Subjects whose effects wait for a place.
    starved: BTreeSet<Subject>,
    /// Effects whose end was not handled yet.
    under_way: usize,
    tasks: JoinSet<()>,
}

impl<R: Role> Actor for Shell<R> {
    type Msg = Message;
    type State = Life;
    type Arguments = (Arc<Hive>, u16);

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        (hive, incarnation): Self::Arguments,
    ) -> Result<Life, ActorProcessingErr> {
        let began = hive.ports.time.now();
        let mut subjects = R::subjects(&hive.read());
        let waits = matches!(R::NAME, ActorName::Clock | ActorName::Issuer);
        if planted::is(Bug::WakesLostAtStart) && waits {
            subjects.clear();
        }
        let (actor, count) = (R::NAME, subjects.len());
        tracing::debug!(%actor, incarnation, ?began, subjects = count, "an actor begins");
        let mailbox = Mailbox::of(myself);
        hive.inboxes().set_address(R::NAME, Some(mailbox.clone()));
        for subject in subjects {
            hive.inboxes().nudge(R::NAME, subject);
        }
        Ok(Life {
            hive,
            mailbox,
            incarnation,
            sessions: BTreeMap::new(),
            strikes: BTreeMap::new(),
            restless: Restless::default(),
            turns: BTreeSet::new(),
            starting: 0,
            starved: BTreeSet::new(),
            under_way: 0,
            tasks: JoinSet::new(),
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        life: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        life.mailbox.taken();
        let lag = life.hive.ports.time.lag();
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        match message {
            Message::Nudge => {
                let subjects = life.hive.inboxes().take(R::NAME);
                life.reconcile::<R>(subjects).await;
            }
            Message::Ended(subject, effect, outcome) => {
                life.ended::<R>(subject, &effect, outcome.as_deref()).await;
            }
            Message::NotBegun(subject, key) => life.not_begun::<R>(subject, key).await,
            Message::Command(events, reply, place) => {
                let batch = Batch { wish: true, ..life.batch::<R>(events, &life.hive.read()) };
                drop(reply.send(life.hive.journal.append(batch).await));
                drop(place);
            }
            Message::Beat => life.hive.inboxes().beat(R::NAME),
        }
        Ok(())
    }
}

impl Life {
    fn context(&self, facts: &Facts) -> Context {
        Context {
            now: self.hive.ports.time.now(),
            boot: facts.engine.boot,
            incarnation: self.incarnation,
            rules: self.hive.rules.clone(),
        }
    }

    fn batch<R: Role>(&self, events: Vec<NewEvent>, facts: &Facts) -> Batch {
        let streams: BTreeSet<StreamId> = events.iter().map(|event| event.stream).collect();
        let expected = streams.into_iter().map(|stream| (stream, facts.version(stream))).collect();
        Batch {
            actor: R::NAME,
            incarnation: self.incarnation,
            expected,
            events,
            trace: None,
            wish: false,
        }
    }

    /// Decides about these subjects until nothing is left to record. Their appends go out together, so
    /// that one commit carries many.
    async fn reconcile<R: Role>(&mut self, mut subjects: BTreeSet<Subject>) {
        for _ in 0..bounds::ROUNDS_MAX {
            if subjects.is_empty() {
                return;
            }
            let mut answers = Vec::new();
            for subject in std::mem::take(&mut subjects) {
                let Some((decision, batch)) = self.decide::<R>(subject) else {
                    continue;
                };
                match batch {
                    Some(batch) => answers.push((subject, self.hive.journal.submit(batch).await)),
                    None => self.carry_out::<R>(subject, decision),
                }
            }
            for (subject, answer) in answers {
                self.starting = 0;
                match answer.await {
                    Ok(Ok(_)) => drop(subjects.insert(subject)),
                    Ok(Err(AppendError::Conflict { stream, expected, actual })) => {
                        tracing::debug!(%stream, expected, actual, "decided on an old state; deciding again");
                        subjects.insert(subject);
                    }
                    Ok(Err(AppendError::ReadOnly(_))) | Err(_) => {}
                    Ok(Err(AppendError::Codec(cause))) => {
                        self.strike::<R>(subject, &cause.to_string())
                    }
                }
            }
        }
        for subject in subjects {
            self.hive.inboxes().nudge(R::NAME, subject);
        }
    }

    /// One decision, and the batch it wants appended.
    fn decide<R: Role>(&mut self, subject: Subject) -> Option<(Decision, Option<Batch>)> {
        let aside =
            self.strikes.get(&subject).is_some_and(|strikes| *strikes >= bounds::STRIKES_MAX);
        if planted::is(Bug::NoOp) {
            return None;
        }
        // No log, no act: not even one whose intent is on disk, since its outcome could not be kept.
        if aside || self.hive.journal.broken().borrow().is_some() {
            return None;
        }
        let hive = Arc::clone(&self.hive);
        let facts = hive.read();
        let mut cx = self.context(&facts);
        cx.rules.parallel_max = cx.rules.parallel_max.saturating_sub(self.starting);
        let session = self.sessions.entry(subject).or_default();
        session.visited = hive.visit_of(subject);
        session.ahead = hive.ahead_of(&facts, subject);
        session.forget_future(cx.now);
        session.visits = visits(&hive, &facts, subject);
        // A panic in a decision strikes its subject alone.
        let decided = catch_unwind(AssertUnwindSafe(|| R::decide(&facts, subject, session, &cx)));
        match decided {
            Ok(decision) if decision.records.is_empty() => {
                self.restless.rested(subject);
                Some((decision, None))
            }
            Ok(_) if self.restless.recorded(subject) => {
                drop(facts);
                self.strike::<R>(subject, "its decisions do not come to an end");
                None
            }
            Ok(mut decision) => {
                let begins = |event: &NewEvent| {
                    matches!(
                        event.event,
                        Event::Certificate(CertificateEvent::RenewalStarted { .. })
                    )
                };
                self.starting += decision.records.iter().filter(|event| begins(event)).count();
                let batch = self.batch::<R>(std::mem::take(&mut decision.records), &facts);
                Some((decision, Some(batch)))
            }
            Err(_) => {
                drop(facts);
                self.strike::<R>(subject, "a decision panicked");
                None
            }
        }
    }

    fn strike<R: Role>(&mut self, subject: Subject, text: &str) {
        let strikes = self.strikes.entry(subject).or_default();
        *strikes = strikes.saturating_add(1);
        tracing::error!(actor = %R::NAME, ?subject, strikes = *strikes, text, "set aside after two");
        if *strikes < bounds::STRIKES_MAX {
            self.hive.inboxes().nudge(R::NAME, subject);
            return;
        }
        let (actor, stream, strikes) = (R::NAME, StreamId::from(subject), *strikes);
        let text = renewd_events::problem::cut(text, bounds::SET_ASIDE_TEXT_MAX);
        let event = EngineEvent::SubjectSetAside { actor, stream, strikes, text };
        // A shell that waited here would keep its other subjects waiting.
        crate::supervisor::record(self.hive.journal.clone(), event);
    }

    fn carry_out<R: Role>(&mut self, subject: Subject, decision: Decision) {
        self.hive.timers.set((R::NAME, subject), decision.wake);
        if decision.waits_for_turn {
            self.turns.insert(subject);
        } else if self.turns.remove(&subject) || !self.turns.is_empty() {
            self.give_turns::<R>();
        }
        for effect in decision.effects {
            self.start(subject, effect);
        }
        self.tidy(subject);
    }

    /// Between renewals, what was remembered of orders is of no use to the next one.
    fn tidy(&mut self, subject: Subject) {
        let Subject::Certificate(id) = subject else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&subject) else {
            return;
        };
        let passing = |key: &EffectKey| {
            let kind = key.stream.kind;
            key.version > 0 || matches!(kind, StreamKind::Order | StreamKind::Authorization)
        };
        // Mostly nothing: of what is looked at once a day only that look is remembered.
        let remembers = !session.unsure.is_empty()
            || session.looks.keys().any(passing)
            || self.hive.visit_of(subject).is_some();
        if !remembers || !session.running.is_empty() {
            return;
        }
        let facts = self.hive.read();
        if facts.certificates.get(&id).is_none_or(|certificate| certificate.run.is_none()) {
            session.looks.retain(|key, _| !passing(key));
            session.unsure.clear();
            self.hive.forget_visits(subject);
        }
    }

    /// Lets as many waiting renewals decide again as there are places.
    fn give_turns<R: Role>(&mut self) {
        let places = self.hive.rules.parallel_max.saturating_sub(self.hive.read().runs.len());
        for _ in 0..places {
            let Some(subject) = self.turns.pop_first() else {
                return;
            };
            self.hive.inboxes().nudge(R::NAME, subject);
        }
    }

    async fn ended<R: Role>(
        &mut self,
        subject: Subject,
        effect: &Effect,
        outcome: Option<&Outcome>,
    ) {
        self.under_way = self.under_way.saturating_sub(1);
        let key = effect.key();
        if let Some(problem) = outcome.and_then(Outcome::problem) {
            let (kind, status) = (&problem.kind, problem.status);
            tracing::debug!(actor = %R::NAME, effect = key.kind, %kind, status, "an effect failed");
        }
        let (mut recorded, mut lost) = (false, false);
        if let Some(batch) = self.observe::<R>(subject, effect, outcome) {
            // An outcome that is not on disk did not happen: the intent is settled by asking.
            match self.hive.journal.append(batch).await {
                Ok(_) => recorded = true,
                Err(cause) => {
                    lost = matches!(cause, AppendError::ReadOnly(_));
                    tracing::warn!(actor = %R::NAME, %cause, "an outcome was not recorded");
                }
            }
        }
        let now = self.hive.ports.time.now();
        let session = self.sessions.entry(subject).or_default();
        let before = lost.then(|| session.looks(&key).clone());
        session.ended(key, outcome, recorded, now);
        if let Some(before) = before {
            session.forget_look(key, before);
        }
        session.running.remove(&key);
        if !recorded && key.version > 0 {
            session.unsure.insert(EffectId { stream: key.stream, version: key.version });
        }
        let subjects = self.with_starved(subject);
        self.reconcile::<R>(subjects).await;
    }

    /// What an outcome says, as a batch. A panic strikes its subject alone, as in a decision.
    fn observe<R: Role>(
        &mut self,
        subject: Subject,
        effect: &Effect,
        outcome: Option<&Outcome>,
    ) -> Option<Batch> {
        let outcome = outcome?;
        let hive = Arc::clone(&self.hive);
        let facts = hive.read();
        let cx = self.context(&facts);
        let session = self.sessions.entry(subject).or_default();
        session.visits = visits(&hive, &facts, subject);
        let observed =
            catch_unwind(AssertUnwindSafe(|| R::observe(&facts, effect, outcome, session, &cx)));
        match observed {
            Ok(events) => (!events.is_empty()).then(|| self.batch::<R>(events, &facts)),
            Err(_) => {
                drop(facts);
                self.strike::<R>(subject, "the reading of an outcome panicked");
                None
            }
        }
    }
}

/// What the responder saw of a certificate's tokens.
fn visits(hive: &Hive, facts: &Facts, subject: Subject) -> BTreeMap<AuthorizationId, u32> {
    let Subject::Certificate(certificate) = subject else {
        return BTreeMap::new();
    };
    let answered = facts.authorizations_of(certificate).filter(|(_, it)| it.answered);
    answered
        .filter_map(|(id, it)| {
            let challenge = it.challenge.as_ref()?;
            Some((id, hive.ports.prober.visits(&challenge.token)))
        })
        .collect()
}
