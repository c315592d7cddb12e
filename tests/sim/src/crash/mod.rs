//! Exhaustive ends: every scenario is run once to count its boundaries, then again for each of them,
//! ended there and resumed; and again with a second end in what follows the first.

mod scenario;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use renewd_events::id::Seq;
use renewd_replay::sentence::sentence;
pub use scenario::{Scenario, all, long};

use crate::fate::{Fate, Fault, Harm, Place, Point, Script};
use crate::invariant::{Invariant, Violation};
use crate::life::{self, Outcome};
use crate::world::World;

/// The ends that are tried at a boundary.
const ENDS: [Fault; 2] = [Fault::CrashBefore, Fault::CrashAfter];
/// The places where a process can end: at a commit, and at an act.
const BOUNDARIES: [Place; 2] = [Place::Commit, Place::Act];
/// Between two lines of progress within one scenario.
const PROGRESS: Duration = Duration::from_secs(5);
/// Failures kept for the report.
const FAILURES_MAX: usize = 8;

/// A run that broke something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which scenario.
    pub scenario: &'static str,
    /// The ends that led to it, as a script.
    pub script: Script,
    /// What is broken.
    pub violations: Vec<Violation>,
}

/// Where a process that has ended once ends a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// Nowhere.
    Never,
    /// At every so-many-th boundary of all that follows.
    Anywhere(usize),
    /// At every so-many-th boundary of the recovery: until the second life is at rest.
    Recovering(usize),
}

/// What came of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Boundaries.
    pub boundaries: usize,
    /// Runs.
    pub runs: usize,
    /// Broken invariants.
    pub violations: usize,
    /// The first failures.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.boundaries += other.boundaries;
        self.runs += other.runs;
        self.violations += other.violations;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
    }
}

/// What a run of a scenario came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) reached: [u64; 2],
    pub(crate) orders: usize,
    /// Boundaries before the first end, and to where the life after it was at rest.
    recovery: [[u64; 2]; 2],
    unresolved: usize,
    /// Orders that the CA made when nobody waited for the answer any more.
    late: usize,
}

/// Runs a scenario at all its boundaries, and with second ends.
pub fn run(scenario: &Scenario, second: Second, workers: usize) -> Report {
    let clean = once(scenario, &Script::default());
    let mut report = Report { runs: 1, ..Report::default() };
    record(&mut report, scenario, &Script::default(), clean.outcome.violations.clone());
    if report.violations > 0 {
        return report;
    }
    let first = boundaries([0, 0], clean.reached);
    report.boundaries = first.len();
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let shared = Mutex::new((report, Progress { of: first.len(), ended: 0, began, told: began }));
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(end) = first.get(index) else {
                        return;
                    };
                    let part = from(scenario, (index, *end), second, clean.orders);
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let (report, progress) = &mut *shared;
                    report.add(part);
                    progress.one_more(scenario.name, report);
                }
            });
        }
    });
    shared.into_inner().unwrap_or_else(PoisonError::into_inner).0
}

/// How far a scenario is.
struct Progress {
    /// First ends in all.
    of: usize,
    /// Those that are tried, with all that follows them.
    ended: usize,
    began: Instant,
    told: Instant,
}

impl Progress {
    #[expect(clippy::print_stderr, reason = "progress of a long run")]
    fn one_more(&mut self, name: &str, report: &Report) {
        self.ended += 1;
        if self.told.elapsed() < PROGRESS || self.ended == self.of {
            return;
        }
        self.told = Instant::now();
        eprintln!(
            "  {} s: {name}: {} of {} first ends, {} runs, {} violations",
            self.began.elapsed().as_secs(),
            self.ended,
            self.of,
            report.runs,
            report.violations
        );
    }
}

/// A first end, the `index`th, and the second ends that can follow it. With a stride each first end
/// begins at another place, so that together they go through all kinds of second ends.
fn from(
    scenario: &Scenario,
    (index, first): (usize, (Point, Fault)),
    second: Second,
    orders: usize,
) -> Report {
    let mut report = Report::default();
    let script = with(&Script::default(), first);
    let ran = once(scenario, &script);
    report.runs += 1;
    record(&mut report, scenario, &script, judged(scenario, &ran, orders));
    let [ended, rested] = ran.recovery;
    let (until, stride) = match second {
        Second::Never => return report,
        Second::Anywhere(stride) => (ran.reached, stride.max(1)),
        Second::Recovering(stride) => (rested, stride.max(1)),
    };
    let seconds = boundaries(ended, until).into_iter();
    for second in seconds.skip(index % stride).step_by(stride) {
        let script = with(&script, second);
        let ran = once(scenario, &script);
        report.runs += 1;
        record(&mut report, scenario, &script, judged(scenario, &ran, orders));
    }
    report
}

pub(crate) fn boundaries(after: [u64; 2], reached: [u64; 2]) -> Vec<(Point, Fault)> {
    let mut all = BTreeSet::new();
    for ((place, after), reached) in BOUNDARIES.into_iter().zip(after).zip(reached) {
        for number in after + 1..=reached {
            all.extend(ENDS.map(|end| (Point { place, number }, end)));
        }
    }
    all.into_iter().collect()
}

pub(crate) fn with(script: &Script, (point, fault): (Point, Fault)) -> Script {
    let mut script = script.clone();
    script.0.insert(point, Harm { fault, seconds: 0 });
    script
}

/// The world of a scenario, ended there.
fn ended(scenario: &Scenario, ends: &Script) -> Arc<World> {
    let mut script = scenario.script.clone();
    script.0.extend(ends.0.iter().map(|(point, harm)| (*point, *harm)));
    World::new(scenario.plan.clone(), Fate::scripted(script))
}

pub(crate) fn once(scenario: &Scenario, ends: &Script) -> Ran {
    ran(&ended(scenario, ends))
}

fn ran(world: &Arc<World>) -> Ran {
    let outcome = life::run(world);
    let reached = BOUNDARIES.map(|place| world.fates().reached().get(&place).copied().unwrap_or(0));
    let recovery = world.fates().recovery(BOUNDARIES);
    let unresolved = unresolved(world);
    let orders = world.state().ca.orders.len();
    let late = world.state().ca.came_late.len();
    Ran { outcome, reached, orders, recovery, unresolved, late }
}

/// Runs a scenario with these ends and shows its log, an event a line, and what is broken: all that a
/// run through every boundary sees, the orders beside those of a run without ends among it.
pub fn show(scenario: &Scenario, ends: &Script) -> (Vec<String>, Vec<Violation>) {
    let clean = once(scenario, &Script::default());
    let world = ended(scenario, ends);
    let ran = ran(&world);
    (lines(&world), judged(scenario, &ran, clean.orders))
}

/// The log of a world, an event a line.
pub(crate) fn lines(world: &World) -> Vec<String> {
    let platter = world.platter();
    let lines = crate::disk::decoded(&platter.frames).map(|envelope| {
        let (seq, at, actor) = (envelope.seq, envelope.at.rfc3339(), envelope.actor.to_string());
        let renewal = envelope.renewal.map_or(String::new(), |renewal| renewal.to_string());
        let (name, said) = (envelope.event.name(), sentence(&envelope.event));
        format!("{seq:>5} {at} {actor:<10} {renewal:<8.8} {name:<26} {said}")
    });
    lines.collect()
}

fn unresolved(world: &Arc<World>) -> usize {
    let platter = world.platter();
    let names = crate::disk::decoded(&platter.frames).map(|envelope| envelope.event.name());
    names.filter(|name| *name == "OrderRequestUnresolved").count()
}

/// What is broken, the count of orders among it: an end must not buy one, except where the CA has no
/// list to look into, and then the log says so, and where it made one after its list had been asked.
pub(crate) fn judged(scenario: &Scenario, ran: &Ran, orders: usize) -> Vec<Violation> {
    let mut violations = ran.outcome.violations.clone();
    let explained = if scenario.plan.ca.list { ran.late } else { ran.unresolved };
    if ran.orders > orders + explained {
        let what = format!("{} orders where {orders} are enough", ran.orders);
        violations.push(Violation {
            invariant: Invariant::NoUnexplainedOrder,
            what,
            after: Seq(0),
        });
    }
    violations
}

fn record(report: &mut Report, scenario: &Scenario, script: &Script, violations: Vec<Violation>) {
    if violations.is_empty() {
        return;
    }
    report.violations += violations.len();
    if report.failures.len() < FAILURES_MAX {
        let (scenario, script) = (scenario.name, script.clone());
        report.failures.push(Failure { scenario, script, violations });
    }
}
