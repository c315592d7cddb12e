//! For tests: a log of several segments without 64 MiB of events.

use super::SledLog;

impl SledLog {
    /// Begins a new segment once the present one is so long.
    #[doc(hidden)]
    pub fn close_segments_at(&mut self, octets: u64) {
        if let Some(writing) = &mut self.writing {
            writing.mirror.full_at = octets;
        }
    }
}
