//! What a run is: which certificates, which CA, how long.

use std::time::Duration;

use renewd_events::certificate::LifeLeft;

/// Issues that take longer than this many days of virtual time each do not come at all.
const GENERATION_DAYS_MAX: u32 = 120;
/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Where a certificate is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// By our own listener.
    Builtin,
    /// By another program that is told to read its files.
    Files,
    /// Nowhere: it is kept and renewed, and nothing is looked at.
    Nowhere,
}

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its names, sorted; the first is its configured name.
    pub names: Vec<String>,
    /// Where it is served.
    pub served: Served,
}

/// What the CA is like. Real ones differ in all of these.
#[derive(Clone, Debug)]
pub struct Ca {
    /// It lists an account's orders (RFC 8555 §7.1.2.1).
    pub list: bool,
    /// It offers renewal information (RFC 9773).
    pub renewal_info: bool,
    /// How often it wants its windows to be looked at.
    pub window_every_ms: u64,
    /// A name once validated is not validated again for 30 days.
    pub reuse: bool,
    /// While a name is pending in one order, another order of it has the same authorization.
    pub share: bool,
    /// It finalizes at a later time than it answers, up to this.
    pub processing_ms: u64,
    /// Its validator comes after a delay of up to this.
    pub validation_ms: u64,
    /// How often its validator tries before it gives up.
    pub tries: u32,
    /// How long its certificates live.
    pub validity: Duration,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Every certificate has at least this issue, it is served, and the next is planned.
    Generation(u32),
    /// So many days went by; the last of them without faults.
    Days(u32),
}

impl Goal {
    /// After so many days a run is over, or has failed.
    pub(crate) fn days(self) -> u32 {
        match self {
            Self::Days(days) => days,
            Self::Generation(generation) => generation.saturating_mul(GENERATION_DAYS_MAX),
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of latencies, and of faults when they are drawn.
    pub seed: u64,
    /// The certificates.
    pub certificates: Vec<Wanted>,
    /// Renewals under way at once.
    pub parallel: usize,
    /// The CA.
    pub ca: Ca,
    /// When to renew where the CA does not say.
    pub life_left: LifeLeft,
    /// Slowest request, milliseconds.
    pub network_ms: u64,
    /// Longest time for which an actor lets the others go first, milliseconds.
    pub lag_ms: u64,
    /// Slowest look at what serves, milliseconds.
    pub look_ms: u64,
    /// Slowest commit, milliseconds.
    pub disk_ms: u64,
    /// The listener can only be opened by a restart.
    pub listener_needs_restart: bool,
    /// After a restart it can be opened.
    pub restart_helps: bool,
    /// When it ends.
    pub goal: Goal,
    /// It must be reached within this, in truth, whatever our wall clock shows.
    pub within: Option<Duration>,
    /// Time between looks at the whole.
    pub tick: Duration,
}

impl Plan {
    /// One certificate at a friendly CA, up to its first issue.
    pub fn first_issue(seed: u64) -> Self {
        Self {
            seed,
            certificates: vec![Wanted::builtin("a.test")],
            parallel: 4,
            ca: Ca {
                list: true,
                renewal_info: false,
                window_every_ms: 6 * 3_600_000,
                reuse: false,
                share: false,
                processing_ms: 2_000,
                validation_ms: 3_000,
                tries: 1,
                validity: 90 * DAY,
            },
            life_left: LifeLeft::Share(1, 3),
            network_ms: 200,
            lag_ms: 0,
            look_ms: 5,
            disk_ms: 20,
            listener_needs_restart: false,
            restart_helps: true,
            goal: Goal::Generation(1),
            within: None,
            tick: Duration::from_secs(6 * 3600),
        }
    }
}

impl Wanted {
    /// Of one name, served by our own listener.
    pub fn builtin(name: &str) -> Self {
        Self { names: vec![name.to_owned()], served: Served::Builtin }
    }

    /// Of one name, served by another program.
    pub fn files(name: &str) -> Self {
        Self { names: vec![name.to_owned()], served: Served::Files }
    }

    /// Its configured name.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}
