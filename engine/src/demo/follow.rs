//! The engine's log as it grows: read beside the running engine, printed, and waited on.

use std::path::PathBuf;
use std::time::Duration;

use renewd_events::id::{Seq, StreamId};
use renewd_events::log::MirrorReader;
use renewd_events::store::StoreError;
use renewd_events::{Envelope, Event, Facts};
use tokio::time::{Instant, sleep};

use super::error::DemoError;
use super::screen::Screen;
use super::worker::Worker;

/// The longest that one chapter of the tour may take; on a loaded machine with a debug build the
/// slowest took 8 s.
const CHAPTER_MAX: Duration = Duration::from_secs(40);
/// Between two looks at the log: fast enough to kill in the middle, and a scan of some KiB.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// The same when nothing hurries.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// Where the reader is.
#[derive(Debug)]
pub(super) struct Follower {
    log: PathBuf,
    next: Seq,
    facts: Facts,
}

impl Follower {
    /// Follows this log directory from its first event; it need not exist yet.
    pub(super) fn new(log: PathBuf) -> Self {
        Self { log, next: Seq(1), facts: Facts::default() }
    }

    /// Prints events until one satisfies `reached`. What follows it is left for the next call.
    pub(super) async fn until(
        &mut self,
        what: &'static str,
        worker: &mut Worker,
        screen: &Screen,
        mut reached: impl FnMut(&Event) -> bool,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + CHAPTER_MAX;
        loop {
            // Asked first: what it wrote before its end still counts.
            let ended = worker.ended();
            let read = self.read();
            // A log that is only being made cannot be read yet; the deadline bounds that.
            for envelope in read.iter().flatten() {
                self.take(envelope, screen);
                if reached(&envelope.event) {
                    return Ok(());
                }
            }
            if let Some(status) = ended {
                return Err(worker.has_ended(status, what));
            }
            if Instant::now() >= deadline {
                let unread = read.err().map(|cause| format!("The log: {cause}. "));
                return Err(DemoError::TooLate {
                    what,
                    seconds: CHAPTER_MAX.as_secs(),
                    said: unread.unwrap_or_default() + &worker.said(),
                });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Prints events for as long as the engine runs.
    pub(super) async fn watch(&mut self, worker: &mut Worker, screen: &Screen) -> DemoError {
        loop {
            if let Some(status) = worker.ended() {
                return worker.has_ended(status, "Ctrl-C");
            }
            self.rest(screen);
            sleep(WATCH_EVERY).await;
        }
    }

    /// Prints what is there and has not been printed.
    pub(super) fn rest(&mut self, screen: &Screen) {
        for envelope in self.read().iter().flatten() {
            self.take(envelope, screen);
        }
    }

    fn take(&mut self, envelope: &Envelope, screen: &Screen) {
        self.next = envelope.seq.next();
        // Before the fold: a token that is no longer answered ends what is known about its name.
        let before = self.name(envelope).map(str::to_owned);
        self.facts.apply(envelope);
        let name = before.as_deref().or_else(|| self.name(envelope));
        screen.event(envelope, name);
    }

    /// Which of several names an event is about.
    fn name(&self, envelope: &Envelope) -> Option<&str> {
        let mut all = self.facts.authorizations.iter();
        let found = all.find(|(id, _)| StreamId::from(**id) == envelope.stream);
        found.map(|(_, authorization)| authorization.identifier.as_str())
    }

    fn read(&self) -> Result<Vec<Envelope>, StoreError> {
        MirrorReader::open(&self.log)?.envelopes(self.next)?.collect()
    }
}
