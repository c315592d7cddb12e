//! One log line per event: how loud, about whom, and the sentence that `timeline` has for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use renewd_actors::journal::Observer;
use renewd_events::account::AccountEvent;
use renewd_events::authorization::{AuthorizationEvent, Probe, UNDECIDED};
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::{Certificate, CertificateEvent};
use renewd_events::id::{CertificateId, RenewalId, StreamId, StreamKind};
use renewd_events::order::OrderEvent;
use renewd_events::process::{ClockEvent, EngineEvent};
use renewd_events::{Envelope, Event};
use renewd_replay::escape;
use renewd_replay::sentence::sentence;
use renewd_replay::why::problem_of;
use tracing::Level;

/// Characters of a name in a line; a DNS name may have 253, and the whole of it is in the log.
const NAME_CHARACTERS_MAX: usize = 80;

/// Whom events are about, as far as the log has told: streams have ids, people know names.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    certificates: BTreeMap<CertificateId, String>,
    /// The latest renewal of each certificate.
    renewals: BTreeMap<RenewalId, CertificateId>,
    /// The DNS name of each authorization, until its token is withdrawn.
    proven: BTreeMap<StreamId, String>,
    bindings: BTreeMap<StreamId, CertificateId>,
}

impl Lines {
    /// One line for each event from now on.
    pub(crate) fn observer(self) -> Observer {
        // The journal's thread alone calls it; the lock is for the compiler.
        let lines = Mutex::new(self);
        Box::new(move |envelopes| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            for envelope in envelopes {
                lines.learn(envelope);
                lines.say(envelope);
                lines.forget(envelope);
            }
        })
    }

    /// Takes an event of an earlier life: its names are known, and nothing is said.
    pub(crate) fn pass(&mut self, envelope: &Envelope) {
        self.learn(envelope);
        self.forget(envelope);
    }

    fn learn(&mut self, envelope: &Envelope) {
        if let Event::Certificate(event) = &envelope.event {
            let id = CertificateId(envelope.stream.id);
            if let CertificateEvent::CertificateDeclared(declared) = event {
                self.certificates.insert(id, field(&declared.name));
            }
            if let CertificateEvent::RenewalStarted { number, .. } = event {
                self.renewals.remove(&Certificate::renewal_id(id, number.saturating_sub(1)));
                self.renewals.insert(Certificate::renewal_id(id, *number), id);
            }
        }
        if let Event::Authorization(AuthorizationEvent::AuthorizationSeen { identifier, .. }) =
            &envelope.event
        {
            self.proven.insert(envelope.stream, field(identifier));
        }
        if let Event::Binding(BindingEvent::BindingDeclared { certificate, .. }) = &envelope.event {
            self.bindings.insert(envelope.stream, *certificate);
        }
    }

    fn forget(&mut self, envelope: &Envelope) {
        let withdrawn = Event::Authorization(AuthorizationEvent::ChallengeWithdrawn);
        if envelope.event == withdrawn {
            self.proven.remove(&envelope.stream);
        }
    }

    fn certificate(&self, envelope: &Envelope) -> Option<&str> {
        let stream = envelope.stream;
        let own = matches!(stream.kind, StreamKind::Certificate | StreamKind::Schedule);
        let id = if own {
            CertificateId(stream.id)
        } else {
            let of_renewal = envelope.renewal.and_then(|id| self.renewals.get(&id));
            *of_renewal.or_else(|| self.bindings.get(&stream))?
        };
        self.certificates.get(&id).map(String::as_str)
    }

    fn say(&self, envelope: &Envelope) {
        // The level of a tracing event is part of its call site: one site for each.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    certificate = self.certificate(envelope),
                    name = self.proven.get(&envelope.stream).map(String::as_str),
                    renewd.event.seq = envelope.seq.0,
                    renewd.actor = %envelope.actor,
                    stream = %envelope.stream,
                    renewal = envelope.renewal.map(tracing::field::display),
                    "{}: {}",
                    envelope.event.name(),
                    sentence(&envelope.event)
                )
            };
        }
        match level(&envelope.event) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

fn field(name: &str) -> String {
    escape::field(name, NAME_CHARACTERS_MAX)
}

/// An error is what needs a person or ended a renewal; a warning is a problem that is tried again, or
/// what nobody expects; the rest is how it always goes.
fn level(event: &Event) -> Level {
    let error = matches!(
        event,
        Event::Certificate(
            CertificateEvent::RenewalFailed { .. } | CertificateEvent::RenewalEndedUnserved { .. }
        ) | Event::Account(AccountEvent::PersonRequired { .. })
            | Event::Engine(EngineEvent::RestartIntensityExceeded { .. })
    );
    let strange = matches!(
        event,
        Event::Authorization(AuthorizationEvent::Published { probe: Probe::NotSeen(_) })
            | Event::Order(OrderEvent::OrderRequestUnresolved { .. })
            | Event::Engine(EngineEvent::ActorFailed { .. } | EngineEvent::LogMended { .. })
            | Event::Clock(ClockEvent::WallClockJumped { .. })
    );
    // An authorization that ended because its order did tells of nothing new.
    let problem = problem_of(event).is_some_and(|(_, problem)| problem.kind != UNDECIDED);
    match (error, strange || problem) {
        (true, _) => Level::ERROR,
        (false, true) => Level::WARN,
        (false, false) => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::cli::story;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What stands on stderr at this level when the first `passed` events are of an earlier life.
    fn said(passed: usize, max: Level) -> String {
        let (_, envelopes) = story::failing();
        let (page, mut lines) = (Page::default(), Lines::default());
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(max)
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        let (before, now) = envelopes.split_at(passed);
        before.iter().for_each(|envelope| lines.pass(envelope));
        let observer = lines.observer();
        let now: Vec<_> = now.iter().cloned().map(Arc::new).collect();
        tracing::subscriber::with_default(subscriber, || observer(&now));
        let octets = page.0.lock().unwrap().clone();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn a_failure_is_said_where_only_warnings_are_wanted() {
        let said = said(0, Level::WARN);
        let lines: Vec<&str> = said.lines().map(str::trim_start).collect();
        let [warned, failed] = lines[..] else { panic!("{said}") };
        assert!(warned.starts_with("WARN AuthorizationBecameInvalid: INVALID"), "{warned}");
        assert!(failed.starts_with("ERROR RenewalFailed: renewal failed"), "{failed}");
    }

    #[test]
    fn a_line_names_the_certificate_and_the_name_also_after_a_start() {
        for passed in [0, 8] {
            let said = said(passed, Level::INFO);
            let line = said.lines().find(|line| line.contains("BecameInvalid")).unwrap();
            assert!(line.contains(r#"certificate="example" name="example.org""#), "{line}");
        }
    }

    #[test]
    fn every_event_has_its_level() {
        let of = |wanted| {
            let samples = renewd_events::samples::samples();
            let found = samples.iter().filter(|it| level(&it.event) == wanted);
            let mut names: Vec<_> = found.map(|it| it.event.name()).collect();
            names.dedup();
            names.join(" ")
        };
        let errors = "RestartIntensityExceeded PersonRequired RenewalFailed RenewalEndedUnserved";
        assert_eq!(of(Level::ERROR), errors);
        let warned = of(Level::WARN);
        for name in ["ListenerFailed", "DirectoryUnreachable", "ServedMismatch", "AnswerMissing"] {
            assert!(warned.contains(name), "{warned}");
        }
        assert!(of(Level::INFO).contains("RenewalSucceeded"));
    }
}
