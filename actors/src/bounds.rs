//! Every bound of this crate with its reason.

use std::time::Duration;

/// Appends waiting for the journal. Six actors with [`EFFECTS_MAX`] outcomes each fit; more means that
/// the disk stalls, and then waiting is right.
pub const APPENDS_WAITING_MAX: usize = 1024;
/// A pause of this length between appends is used to make the log's anchor durable: after the pauses
/// within an order, before anybody would cut the power by hand.
pub const SETTLE_AFTER: Duration = Duration::from_millis(100);
/// Events in one commit: one fdatasync for many appends, and a frame group below sled's segment.
pub const EVENTS_PER_COMMIT_MAX: usize = 256;
/// Events in one batch of an actor: an order of 100 names has 100 authorizations with two events each.
pub const EVENTS_PER_BATCH_MAX: usize = 256;
/// First wait before a log that could not be written is opened again, doubled up to [`LOG_RETRY_MAX`]:
/// a file that is removed at once is noticed at once.
pub const LOG_RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`LOG_RETRY_FIRST`]. A full disk is looked at (one system call) this often for as long as it
/// takes; whoever makes room sees the engine go on while still watching.
pub const LOG_RETRY_MAX: Duration = Duration::from_secs(30);
/// Least time between two looks at the space that is left: one system call, but not one per commit.
pub const ROOM_LOOK_EVERY: Duration = Duration::from_secs(10);
/// Effects of one actor under way at once, until their ends are handled: connections and file handles
/// stay few, and so do the messages that tell of the ends.
pub const EFFECTS_MAX: usize = 64;
/// Commands waiting for all actors: people and scripts, not load. One whose caller is gone still counts
/// until it is recorded.
pub const COMMANDS_WAITING_MAX: usize = 32;
/// Messages waiting for one actor: the ends of its effects, all commands, one nudge however many
/// subjects its inbox holds, and one heartbeat however many ask.
pub const MAILBOX_MAX: usize = EFFECTS_MAX + COMMANDS_WAITING_MAX + 2;
/// Decisions in a row for one subject before others get their turn; a renewal needs at most four.
pub const ROUNDS_MAX: usize = 8;
/// Decisions in a row for one subject that all record something: more than a renewal of a hundred
/// names can need if each name takes two. One that goes on is set aside as one that panics.
pub const DECISIONS_IN_A_ROW_MAX: u32 = 256;
/// Panics on one subject, or decisions without end, before it is set aside for this life of the process.
pub const STRIKES_MAX: u32 = 2;
/// Octets of what is recorded about it: one sentence of ours, or a codec's.
pub const SET_ASIDE_TEXT_MAX: usize = 512;
/// Orders one renewal may ask for: the first, one after a lost answer, one without `replaces` or
/// profile. More would be a loop that spends the CA's limits.
pub const ORDERS_PER_RENEWAL_MAX: u32 = 3;
/// Failures of one actor within [`INTENSITY_WINDOW`] before the process ends.
pub const INTENSITY_MAX: usize = 5;
/// See [`INTENSITY_MAX`]. Five in a minute cannot be bad luck.
pub const INTENSITY_WINDOW: Duration = Duration::from_secs(60);
/// Waits before an actor is started again: at once, then slower.
pub const RESPAWN_WAITS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(10)];
/// The wait before the start after this many failures within [`INTENSITY_WINDOW`].
pub(crate) fn respawn_wait(failures: usize) -> Duration {
    let [.., slowest] = RESPAWN_WAITS;
    RESPAWN_WAITS.get(failures.saturating_sub(1)).copied().unwrap_or(slowest)
}
/// The longest sleep of the Clock: a suspended host or a set wall clock is noticed within it.
pub const SLEEP_MAX: Duration = Duration::from_secs(60);
/// A difference between wall and monotonic time above this is a jump; NTP slews stay far below.
pub const JUMP_MIN: Duration = Duration::from_secs(5);
/// Longest life of one effect: the ports' own bounds are shorter; this one catches a port that hangs.
pub const EFFECT_TIME_MAX: Duration = Duration::from_secs(180);
/// Our own actors get this long to hand over when the process ends.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);
/// A restart that has not happened by then did not happen.
pub const RESTART_DEADLINE: Duration = Duration::from_secs(120);
/// Restarts asked for within [`RESTART_WINDOW`]: a crash loop must not become a restart loop.
pub const RESTARTS_MAX: usize = 2;
/// See [`RESTARTS_MAX`].
pub const RESTART_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// First look at an order whose challenges the CA has taken, when the responder saw no visit.
pub const LOOK_FIRST: Duration = Duration::from_secs(1);
/// After the last visit of a validator the verdict is near: its several perspectives come together.
pub const LOOK_AFTER_VISIT: Duration = Duration::from_millis(40);
/// First look after finalize: issuing takes a signature and some bookkeeping.
pub const LOOK_AFTER_FINALIZE: Duration = Duration::from_millis(50);
/// Looks grow slower by this (percent) up to [`LOOK_MAX`].
pub const LOOK_GROWTH_PERCENT: u32 = 160;
/// The slowest look.
pub const LOOK_MAX: Duration = Duration::from_secs(15);
/// Failed answers in a row of a kind that more asking does not change before a renewal is given up.
pub const HOPELESS_AFTER: u32 = 3;
/// First pause after an end that changed nothing, doubled up to [`LOOK_MAX`].
pub const IDLE_FIRST: Duration = Duration::from_millis(100);
/// A lost newOrder may still be on its way inside the CA: the list is asked for after this, and again
/// after as long as it was waited for until then.
pub const LOST_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// An order that is not listed may still be made for this long after the request was last known to be
/// under way: a public CA under load needs a few seconds. Another order is worse than a late renewal.
pub const LOST_ORDER_WAIT: Duration = Duration::from_secs(10);
/// A CA that was silent for longer before the connection ended is slow, and is given as long again, up
/// to this: servers and the proxies before them give up a request after a minute.
pub const LOST_ORDER_WAIT_MAX: Duration = Duration::from_secs(60);
/// The account's key is waited for this long in one life, with an order under way: no order of nobody is
/// kept open for longer (Let's Encrypt, 7 days).
pub const KEY_AWAITED_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Junk in place of that list is asked past for this long: outages and broken proxies end within hours,
/// and an order of nobody stays open for days, so it is still found when they do. Longer would hold up
/// the renewal more than another order costs.
pub const LIST_ASKED_MAX: Duration = Duration::from_secs(6 * 3600);
/// A 404 without the CA's own words (RFC 8555 §6.7) in place of an order is asked past for this long. An
/// order is not thrown away, and another bought, for the page of a proxy that is being set up; a CA that
/// has forgotten the order and says so like that is believed in the end.
pub const PAGE_ASKED_MAX: Duration = ORDER_STALLED;
/// A chain that cannot be fetched is given up after this: the certificate is paid for, so it is asked for
/// longer than anything else; what is served must be renewed in time all the same, and two days are
/// what is left of the shortest common life, six days, when a third of it is.
pub const DOWNLOAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// A Retry-After on a look is followed for no longer: a wait for days would hold the renewal's place,
/// and one look in an hour is no load.
pub const LOOK_ASKED_MAX: Duration = Duration::from_secs(3600);
/// How long an order lives whose CA does not say (RFC 8555 §7.1.3 wants it said): as long as those of
/// Let's Encrypt.
pub const ORDER_LIFE_UNSAID: Duration = Duration::from_secs(7 * 24 * 3600);
/// A certificate of exactly the names of one that is being ordered looks again after this.
pub const TWIN_WAIT: Duration = Duration::from_secs(1);
/// An order whose authorizations are not through is looked at this often: it may be gone.
pub const LOOK_IDLE: Duration = Duration::from_secs(300);
/// How long the challenge's own error is waited for after an order died.
pub const VERDICT_WAIT_MAX: Duration = Duration::from_secs(120);
/// Slowest retry after an outage of the CA: outages end within hours.
pub const OUTAGE_RETRY_MAX: Duration = Duration::from_secs(6 * 3600);
/// Least time between two renewals that a window of the past asks for one after the other.
pub const PAST_WINDOW_PAUSE: Duration = Duration::from_secs(86_400);
/// Renewal information that keeps failing is read this often.
pub const ARI_FAILING: Duration = Duration::from_secs(6 * 3600);
/// An order that the CA does not validate for this long is given up: CAs take minutes. Counted by the
/// wall clock and by the pace of the looks, whichever is less: either may have jumped. (For issuing it
/// may take longer, see [`renewd_replay::status::slow`].)
pub const ORDER_STALLED: Duration = Duration::from_secs(3600);
/// Looks at one stage of an order: at the slowest pace they take as long as [`ORDER_STALLED`]. What is
/// looked at for longer is looked at each [`LOOK_IDLE`] from then on.
pub const LOOKS_MAX: u32 = 300;
/// First retry of a read, a registration or a binding, doubled up to [`READ_RETRY_MAX`].
pub const READ_RETRY_FIRST: Duration = renewd_replay::status::waiting::ASKED_AGAIN_FIRST;
/// See [`READ_RETRY_FIRST`].
pub const READ_RETRY_MAX: Duration = renewd_replay::status::waiting::ASKED_AGAIN_MAX;
/// Missing answers told per order. A CA that changes between two errors all day must not fill the log;
/// by then it is known what to expect.
pub const ANSWERS_TOLD_MAX: u32 = 16;
/// The directory and the terms are read again after this.
pub const DIRECTORY_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Renewal information without a Retry-After is read again after this (RFC 9773 §4.3.2).
pub const ARI_LOOK_DEFAULT: Duration = Duration::from_secs(6 * 3600);
/// Renewal information is never read more often than this.
pub const ARI_LOOK_MIN: Duration = Duration::from_secs(60);
/// Renewal information is read at least this often.
pub const ARI_LOOK_MAX: Duration = Duration::from_secs(24 * 3600);
/// What serves is looked at this often: somebody may overwrite it.
pub const VERIFY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// What serves as it did is recorded again after this: every day would be most of a log.
pub const VERIFIED_RECORD: Duration = Duration::from_secs(7 * 24 * 3600);
/// Each place is looked at sooner than [`VERIFY_EVERY`] by its own share of this, a tenth: what was
/// deployed in one minute is not looked at in one minute for ever.
pub const VERIFY_SPREAD: Duration = Duration::from_secs(24 * 360);
/// A new issue that is not served everywhere by then ends its renewal all the same: otherwise a wrong
/// `verify` address would keep the next renewal from ever beginning.
pub const SERVED_WAIT_MAX: Duration = Duration::from_secs(3600);
/// From here on this host's clock is said to run far ahead of the CA's. Lives of certificates and orders
/// are counted in days, so less makes nothing due by more than a day too soon; a wrong time zone is less.
pub const CLOCK_AHEAD_MIN: Duration = Duration::from_secs(24 * 3600);
/// How often it is looked at whether it still is. After a host has slept it may seem so until the CA's next
/// answer.
pub const CLOCK_AHEAD_LOOK: Duration = Duration::from_secs(3600);
/// Between two orders while the host's clock makes each of them worthless (it runs ahead of the CA's), and
/// before the first one that is due by such a clock alone: asking does not set a clock. When it is set
/// back, the next try comes at once.
pub const WRONG_CLOCK_RETRY: Duration = Duration::from_secs(24 * 3600);
/// The period of the daily check.
pub const DAILY: Duration = Duration::from_secs(24 * 3600);
