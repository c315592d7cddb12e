//! Time of the world: tokio's paused time on top of where the life began; and how wrong our wall clock is.

use std::time::Duration;

use renewd_events::WallMs;
use tokio::time::Instant;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) base: WallMs,
    pub(crate) started: Option<Instant>,
    pub(crate) wrong_ms: i64,
}

impl Clock {
    /// Now, in truth.
    pub(crate) fn truth(&self) -> WallMs {
        let gone = self.started.map_or(Duration::ZERO, |started| started.elapsed());
        self.base.after(gone)
    }

    /// Now, as our wall clock shows it.
    pub(crate) fn shown(&self) -> WallMs {
        WallMs(self.truth().0.saturating_add_signed(self.wrong_ms))
    }
}
