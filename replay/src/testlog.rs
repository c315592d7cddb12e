//! For tests: a log by hand. Lists of (moment, stream, event) become envelopes; and a few stories that
//! several tests read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::authorization::{AuthorizationEvent, Challenge, Probe};
use renewd_events::binding::{BindingEvent, Deployment, Target};
use renewd_events::certificate::{
    Certificate, CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft,
};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, BootNo, CertificateId, DnsName, Generation, Hash,
    KeyRef, ListenerId, OrderId, RenewalId, Seq, StreamId, StreamKind,
};
use renewd_events::listener::ListenerEvent;
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::{EngineEvent, Previous};
use renewd_events::restart::ProcessIdentity;
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{ActorName, Envelope, Event, Facts, WallMs};

use crate::fold::read;

/// 2026-11-23 03:10:02.114 UTC.
pub(crate) const START: u64 = 1_795_403_402_114;
const DAY_MS: u64 = 86_400_000;

/// A log being written.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) envelopes: Vec<Envelope>,
    versions: BTreeMap<StreamId, u32>,
    now: u64,
    boot: u32,
    pub(crate) renewal: Option<RenewalId>,
    number: u32,
}

pub(crate) fn certificate() -> CertificateId {
    CertificateId::derive(&[b"example"])
}

pub(crate) fn account() -> AccountId {
    AccountId::derive(&[b"https://ca.test/dir"])
}

pub(crate) fn binding() -> BindingId {
    BindingId::derive(&[b"443"])
}

pub(crate) fn dns(names: &[&str]) -> Vec<DnsName> {
    names.iter().map(|name| DnsName::parse(name).unwrap()).collect()
}

pub(crate) fn acme(kind: &str, status: u16, detail: &str) -> Problem {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let mut problem = Problem::new(ProblemClass::Acme, &kind, detail);
    problem.status = status;
    problem.about("https://ca.test/order/1")
}

pub(crate) fn leaf() -> Leaf {
    Leaf {
        chain: Hash([1; 32]),
        fingerprint: Hash([2; 32]),
        spki: Hash([3; 32]),
        serial: "048f2a".to_owned(),
        ari_id: Some("aki.serial".to_owned()),
        not_before: WallMs(START),
        not_after: WallMs(START + 90 * DAY_MS),
        issuer: "Test CA".to_owned(),
        names: vec!["example.org".to_owned(), "www.example.org".to_owned()],
        certificates: 2,
    }
}

fn actor(kind: StreamKind) -> ActorName {
    match kind {
        StreamKind::Engine => ActorName::Engine,
        StreamKind::Clock | StreamKind::Schedule => ActorName::Clock,
        StreamKind::Account => ActorName::Registrar,
        StreamKind::Certificate | StreamKind::Order => ActorName::Issuer,
        StreamKind::Authorization => ActorName::Validator,
        StreamKind::Binding | StreamKind::Listener => ActorName::Binder,
        StreamKind::Restart => ActorName::RestartCoordinator,
    }
}

impl Log {
    /// Moves the clock to so many milliseconds after [`START`].
    pub(crate) fn at(&mut self, offset: u64) -> &mut Self {
        self.now = START + offset;
        self
    }

    pub(crate) fn now(&self) -> WallMs {
        WallMs(self.now)
    }

    /// Appends an event, of the renewal under way unless the stream belongs to none.
    pub(crate) fn add(
        &mut self,
        stream: impl Into<StreamId>,
        event: impl Into<Event>,
    ) -> &mut Self {
        let (stream, event) = (stream.into(), event.into());
        let version = self.versions.entry(stream).or_insert(0);
        *version += 1;
        let of_none = matches!(
            event.kind(),
            StreamKind::Engine | StreamKind::Clock | StreamKind::Account | StreamKind::Schedule
        );
        self.envelopes.push(Envelope {
            seq: Seq(u64::try_from(self.envelopes.len()).unwrap() + 1),
            stream,
            version: *version,
            batch_index: 0,
            batch_len: 1,
            at: WallMs(self.now),
            boot: BootNo(self.boot),
            actor: actor(stream.kind),
            incarnation: 1,
            renewal: self.renewal.filter(|_| !of_none),
            cause: None,
            trace: None,
            previous: Hash::default(),
            event,
        });
        self
    }

    pub(crate) fn boot(&mut self, previous: Previous) -> &mut Self {
        self.boot += 1;
        let boot = BootNo(self.boot);
        let identity = ProcessIdentity {
            os_boot: "os".to_owned(),
            pid: 100 + self.boot,
            start_ticks: 1,
            boot,
        };
        let tail = Seq(u64::try_from(self.envelopes.len()).unwrap());
        let version = "0.1.0".to_owned();
        self.add(StreamId::ENGINE, EngineEvent::EngineBooted { identity, version, previous, tail })
    }

    pub(crate) fn facts(&self) -> Facts {
        read(Facts::default(), &self.envelopes)
    }

    pub(crate) fn witness(&self) -> crate::why::Witness {
        read(crate::why::Witness::new(certificate()), &self.envelopes)
    }

    pub(crate) fn why(&self) -> crate::why::Why {
        crate::why::why(&self.facts(), &self.witness(), certificate(), self.now()).unwrap()
    }

    pub(crate) fn order(&self, number: u32) -> OrderId {
        Certificate::order_id(self.renewal.unwrap(), number)
    }

    pub(crate) fn authorization(&self, name: &str) -> AuthorizationId {
        AuthorizationId::derive(&[&self.renewal.unwrap().0, name.as_bytes()])
    }

    /// A first boot with an account that can be used and a certificate that is wanted.
    pub(crate) fn configured() -> Self {
        let mut log = Self::default();
        log.at(0).boot(Previous::None);
        log.add(
            account(),
            AccountEvent::AccountDeclared {
                directory_url: "https://ca.test/dir".to_owned(),
                contacts_hash: Hash::default(),
                contacts: 1,
            },
        );
        log.add(
            certificate(),
            CertificateEvent::CertificateDeclared(Declaration {
                name: "example".to_owned(),
                account: account(),
                identifiers: dns(&["example.org", "www.example.org"]),
                profile: None,
                ari: true,
                life_left: LifeLeft::Share(1, 3),
            }),
        );
        let target = Target::Builtin { address: "0.0.0.0:443".to_owned() };
        let certificate = certificate();
        log.add(binding(), BindingEvent::BindingDeclared { certificate, target });
        log.add(listener(), ListenerEvent::ListenerOpened { address: "0.0.0.0:443".to_owned() });
        log.add(
            account(),
            AccountEvent::TermsAccepted { terms_url: None, by: "configuration".to_owned() },
        );
        log
    }

    pub(crate) fn registered() -> Self {
        let mut log = Self::configured();
        log.at(100).add(
            account(),
            AccountEvent::DirectoryObserved(Directory {
                terms_url: Some("https://ca.test/terms".to_owned()),
                profiles: Vec::new(),
                renewal_info: true,
                external_account_required: false,
            }),
        );
        let key_ref = KeyRef("account-1".to_owned());
        let thumbprint = "thumb".to_owned();
        log.add(
            account(),
            AccountEvent::AccountKeyCreated {
                key_ref: key_ref.clone(),
                thumbprint: thumbprint.clone(),
            },
        );
        let contacts_hash = Hash::default();
        log.add(
            account(),
            AccountEvent::AccountRequested(AccountRequest { key_ref, thumbprint, contacts_hash }),
        );
        log.at(150).add(
            account(),
            AccountEvent::AccountRegistered {
                url: "https://ca.test/acct/1".to_owned(),
                already_existed: false,
            },
        );
        log.add(
            StreamId::schedule(certificate()),
            ScheduleEvent::RenewalScheduled { at: log.now(), cause: Cause::FirstIssue, attempt: 1 },
        );
        log
    }

    /// The next renewal begins at so many milliseconds.
    pub(crate) fn started(&mut self, offset: u64, cause: Cause, attempt: u32) -> &mut Self {
        self.number += 1;
        let number = self.number;
        self.renewal = Some(Certificate::renewal_id(certificate(), number));
        self.at(offset);
        self.add(
            certificate(),
            CertificateEvent::RenewalStarted { number, cause, attempt, replaces: None },
        );
        let key = KeyRequest {
            key_ref: KeyRef(format!("cert-{number}")),
            identifiers: dns(&["example.org", "www.example.org"]),
        };
        self.add(certificate(), CertificateEvent::CertificateKeyRequested(key));
        self.requested(1)
    }

    pub(crate) fn requested(&mut self, number: u32) -> &mut Self {
        let request = NewOrder {
            certificate: certificate(),
            account: account(),
            identifiers: dns(&["example.org", "www.example.org"]),
            profile: None,
            replaces: None,
        };
        self.add(self.order(number), OrderEvent::OrderRequested(request))
    }

    pub(crate) fn keyed(&mut self) -> &mut Self {
        let key_ref = KeyRef(format!("cert-{}", self.number));
        self.add(
            certificate(),
            CertificateEvent::CertificateKeyCreated {
                key_ref,
                spki: Hash([3; 32]),
                csr: vec![0; 300],
            },
        )
    }

    pub(crate) fn created(&mut self, number: u32, found: Found) -> &mut Self {
        self.add(
            self.order(number),
            OrderEvent::OrderCreated {
                url: format!("https://ca.test/order/{number}"),
                authorizations: vec![
                    "https://ca.test/a/1".to_owned(),
                    "https://ca.test/a/2".to_owned(),
                ],
                status: OrderStatus::Pending,
                expires: None,
                found,
            },
        )
    }

    /// The challenge of a name is learnt and published.
    pub(crate) fn published(&mut self, name: &str, probe: Probe) -> &mut Self {
        let id = self.authorization(name);
        self.add(
            id,
            AuthorizationEvent::AuthorizationSeen {
                order: self.order(1),
                certificate: certificate(),
                url: format!("https://ca.test/a/{name}"),
                identifier: name.to_owned(),
                expires: None,
                offers: vec!["http-01".to_owned(), "dns-01".to_owned()],
                valid: false,
            },
        );
        self.add(
            id,
            AuthorizationEvent::ChallengeChosen(Challenge {
                url: format!("https://ca.test/c/{name}"),
                token: format!("token-{name}"),
                thumbprint: "thumb".to_owned(),
            }),
        );
        self.add(id, AuthorizationEvent::Published { probe })
    }

    pub(crate) fn told(&mut self, name: &str) -> &mut Self {
        let challenge_url = format!("https://ca.test/c/{name}");
        self.add(self.authorization(name), AuthorizationEvent::ReadinessRequested { challenge_url })
    }

    pub(crate) fn accepted(&mut self, name: &str) -> &mut Self {
        let event = AuthorizationEvent::ReadinessAccepted { inferred: false };
        self.add(self.authorization(name), event)
    }

    /// The answer was lost, and the authorization shows that it had arrived.
    pub(crate) fn settled(&mut self, name: &str) -> &mut Self {
        let event = AuthorizationEvent::ReadinessAccepted { inferred: true };
        self.add(self.authorization(name), event)
    }

    pub(crate) fn valid(&mut self, name: &str) -> &mut Self {
        let event = AuthorizationEvent::AuthorizationBecameValid { visits: 3 };
        self.add(self.authorization(name), event)
    }

    pub(crate) fn invalid(&mut self, name: &str, problem: Problem, visits: u32) -> &mut Self {
        let event = AuthorizationEvent::AuthorizationBecameInvalid { problem, visits };
        self.add(self.authorization(name), event)
    }

    pub(crate) fn failed(&mut self, code: &str, problem: Problem) -> &mut Self {
        let code = code.to_owned();
        self.add(certificate(), CertificateEvent::RenewalFailed { code, problem });
        self.renewal = None;
        self
    }

    /// From the order on: all proven, issued, adopted.
    pub(crate) fn issued(&mut self) -> &mut Self {
        let order = self.order(1);
        self.add(order, OrderEvent::OrderBecameReady { looks: 2 });
        for name in ["example.org", "www.example.org"] {
            let id = self.authorization(name);
            self.add(id, AuthorizationEvent::ChallengeWithdrawn);
        }
        self.add(order, OrderEvent::FinalizationRequested { csr: Hash([4; 32]) });
        self.now += 80;
        self.add(order, OrderEvent::FinalizationAccepted { status: OrderStatus::Processing });
        self.now += 1100;
        let url = "https://ca.test/cert/1".to_owned();
        self.add(order, OrderEvent::CertificateReady { url, looks: 1 });
        self.now += 40;
        self.add(order, OrderEvent::ChainDownloaded(leaf()));
        self.add(
            certificate(),
            CertificateEvent::GenerationAdopted(Issue {
                generation: Generation(self.number),
                order,
                key_ref: KeyRef(format!("cert-{}", self.number)),
                spki: Hash([3; 32]),
                leaf: leaf(),
            }),
        )
    }

    pub(crate) fn deploying(&mut self) -> &mut Self {
        let generation = Generation(self.number);
        let fingerprint = Hash([2; 32]);
        self.add(
            binding(),
            BindingEvent::DeploymentRequested(Deployment { generation, fingerprint }),
        )
    }

    pub(crate) fn served(&mut self) -> &mut Self {
        let generation = Generation(self.number);
        self.deploying();
        self.now += 2;
        self.add(binding(), BindingEvent::Deployed { generation });
        self.now += 5;
        self.add(
            binding(),
            BindingEvent::ServedVerified {
                generation,
                address: "127.0.0.1:443".to_owned(),
                fingerprint: Hash([2; 32]),
            },
        );
        self.add(certificate(), CertificateEvent::RenewalSucceeded { generation });
        self.renewal = None;
        let at = WallMs(START + 60 * DAY_MS);
        let event = ScheduleEvent::RenewalScheduled { at, cause: Cause::LifeLeft, attempt: 1 };
        self.add(StreamId::schedule(certificate()), event)
    }

    /// The first certificate, with a crash between "ready" and the CA's answer.
    pub(crate) fn first_with_crash() -> Self {
        let mut log = Self::registered();
        log.started(200, Cause::FirstIssue, 1);
        log.at(220).keyed();
        log.at(700).created(1, Found::Answer);
        log.at(900).published("example.org", Probe::Seen);
        log.published("www.example.org", Probe::Seen);
        log.at(910).told("example.org").told("www.example.org");
        log.at(960).accepted("example.org");
        log.at(12_160).boot(Previous::Crashed);
        log.at(12_400).settled("www.example.org");
        log.at(14_800).valid("example.org").valid("www.example.org");
        log.issued().served();
        log
    }

    /// A renewal that failed since another server answers over IPv6, for the `attempt`th time.
    pub(crate) fn fails_over_ipv6(&mut self, offset: u64, attempt: u32) -> &mut Self {
        self.started(offset, if attempt == 1 { Cause::AriWindow } else { Cause::Retry }, attempt);
        self.at(offset + 20).keyed();
        self.at(offset + 500).created(1, Found::Answer);
        self.at(offset + 600).published("example.org", Probe::Seen);
        self.published("www.example.org", Probe::Seen);
        self.at(offset + 610).told("example.org").told("www.example.org");
        self.at(offset + 650).accepted("example.org").accepted("www.example.org");
        let problem = acme(
            "unauthorized",
            403,
            "2001:db8::7: Invalid response from http://example.org/.well-known/acme-challenge/x: 404",
        );
        let summary = acme("unauthorized", 403, "see authorizations");
        let order = self.order(1);
        self.at(offset + 3000).add(order, OrderEvent::OrderBecameInvalid { problem: summary });
        self.at(offset + 3100).invalid("example.org", problem.clone(), 0);
        self.valid("www.example.org");
        for name in ["example.org", "www.example.org"] {
            self.add(self.authorization(name), AuthorizationEvent::ChallengeWithdrawn);
        }
        self.failed("R0207", problem);
        let at = self.now().after(std::time::Duration::from_secs(3600));
        let event =
            ScheduleEvent::RenewalScheduled { at, cause: Cause::Retry, attempt: attempt + 1 };
        self.add(StreamId::schedule(certificate()), event)
    }
}

pub(crate) fn listener() -> ListenerId {
    ListenerId::derive(&[b"0.0.0.0:443"])
}

/// Compares with `golden/NAME`; with `RENEWD_GOLDEN=write` in the environment it writes the file.
pub(crate) fn golden(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("RENEWD_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|cause| {
        panic!("{}: {cause}; RENEWD_GOLDEN=write makes it", path.display())
    });
    assert!(
        expected == found,
        "{name} differs; RENEWD_GOLDEN=write rewrites it\n--- expected\n{expected}\n--- found\n{found}"
    );
}
