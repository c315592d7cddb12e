//! The bounds of the log, each with its reason.

use std::time::Duration;

use crate::codec::FRAME_OCTETS_MAX;

/// A mirror segment is closed once it is this long: small enough to check after a crash in well
/// under a second, large enough that a million events are a handful of files.
pub const SEGMENT_OCTETS: u64 = 64 * 1024 * 1024;
/// One commit. The journal queues 8 MiB at most and a commit never holds more than the queue; a
/// reader may therefore hold a whole batch in memory before it hands out the first frame.
pub const COMMIT_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// Commits between two durable points of `HEAD` while there is no pause in which it is made durable.
/// After a power cut it may lag behind the mirror by so many; what it then does not vouch for was
/// synced in the mirror all the same, and is taken from there (ADR 0014).
pub const ANCHOR_SYNC_COMMITS: u32 = 64;
/// Commits between two durable points of sled. Without a flush each commit costs sled microseconds
/// instead of a third disk round trip. Nothing is at stake: what sled lacks after a crash is
/// rolled forward from the mirror at open, and 256 commits take milliseconds.
pub const SLED_SYNC_COMMITS: u32 = 256;
/// sled's page cache. Its default of 1 GiB would let a replay of a million events grow the process
/// by 450 MiB; 16 MiB keeps it below 100 MiB and costs nothing for appends.
pub const SLED_CACHE_OCTETS: u64 = 16 * 1024 * 1024;
/// Frames per batch when sled is rolled forward: bounds the memory of a batch to 16 MiB at worst.
pub const ROLL_FORWARD_FRAMES: usize = 512;
/// Old sled directories kept as evidence. They hold nothing that the mirror does not.
pub const SLED_KEPT_MAX: usize = 2;
/// Copies of torn ends kept as evidence: each is an unacknowledged commit that nobody relied on.
pub const TORN_KEPT_MAX: usize = 8;
/// How often a held lock is tried, [`LOCK_WAIT`] apart: half a second in all. A lock outlives its
/// holder by some milliseconds: a command that was just forked holds it until its exec, and sled's
/// threads hold sled's file for a moment after it was dropped.
pub const LOCK_TRIES: u32 = 50;
/// See [`LOCK_TRIES`].
pub const LOCK_WAIT: Duration = Duration::from_millis(10);
/// Free octets without which a log that met a full disk is not opened again: room for a torn copy and
/// some segments of sled, so that it does not stop once more with the first commits.
pub const REOPEN_OCTETS_MIN: u64 = 1024 * 1024;
/// Below so many free octets no new act is begun, while commits still succeed: what is left is for the
/// outcomes of acts that are under way. An outcome that cannot be recorded must be asked for again, and
/// where a CA lists no orders that costs a second one. Outcomes have some 400 octets in the mirror and
/// as many in sled, and each of six actors has at most 64 of them.
pub const LAST_OCTETS: u64 = 512 * 1024;
/// Below so many free octets a person is warned while everything still works: thousands of renewals
/// fit in, so there is time to act.
pub const ROOM_LOW_OCTETS: u64 = 64 * 1024 * 1024;
/// Read buffer of a mirror segment: 256 KiB makes a sequential read cost few system calls.
pub const READ_BUFFER_OCTETS: usize = 256 * 1024;

// A log that is opened again is not at once short of room.
const _: () = assert!(LAST_OCTETS < REOPEN_OCTETS_MIN && REOPEN_OCTETS_MIN < ROOM_LOW_OCTETS);
// The largest event fits into a commit, and the end of a segment into 32 bits of the anchor.
const _: () = assert!(FRAME_OCTETS_MAX < COMMIT_OCTETS_MAX);
const _: () = assert!(FRAME_OCTETS_MAX < 65_536);
const _: () = assert!(SEGMENT_OCTETS < 1 << 31);
