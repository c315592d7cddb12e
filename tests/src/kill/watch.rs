//! How far a host is: whether its log has grown, and whether all of its renewals are over.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use renewd_events::certificate::CertificateEvent;
use renewd_events::id::Seq;
use renewd_events::log::MirrorReader;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{Envelope, Event, WallMs};

use super::door::now;
use super::moment::REST_TIME_MAX;
use crate::wait;

/// A renewal that is planned for later than this is no retry and no wish: Pebble's certificates live
/// for ninety days.
const FAR: Duration = Duration::from_secs(3600);

/// Reads a host's log while it grows.
#[derive(Debug)]
pub(super) struct Watch {
    log: PathBuf,
    next: Seq,
    octets: u64,
    certificates: BTreeMap<[u8; 16], State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    running: bool,
    succeeded: bool,
    wished: bool,
    planned: WallMs,
}

impl State {
    fn at_rest(&self) -> bool {
        self.succeeded && !self.running && !self.wished && self.planned > now().after(FAR)
    }
}

impl Watch {
    pub(super) fn new(log: &Path) -> Self {
        Self { log: log.to_owned(), next: Seq(1), octets: 0, certificates: BTreeMap::new() }
    }

    /// Octets of the log's mirror: grows with every commit.
    pub(super) fn octets(&self) -> u64 {
        let segments = fs::read_dir(self.log.join("mirror")).into_iter().flatten().flatten();
        segments.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
    }

    /// So many certificates have succeeded, and nothing is due.
    pub(super) fn at_rest(&mut self, certificates: usize) -> bool {
        let octets = self.octets();
        if octets != self.octets {
            if octets < self.octets {
                // A log never shrinks; a program that forgets its state begins another one.
                self.next = Seq(1);
                self.certificates.clear();
            }
            self.octets = octets;
            for envelope in since(&self.log, self.next) {
                self.next = envelope.seq.next();
                self.take(&envelope);
            }
        }
        self.certificates.len() == certificates && self.certificates.values().all(State::at_rest)
    }

    /// Waits until the log has grown so often since it had so many octets, or as often as it will: all of
    /// so many certificates are at rest again.
    pub(super) fn commits(&mut self, mut octets: u64, count: u64, certificates: usize) {
        let mut seen = 0;
        wait::until_soon(REST_TIME_MAX, || {
            let new = self.octets();
            if new != octets {
                octets = new;
                seen += 1;
                return (seen >= count).then_some(());
            }
            // Looked at in between only: a kill at a commit must not be late.
            (seen > 0 && self.at_rest(certificates)).then_some(())
        });
    }

    fn take(&mut self, envelope: &Envelope) {
        let state = |watch: &mut Self, act: fn(&mut State)| {
            act(watch.certificates.entry(envelope.stream.id).or_default());
        };
        if let Event::Certificate(event) = &envelope.event {
            if let CertificateEvent::CertificateDeclared(_) = event {
                state(self, |_| {});
            } else if let CertificateEvent::RenewalStarted { .. } = event {
                state(self, |s| (s.running, s.succeeded, s.wished) = (true, false, false));
            } else if let CertificateEvent::RenewalSucceeded { .. } = event {
                state(self, |s| (s.running, s.succeeded) = (false, true));
            } else if let CertificateEvent::RenewalFailed { .. }
            | CertificateEvent::RenewalEndedUnserved { .. } = event
            {
                state(self, |s| s.running = false);
            }
        } else if let Event::Schedule(event) = &envelope.event {
            if let ScheduleEvent::RenewalRequested { .. } = event {
                state(self, |s| s.wished = true);
            } else if let ScheduleEvent::RenewalScheduled { at, .. } = event {
                self.certificates.entry(envelope.stream.id).or_default().planned = *at;
            }
        }
    }
}

/// What the log holds from `next` on, as far as it can be read at this moment.
pub(super) fn since(log: &Path, next: Seq) -> Vec<Envelope> {
    let envelopes = MirrorReader::open(log).and_then(|reader| reader.envelopes(next));
    envelopes.into_iter().flatten().map_while(Result::ok).collect()
}
