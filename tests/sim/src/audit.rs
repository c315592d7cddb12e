//! What must hold in the log and in the world, looked at when a life or a run has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use renewd_actors::bounds::{
    JUMP_MIN, ORDERS_PER_RENEWAL_MAX, OUTAGE_RETRY_MAX, RESTART_WINDOW, RESTARTS_MAX,
};
use renewd_events::certificate::CertificateEvent;
use renewd_events::codec::Frame;
use renewd_events::event::{Envelope, Event};
use renewd_events::id::{AccountId, CertificateId, Hash, OrderId, RenewalId, Seq, StreamId};
use renewd_events::order::OrderEvent;
use renewd_events::problem::Problem;
use renewd_events::process::EngineEvent;
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{Facts, WallMs};
use renewd_replay::check::Checker;

use crate::fate::Fault;
use crate::invariant::Invariant;
use crate::life::{RETRY_FIRST, RETRY_MAX};
use crate::plan::{Goal, Served};
use crate::spans::{Spans, Stamp};
use crate::story::Story;
use crate::tick::with_facts;
use crate::verdicts;
use crate::world::{World, binding_of, certificate_of};

/// Requests for one order: each of its two waits takes at most 300 looks, an hour of four a minute, in each
/// life that begins meanwhile (two more, here), and issuing may take 36 hours of one in five minutes. A
/// client without a pace makes tens of thousands.
const REQUESTS_MAX: u32 = 300 * 2 * 3 + 36 * 12;
/// Longest wait after a certificate that was bought and cannot be used.
pub(crate) const UNUSABLE_MAX: Duration = Duration::from_secs(72 * 3600);
/// A renewal that is open for longer is open for ever.
const OPEN_MAX: Duration = Duration::from_secs(8 * 86_400);

/// Every certificate is valid, served as it should be, and scheduled.
pub(crate) fn healed(world: &World) {
    let now = world.time();
    let mut wrong = Vec::new();
    for wanted in &world.plan.certificates {
        let id = certificate_of(wanted.name());
        let shown = world.state().shown.get(&binding_of(id)).copied();
        let said = with_facts(world, |facts| {
            let certificate = facts.certificates.get(&id)?;
            let Some(issue) = &certificate.current else {
                return Some("there is no certificate".to_owned());
            };
            if issue.leaf.not_after <= now {
                return Some(format!("it expired at {}", issue.leaf.not_after.rfc3339()));
            }
            let served = wanted.served != Served::Nowhere;
            if served && shown != Some(issue.leaf.fingerprint) {
                return Some("another certificate is served".to_owned());
            }
            let planned = facts.schedules.get(&id).is_some_and(|s| s.planned.is_some());
            (!planned && certificate.run.is_none()).then(|| "nothing is planned".to_owned())
        });
        if let Some(what) = said.flatten() {
            wrong.push(format!("{}: {what}", wanted.name()));
        }
    }
    for what in wrong {
        world.broken(Invariant::Healed, what);
    }
}

/// Reads the whole log of a run. Gives its events, its successful renewals and its last hash.
pub(crate) fn log(world: &Arc<World>) -> (usize, usize, String) {
    let frames = std::mem::take(&mut world.platter().frames);
    let mut reading = Reading::new(world);
    let mut envelopes = Vec::with_capacity(frames.len());
    for frame in &frames {
        match Frame::decode(&frame.bytes) {
            Ok(envelope) => {
                reading.frame(frame, &envelope);
                envelopes.push(envelope);
            }
            Err(cause) => {
                world.broken(Invariant::LogWhole, format!("event {}: {cause}", frame.seq));
                break;
            }
        }
    }
    let checker = renewd_replay::fold::read(Checker::default(), &envelopes);
    for violation in checker.violations() {
        let what = format!("event {}: {}", violation.seq, violation.what);
        world.broken(Invariant::LogInvariants, what);
    }
    let (renewals, head) = (reading.renewals, reading.previous.to_string());
    truth(world, &reading);
    if let Goal::Days(_) = world.plan.goal {
        reading.story.end(world, &reading.facts, &checker, &envelopes);
    }
    world.platter().frames = frames;
    (envelopes.len(), renewals, head)
}

struct Reading<'a> {
    world: &'a World,
    facts: Facts,
    seq: Seq,
    previous: Hash,
    renewals: usize,
    failures: BTreeMap<CertificateId, (Stamp, Option<u64>)>,
    begun: BTreeMap<CertificateId, Stamp>,
    orders: BTreeMap<RenewalId, u32>,
    /// Failures in a row.
    failed: BTreeMap<CertificateId, u32>,
    /// No order for this certificate before this long after that.
    floors: BTreeMap<CertificateId, (Stamp, Duration)>,
    spans: Spans,
    story: Story,
}

impl<'a> Reading<'a> {
    fn new(world: &'a World) -> Self {
        let spans = world.state().spans.clone();
        Self {
            world,
            facts: Facts::default(),
            seq: Seq(0),
            previous: Hash::default(),
            renewals: 0,
            failures: BTreeMap::new(),
            begun: BTreeMap::new(),
            orders: BTreeMap::new(),
            failed: BTreeMap::new(),
            floors: BTreeMap::new(),
            story: Story::new(spans.clone()),
            spans,
        }
    }

    fn frame(&mut self, frame: &Frame, envelope: &Envelope) {
        if envelope.seq != self.seq.next() || envelope.previous != self.previous {
            let what = format!("event {} does not follow event {}", envelope.seq, self.seq);
            self.world.broken(Invariant::LogWhole, what);
        }
        (self.seq, self.previous) = (envelope.seq, frame.hash);
        self.life(envelope);
        let before = verdicts::served(&self.facts, envelope);
        self.facts.apply(envelope);
        verdicts::judge(self.world, &self.facts, envelope, before);
        self.story.read(self.world, frame, envelope, &self.facts);
        self.anomaly(envelope);
        if self.facts.runs.len() > self.world.plan.parallel {
            let what =
                format!("event {}: {} renewals under way", envelope.seq, self.facts.runs.len());
            self.world.broken(Invariant::ParallelKept, what);
        }
        match &envelope.event {
            Event::Certificate(event) => self.certificate(envelope, event),
            Event::Schedule(ScheduleEvent::RenewalScheduled {
                at, cause: Cause::Retry, ..
            }) => {
                self.retry(envelope, *at);
            }
            Event::Order(OrderEvent::OrderRefused { problem }) => self.refused(envelope, problem),
            Event::Order(OrderEvent::OrderRequested(request)) => {
                self.kept(envelope, request.certificate);
                let renewal = envelope.renewal.unwrap_or_default();
                *self.orders.entry(renewal).or_default() += 1;
            }
            // It took one sooner, from a person: what it had asked before is over.
            Event::Order(OrderEvent::OrderCreated { .. }) => {
                let order = self.facts.orders.get(&OrderId(envelope.stream.id));
                let request = order.and_then(|order| order.request.as_ref());
                request.map(|request| self.floors.remove(&request.certificate));
            }
            Event::Order(OrderEvent::OrderRequestUnresolved { .. }) => self.unresolved(envelope),
            Event::Engine(_)
            | Event::Clock(_)
            | Event::Account(_)
            | Event::Schedule(_)
            | Event::Order(_)
            | Event::Authorization(_)
            | Event::Binding(_)
            | Event::Listener(_)
            | Event::Restart(_) => {}
        }
    }

    fn life(&mut self, envelope: &Envelope) {
        let present = self.facts.engine.boot;
        if let Event::Engine(EngineEvent::ActorFailed { actor, text, .. }) = &envelope.event {
            self.world.broken(Invariant::NoActorFailed, format!("{actor}: {text}"));
        }
        let booted = |event: &Event| {
            let Event::Engine(EngineEvent::EngineBooted { identity, .. }) = event else {
                return None;
            };
            Some(identity.boot)
        };
        let begins = booted(&envelope.event);
        let expected = begins.map_or(present, |_| present.next());
        if envelope.boot != expected || begins.is_some_and(|boot| boot != expected) {
            let what =
                format!("event {} is of life {}, not {expected}", envelope.seq, envelope.boot);
            self.world.broken(Invariant::LivesInOrder, what);
        }
    }

    fn anomaly(&self, envelope: &Envelope) {
        let id = envelope.stream.id;
        let anomaly = match &envelope.event {
            Event::Account(_) => {
                self.facts.accounts.get(&AccountId(id)).and_then(|a| a.anomaly.clone())
            }
            Event::Certificate(_) => {
                self.facts.certificates.get(&CertificateId(id)).and_then(|c| c.anomaly.clone())
            }
            Event::Order(_) => self.facts.orders.get(&OrderId(id)).and_then(|o| o.anomaly.clone()),
            Event::Engine(_)
            | Event::Clock(_)
            | Event::Schedule(_)
            | Event::Authorization(_)
            | Event::Binding(_)
            | Event::Listener(_)
            | Event::Restart(_) => None,
        };
        if let Some(anomaly) = anomaly {
            let what = format!("event {}: {} was impossible", anomaly.seq, anomaly.event);
            self.world.broken(Invariant::NoAnomaly, what);
        }
    }

    fn certificate(&mut self, envelope: &Envelope, event: &CertificateEvent) {
        let id = CertificateId(envelope.stream.id);
        match event {
            CertificateEvent::RenewalStarted { cause, .. } => {
                let now = Stamp::of(envelope);
                self.begun.insert(id, now);
                let failed = self.failures.get(&id).filter(|_| *cause == Cause::Retry);
                let waited = failed.and_then(|(at, _)| self.spans.unbroken(*at, now));
                if let Some(waited) = waited.filter(|waited| *waited < RETRY_FIRST) {
                    let what = format!("event {}: a retry after {waited:?}", envelope.seq);
                    self.world.broken(Invariant::BackoffBounds, what);
                }
            }
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. } => {
                self.renewals += 1;
                self.ended(id, envelope);
                self.failures.remove(&id);
                self.failed.remove(&id);
            }
            CertificateEvent::RenewalFailed { problem, .. } => {
                self.ended(id, envelope);
                self.failures.insert(id, (Stamp::of(envelope), problem.retry_after_ms));
                *self.failed.entry(id).or_default() += 1;
            }
            CertificateEvent::CertificateDeclared(_) => {
                // Another account, or a corrected configuration: it is tried at once.
                self.failures.remove(&id);
                self.failed.remove(&id);
                self.floors.remove(&id);
            }
            CertificateEvent::CertificateOrphaned
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyCreated { .. }
            | CertificateEvent::CertificateKeyFailed { .. }
            | CertificateEvent::GenerationAdopted(_) => {}
        }
    }

    fn ended(&mut self, id: CertificateId, envelope: &Envelope) {
        let began = self.begun.remove(&id);
        let now = Stamp::of(envelope);
        let open = began.map_or(Duration::ZERO, |began| self.spans.at_least(began, now));
        if open > OPEN_MAX {
            let what = format!("event {}: a renewal was open for {open:?}", envelope.seq);
            self.world.broken(Invariant::NothingOpenForEver, what);
        }
    }

    fn retry(&self, envelope: &Envelope, at: WallMs) {
        let Some((failed, asked)) = self.failures.get(&CertificateId(envelope.stream.id)) else {
            return;
        };
        let failed = failed.at();
        // Planned anew by a clock that was set back since: now.
        if failed > envelope.at.after(JUMP_MIN) && at <= envelope.at {
            return;
        }
        let wait = at.since(failed);
        let longest = UNUSABLE_MAX.max(RETRY_MAX).max(Duration::from_millis(asked.unwrap_or(0)));
        // Places of time are whole milliseconds, a quarter of a life is not.
        let wait_up = wait.saturating_add(Duration::from_millis(1));
        if wait_up < self.shortest(envelope, failed) || wait > longest + longest / 8 {
            let what = format!("event {}: a retry {wait:?} after its failure", envelope.seq);
            self.world.broken(Invariant::BackoffBounds, what);
        }
    }

    /// The first back-off, doubled for each failure in a row that the log tells of, up to the cap for
    /// outages and a quarter of the life that is left.
    fn shortest(&self, envelope: &Envelope, failed: WallMs) -> Duration {
        let id = CertificateId(envelope.stream.id);
        let doublings = self.failed.get(&id).copied().unwrap_or(1).clamp(1, 16) - 1;
        let own = (RETRY_FIRST * 2u32.pow(doublings)).min(OUTAGE_RETRY_MAX);
        let issue = self.facts.certificates.get(&id).and_then(|c| c.current.as_ref());
        let left = issue.map_or(Duration::ZERO, |issue| issue.leaf.not_after.since(failed) / 4);
        let own = if left.is_zero() { own } else { own.min(left) };
        own.max(RETRY_FIRST)
    }

    /// The CA named a time before which it wants no other order.
    fn refused(&mut self, envelope: &Envelope, problem: &Problem) {
        let order = self.facts.orders.get(&OrderId(envelope.stream.id));
        let certificate = order.and_then(|order| Some(order.request.as_ref()?.certificate));
        if let (Some(certificate), Some(asked)) = (certificate, problem.retry_after_ms) {
            let floor = (Stamp::of(envelope), Duration::from_millis(asked));
            self.floors.insert(certificate, floor);
        }
    }

    fn kept(&self, envelope: &Envelope, certificate: CertificateId) {
        let early = self.floors.get(&certificate).is_some_and(|(refused, asked)| {
            let waited = self.spans.unbroken(*refused, Stamp::of(envelope));
            waited.is_some_and(|waited| waited < *asked)
        });
        // What a person asks for is the person's.
        let run = self.facts.certificates.get(&certificate).and_then(|it| it.run.as_ref());
        let asked_for = run.is_some_and(|run| run.cause == Cause::Operator);
        if early && !asked_for {
            let what = format!("event {}: an order sooner than the CA had asked", envelope.seq);
            self.world.broken(Invariant::RetryAfterKept, what);
        }
    }

    /// With a list, an order that is there is found.
    fn unresolved(&self, envelope: &Envelope) {
        if !self.world.plan.ca.list {
            return;
        }
        let there = self.world.state().ca.orders.values().any(|order| {
            StreamId::from(order.intent) == envelope.stream && order.created <= envelope.at
        });
        let late = self.world.state().ca.came_late.contains(&OrderId(envelope.stream.id));
        let there = there && !late;
        if there {
            let what = format!("event {}: the CA has this order", envelope.seq);
            self.world.broken(Invariant::SettledTruly, what);
        }
    }
}

/// The log beside the truth of the world.
fn truth(world: &World, reading: &Reading<'_>) {
    let lost = {
        let fates = world.fates();
        fates.drawn().0.values().filter(|harm| harm.fault == Fault::AccountLost).count()
    };
    let mut state = world.state();
    let (accounts, others) = (state.accounts.made, state.accounts.others);
    let more = usize::try_from(accounts.saturating_sub(others)).unwrap_or(usize::MAX);
    if more > lost + 1 {
        state.broken(Invariant::OneAccount, format!("{accounts} accounts were made"));
    }
    let most = state.requests.iter().map(|(stream, count)| (*count, *stream)).max();
    if let Some((count, stream)) = most.filter(|(count, _)| *count > REQUESTS_MAX) {
        state.broken(Invariant::RequestsBounded, format!("{count} requests for {stream}"));
    }
    if let Some((renewal, orders)) =
        reading.orders.iter().find(|(_, orders)| **orders > ORDERS_PER_RENEWAL_MAX)
    {
        state
            .broken(Invariant::NoUnexplainedOrder, format!("{orders} orders of renewal {renewal}"));
    }
    let restarts = state.restarts.clone();
    for (index, (restart, at)) in restarts.iter().enumerate() {
        let before = restarts.get(..index).unwrap_or_default();
        if before.iter().any(|(other, _)| other == restart) {
            state.broken(Invariant::RestartOnce, format!("restart {restart} was done twice"));
        }
        let near = before.iter().filter(|(_, other)| at.since(*other) < RESTART_WINDOW).count();
        if near >= RESTARTS_MAX {
            state.broken(Invariant::RestartOnce, "a third restart within a day");
        }
    }
    let now = world.wall();
    let longest = reading.begun.values().map(|began| reading.spans.until(*began, now)).max();
    if let Some(open) = longest.filter(|open| *open > OPEN_MAX) {
        state.broken(Invariant::NothingOpenForEver, format!("a renewal is open for {open:?}"));
    }
    let open = reading.facts.certificates.values().any(|certificate| certificate.run.is_some());
    if !open && reading.facts.answers() > 0 {
        state.broken(Invariant::TokenWithdrawn, "a token is answered that no order needs");
    }
}
