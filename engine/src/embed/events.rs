//! What happens, for a program: a bounded stream of typed events.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd_actors::journal::Observer;
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{BindingId, CertificateId};
use renewd_events::process::EngineEvent;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{Envelope, Facts, WallMs};
use tokio::sync::broadcast;

/// Events kept for a reader that is behind: a few renewals. The oldest go first, and the reader is
/// told ([`What::Missed`]); the log has them all.
const BEHIND_MAX: usize = 256;

/// Something that happened, durable in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its place in the log; 0 for [`What::Missed`].
    pub seq: u64,
    /// When, on the wall clock.
    pub at: SystemTime,
    /// The name of the certificate; empty where it is about none.
    pub certificate: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The one next renewal is planned.
    RenewalScheduled {
        /// When.
        at: SystemTime,
        /// Why, e.g. `ari-window`.
        cause: String,
    },
    /// A renewal began.
    RenewalStarted {
        /// Why, e.g. `first-issue`.
        cause: String,
        /// Which try since the last success, from 1.
        attempt: u32,
    },
    /// The CA issued; the chain is checked.
    Issued {
        /// SHA-256 of the certificate, hexadecimal.
        fingerprint: String,
        /// When it ends.
        not_after: SystemTime,
    },
    /// A handshake showed the new certificate.
    Served {
        /// SHA-256 of the certificate, hexadecimal.
        fingerprint: String,
        /// Where; `library` for the host's own listeners.
        address: String,
    },
    /// The renewal is over; the new certificate is served.
    Renewed,
    /// The renewal is over and the certificate is there, but not everywhere served yet; that is tried
    /// on.
    RenewedUnserved,
    /// The renewal is over without one. It is tried again.
    RenewalFailed {
        /// A code that `renewd explain` knows.
        code: String,
        /// The evidence, for people.
        detail: String,
    },
    /// The engine is about to end.
    Stopping,
    /// Another step, by the name of its event in the log, e.g. `OrderCreated`.
    Step(&'static str),
    /// The reader was too slow; so many events are missing here.
    Missed(u64),
}

/// A reader of events, from the moment it was made. Cheap to keep; a slow one misses events and
/// delays nobody.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// The next event; `None` after the end of the engine.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event {
                seq: 0,
                at: SystemTime::now(),
                certificate: String::new(),
                what: What::Missed(missed),
            }),
        }
    }
}

/// Where readers come from. The journal's thread holds the only sender: it ends with the engine.
#[derive(Clone, Debug)]
pub(super) struct Source(broadcast::WeakSender<Event>);

impl Source {
    /// A reader; one without events when the engine has ended.
    pub(super) fn reader(&self) -> Events {
        let receiver = match self.0.upgrade() {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1,
        };
        Events { receiver }
    }
}

/// A source, and the observer that feeds it. `names` is where certificates' names are looked up.
pub(super) fn channel(names: Names) -> (Source, Observer) {
    let (sender, _) = broadcast::channel(BEHIND_MAX);
    let source = Source(sender.downgrade());
    let observer = Box::new(move |envelopes: &[Arc<Envelope>]| {
        // Without readers nothing is made.
        if sender.receiver_count() > 0 {
            for envelope in envelopes {
                // No reader any more: nobody to tell.
                drop(sender.send(event(envelope, &names)));
            }
        }
    });
    (source, observer)
}

/// The facts, once the engine has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<RwLock<Option<Arc<RwLock<Facts>>>>>);

impl Names {
    pub(super) fn fill(&self, facts: Arc<RwLock<Facts>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(facts);
    }

    fn of(&self, envelope: &Envelope) -> String {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(facts) = held.as_ref() else {
            return String::new();
        };
        let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
        certificate_of(envelope, &facts)
            .and_then(|id| facts.certificates.get(&id))
            .map_or_else(String::new, |certificate| certificate.name().to_owned())
    }
}

fn certificate_of(envelope: &Envelope, facts: &Facts) -> Option<CertificateId> {
    use renewd_events::Event as Logged;
    let id = envelope.stream.id;
    match &envelope.event {
        Logged::Certificate(_) | Logged::Schedule(_) => Some(CertificateId(id)),
        Logged::Binding(_) => Some(facts.bindings.get(&BindingId(id))?.certificate),
        Logged::Order(_) | Logged::Authorization(_) => {
            let renewal = envelope.renewal?;
            let running = |id: &&CertificateId| {
                let run = facts.certificates.get(*id).and_then(|c| c.run.as_ref());
                run.is_some_and(|run| run.renewal == renewal)
            };
            facts.runs.iter().find(running).copied()
        }
        Logged::Engine(_)
        | Logged::Clock(_)
        | Logged::Account(_)
        | Logged::Listener(_)
        | Logged::Restart(_) => None,
    }
}

/// Wall time as programs take it.
pub(super) fn time(at: WallMs) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(at.0)).unwrap_or(UNIX_EPOCH)
}

fn event(envelope: &Envelope, names: &Names) -> Event {
    Event {
        seq: envelope.seq.0,
        at: time(envelope.at),
        certificate: names.of(envelope),
        what: what(&envelope.event),
    }
}

fn what(event: &renewd_events::Event) -> What {
    use renewd_events::Event as Logged;
    let step = What::Step(event.name());
    match event {
        Logged::Certificate(event) => certificate(event).unwrap_or(step),
        Logged::Schedule(ScheduleEvent::RenewalScheduled { at, cause, .. }) => {
            What::RenewalScheduled { at: time(*at), cause: cause.to_string() }
        }
        Logged::Binding(BindingEvent::ServedVerified { address, fingerprint, .. }) => {
            What::Served { fingerprint: fingerprint.to_string(), address: address.clone() }
        }
        Logged::Engine(EngineEvent::EngineStopping { .. }) => What::Stopping,
        Logged::Schedule(_)
        | Logged::Binding(_)
        | Logged::Engine(_)
        | Logged::Clock(_)
        | Logged::Account(_)
        | Logged::Order(_)
        | Logged::Authorization(_)
        | Logged::Listener(_)
        | Logged::Restart(_) => step,
    }
}

fn certificate(event: &CertificateEvent) -> Option<What> {
    match event {
        CertificateEvent::RenewalStarted { cause, attempt, .. } => {
            Some(What::RenewalStarted { cause: cause.to_string(), attempt: *attempt })
        }
        CertificateEvent::GenerationAdopted(issue) => Some(What::Issued {
            fingerprint: issue.leaf.fingerprint.to_string(),
            not_after: time(issue.leaf.not_after),
        }),
        CertificateEvent::RenewalSucceeded { .. } => Some(What::Renewed),
        CertificateEvent::RenewalEndedUnserved { .. } => Some(What::RenewedUnserved),
        CertificateEvent::RenewalFailed { code, problem } => {
            Some(What::RenewalFailed { code: code.clone(), detail: problem.detail.clone() })
        }
        CertificateEvent::CertificateDeclared(_)
        | CertificateEvent::CertificateOrphaned
        | CertificateEvent::CertificateKeyRequested(_)
        | CertificateEvent::CertificateKeyCreated { .. }
        | CertificateEvent::CertificateKeyFailed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use renewd_events::ActorName;
    use renewd_events::id::{BootNo, Hash, Seq, StreamId};

    fn stopped(seq: u64) -> Arc<Envelope> {
        Arc::new(Envelope {
            seq: Seq(seq),
            stream: StreamId::ENGINE,
            version: 1,
            batch_index: 0,
            batch_len: 1,
            at: WallMs(seq),
            boot: BootNo(1),
            actor: ActorName::Engine,
            incarnation: 1,
            renewal: None,
            cause: None,
            trace: None,
            previous: Hash::default(),
            event: EngineEvent::EngineStopped.into(),
        })
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_delays_nobody() {
        let (source, observer) = channel(Names::default());
        observer(&[stopped(1)]);
        let mut slow = source.reader();
        let many = u64::try_from(BEHIND_MAX).unwrap() + 2;
        for seq in 1..=many {
            observer(&[stopped(seq)]);
        }
        let first = slow.next().await.unwrap();
        assert_eq!(first.what, What::Missed(2));
        let next = slow.next().await.unwrap();
        assert_eq!((next.seq, next.what), (3, What::Step("EngineStopped")));
        drop(observer);
        let mut rest = 0;
        while slow.next().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, BEHIND_MAX - 1);
        assert!(source.reader().next().await.is_none());
    }
}
