//! What an actor decides: facts to record, acts that must be under way, and when to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use renewd_events::event::NewEvent;
use renewd_events::id::{
    AccountId, AuthorizationId, BootNo, CertificateId, ListenerId, RenewalId, RestartId, Seq,
    StreamId,
};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, EffectId, Event, Facts, Subject, WallMs};

use crate::bounds;
use crate::effect::{Effect, EffectKey, Outcome};

/// The pauses between tries; `status` tells the next one by the same rule.
pub use renewd_replay::status::backoff;

/// What decisions rest on besides facts.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time; an argument, never read inside.
    pub now: WallMs,
    /// The present life of the process.
    pub boot: BootNo,
    /// The present life of the actor.
    pub incarnation: u16,
    /// The rules in force.
    pub rules: Rules,
}

impl Context {
    /// Whether a moment of the log lies ahead of the present: the wall clock was set back since, and
    /// how long ago that moment is cannot be told.
    pub fn is_ahead(&self, moment: WallMs) -> bool {
        moment > self.now.after(bounds::JUMP_MIN)
    }

    /// When something is due that waits this long from a moment of the log. A moment that lies ahead is
    /// not waited for, or the wait would last as long as the clock was set back: it is due now, once,
    /// since whatever is done then leaves a moment of the present. (Counted from now, it would never
    /// come: each decision would put it off.)
    pub fn due(&self, since: WallMs, wait: Duration) -> WallMs {
        if self.is_ahead(since) { self.now } else { since.after(wait) }
    }
}

/// Rules that the operator may set.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Renewals under way at once.
    pub parallel_max: usize,
    /// First retry of a failed renewal.
    pub retry_first: Duration,
    /// Slowest retry of a failed renewal.
    pub retry_max: Duration,
    /// How this host restarts, if it may.
    pub restart: Option<renewd_events::restart::Method>,
    /// Who this process is.
    pub identity: renewd_events::restart::ProcessIdentity,
}

/// How this host's clock stands to the CA's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// It runs ahead by so much; zero when it is right or behind.
    pub by: Duration,
    /// For so long that has been more than [`bounds::CLOCK_AHEAD_MIN`], as far as this life has seen.
    pub seen_for: Duration,
}

/// What an actor remembers of a subject in this life only. Losing it costs a look, never an act.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Effects under way.
    pub running: BTreeSet<EffectKey>,
    /// Intents whose act ended without a verdict: they are settled by asking.
    pub unsure: BTreeSet<EffectId>,
    /// How often something was looked at, and when it may be again.
    pub looks: BTreeMap<EffectKey, Looks>,
    /// How far this host's clock runs ahead of the CA's; nothing while the CA has not said.
    pub ahead: Option<Ahead>,
    /// When a validator last fetched a token of this certificate.
    pub visited: Option<WallMs>,
    /// How often the responder saw the tokens of its authorizations fetched.
    pub visits: BTreeMap<AuthorizationId, u32>,
}

/// The memory of repeated looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Looks that ended.
    pub count: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Ends in a row that changed nothing.
    pub idle: u32,
    /// When the last one ended.
    pub last: WallMs,
    /// When [`Self::not_before`] was settled: with the last one, or with one that is forgotten.
    pub settled: WallMs,
    /// From the end of the first to the end of the last, as far as their pace explains it: a wall clock
    /// that jumps ahead is no time in which anybody waited.
    pub waited: Duration,
    /// Looks that showed something.
    pub answers: u32,
    /// Of `waited` the time between two such looks that followed each other: in an outage nobody saw
    /// anything.
    pub watched: Duration,
    /// What the server asked to wait from then, if it did.
    pub asked: Option<Duration>,
    /// Not before, because the server or our own back-off said so.
    pub not_before: WallMs,
    /// Why the last one failed.
    pub problem: Option<Problem>,
}

/// What a vault says that cannot give the account's key for now: it is gone, damaged, unreadable, or
/// another key lies in its place.
const KEY_LACKS: [&str; 4] = ["vaultKeyAbsent", "vaultDamaged", "diskRead", "account-key"];

/// What nobody has looked at yet.
static NEVER_LOOKED: Looks = Looks {
    count: 0,
    failures: 0,
    idle: 0,
    last: WallMs(0),
    settled: WallMs(0),
    waited: Duration::ZERO,
    answers: 0,
    watched: Duration::ZERO,
    asked: None,
    not_before: WallMs(0),
    problem: None,
};

impl Looks {
    /// It was looked at, and the last look showed something.
    pub fn answered(&self) -> bool {
        self.count > 0 && self.failures == 0
    }

    /// The same answer of a kind that more asking does not change, several times: not an outage.
    pub fn hopeless(&self) -> Option<&Problem> {
        let problem = self.problem.as_ref().filter(|_| self.failures >= bounds::HOPELESS_AFTER)?;
        match problem.class {
            ProblemClass::Acme => {
                (problem.status < 500 && !problem.is_acme("rateLimited")).then_some(problem)
            }
            // Without the account's key nothing can be asked, and another order would cost one more: the
            // one that is there is waited for, as a person can restore the key.
            ProblemClass::Local if KEY_LACKS.contains(&problem.kind.as_str()) => {
                Some(problem).filter(|_| self.waited >= bounds::KEY_AWAITED_MAX)
            }
            ProblemClass::Local | ProblemClass::Protocol => Some(problem),
            // A page that says 404 and is not the CA's is a proxy's: it passes, mostly.
            ProblemClass::Transport | ProblemClass::Http => {
                (problem.status == 404 && self.waited >= bounds::PAGE_ASKED_MAX).then_some(problem)
            }
        }
    }
}

impl Session {
    /// How often the responder saw this authorization's token fetched.
    pub fn visits_of(&self, authorization: AuthorizationId) -> u32 {
        self.visits.get(&authorization).copied().unwrap_or(0)
    }

    /// A moment of ours for what the CA gave: by the CA's clock where ours runs far ahead of it, for it is
    /// the CA's that says how long an order and a certificate live.
    pub fn by_ca(&self, moment: WallMs) -> WallMs {
        let far = self.ahead.filter(|ahead| ahead.by >= bounds::CLOCK_AHEAD_MIN);
        far.map_or(moment, |ahead| moment.before(ahead.by))
    }

    /// How often it was looked at.
    pub fn looks(&self, key: &EffectKey) -> &Looks {
        self.looks.get(key).unwrap_or(&NEVER_LOOKED)
    }

    /// After the wall clock was set back, what is remembered of the future means nothing.
    pub fn forget_future(&mut self, now: WallMs) {
        let horizon = now.after(bounds::JUMP_MIN);
        let past = |looks: &Looks| looks.last.max(looks.settled) <= horizon;
        // Seldom any: decisions are many, jumps of the clock are few.
        if !self.looks.values().all(past) {
            self.looks.retain(|_, looks| past(looks));
        }
        self.visited = self.visited.filter(|visited| *visited <= horizon);
    }

    /// What was seen could not be recorded: it counts as not looked at, or it would not be looked at
    /// again for as long as a good look lasts. The wait that was learnt stays.
    pub fn forget_look(&mut self, key: EffectKey, before: Looks) {
        let Looks { not_before, settled, .. } = *self.looks(&key);
        self.looks.insert(key, Looks { not_before, settled, ..before });
    }

    /// Remembers that an effect ended: `None` when its port panicked or hung, `recorded` when it led to
    /// a fact. What failed or changed nothing is done again ever more slowly, so that nothing spins.
    pub fn ended(
        &mut self,
        key: EffectKey,
        outcome: Option<&Outcome>,
        recorded: bool,
        now: WallMs,
    ) {
        let looks = self.looks.entry(key).or_default();
        let failed = outcome.is_none_or(|outcome| outcome.problem().is_some());
        if looks.count > 0 {
            let pace = looks.not_before.since(looks.last).max(bounds::LOOK_IDLE);
            let most = pace.saturating_add(bounds::EFFECT_TIME_MAX);
            let passed = now.since(looks.last).min(most);
            looks.waited = looks.waited.saturating_add(passed);
            if looks.failures == 0 && !failed {
                looks.watched = looks.watched.saturating_add(passed);
            }
        }
        looks.answers = looks.answers.saturating_add(u32::from(!failed));
        looks.count = looks.count.saturating_add(1);
        (looks.last, looks.settled) = (now, now);
        looks.problem = outcome.and_then(Outcome::problem).cloned();
        let asked = outcome.and_then(Outcome::retry_after_ms).map(Duration::from_millis);
        looks.asked = asked.map(|asked| key.asked_max(failed).map_or(asked, |max| asked.min(max)));
        looks.failures = if failed { looks.failures.saturating_add(1) } else { 0 };
        looks.idle = if recorded { 0 } else { looks.idle.saturating_add(1) };
        let own = if failed {
            backoff(bounds::READ_RETRY_FIRST, bounds::READ_RETRY_MAX, looks.failures)
        } else if recorded {
            Duration::ZERO
        } else {
            backoff(bounds::IDLE_FIRST, bounds::LOOK_MAX, looks.idle)
        };
        looks.not_before = now.after(looks.asked.unwrap_or_default().max(own));
    }
}

/// A number in `0..span` that is the same for the same parts: jitter that a restart does not re-roll.
pub fn spread(parts: &[&[u8]], span: Duration) -> Duration {
    let hash = renewd_events::id::sha256(parts);
    let draw = hash.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(draw % span_ms)
}

/// What an actor decides about one subject.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Facts to append, all or none. While there are some, the rest is not looked at.
    pub records: Vec<NewEvent>,
    /// Acts that must be under way now.
    pub effects: Vec<Effect>,
    /// When to decide again, and why, if nothing happens before.
    pub wake: Option<(WallMs, &'static str)>,
    /// It could go on, but as many renewals as allowed are under way.
    pub waits_for_turn: bool,
}

impl Decision {
    /// Nothing to do.
    pub fn none() -> Self {
        Self::default()
    }

    /// Appends these facts.
    pub fn record(records: Vec<NewEvent>) -> Self {
        Self { records, ..Self::default() }
    }

    /// Looks again at `at`; the earliest wish wins.
    pub fn wake_at(&mut self, at: WallMs, why: &'static str) {
        if self.wake.is_none_or(|(earlier, _)| at < earlier) {
            self.wake = Some((at, why));
        }
    }

    /// Starts a read or a repeatable act, now or when its back-off is over.
    pub fn when_due(&mut self, effect: Effect, session: &Session, cx: &Context, why: &'static str) {
        let at = session.looks(&effect.key()).not_before;
        if at <= cx.now {
            self.effects.push(effect);
        } else {
            self.wake_at(at, why);
        }
    }

    /// Adds another decision.
    pub fn and(&mut self, other: Self) {
        self.records.extend(other.records);
        self.effects.extend(other.effects);
        if let Some((at, why)) = other.wake {
            self.wake_at(at, why);
        }
        self.waits_for_turn |= other.waits_for_turn;
    }
}

/// Whether the act of this intent may simply be done: it was recorded in this life of the actor and
/// did not end without a verdict. Everything else is settled by asking the world. This is the whole
/// resume logic: nothing else knows about crashes.
pub fn may_do<I>(intent: &Durable<I>, session: &Session, cx: &Context) -> bool {
    let meta = intent.meta();
    (meta.boot == cx.boot || planted::is(Bug::DoInsteadOfSettle))
        && meta.incarnation == cx.incarnation
        && !session.unsure.contains(&intent.effect_id())
}

/// A fact on its way.
pub fn fact(
    stream: impl Into<StreamId>,
    event: impl Into<Event>,
    renewal: Option<RenewalId>,
    cause: Option<Seq>,
) -> NewEvent {
    NewEvent { stream: stream.into(), event: event.into(), renewal, cause }
}

/// An actor's part: plain functions, no I/O. Of the subjects, a part writes down what it does about those
/// that concern it.
pub trait Role: Send + Sync + 'static {
    /// Whose part.
    const NAME: renewd_events::ActorName;

    /// Whether a change of this subject concerns it.
    fn concerns(subject: Subject) -> bool;

    /// Everything that concerns it, for a start.
    fn subjects(facts: &Facts) -> Vec<Subject> {
        let accounts = facts.accounts.keys().copied().map(Subject::Account);
        let certificates = facts.certificates.keys().copied().map(Subject::Certificate);
        let listeners = facts.listeners.keys().copied().map(Subject::Listener);
        let restarts = facts.restarts.keys().copied().map(Subject::Restart);
        let all = accounts.chain(certificates).chain(listeners).chain(restarts);
        all.chain([Subject::Engine]).filter(|subject| Self::concerns(*subject)).collect()
    }

    /// What to do about a subject.
    fn decide(facts: &Facts, subject: Subject, session: &Session, cx: &Context) -> Decision {
        match subject {
            Subject::Engine => Self::engine(facts, cx),
            Subject::Account(id) => Self::account(facts, id, session, cx),
            Subject::Certificate(id) => Self::certificate(facts, id, session, cx),
            Subject::Listener(id) => Self::listener(facts, id, session, cx),
            Subject::Restart(id) => Self::restart(facts, id, session, cx),
        }
    }

    /// What to do about the engine itself.
    fn engine(_: &Facts, _: &Context) -> Decision {
        Decision::none()
    }

    /// What to do about an account.
    fn account(_: &Facts, _: AccountId, _: &Session, _: &Context) -> Decision {
        Decision::none()
    }

    /// What to do about a certificate.
    fn certificate(_: &Facts, _: CertificateId, _: &Session, _: &Context) -> Decision {
        Decision::none()
    }

    /// What to do about a listener.
    fn listener(_: &Facts, _: ListenerId, _: &Session, _: &Context) -> Decision {
        Decision::none()
    }

    /// What to do about a restart.
    fn restart(_: &Facts, _: RestartId, _: &Session, _: &Context) -> Decision {
        Decision::none()
    }

    /// What to record of an outcome. Nothing, when the effect is no longer wanted; then, and when the
    /// outcome gives no verdict, the intent is settled by the next decision.
    fn observe(
        facts: &Facts,
        effect: &Effect,
        outcome: &Outcome,
        session: &Session,
        cx: &Context,
    ) -> Vec<NewEvent>;
}
