//! What one commit takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use renewd_events::Envelope;
use renewd_events::codec::Frame;
use renewd_events::id::StreamId;
use renewd_events::store::Head;
use tokio::sync::oneshot;

use super::Appended;

/// A batch that passed its checks and waits for the commit.
pub(super) struct Accepted {
    pub(super) envelopes: Vec<Arc<Envelope>>,
    pub(super) reply: oneshot::Sender<Appended>,
}

/// All batches of a commit, and the log as it will be after them.
pub(super) struct Group {
    pub(super) head: Head,
    pub(super) versions: BTreeMap<StreamId, u32>,
    pub(super) frames: Vec<Frame>,
    pub(super) accepted: Vec<Accepted>,
}

impl Group {
    pub(super) fn new(head: Head) -> Self {
        Self { head, versions: BTreeMap::new(), frames: Vec::new(), accepted: Vec::new() }
    }
}
