//! The world of a seed, and what can go wrong in it.

use std::time::Duration;

use renewd_events::certificate::LifeLeft;

use crate::draws::Draws;
use crate::fate::{Chance, Fault, Place};
use crate::plan::{Ca, DAY, Goal, Plan, Served, Wanted};

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A few certificates and many faults.
    Small,
    /// Hundreds of certificates over years, with fewer faults for each.
    Large,
}

/// Certificates of a large world.
const LARGE: u32 = 400;
/// A day, seconds.
const DAY_S: u64 = 86_400;

/// Place, fault, cases in a million at its hottest, and its measure at most in seconds.
const MENU: [(Place, Fault, u64, u64); 52] = [
    (Place::Commit, Fault::NoSpace, 2_000, 600),
    (Place::Commit, Fault::NoSpace, 500, 2 * DAY_S),
    (Place::Commit, Fault::CrashBefore, 6_000, 0),
    (Place::Commit, Fault::CrashAfter, 6_000, 0),
    (Place::Act, Fault::CrashBefore, 20_000, 0),
    (Place::Act, Fault::CrashAfter, 20_000, 0),
    (Place::Act, Fault::Panic, 10_000, 0),
    (Place::Request, Fault::Cut, 20_000, 0),
    (Place::Request, Fault::Lost, 20_000, 0),
    (Place::Request, Fault::Down, 20_000, 0),
    (Place::Request, Fault::Busy, 20_000, 7_200),
    (Place::Request, Fault::Internal, 20_000, 0),
    (Place::Request, Fault::Noise, 20_000, 0),
    (Place::Request, Fault::Slow, 20_000, 90),
    (Place::Request, Fault::Panic, 5_000, 0),
    (Place::Request, Fault::AccountLost, 2_000, 0),
    (Place::NewOrder, Fault::Cut, 100_000, 0),
    (Place::NewOrder, Fault::Lost, 200_000, 0),
    (Place::NewOrder, Fault::RateLimited, 100_000, DAY_S),
    (Place::NewOrder, Fault::Busy, 100_000, DAY_S),
    (Place::NewOrder, Fault::Terms, 20_000, DAY_S),
    (Place::NewOrder, Fault::AccountLost, 20_000, 0),
    (Place::NewOrder, Fault::Internal, 50_000, 0),
    (Place::Validation, Fault::Unreachable, 200_000, 0),
    (Place::Serving, Fault::Refused, 50_000, 0),
    (Place::Serving, Fault::Overwrite, 50_000, 0),
    (Place::Tick, Fault::Forward, 5_000, 20 * DAY_S),
    (Place::Tick, Fault::Back, 5_000, 20 * DAY_S),
    (Place::Tick, Fault::Forward, 10_000, 600),
    (Place::Tick, Fault::Back, 10_000, 600),
    (Place::Tick, Fault::WindowsMove, 10_000, 0),
    (Place::Tick, Fault::Renew, 20_000, 0),
    (Place::Tick, Fault::Stop, 20_000, 0),
    (Place::Tick, Fault::CrashBefore, 20_000, 0),
    (Place::Tick, Fault::Overwrite, 20_000, 0),
    (Place::Boot, Fault::Downtime, 300_000, 2),
    (Place::Boot, Fault::Downtime, 200_000, 60),
    (Place::Boot, Fault::Downtime, 100_000, 3_600),
    (Place::Boot, Fault::Downtime, 50_000, 5 * DAY_S),
    (Place::Request, Fault::Late, 20_000, 300),
    (Place::NewOrder, Fault::Late, 100_000, 300),
    (Place::Request, Fault::Missing, 2_000, 7_200),
    (Place::Commit, Fault::Torn, 6_000, 1 << 20),
    (Place::Commit, Fault::Unsynced, 1_000, 1),
    (Place::Boot, Fault::Rot, 200_000, 1 << 30),
    (Place::Commit, Fault::Back, 500, 20 * DAY_S),
    (Place::Act, Fault::Back, 1_000, 20 * DAY_S),
    (Place::Request, Fault::AccountDeactivated, 500, 2 * DAY_S),
    (Place::Request, Fault::AccountKeyGone, 1_000, DAY_S),
    (Place::Request, Fault::AccountKeyDamaged, 1_000, DAY_S),
    (Place::Boot, Fault::AccountKeyGone, 20_000, 2 * DAY_S),
    (Place::Boot, Fault::AccountKeyDamaged, 20_000, 2 * DAY_S),
];

/// The world and the menu of a seed.
pub fn drawn(seed: u64, size: Size) -> (Plan, Vec<Chance>) {
    let mut draws = Draws::new(seed, "plan");
    let plan = match size {
        Size::Small => later(seed, small(seed, &mut draws)),
        Size::Large => large(seed, &mut draws),
    };
    let cooler = match size {
        Size::Small => 1,
        Size::Large => 200,
    };
    (plan, menu(&mut draws, cooler))
}

/// A random half of the menu, each dish between a hundredth of its heat and all of it.
fn menu(draws: &mut Draws, cooler: u64) -> Vec<Chance> {
    let mut menu = Vec::new();
    for (place, fault, hottest, seconds_max) in MENU {
        let wanted = draws.below(2) == 0;
        let share = draws.one_of(&[1, 3, 10, 30, 100]);
        if wanted {
            let per_million = hottest * share / 100 / cooler;
            menu.push(Chance { place, fault, per_million, seconds_max });
        }
    }
    menu
}

fn small(seed: u64, draws: &mut Draws) -> Plan {
    let certificates = (0..=draws.below(5)).map(|number| {
        let mut names: Vec<String> =
            (0..=draws.below(3)).map(|n| format!("n{n}.c{number}.test")).collect();
        names.sort();
        let served = if draws.below(3) == 0 { Served::Files } else { Served::Builtin };
        Wanted { names, served }
    });
    let certificates = certificates.collect();
    let days = draws.one_of(&[3, 30, 120, 400]);
    plan(seed, draws, certificates, days)
}

/// In half of the worlds the actors handle their messages in another order; a third has a CA that uses
/// pending authorizations again, and a name that several certificates hold. Drawn from streams of their own: the rest of a seed's world stays as it was.
fn later(seed: u64, mut plan: Plan) -> Plan {
    let mut draws = Draws::new(seed, "shared");
    plan.lag_ms = Draws::new(seed, "lag").one_of(&[0, 0, 5, 50]);
    plan.ca.share = draws.below(3) == 0;
    if plan.ca.share {
        for wanted in &mut plan.certificates {
            if draws.below(2) == 0 {
                wanted.names.push("shared.test".to_owned());
            }
        }
    }
    plan
}

fn large(seed: u64, draws: &mut Draws) -> Plan {
    // A look at each place a day is most of the work: an eighth of the worlds has it for every
    // certificate, the others for one in eight.
    let all = Draws::new(seed, "served").below(8) == 0;
    let certificates = (0..LARGE).map(|number| {
        let served = match number % 16 {
            _ if all => Served::Builtin,
            0 => Served::Builtin,
            8 => Served::Files,
            _ => Served::Nowhere,
        };
        Wanted { names: vec![format!("c{number}.test")], served }
    });
    let certificates = certificates.collect();
    let mut plan = plan(seed, draws, certificates, 2 * 365);
    plan.ca.validity = 90 * DAY;
    plan.ca.window_every_ms = 24 * 3_600_000;
    // So is a look at each window a day: an eighth of the worlds shows it.
    plan.ca.renewal_info = draws.below(8) == 0;
    plan.parallel = 20;
    // Small worlds show what latencies do; here they would be most of the work.
    plan.network_ms = 0;
    plan.look_ms = 0;
    plan.tick = DAY;
    plan
}

fn plan(seed: u64, draws: &mut Draws, certificates: Vec<Wanted>, days: u32) -> Plan {
    let yes = |draws: &mut Draws, of: u64| draws.below(of) == 0;
    let validity = draws.one_of(&[6, 45, 90]);
    let life_left = if yes(draws, 3) {
        LifeLeft::Time { left_ms: 21 * DAY_S * 1000, check_every_ms: DAY_S * 1000 }
    } else {
        LifeLeft::Share(1, 3)
    };
    Plan {
        seed,
        certificates,
        parallel: usize::try_from(1 + draws.below(4)).unwrap_or(1),
        ca: Ca {
            list: !yes(draws, 3),
            renewal_info: !yes(draws, 3),
            window_every_ms: 6 * 3_600_000,
            reuse: yes(draws, 3),
            share: false,
            processing_ms: draws.one_of(&[0, 2_000, 60_000, 4 * 3_600_000]),
            validation_ms: draws.one_of(&[0, 3_000, 60_000]),
            tries: u32::try_from(1 + draws.below(3)).unwrap_or(1),
            validity: validity * DAY,
        },
        life_left,
        lag_ms: 0,
        network_ms: draws.one_of(&[0, 5, 200, 20_000]),
        look_ms: 5,
        disk_ms: draws.one_of(&[0, 5, 40, 2_000]),
        listener_needs_restart: yes(draws, 8),
        restart_helps: true,
        goal: Goal::Days(days),
        within: None,
        tick: Duration::from_secs(draws.one_of(&[3_600, 6 * 3_600])),
    }
}
