//! Facts for tests of `decide` and `observe`: events written down one after the other and folded, as
//! the log would.

use std::time::Duration;

use renewd_events::authorization::{AuthorizationEvent, Challenge};
use renewd_events::certificate::{
    Certificate, CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft,
};
use renewd_events::event::{Envelope, NewEvent};
use renewd_events::id::{
    AccountId, AuthorizationId, BootNo, CertificateId, DnsName, Fingerprint, Generation, Hash,
    KeyRef, OrderId, RenewalId, StreamId,
};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::process::{EngineEvent, Previous};
use renewd_events::restart::ProcessIdentity;
use renewd_events::schedule::Cause;
use renewd_events::{ActorName, Event, Facts, WallMs};

use crate::decision::{Context, Rules, fact};

/// The moment of all events unless told.
pub(crate) const NOW: WallMs = WallMs(1_800_000_000_000);
/// The certificate.
pub(crate) const ID: CertificateId = CertificateId([7; 16]);
/// What the certificate is declared for.
pub(crate) const NAME: &str = "a.test";

/// Events, folded.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) facts: Facts,
    pub(crate) at: WallMs,
    pub(crate) boot: BootNo,
}

/// The renewal under way.
pub(crate) fn renewal(id: CertificateId) -> RenewalId {
    Certificate::renewal_id(id, 1)
}

/// Its order of this number.
pub(crate) fn order(id: CertificateId, number: u32) -> OrderId {
    Certificate::order_id(renewal(id), number)
}

/// The context of a life.
pub(crate) fn context(now: WallMs, boot: BootNo) -> Context {
    Context {
        now,
        boot,
        incarnation: 1,
        rules: Rules {
            parallel_max: 8,
            retry_first: Duration::from_secs(60),
            retry_max: Duration::from_secs(86_400),
            restart: None,
            identity: ProcessIdentity::default(),
        },
    }
}

/// What a newOrder for [`NAME`] says.
pub(crate) fn request(id: CertificateId) -> NewOrder {
    NewOrder {
        certificate: id,
        account: AccountId::default(),
        identifiers: vec![DnsName::parse(NAME).unwrap()],
        profile: None,
        replaces: Some("aki.0a".to_owned()),
    }
}

/// How long an [`issue`] lives.
pub(crate) const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// The issue of this number of [`ID`]'s first order.
pub(crate) fn issue(generation: u32) -> Issue {
    let leaf = Leaf {
        chain: Hash::default(),
        fingerprint: Hash([u8::try_from(generation).unwrap(); 32]),
        spki: Fingerprint::default(),
        serial: "0a".to_owned(),
        ari_id: Some("aki.0a".to_owned()),
        not_before: NOW,
        not_after: NOW.after(LIFE),
        issuer: "CN=test".to_owned(),
        names: vec![NAME.to_owned()],
        certificates: 2,
    };
    let (order, key_ref) = (order(ID, 1), KeyRef("k".to_owned()));
    Issue { generation: Generation(generation), order, key_ref, spki: leaf.spki, leaf }
}

impl Folded {
    /// Nothing but a process that runs.
    pub(crate) fn new() -> Self {
        Self { facts: Facts::default(), at: NOW, boot: BootNo(1) }
    }

    /// Writes one down.
    pub(crate) fn add(&mut self, new: NewEvent) {
        let envelope = Envelope {
            seq: self.facts.seq.next(),
            stream: new.stream,
            version: self.facts.version(new.stream) + 1,
            batch_index: 0,
            batch_len: 1,
            at: self.at,
            boot: self.boot,
            actor: ActorName::Issuer,
            incarnation: 1,
            renewal: new.renewal,
            cause: None,
            trace: None,
            previous: Hash::default(),
            event: new.event,
        };
        self.facts.apply(&envelope);
    }

    /// Writes one of the renewal down.
    pub(crate) fn say(
        &mut self,
        stream: impl Into<renewd_events::id::StreamId>,
        event: impl Into<Event>,
    ) {
        self.add(fact(stream, event, Some(renewal(ID)), None));
    }

    /// A renewal whose key is there and whose first order is asked for.
    pub(crate) fn ordered(id: CertificateId) -> Self {
        let mut log = Self::new();
        log.begin(id);
        log
    }

    /// As [`Folded::ordered`], in a log that may have others.
    pub(crate) fn begin(&mut self, id: CertificateId) {
        let declared = Declaration {
            name: "a".to_owned(),
            account: AccountId::default(),
            identifiers: request(id).identifiers,
            profile: None,
            ari: true,
            life_left: LifeLeft::Share(1, 3),
        };
        let started = CertificateEvent::RenewalStarted {
            number: 1,
            cause: Cause::FirstIssue,
            attempt: 1,
            replaces: None,
        };
        let key = KeyRequest {
            key_ref: KeyRef("k".to_owned()),
            identifiers: declared.identifiers.clone(),
        };
        let made = CertificateEvent::CertificateKeyCreated {
            key_ref: KeyRef("k".to_owned()),
            spki: Fingerprint::default(),
            csr: vec![1],
        };
        let of = Some(renewal(id));
        self.add(fact(id, CertificateEvent::CertificateDeclared(declared), None, None));
        self.add(fact(id, started, of, None));
        self.add(fact(id, CertificateEvent::CertificateKeyRequested(key), of, None));
        self.add(fact(id, made, of, None));
        self.add(fact(order(id, 1), OrderEvent::OrderRequested(request(id)), of, None));
    }

    /// A life of the process begins.
    pub(crate) fn boot(&mut self, boot: BootNo) {
        self.boot = boot;
        let event = EngineEvent::EngineBooted {
            identity: ProcessIdentity { boot, ..ProcessIdentity::default() },
            version: String::new(),
            previous: Previous::default(),
            tail: self.facts.seq,
        };
        self.add(fact(StreamId::ENGINE, event, None, None));
    }

    /// The renewal of [`ID`] brought the issue of this number.
    pub(crate) fn adopt(&mut self, generation: u32) {
        self.say(ID, CertificateEvent::GenerationAdopted(issue(generation)));
    }

    /// Writes down what was decided, and says how it is called.
    pub(crate) fn record(&mut self, records: Vec<NewEvent>) -> Vec<&'static str> {
        let names = records.iter().map(|new| new.event.name()).collect();
        records.into_iter().for_each(|new| self.add(new));
        names
    }

    /// The CA made the present order, with so many authorizations.
    pub(crate) fn created(&mut self, authorizations: u8, expires: Option<WallMs>) {
        let (present, _) = self.facts.order_of(ID).unwrap();
        let event = OrderEvent::OrderCreated {
            url: "https://ca.test/order/1".to_owned(),
            authorizations: (0..authorizations).map(|n| format!("https://ca.test/a/{n}")).collect(),
            status: OrderStatus::Pending,
            expires,
            found: Found::Answer,
        };
        self.say(present, event);
    }

    /// An authorization of the first order, its challenge chosen.
    pub(crate) fn chosen(&mut self, number: u8) -> AuthorizationId {
        let id = AuthorizationId([number + 1; 16]);
        let seen = AuthorizationEvent::AuthorizationSeen {
            order: order(ID, 1),
            certificate: ID,
            url: format!("https://ca.test/a/{number}"),
            identifier: NAME.to_owned(),
            expires: None,
            offers: vec!["http-01".to_owned()],
            valid: false,
        };
        let challenge = Challenge {
            url: format!("https://ca.test/c/{number}"),
            token: format!("token{number}"),
            thumbprint: "thumb".to_owned(),
        };
        self.say(id, seen);
        self.say(id, AuthorizationEvent::ChallengeChosen(challenge));
        id
    }
}
