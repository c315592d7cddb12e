//! What the world does by itself: validators come, hours go by, people act.

use std::sync::PoisonError;
use std::time::Duration;

use renewd_actors::ports::TimeSource;
use renewd_events::Facts;
use renewd_events::certificate::Certificate;
use renewd_events::id::{CertificateId, Hash};
use renewd_events::schedule::Cause;

use crate::audit::UNUSABLE_MAX;
use crate::fate::{Fault, Place};
use crate::invariant::Invariant;
use crate::life::RETRY_MAX;
use crate::plan::Served;
use crate::world::{World, binding_of, certificate_of};

/// Between two tries of a validator.
const VALIDATOR_PAUSE: Duration = Duration::from_secs(5);

/// An answer to a person that takes longer does not come.
const COMMAND_MAX: Duration = Duration::from_secs(3600);

/// The validators whose time has come look at their challenges. `up`: the process answers.
pub(crate) fn validate(world: &World, up: bool) {
    world.deliver();
    loop {
        let now = world.time();
        let job = {
            let mut state = world.state();
            let due = state.ca.jobs.first().filter(|job| job.0 <= now).cloned();
            let Some(job) = due else {
                return;
            };
            state.ca.jobs.remove(&job);
            job
        };
        let (_, url, index, tries) = job;
        let unreachable =
            world.fate(Place::Validation).is_some_and(|harm| harm.fault == Fault::Unreachable);
        let token = world.state().ca.token_of(&url, index);
        let reached = up && !unreachable && answered(world, &token);
        if up && !unreachable && !reached && !world.is_dead() && pending(world, &url) {
            let what = format!("the validator asked for the token of {url} and got nothing");
            world.broken(Invariant::TokenAnswered, what);
        }
        let again = !reached && tries < world.plan.ca.tries;
        if again {
            world.state().ca.jobs.insert((now.after(VALIDATOR_PAUSE), url, index, tries + 1));
        } else {
            world.state().ca.validated(&url, index, reached, now);
        }
    }
}

/// The order is open: its token is needed.
fn pending(world: &World, url: &str) -> bool {
    use renewd_events::order::OrderStatus;
    let now = world.time();
    let state = world.state();
    state.ca.orders.get(url).is_some_and(|order| order.status(now) == OrderStatus::Pending)
}

fn answered(world: &World, token: &str) -> bool {
    let Some(handle) = world.handle() else {
        return false;
    };
    let answered = with_facts(world, |facts| facts.answer(token).is_some()).unwrap_or(false);
    if answered {
        handle.visited(token);
    }
    answered
}

/// Reads the running engine's facts.
pub(crate) fn with_facts<T>(world: &World, read: impl FnOnce(&Facts) -> T) -> Option<T> {
    let handle = world.handle()?;
    let facts = handle.facts();
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    Some(read(&facts))
}

/// Some hours went by. True when a person stops the process.
pub(crate) async fn tick(world: &World) -> bool {
    if world.platter().medium.sync_failed {
        // A person has looked at the disk and starts the process again.
        world.end_life();
        return false;
    }
    next_actions(world).await;
    retries(world);
    people(world).await;
    let Some(harm) = world.fate(Place::Tick) else {
        return person_stops(world);
    };
    world.account_harmed(harm);
    match harm.fault {
        Fault::Forward | Fault::Back => world.clock_is_set(harm),
        Fault::WindowsMove => world.state().ca.windows_moved = Some(world.time()),
        Fault::CrashBefore | Fault::CrashAfter => world.end_life(),
        Fault::Stop => return true,
        Fault::Renew => {
            world.state().person_asked = true;
            let name = world.plan.certificates.first().map(|wanted| wanted.name().to_owned());
            if let (Some(handle), Some(name)) = (world.handle(), name) {
                let asked = handle.renew(&name, "a person");
                if tokio::time::timeout(COMMAND_MAX, asked).await.is_err() && !world.is_dead() {
                    world.broken(Invariant::WishHeard, "a command was not answered for an hour");
                }
            }
        }
        Fault::Overwrite => {
            let mut wanted = world.plan.certificates.iter();
            if let Some(wanted) = wanted.find(|wanted| wanted.served == Served::Files) {
                let binding = binding_of(certificate_of(wanted.name()));
                world.state().shown.insert(binding, Hash::of(b"somebody else's"));
            }
        }
        Fault::NoSpace
        | Fault::Torn
        | Fault::Unsynced
        | Fault::Rot
        | Fault::Cut
        | Fault::Lost
        | Fault::Down
        | Fault::Busy
        | Fault::RateLimited
        | Fault::Internal
        | Fault::Noise
        | Fault::AccountLost
        | Fault::AccountDeactivated
        | Fault::AccountKeyGone
        | Fault::AccountKeyDamaged
        | Fault::Terms
        | Fault::Panic
        | Fault::Slow
        | Fault::Late
        | Fault::Missing
        | Fault::Unreachable
        | Fault::Refused
        | Fault::Downtime => {}
    }
    person_stops(world)
}

/// Somebody mends what was done to the account; another one in the configuration takes another start.
fn person_stops(world: &World) -> bool {
    let now = world.time();
    world.state().accounts.people(now)
}

/// Somebody agrees to changed terms, at the CA and by command.
async fn people(world: &World) {
    let now = world.time();
    let asked = world.state().ca.agreed_at.is_some_and(|at| at <= now);
    let Some(handle) = world.handle().filter(|_| asked) else {
        return;
    };
    drop(handle.accept_terms("a person").await);
    let url = format!("https://ca.test/terms/{}", world.state().ca.terms);
    let id = world.account();
    let agreed = with_facts(world, |facts| {
        facts.accounts.get(&id).is_some_and(|account| {
            let shown = account.directory.as_ref().and_then(|d| d.terms_url.as_deref());
            shown == Some(url.as_str()) && account.terms_are_accepted()
        })
    });
    if agreed == Some(true) {
        world.state().ca.agreed_at = None;
    }
}

/// Nothing goes wrong any more, and people have mended what only people can.
pub(crate) fn heal(world: &World) {
    world.fates().heal();
    world.right_wall();
    let now = world.time();
    let mut state = world.state();
    state.accounts.heal(now);
    if state.ca.agreed_at.is_some() {
        state.ca.agreed_at = Some(now);
    }
}

/// Every certificate is at this issue, served, and the next renewal is planned.
pub(crate) fn reached(world: &World, generation: u32) -> bool {
    let mut certificates = world.plan.certificates.iter();
    with_facts(world, |facts| {
        certificates.all(|wanted| done(facts, certificate_of(wanted.name()), generation))
    })
    .unwrap_or(false)
}

fn done(facts: &Facts, id: CertificateId, generation: u32) -> bool {
    let Some(certificate) = facts.certificates.get(&id) else {
        return false;
    };
    let planned = facts.schedules.get(&id).is_some_and(|schedule| schedule.planned.is_some());
    planned
        && certificate.run.is_none()
        && certificate.failure.is_none()
        && certificate.current.as_ref().is_some_and(|issue| issue.generation.0 >= generation)
        && served(facts, certificate)
        && facts.authorizations_of(id).next().is_none()
}

/// The newest issue was seen in a handshake everywhere.
pub(crate) fn served(facts: &Facts, certificate: &Certificate) -> bool {
    let Some(issue) = &certificate.current else {
        return false;
    };
    facts
        .bindings
        .values()
        .filter(|binding| binding.certificate == certificate_of(certificate.name()))
        .all(|binding| binding.served.as_ref().is_some_and(|s| s.generation == issue.generation))
}

/// No retry lies further ahead than its back-off allows, whatever was done to the clock.
fn retries(world: &World) {
    // A clock that was set is noticed by the next nap's end.
    if world.time().since(world.state().set_at) <= world.nap_max() {
        return;
    }
    let now = world.wall();
    let id = world.account();
    let far = with_facts(world, |facts| {
        let account = facts.accounts.get(&id);
        let usable = account.is_some_and(|a| a.url().is_some() && a.terms_are_accepted());
        if !usable || facts.runs.len() >= world.plan.parallel {
            return Vec::new();
        }
        let planned = facts.schedules.iter().filter_map(|(id, schedule)| {
            let planned = schedule.planned.filter(|planned| planned.cause == Cause::Retry)?;
            let failure = facts.certificates.get(id)?.failure.as_ref()?;
            let asked = Duration::from_millis(failure.problem.retry_after_ms.unwrap_or(0));
            let longest = UNUSABLE_MAX.max(RETRY_MAX).max(asked);
            let wait = planned.at.since(now);
            (wait > longest + longest / 8).then(|| format!("certificate {id}: a retry in {wait:?}"))
        });
        planned.collect()
    });
    for what in far.unwrap_or_default() {
        world.broken(Invariant::BackoffBounds, what);
    }
}

/// What was on its way has arrived after this: twenty renewals at once wait for many commits of 20 ms,
/// one after the other.
const ARRIVED: Duration = Duration::from_secs(60);

/// While nothing is under way, every certificate has one next action, or a person must act. What is
/// on its way between actors has arrived a moment later; then another may be on its way.
async fn next_actions(world: &World) {
    let before = without_action(world);
    if before.is_empty() {
        return;
    }
    tokio::time::sleep(ARRIVED).await;
    for what in without_action(world).into_iter().filter(|what| before.contains(what)) {
        world.broken(Invariant::OneNextAction, what);
    }
}

fn without_action(world: &World) -> Vec<String> {
    let Some(handle) = world.handle() else {
        return Vec::new();
    };
    if world.calls() > 0 || handle.log_broken().is_some() || world.is_dead() {
        return Vec::new();
    }
    let id = world.account();
    let wrong = with_facts(world, |facts| {
        let account = facts.accounts.get(&id);
        let usable = account.is_some_and(|a| a.url().is_some() && a.terms_are_accepted());
        let full = facts.runs.len() >= world.plan.parallel;
        let wanted =
            facts.certificates.iter().filter(|(_, certificate)| certificate.orphaned.is_none());
        let without = wanted.filter_map(|(id, certificate)| {
            let planned = facts.schedules.get(id).is_some_and(|s| s.planned.is_some());
            let running = certificate.run.is_some();
            let name = certificate.name();
            if planned == running {
                return Some(format!("{name}: planned {planned} and running {running}"));
            }
            let forgotten = usable && !full && handle.next_wake(*id).is_none();
            forgotten.then(|| format!("{name}: nobody will look at it again (running {running})"))
        });
        without.collect()
    });
    wrong.unwrap_or_default()
}
