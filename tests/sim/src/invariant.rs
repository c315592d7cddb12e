//! What must hold, by name.

use std::fmt;

use renewd_events::id::Seq;

/// An invariant. Its name is what a report, a regression and a planted bug are known by.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::EnumCount,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Invariant {
    /// Places dense, hashes chained, streams dense, every frame readable.
    LogWhole,
    /// A batch is there as a whole or not at all.
    BatchWhole,
    /// An event is at most 32 KiB.
    EventSize,
    /// Acknowledged events are there after every end.
    NothingLost,
    /// A process whose sync failed writes the log no more.
    SyncFinal,
    /// An event in which a bit turned is not read.
    RotRefused,
    /// The fold of the log is the state of the running engine.
    ReplayEqualsLive,
    /// Lives are numbered upwards and never overlap.
    LivesInOrder,
    /// What the log must look like whatever happens (`renewd-replay`'s checks).
    LogInvariants,
    /// No event was impossible.
    NoAnomaly,
    /// No act before its intent is on disk.
    IntentFirst,
    /// No act while the log cannot be written.
    NoLogNoAct,
    /// A CSR is finalized only with a key that the vault holds.
    KeyFirst,
    /// The CSR finalized is the one intended, and one order has one.
    OneCsr,
    /// One intent buys one order.
    OneOrderPerIntent,
    /// An order is bought again only when the one before is refused, dead, or cannot be found.
    NoUnexplainedOrder,
    /// No order while another of the same names is known to the log and open at the CA, unless the log
    /// says what ended the renewal that it was for.
    OpenOrderUsed,
    /// A renewal ends unserved only if a place does not serve it, with a certificate only if the CA was
    /// satisfied of every name.
    EndsAsItIs,
    /// Once nothing goes wrong, no intent stays open for more than a day.
    IntentSettled,
    /// What a person asks for is answered, and a renewal that was asked for comes.
    WishHeard,
    /// What is put in place has its key in the vault and holds all names.
    DeployedFits,
    /// What was found out about a lost newOrder is true.
    SettledTruly,
    /// One account, however often registration is repeated.
    OneAccount,
    /// A published token is answered until its authorization is final.
    TokenAnswered,
    /// No token is answered when no order needs it.
    TokenWithdrawn,
    /// No private key in any event, as it is, in hexadecimal or in base64.
    NoSecret,
    /// Every certificate has exactly one next action, or a person must act.
    OneNextAction,
    /// A retry never comes sooner than the first back-off nor later than its cap.
    BackoffBounds,
    /// After a Retry-After nothing of that kind is asked sooner.
    RetryAfterKept,
    /// Requests for one renewal have a bound.
    RequestsBounded,
    /// Never more renewals under way than allowed.
    ParallelKept,
    /// The CA's limit for equal sets of names is kept.
    BudgetKept,
    /// What serves is never older than the newest verified issue.
    NeverOlder,
    /// A failed renewal never takes a valid certificate away.
    FailureKeepsServing,
    /// A restart is done once, and at most twice a day.
    RestartOnce,
    /// Actors do not fail by themselves.
    NoActorFailed,
    /// When nothing goes wrong any more, every certificate is valid, served and scheduled.
    Healed,
    /// No renewal stays open for more than eight days.
    NothingOpenForEver,
    /// The run comes to its end.
    Ends,
    /// The same seed gives the same log.
    Repeatable,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
    /// The last event that the disk had taken when it was seen.
    pub after: Seq,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
