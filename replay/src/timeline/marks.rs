//! What one event tells about its row and about the renewal: an end, a code, a conclusion.

use renewd_events::Event;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::order::{Found, OrderEvent};
use renewd_events::restart::RestartEvent;

use super::{Ending, Timeline};
use crate::codes::classify;
use crate::escape;

/// Whether the renewal ends with the event, and how.
pub(super) fn ending(timeline: &mut Timeline, event: &Event) {
    if let Event::Certificate(CertificateEvent::RenewalSucceeded { .. }) = event {
        timeline.ending = Ending::Succeeded;
    }
    if let Event::Certificate(CertificateEvent::RenewalEndedUnserved { .. }) = event {
        timeline.ending = Ending::Unserved;
    }
    if let Event::Certificate(CertificateEvent::RenewalFailed { .. }) = event {
        timeline.ending = Ending::Failed;
    }
}

/// Whether the event was found out by asking, because the answer itself was lost.
pub(super) fn is_inferred(event: &Event) -> bool {
    matches!(
        event,
        Event::Authorization(AuthorizationEvent::ReadinessAccepted { inferred: true })
            | Event::Order(OrderEvent::OrderCreated { found: Found::List, .. })
            | Event::Order(OrderEvent::OrderRequestUnresolved { .. })
            | Event::Restart(RestartEvent::RestartObserved { attributed: false, .. })
    )
}

/// The code of an event that tells of a failure.
pub(super) fn code(event: &Event) -> Option<String> {
    if let Event::Certificate(CertificateEvent::RenewalFailed { code, problem: _ }) = event {
        return Some(escape::field(code, 16));
    }
    let (step, problem) = crate::why::problem_of(event)?;
    Some(classify(step, problem).to_owned())
}
