//! After events were lost, an order is asked about before it is asked for: once for each certificate.

use std::time::Duration;

use renewd_events::certificate::{Certificate, CertificateEvent};
use renewd_events::id::{AccountId, BootNo, CertificateId, Hash, Seq, StreamId};
use renewd_events::order::{NewOrder, OrderEvent, Phase};
use renewd_events::process::{EngineEvent, LOST_ORDERS_MATTER, Mending};
use renewd_events::schedule::Cause;
use renewd_events::{ActorName, Envelope, Event, Facts, WallMs};

const CERTIFICATE: CertificateId = CertificateId([1; 16]);
const AT: WallMs = WallMs(1_700_000_000_000);

struct Story {
    facts: Facts,
    renewals: u32,
}

impl Story {
    fn tell(&mut self, stream: impl Into<StreamId>, at: WallMs, event: impl Into<Event>) {
        let stream = stream.into();
        self.facts.apply(&Envelope {
            seq: self.facts.seq.next(),
            stream,
            version: self.facts.version(stream) + 1,
            batch_index: 0,
            batch_len: 1,
            at,
            boot: BootNo(1),
            actor: ActorName::Issuer,
            incarnation: 1,
            renewal: Some(Certificate::renewal_id(CERTIFICATE, self.renewals)),
            cause: None,
            trace: None,
            previous: Hash::default(),
            event: event.into(),
        });
    }

    fn mended(lost: u64, end_known: bool) -> Self {
        let mut story = Self { facts: Facts::default(), renewals: 0 };
        let event = EngineEvent::LogMended {
            by: Mending::Repair,
            kept: Seq(7),
            lost_to: Seq(7 + lost),
            end_known,
            evidence: String::new(),
        };
        story.tell(StreamId::ENGINE, AT, event);
        story
    }

    /// A renewal begins; the life that its order's intent seems to come from.
    fn order(&mut self, at: WallMs) -> u16 {
        self.renewals += 1;
        let renewal = Certificate::renewal_id(CERTIFICATE, self.renewals);
        let started = CertificateEvent::RenewalStarted {
            number: self.renewals,
            cause: Cause::FirstIssue,
            attempt: 1,
            replaces: None,
        };
        self.tell(CERTIFICATE, at, started);
        let order = Certificate::order_id(renewal, 1);
        let request = NewOrder {
            certificate: CERTIFICATE,
            account: AccountId([2; 16]),
            identifiers: Vec::new(),
            profile: None,
            replaces: None,
        };
        self.tell(order, at, OrderEvent::OrderRequested(request));
        let phase = &self.facts.orders.get(&order).unwrap().phase;
        let intent = if let Phase::Requested(intent) = phase { Some(intent) } else { None };
        intent.unwrap().meta().incarnation
    }
}

#[test]
fn the_first_order_after_a_loss_is_of_an_earlier_life_and_the_next_is_not() {
    for (lost, end_known) in [(3, true), (0, false), (3, false)] {
        let mut story = Story::mended(lost, end_known);
        let soon = AT.after(Duration::from_secs(60));
        assert_eq!([story.order(soon), story.order(soon)], [0, 1], "{lost} {end_known}");
    }
}

#[test]
fn a_repair_that_lost_nothing_puts_nothing_in_doubt() {
    assert_eq!(Story::mended(0, true).order(AT), 1);
}

#[test]
fn an_order_much_later_is_not_in_doubt() {
    let mut story = Story::mended(3, true);
    assert_eq!(story.order(AT.after(LOST_ORDERS_MATTER + Duration::from_secs(1))), 1);
}
