//! Chains of frames, and logs made of them, for the tests of the log.

use std::path::Path;

use renewd_events::codec::Frame;
use renewd_events::id::{BootNo, Seq, StreamId};
use renewd_events::log::SledLog;
use renewd_events::process::ClockEvent;
use renewd_events::store::{EventStore, Head};
use renewd_events::{ActorName, Envelope, WallMs};

/// The next event of a log, alone in its batch unless told otherwise.
pub(crate) fn frame(head: Head, batch_index: u16, batch_len: u16) -> Frame {
    let number = u32::try_from(head.seq.next().0).unwrap();
    Frame::encode(&Envelope {
        seq: head.seq.next(),
        stream: StreamId::CLOCK,
        version: number,
        batch_index,
        batch_len,
        at: WallMs(1_700_000_000_000 + u64::from(number)),
        boot: BootNo(1),
        actor: ActorName::Clock,
        incarnation: 1,
        renewal: None,
        cause: None,
        trace: None,
        previous: head.hash,
        event: ClockEvent::DailyCheckRan {
            certificates: number,
            renewing: number / 2,
            failing: number / 3,
        }
        .into(),
    })
    .unwrap()
}

/// One batch of `len` events after `head`.
pub(crate) fn batch(head: Head, len: u16) -> Vec<Frame> {
    let mut head = head;
    (0..len)
        .map(|index| {
            let frame = frame(head, index, len);
            head = Head { seq: frame.seq, hash: frame.hash };
            frame
        })
        .collect()
}

/// Appends `batches` batches of `len` events.
pub(crate) fn fill(store: &mut dyn EventStore, batches: u64, len: u16) {
    for _ in 0..batches {
        store.commit(&batch(store.head(), len)).unwrap();
    }
}

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Closed,
    Crashed,
}

/// A new log with so many single events.
pub(crate) fn log_of(dir: &Path, events: u64, left: Left) {
    let mut log = SledLog::create(dir).unwrap();
    fill(&mut log, events, 1);
    if left == Left::Closed {
        log.close().unwrap();
    }
}

/// The places of all events that a store gives back.
pub(crate) fn places(store: &dyn EventStore, from: u64) -> Vec<u64> {
    store.scan(Seq(from)).unwrap().map(|frame| frame.unwrap().seq.0).collect()
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
