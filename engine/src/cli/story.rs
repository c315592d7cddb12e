//! For tests of the reading commands: a log in which the first renewal fails.

use renewd_events::account::AccountEvent;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{Certificate, CertificateEvent, Declaration, LifeLeft};
use renewd_events::event::{Envelope, Event};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, BootNo, CertificateName, DnsName, Hash, Seq, StreamId,
};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{ActorName, Facts, WallMs};

/// The moment at which the commands are asked.
pub(super) const NOW: WallMs = WallMs(1_795_403_500_000);

/// The states and the events.
pub(super) fn failing() -> (Facts, Vec<Envelope>) {
    let id = CertificateName::parse("example").unwrap().id();
    let account = AccountId::derive(&[b"ca"]);
    let renewal = Certificate::renewal_id(id, 1);
    let order = Certificate::order_id(renewal, 1);
    let authorization = AuthorizationId::derive(&[b"a"]);
    let identifiers = vec![DnsName::parse("example.org").unwrap()];
    let mut problem = Problem::new(
        ProblemClass::Acme,
        "urn:ietf:params:acme:error:connection",
        "203.0.113.7: Fetching http://example.org/.well-known/acme-challenge/x: Connection refused",
    );
    problem.status = 400;
    let events: Vec<(StreamId, Event)> = vec![
        (
            account.into(),
            AccountEvent::AccountDeclared {
                directory_url: "https://ca.test/dir".to_owned(),
                contacts_hash: Hash::default(),
                contacts: 0,
            }
            .into(),
        ),
        (
            account.into(),
            AccountEvent::TermsAccepted {
                terms_url: None,
                by: "configuration".to_owned(),
            }
            .into(),
        ),
        (
            id.into(),
            CertificateEvent::CertificateDeclared(Declaration {
                name: "example".to_owned(),
                account,
                identifiers: identifiers.clone(),
                profile: None,
                ari: true,
                life_left: LifeLeft::Share(1, 3),
            })
            .into(),
        ),
        (
            BindingId::derive(&[b"b"]).into(),
            BindingEvent::BindingDeclared {
                certificate: id,
                target: Target::Builtin {
                    address: "0.0.0.0:443".to_owned(),
                },
            }
            .into(),
        ),
        (
            id.into(),
            CertificateEvent::RenewalStarted {
                number: 1,
                cause: Cause::FirstIssue,
                attempt: 1,
                replaces: None,
            }
            .into(),
        ),
        (
            order.into(),
            OrderEvent::OrderRequested(NewOrder {
                certificate: id,
                account,
                identifiers,
                profile: None,
                replaces: None,
            })
            .into(),
        ),
        (
            order.into(),
            OrderEvent::OrderCreated {
                url: "https://ca.test/order/1".to_owned(),
                authorizations: vec!["https://ca.test/a/1".to_owned()],
                status: OrderStatus::Pending,
                expires: None,
                found: Found::Answer,
            }
            .into(),
        ),
        (
            authorization.into(),
            AuthorizationEvent::AuthorizationSeen {
                order,
                certificate: id,
                url: "https://ca.test/a/1".to_owned(),
                identifier: "example.org".to_owned(),
                expires: None,
                offers: vec!["http-01".to_owned()],
                valid: false,
            }
            .into(),
        ),
        (
            authorization.into(),
            AuthorizationEvent::AuthorizationBecameInvalid {
                problem: problem.clone(),
                visits: 0,
            }
            .into(),
        ),
        (
            id.into(),
            CertificateEvent::RenewalFailed {
                code: "R0211".to_owned(),
                problem,
            }
            .into(),
        ),
        (
            StreamId::schedule(id),
            ScheduleEvent::RenewalScheduled {
                at: WallMs(NOW.0 + 3_600_000),
                cause: Cause::Retry,
                attempt: 2,
            }
            .into(),
        ),
    ];
    let mut facts = Facts::default();
    let mut envelopes = Vec::new();
    for (place, (stream, event)) in (1u64..).zip(events) {
        let envelope = Envelope {
            seq: Seq(place),
            stream,
            version: facts.version(stream) + 1,
            batch_index: 0,
            batch_len: 1,
            at: WallMs(NOW.0 - 60_000 + place * 100),
            boot: BootNo(1),
            actor: ActorName::Issuer,
            incarnation: 1,
            renewal: (5..=10).contains(&place).then_some(renewal),
            cause: None,
            trace: None,
            previous: Hash::default(),
            event,
        };
        facts.apply(&envelope);
        envelopes.push(envelope);
    }
    (facts, envelopes)
}
