//! Bugs that the simulation must find: proof that its invariants can fail.
//!
//! Each stands at the line where a person would make it, as `if planted::is(Bug::…)`. Only
//! `renewd-sim`'s feature `planted` switches them on; without it [`is`] is the constant `false`,
//! the branch is gone, and `cargo xtask layers` checks that no other build has the feature.

/// A mistake. Its name is what the report calls it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::Display,
    strum::EnumString,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Bug {
    /// Nobody decides anything.
    NoOp,
    /// The journal folds and answers at once, and commits with the next turn.
    AckBeforeCommit,
    /// The disk acknowledges what lies in its cache.
    MissingSync,
    /// What is whole of a torn batch is taken for the end of the log.
    TornBatchTaken,
    /// After a failed sync it is tried again.
    SyncRetried,
    /// The checksum of a frame is not looked at.
    SumIgnored,
    /// A start does not fold the last event of a batch.
    BatchEndNotReplayed,
    /// A late duplicate of a batch is appended: nobody looks at the expected version.
    VersionIgnored,
    /// The fold forgets an order that is asked for: the decision to ask comes again without end.
    OrderForgotten,
    /// Batches of one commit all follow the head before it.
    GroupForgetsHead,
    /// A life has the number of the life before.
    BootNotCounted,
    /// The outcome is recorded together with the intent, before the act.
    OutcomeBeforeAct,
    /// The token goes once the CA took the challenge, before it has looked.
    TokenWithdrawnEarly,
    /// What an earlier life published is not answered.
    TokensLostAtStart,
    /// Tokens of orders that are over stay.
    TokenKept,
    /// The vault answers before its file is on the disk.
    KeyNotSynced,
    /// The vault puts the private key beside the public one.
    KeyInCsr,
    /// After a start, acts are simply done instead of asked about.
    DoInsteadOfSettle,
    /// A newOrder without answer counts as refused.
    UnknownIsRefused,
    /// A start gives up the renewal it finds and begins another.
    RenewalBegunAnew,
    /// A start gives up the registration it finds and begins another, with a key of its own.
    AccountBegunAnew,
    /// A renewal is said to end unserved, whatever is served.
    SaidUnserved,
    /// A newOrder that an earlier life sent is not asked about.
    NeverSettled,
    /// A person who asks for a renewal is told that it comes, and it does not.
    WishForgotten,
    /// After a start a new CSR is finalized instead of the intended one.
    FreshCsr,
    /// An order is looked at without growing pauses, and as often as it takes.
    LooksUnbounded,
    /// A wish to renew longer before the end than the certificate lives is followed.
    PolicyUnbounded,
    /// Renewals begin however many are under way.
    ParallelIgnored,
    /// Every place gets the issue of the first certificate that has one.
    AnothersIssueDeployed,
    /// An issue is put in place before it is checked and adopted.
    DeployBeforeAdopted,
    /// A failed renewal forgets the certificate that is served.
    FailureRemovesCurrent,
    /// Whatever is served counts as the right certificate.
    MismatchTaken,
    /// A renewal stays open until its issue is served, however long that takes.
    NeverUnserved,
    /// Failures are counted in memory.
    BackoffForgottenAtStart,
    /// A failed renewal is tried again at once.
    NoBackoff,
    /// The CA's Retry-After is not kept after a refused order.
    RetryAfterIgnored,
    /// Renewal information is read every hour, whatever the CA asked.
    AriRetryAfterIgnored,
    /// A wall clock that was set back is not noticed.
    ClockBackIgnored,
    /// A start does not look at what it finds.
    WakesLostAtStart,
    /// The next life does the restart again.
    RestartRepeated,
    /// Restarts are counted in memory.
    RestartCountInMemory,
}

#[cfg(feature = "planted")]
thread_local! {
    // Of a thread, since a simulated life runs on one: two bugs can be hunted at once.
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in everything that runs on this thread, or takes it out.
#[cfg(feature = "planted")]
pub fn set(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted: never in a build that is meant to run.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}
