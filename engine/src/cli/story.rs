//! For tests of the reading commands: a log in which the first renewal fails.

use renewd_events::account::AccountEvent;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{Certificate, CertificateEvent, Declaration, LifeLeft};
use renewd_events::event::{Envelope, Event};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, BootNo, CertificateId, CertificateName, DnsName, Hash,
    OrderId, Seq, StreamId,
};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{ActorName, Facts, WallMs};
use renewd_replay::why::Witnesses;

/// The moment at which the commands are asked.
pub(crate) const NOW: WallMs = WallMs(1_795_403_500_000);

fn words() -> Problem {
    let mut problem = Problem::new(
        ProblemClass::Acme,
        "urn:ietf:params:acme:error:connection",
        "203.0.113.7: Fetching http://example.org/.well-known/acme-challenge/x: Connection refused",
    );
    problem.status = 400;
    problem
}

fn account() -> AccountId {
    AccountId::derive(&[b"ca"])
}

fn certificate() -> CertificateId {
    CertificateName::parse("example").unwrap().id()
}

fn identifiers() -> Vec<DnsName> {
    vec![DnsName::parse("example.org").unwrap()]
}

/// What the configuration wants.
fn wanted() -> Vec<(StreamId, Event)> {
    let (account, certificate) = (account(), certificate());
    let declared = AccountEvent::AccountDeclared {
        directory_url: "https://ca.test/dir".to_owned(),
        contacts_hash: Hash::default(),
        contacts: 0,
    };
    let by = "configuration".to_owned();
    let accepted = AccountEvent::TermsAccepted { terms_url: None, by };
    let declaration = Declaration {
        name: "example".to_owned(),
        account,
        identifiers: identifiers(),
        profile: None,
        ari: true,
        life_left: LifeLeft::Share(1, 3),
    };
    let target = Target::Builtin { address: "0.0.0.0:443".to_owned() };
    vec![
        (account.into(), declared.into()),
        (account.into(), accepted.into()),
        (certificate.into(), CertificateEvent::CertificateDeclared(declaration).into()),
        (
            BindingId::derive(&[b"b"]).into(),
            BindingEvent::BindingDeclared { certificate, target }.into(),
        ),
    ]
}

/// A renewal from its start to the CA's verdict.
fn tried(order: OrderId) -> Vec<(StreamId, Event)> {
    let certificate = certificate();
    let authorization = AuthorizationId::derive(&[b"a"]);
    let started = CertificateEvent::RenewalStarted {
        number: 1,
        cause: Cause::FirstIssue,
        attempt: 1,
        replaces: None,
    };
    let request = NewOrder {
        certificate,
        account: account(),
        identifiers: identifiers(),
        profile: None,
        replaces: None,
    };
    let created = OrderEvent::OrderCreated {
        url: "https://ca.test/order/1".to_owned(),
        authorizations: vec!["https://ca.test/a/1".to_owned()],
        status: OrderStatus::Pending,
        expires: None,
        found: Found::Answer,
    };
    let seen = AuthorizationEvent::AuthorizationSeen {
        order,
        certificate,
        url: "https://ca.test/a/1".to_owned(),
        identifier: "example.org".to_owned(),
        expires: None,
        offers: vec!["http-01".to_owned()],
        valid: false,
    };
    let invalid = AuthorizationEvent::AuthorizationBecameInvalid { problem: words(), visits: 0 };
    vec![
        (certificate.into(), started.into()),
        (order.into(), OrderEvent::OrderRequested(request).into()),
        (order.into(), created.into()),
        (authorization.into(), seen.into()),
        (authorization.into(), invalid.into()),
    ]
}

/// The states and the events.
pub(crate) fn failing() -> (Facts, Vec<Envelope>) {
    let certificate = certificate();
    let renewal = Certificate::renewal_id(certificate, 1);
    let code = "R0211".to_owned();
    let failed = CertificateEvent::RenewalFailed { code, problem: words() };
    let at = WallMs(NOW.0 + 3_600_000);
    let planned = ScheduleEvent::RenewalScheduled { at, cause: Cause::Retry, attempt: 2 };
    let mut events = wanted();
    events.extend(tried(Certificate::order_id(renewal, 1)));
    events.push((certificate.into(), failed.into()));
    events.push((StreamId::schedule(certificate), planned.into()));
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

/// What those events leave as evidence.
pub(super) fn witnesses(envelopes: &[Envelope]) -> Witnesses {
    renewd_replay::fold::read(Witnesses::default(), envelopes)
}
