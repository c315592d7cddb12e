//! Metrics in OpenMetrics. Counters are fed by the journal and all exist at 0 from the start;
//! the gauges are in `gauges`, read off the facts when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use renewd_actors::journal::Observer;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, StreamKind};
use renewd_events::process::EngineEvent;
use renewd_events::schedule::Cause;
use renewd_events::{ActorName, Envelope, Event};

/// All causes of a renewal, so that each has its series from the start.
const CAUSES: [Cause; 7] = [
    Cause::FirstIssue,
    Cause::AriWindow,
    Cause::LifeLeft,
    Cause::DaysLeft,
    Cause::Retry,
    Cause::Operator,
    Cause::NamesChanged,
];
/// The actors that can be started again.
const ACTORS: [ActorName; 6] = [
    ActorName::Registrar,
    ActorName::Validator,
    ActorName::Issuer,
    ActorName::Binder,
    ActorName::RestartCoordinator,
    ActorName::Clock,
];

const SUCCEEDED: &str = "succeeded";
const UNSERVED: &str = "unserved";
const FAILED: &str = "failed";
/// The cause of a renewal that an earlier life of the process began.
const RESUMED: &str = "resumed";

type Labels = Vec<(&'static str, String)>;

/// Counts of what happened in this life of the process.
#[derive(Clone, Debug)]
pub struct Counters {
    appended: Family<Labels, Counter>,
    renewals: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
    outages: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All series, at 0.
    pub fn new() -> Self {
        let counters = Self {
            appended: Family::default(),
            renewals: Family::default(),
            restarts: Family::default(),
            outages: Counter::default(),
        };
        // Through the numbers on disk: a new kind of stream cannot be forgotten here.
        for kind in (0..=u8::MAX).filter_map(StreamKind::from_number) {
            drop(counters.appended.get_or_create(&appended(kind)));
        }
        for cause in
            CAUSES.map(|cause| cause.to_string()).iter().map(String::as_str).chain([RESUMED])
        {
            for outcome in [SUCCEEDED, UNSERVED, FAILED] {
                drop(counters.renewals.get_or_create(&renewal(outcome, cause)));
            }
        }
        for actor in ACTORS {
            drop(counters.restarts.get_or_create(&restart(actor)));
        }
        counters
    }

    /// Puts them into a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "renewd_events_appended",
            "Events appended to the log",
            self.appended.clone(),
        );
        registry.register("renewd_renewals", "Renewals that ended", self.renewals.clone());
        registry.register(
            "renewd_actor_restarts",
            "Actors started again after a failure",
            self.restarts.clone(),
        );
        registry.register(
            "renewd_log_outages",
            "Times that the log could not be written for a while, and then was",
            self.outages.clone(),
        );
    }

    /// What the journal tells of committed events. It remembers why each renewal began until it ends.
    pub fn observer(&self) -> Observer {
        let counters = self.clone();
        let begun = Mutex::new(BTreeMap::new());
        Box::new(move |envelopes: &[Arc<Envelope>]| {
            let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            for envelope in envelopes {
                counters.count(envelope, &mut begun);
            }
        })
    }

    fn count(&self, envelope: &Envelope, begun: &mut BTreeMap<CertificateId, Cause>) {
        self.appended.get_or_create(&appended(envelope.event.kind())).inc();
        let id = CertificateId(envelope.stream.id);
        if let Event::Certificate(CertificateEvent::RenewalStarted { cause, .. }) = &envelope.event
        {
            begun.insert(id, *cause);
        }
        if let Event::Certificate(event) = &envelope.event
            && let Some(outcome) = outcome(event)
        {
            let cause = begun.remove(&id).map(|cause| cause.to_string());
            let cause = cause.as_deref().unwrap_or(RESUMED);
            self.renewals.get_or_create(&renewal(outcome, cause)).inc();
        }
        if let Event::Engine(EngineEvent::ActorRestarted { actor, .. }) = &envelope.event {
            self.restarts.get_or_create(&restart(*actor)).inc();
        }
        if let Event::Engine(EngineEvent::LogWritableAgain { .. }) = &envelope.event {
            self.outages.inc();
        }
    }
}

/// How a renewal ends with this event, if it does.
fn outcome(event: &CertificateEvent) -> Option<&'static str> {
    match event {
        CertificateEvent::RenewalSucceeded { .. } => Some(SUCCEEDED),
        CertificateEvent::RenewalEndedUnserved { .. } => Some(UNSERVED),
        CertificateEvent::RenewalFailed { .. } => Some(FAILED),
        CertificateEvent::CertificateDeclared(_)
        | CertificateEvent::CertificateOrphaned
        | CertificateEvent::RenewalStarted { .. }
        | CertificateEvent::CertificateKeyRequested(_)
        | CertificateEvent::CertificateKeyCreated { .. }
        | CertificateEvent::CertificateKeyFailed { .. }
        | CertificateEvent::GenerationAdopted(_) => None,
    }
}

fn appended(kind: StreamKind) -> Labels {
    let name: &str = kind.into();
    vec![("kind", name.to_owned())]
}

fn renewal(outcome: &str, cause: &str) -> Labels {
    vec![("outcome", outcome.to_owned()), ("cause", cause.to_string())]
}

fn restart(actor: ActorName) -> Labels {
    vec![("actor", actor.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use renewd_events::WallMs;
    use renewd_events::id::{BootNo, Generation, Hash, Seq, StreamId};

    fn envelope(event: impl Into<Event>, stream: StreamId) -> Arc<Envelope> {
        Arc::new(Envelope {
            seq: Seq(1),
            stream,
            version: 1,
            batch_index: 0,
            batch_len: 1,
            at: WallMs(0),
            boot: BootNo(1),
            actor: ActorName::Issuer,
            incarnation: 1,
            renewal: None,
            cause: None,
            trace: None,
            previous: Hash::default(),
            event: event.into(),
        })
    }

    fn succeeded() -> CertificateEvent {
        CertificateEvent::RenewalSucceeded { generation: Generation(1) }
    }

    #[test]
    fn an_outcome_is_counted_under_the_cause_of_its_beginning() {
        let counters = Counters::new();
        let observer = counters.observer();
        let of = |byte: u8| StreamId::from(CertificateId([byte; 16]));
        let started = CertificateEvent::RenewalStarted {
            number: 1,
            cause: Cause::AriWindow,
            attempt: 1,
            replaces: None,
        };
        observer(&[envelope(started, of(1)), envelope(succeeded(), of(2))]);
        observer(&[envelope(succeeded(), of(1))]);
        let restarted = EngineEvent::ActorRestarted { actor: ActorName::Binder, incarnation: 2 };
        observer(&[envelope(restarted, StreamId::ENGINE)]);
        let renewals =
            |cause: &str| counters.renewals.get_or_create(&renewal(SUCCEEDED, cause)).get();
        assert_eq!((renewals("ari-window"), renewals(RESUMED), renewals("retry")), (1, 1, 0));
        assert_eq!(counters.restarts.get_or_create(&restart(ActorName::Binder)).get(), 1);
        assert_eq!(counters.appended.get_or_create(&appended(StreamKind::Certificate)).get(), 3);
    }
}
