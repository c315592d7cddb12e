//! What outlives a process: disk, CA, vault, what serves, the wall clock; and the truth about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renewd_actors::Handle;
use renewd_events::WallMs;
use renewd_events::id::{
    BindingId, CertificateId, CertificateName, Fingerprint, OrderId, RestartId, Seq, StreamId,
};
use renewd_events::intent::Meta;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::ca::{Authority, Late};
use crate::disk::Platter;
use crate::draws::Draws;
use crate::fate::{Fate, Fault, Harm, Place};
use crate::folded::Folded;
use crate::invariant::{Invariant, Violation};
use crate::pace::Pace;
use crate::plan::{DAY, Plan};
use crate::spans::Spans;
use crate::time::Clock;

/// When the world begins: 2026-01-01.
const BEGINNING: WallMs = WallMs(1_767_225_600_000);
/// Violations kept: the first ones say what is wrong.
const VIOLATIONS_MAX: usize = 32;
/// A clock is wrong by this at most, milliseconds: 40 days, longer than some certificates live.
const WRONG_MAX_MS: i64 = 40 * 86_400_000;
/// The last days of a run are without faults.
const HEALING: Duration = Duration::from_secs(2 * 86_400);
/// An operating system writes back what nobody synced after this.
const WRITE_BACK: Duration = Duration::from_secs(30);

/// Everything but the process.
#[derive(Debug)]
pub struct World {
    /// What the run is.
    pub plan: Plan,
    pub(crate) state: Mutex<State>,
    /// Where each name is served.
    pub(crate) bindings: BTreeMap<String, BindingId>,
    /// The fold of what lies on the disk, as far as it was compared with a running engine.
    pub(crate) folded: Mutex<Folded>,
    platter: Mutex<Platter>,
    fate: Mutex<Fate>,
    clock: Mutex<Clock>,
    life: Mutex<Life>,
    /// Something happened that the driver must look at.
    pub(crate) news: Notify,
}

/// What the ports stand for.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) ca: Authority,
    pub(crate) accounts: Accounts,
    /// Requests on their way, by when they arrive and the order in which they were sent.
    pub(crate) late: BTreeMap<(WallMs, u64), Late>,
    pub(crate) sent_late: u64,
    /// Keys in the vault, by the CSR that goes with them.
    pub(crate) keys: BTreeSet<Vec<u8>>,
    /// Keys that nobody synced, and since when ([`renewd_events::planted::Bug::KeyNotSynced`]).
    pub(crate) young_keys: Vec<(WallMs, Vec<u8>)>,
    /// Renewal information was answered with a Retry-After: in this life not before.
    pub(crate) ari_floors: BTreeMap<String, WallMs>,
    /// When our wall clock was last set.
    pub(crate) set_at: WallMs,
    /// What each place shows.
    pub(crate) shown: BTreeMap<BindingId, Fingerprint>,
    /// What lies in the files of each place, not yet read by its program.
    pub(crate) filed: BTreeMap<BindingId, Fingerprint>,
    /// Restarts begun, and when.
    pub(crate) restarts: Vec<(RestartId, WallMs)>,
    /// A restart happened since: privileges are there again.
    pub(crate) listener_free: bool,
    /// Requests to the CA by order or certificate stream since its renewal began.
    pub(crate) requests: BTreeMap<StreamId, u32>,
    /// The disk takes no more before this.
    pub(crate) disk_full_until: WallMs,
    /// A person asked for a renewal out of turn.
    pub(crate) person_asked: bool,
    pub(crate) spans: Spans,
    pub(crate) violations: Vec<Violation>,
    /// The last event that the disk took.
    pub(crate) written: Seq,
    pub(crate) latency: Option<Draws>,
    /// Who handles a message first.
    pub(crate) turns: Option<Draws>,
}

/// The present process, as far as the world can see it.
#[derive(Debug, Default)]
struct Life {
    dead: bool,
    restart: Option<RestartId>,
    handle: Option<Handle>,
    calls: u32,
    pace: Pace,
    /// The CA has answered, and so told its time.
    answered: bool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The certificate of a configured name.
pub(crate) fn certificate_of(name: &str) -> CertificateId {
    CertificateName::parse(name).map(|name| name.id()).unwrap_or_default()
}

/// The one place where a certificate is served.
pub(crate) fn binding_of(certificate: CertificateId) -> BindingId {
    BindingId::derive(&[&certificate.0])
}

impl World {
    /// A world before the first start.
    pub fn new(plan: Plan, fate: Fate) -> Arc<Self> {
        let draws = |purpose| Some(Draws::new(plan.seed, purpose));
        let (latency, turns) = (draws("latency"), draws("turns"));
        let listener_free = !plan.listener_needs_restart;
        let spans = Spans::of(plan.certificates.len());
        let names = plan.certificates.iter().map(|wanted| wanted.name());
        Arc::new(Self {
            bindings: names
                .map(|name| (name.to_owned(), binding_of(certificate_of(name))))
                .collect(),
            folded: Mutex::default(),
            plan,
            state: Mutex::new(State { latency, turns, listener_free, spans, ..State::default() }),
            platter: Mutex::default(),
            fate: Mutex::new(fate),
            clock: Mutex::new(Clock { base: BEGINNING, started: None, wrong_ms: 0 }),
            life: Mutex::default(),
            news: Notify::new(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What lies on the disk.
    pub fn platter(&self) -> MutexGuard<'_, Platter> {
        lock(&self.platter)
    }

    /// A point is reached.
    pub(crate) fn fate(&self, place: Place) -> Option<Harm> {
        let now = self.time();
        if lock(&self.life).pace.too_many(now, self.plan.certificates.len()) {
            self.end_life();
        }
        let mut fate = lock(&self.fate);
        fate.active(now);
        fate.at(place)
    }

    /// The life was ended because it does too much in too little time.
    pub(crate) fn ran_away(&self) -> Option<String> {
        lock(&self.life).pace.ran_away()
    }

    /// What goes wrong, and what did.
    pub fn fates(&self) -> MutexGuard<'_, Fate> {
        lock(&self.fate)
    }

    /// What is broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.clone()
    }

    /// An invariant does not hold.
    pub fn broken(&self, invariant: Invariant, what: impl Into<String>) {
        self.state().broken(invariant, what);
    }

    /// Now, in truth: what the CA's clock says.
    pub fn time(&self) -> WallMs {
        lock(&self.clock).truth()
    }

    /// Now, as our wall clock shows it.
    pub fn wall(&self) -> WallMs {
        lock(&self.clock).shown()
    }

    /// When the run ends; none where it ends with an issue.
    pub(crate) fn last(&self) -> WallMs {
        let longest = DAY * self.plan.goal.days();
        BEGINNING.after(self.plan.within.map_or(longest, |within| within.min(longest)))
    }

    /// From here on nothing goes wrong any more: what was harmed must heal until the end.
    pub(crate) fn healing(&self) -> WallMs {
        self.last().before(HEALING)
    }

    /// Time goes on without the process: at most to where the healing begins.
    pub(crate) fn skip(&self, time: Duration) {
        let time = time.min(self.healing().since(self.time()));
        self.note_down(time);
        let mut clock = lock(&self.clock);
        clock.base = clock.base.after(time);
    }

    /// Our wall clock is set by so many seconds.
    pub(crate) fn set_wall(&self, seconds: i64) {
        self.state().clock_set(self.time());
        let mut clock = lock(&self.clock);
        let wrong = clock.wrong_ms.saturating_add(seconds.saturating_mul(1000));
        clock.wrong_ms = wrong.clamp(-WRONG_MAX_MS, WRONG_MAX_MS);
        drop(clock);
        self.note_set();
    }

    /// Sets our wall clock when that is the fault.
    pub(crate) fn clock_is_set(&self, harm: Harm) {
        let seconds = i64::try_from(harm.seconds).unwrap_or(0);
        if harm.fault == Fault::Forward {
            self.set_wall(seconds);
        } else if harm.fault == Fault::Back {
            self.set_wall(seconds.saturating_neg());
        }
    }

    /// This life has heard the CA's Date, as every answer brings it.
    pub(crate) fn ca_answered(&self) {
        lock(&self.life).answered = true;
    }

    /// See [`Self::ca_answered`].
    pub(crate) fn ca_has_answered(&self) -> bool {
        lock(&self.life).answered
    }

    /// Our wall clock is right again.
    pub(crate) fn right_wall(&self) {
        self.state().clock_set(self.time());
        let was = std::mem::take(&mut lock(&self.clock).wrong_ms);
        if was != 0 {
            self.note_set();
        }
    }

    /// A life begins: its runtime has a time of its own.
    pub(crate) fn begin_life(&self) {
        let now = self.wall();
        self.state().life_ended(now);
        *lock(&self.life) = Life::default();
        lock(&self.clock).started = Some(Instant::now());
        lock(&self.fate).life_begins(self.time());
    }

    pub(crate) fn set_handle(&self, handle: Handle) {
        lock(&self.life).handle = Some(handle);
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        lock(&self.life).handle.clone()
    }

    /// The process is killed: from here on nothing of it reaches the world.
    pub(crate) fn end_life(&self) {
        lock(&self.life).dead = true;
        self.news.notify_one();
    }

    /// The disk takes no more for this long.
    pub(crate) fn fill_disk(&self, time: Duration) {
        let until = self.time().after(time);
        self.state().disk_full_until = until;
    }

    pub(crate) fn disk_is_full(&self) -> bool {
        let now = self.time();
        now < self.state().disk_full_until
    }

    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.life).dead
    }

    pub(crate) fn ask_restart(&self, restart: RestartId) {
        lock(&self.life).restart = Some(restart);
        self.news.notify_one();
    }

    pub(crate) fn restart_asked(&self) -> Option<RestartId> {
        lock(&self.life).restart
    }

    /// Keeps the time of a life that ended; its handle would keep this world in memory for ever.
    pub(crate) fn keep_time(&self) {
        let handle = lock(&self.life).handle.take();
        drop(handle);
        let now = self.time();
        let mut clock = lock(&self.clock);
        (clock.base, clock.started) = (now, None);
    }

    /// Calls of ports under way.
    pub(crate) fn calls(&self) -> u32 {
        lock(&self.life).calls
    }

    /// A call of a port is under way until this is dropped.
    pub(crate) fn call(&self) -> Call<'_> {
        lock(&self.life).calls += 1;
        Call(self)
    }

    /// A delay of up to this, milliseconds.
    pub(crate) fn delay(&self, max_ms: u64) -> Duration {
        let mut state = self.state();
        let drawn = state.latency.as_mut().map_or(0, |draws| draws.delay_ms(max_ms));
        Duration::from_millis(drawn)
    }

    /// Waits for up to this, milliseconds; without a delay others have their turn all the same.
    pub(crate) async fn pause(&self, max_ms: u64) {
        let delay = self.delay(max_ms);
        if delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(delay).await;
        }
    }

    /// An act needs its intent on disk, acknowledged, and a log that can be written.
    pub(crate) fn witness(&self, meta: &Meta) {
        if self.platter().acknowledged < meta.seq {
            let what = format!("the act of event {} began before it was durable", meta.seq);
            self.broken(Invariant::IntentFirst, what);
        }
        if self.handle().is_some_and(|handle| handle.log_broken().is_some()) && !self.is_dead() {
            let what = format!("the act of event {} began without a log", meta.seq);
            self.broken(Invariant::NoLogNoAct, what);
        }
    }
}

/// A call of a port under way.
pub(crate) struct Call<'a>(&'a World);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        lock(&self.0.fate).active(self.0.time());
        let mut life = lock(&self.0.life);
        life.calls = life.calls.saturating_sub(1);
    }
}

impl State {
    pub(crate) fn broken(&mut self, invariant: Invariant, what: impl Into<String>) {
        // One that breaks a thousand times must not hide another.
        let known = self.violations.iter().any(|violation| violation.invariant == invariant);
        if !known || self.violations.len() < VIOLATIONS_MAX {
            let (what, after) = (what.into(), self.written);
            self.violations.push(Violation { invariant, what, after });
        }
    }

    fn clock_set(&mut self, now: WallMs) {
        self.ari_floors.clear();
        self.set_at = now;
    }

    /// What only a process, or a machine with power, remembers is gone.
    fn life_ended(&mut self, now: WallMs) {
        self.ari_floors.clear();
        for (made, csr) in std::mem::take(&mut self.young_keys) {
            if made.after(WRITE_BACK) > now {
                self.keys.remove(&csr);
            }
        }
    }

    /// A request on behalf of this stream.
    pub(crate) fn count_request(&mut self, order: OrderId) {
        let count = self.requests.entry(order.into()).or_default();
        *count += 1;
    }
}
