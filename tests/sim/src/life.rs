//! From a start to an end, and again, until the goal is reached.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use renewd_actors::decision::Rules;
use renewd_actors::journal::Seat;
use renewd_actors::ports::Ports;
use renewd_actors::{Declarations, Engine, Start};
use renewd_events::Facts;
use renewd_events::binding::Target;
use renewd_events::planted::{self, Bug};
use renewd_events::process::StopReason;
use renewd_events::restart::{Method, ProcessIdentity};

use crate::disk::{Disk, decoded};
use crate::draws::Draws;
use crate::fate::{Fault, Place};
use crate::invariant::{Invariant, Violation};
use crate::plan::Goal;
use crate::world::World;
use crate::{audit, folded, tick};

/// Lives of one run: faults have a bound, so lives have one.
const LIVES_MAX: u32 = 1_000;
/// Between two starts of a process that ends at once.
const SUPERVISOR_PAUSE: Duration = Duration::from_secs(60);
/// Restarts of one run: the engine's own bound is two a day, and one is enough in every plan.
const RESTARTS_MAX: usize = 64;
/// First and slowest retry, as the daemon's defaults.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(60);
/// See [`RETRY_FIRST`].
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(86_400);

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Goal,
    Killed,
    Restarted,
    Stopped,
    /// It did not come to an end by itself.
    Stuck,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What is broken.
    pub violations: Vec<Violation>,
    /// Lives.
    pub lives: u32,
    /// Events in the log.
    pub events: usize,
    /// Renewals that ended with a certificate.
    pub renewals: usize,
    /// Virtual time.
    pub elapsed: Duration,
    /// Hash of the last frame: two runs with the same one did the same.
    pub head: String,
}

/// Runs a world to its end and says what is broken.
pub fn run(world: &Arc<World>) -> Outcome {
    let began = world.time();
    let mut lives = 0;
    loop {
        lives += 1;
        let end = one_life(world);
        match end {
            End::Goal | End::Stuck => break,
            End::Restarted if world.state().restarts.len() > RESTARTS_MAX => {
                world.broken(Invariant::RestartOnce, "the process does nothing but restart");
                break;
            }
            End::Killed | End::Restarted | End::Stopped if lives < LIVES_MAX => down(world),
            End::Killed | End::Restarted | End::Stopped => {
                world.broken(Invariant::Ends, format!("{lives} lives and no end"));
                break;
            }
        }
    }
    let (events, renewals, head) = audit::log(world);
    Outcome {
        violations: world.violations(),
        lives,
        events,
        renewals,
        elapsed: world.time().since(began),
        head,
    }
}

/// The process is down for a while; validators that come then find nobody.
fn down(world: &World) {
    let Some(harm) = world.fate(Place::Boot) else {
        return;
    };
    world.rots(harm.fault, harm.seconds);
    world.account_harmed(harm);
    if harm.fault == Fault::Downtime {
        world.skip(Duration::from_secs(harm.seconds));
        tick::validate(world, false);
    }
}

fn one_life(world: &Arc<World>) -> End {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else {
        world.broken(Invariant::Ends, "the operating system gives no runtime");
        return End::Stuck;
    };
    // Dropping the runtime is the kill: every task ends where it waits.
    runtime.block_on(async {
        let end = live(world).await;
        // Time goes on from here in the next life; outside of the runtime there is none.
        world.keep_time();
        end
    })
}

/// The fold of what is on the disk, and a place for each certificate as the daemon's start fills it.
fn remember(world: &World) -> Facts {
    let mut facts = Facts::default();
    let (read, acknowledged) = {
        let mut platter = world.platter();
        platter.lose_unsynced();
        for envelope in decoded(&platter.frames) {
            let ends_batch =
                envelope.batch_index > 0 && envelope.batch_index + 1 == envelope.batch_len;
            if !(planted::is(Bug::BatchEndNotReplayed) && ends_batch) {
                facts.apply(&envelope);
            }
        }
        (facts.seq, platter.acknowledged)
    };
    if read < acknowledged {
        let what = format!("event {acknowledged} was acknowledged, the log ends at {read}");
        world.broken(Invariant::NothingLost, what);
    }
    let mut state = world.state();
    for (id, binding) in &facts.bindings {
        let issue = facts.certificates.get(&binding.certificate).and_then(|c| c.current.as_ref());
        if let (Some(Target::Builtin { .. }), Some(issue)) = (&binding.target, issue) {
            state.shown.insert(*id, issue.leaf.fingerprint);
        }
    }
    drop(state);
    facts
}

async fn start(world: &Arc<World>) -> Option<Engine> {
    let facts = remember(world);
    let config = Arc::clone(world);
    let declarations: Declarations = Box::new(move |facts| config.declarations(facts));
    let rules = Rules {
        parallel_max: world.plan.parallel,
        retry_first: RETRY_FIRST,
        retry_max: RETRY_MAX,
        restart: Some(Method::Exec),
        identity: ProcessIdentity::default(),
    };
    let boot = facts.engine.boot.0;
    let mut disk_pace = Draws::new(world.plan.seed, &format!("disk {boot}"));
    let disk_ms = world.plan.disk_ms;
    let news = Arc::clone(world);
    Engine::start(Start {
        store: Box::new(Disk::new(Arc::clone(world))),
        facts: Arc::new(RwLock::new(facts)),
        ports: Ports {
            ca: world.clone(),
            vault: world.clone(),
            prober: world.clone(),
            bindings: world.clone(),
            host: world.clone(),
            time: world.clone(),
        },
        rules,
        observers: vec![Box::new(move |_| news.news.notify_one())],
        version: "simulation".to_owned(),
        declarations,
        seat: Seat::Task(Box::new(move || Duration::from_millis(disk_pace.delay_ms(disk_ms)))),
    })
    .await
    .ok()
}

async fn live(world: &Arc<World>) -> End {
    world.begin_life();
    world.open_disk();
    let Some(engine) = start(world).await else {
        return not_started(world);
    };
    world.set_handle(engine.handle());
    let end = drive(world, &engine).await;
    let facts = engine.facts();
    match end {
        End::Goal | End::Stopped => drop(engine.stop(StopReason::Asked).await),
        End::Restarted => {
            let restart = world.restart_asked().unwrap_or_default();
            drop(engine.stop(StopReason::Restart(restart)).await);
        }
        End::Killed | End::Stuck => {}
    }
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    folded::live(world, &facts);
    // A stop may itself be ended by fate.
    if world.is_dead() && end != End::Stuck { End::Killed } else { end }
}

/// A start that a failed sync ended is tried again by what supervises the process. On a full disk the
/// engine waits by itself.
fn not_started(world: &World) -> End {
    if world.is_dead() {
        return End::Killed;
    }
    if world.platter().medium.sync_failed {
        world.skip(SUPERVISOR_PAUSE);
        return End::Killed;
    }
    world.broken(Invariant::Ends, "the engine did not start");
    End::Stuck
}

async fn drive(world: &Arc<World>, engine: &Engine) -> End {
    let mut fatal = engine.fatal();
    let last = world.last();
    let mut next_tick = world.time().after(world.plan.tick);
    loop {
        if let Some(what) = world.ran_away() {
            world.broken(Invariant::Ends, what);
            return End::Stuck;
        }
        if world.is_dead() {
            return End::Killed;
        }
        if world.restart_asked().is_some() {
            return End::Restarted;
        }
        let ended = fatal.borrow().clone();
        if let Some(cause) = ended {
            world.broken(Invariant::NoActorFailed, cause);
            return End::Stuck;
        }
        tick::validate(world, true);
        let now = world.time();
        if now >= next_tick {
            if tick::tick(world).await {
                return End::Stopped;
            }
            next_tick = world.time().after(world.plan.tick);
        }
        match world.plan.goal {
            Goal::Generation(generation) if tick::reached(world, generation) => {
                audit::healed(world);
                return End::Goal;
            }
            Goal::Days(_) if now >= last => {
                audit::healed(world);
                return End::Goal;
            }
            Goal::Generation(_) if now >= last => {
                world.broken(Invariant::Ends, "the goal is not reached");
                return End::Stuck;
            }
            Goal::Days(_) if now >= world.healing() => tick::heal(world),
            Goal::Generation(_) | Goal::Days(_) => {}
        }
        let due = world.state().next().map_or(next_tick, |at| at.min(next_tick));
        let nap = due.since(world.time()).saturating_add(Duration::from_millis(1));
        tokio::select! {
            biased;
            () = world.news.notified() => {}
            _ = fatal.changed() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}
