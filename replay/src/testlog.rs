//! For tests: a log by hand. Lists of (moment, stream, event) become envelopes; and a few stories that
//! several tests read.

mod story;

use std::collections::BTreeMap;
use std::path::PathBuf;

use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{Certificate, CertificateEvent, Declaration, Leaf, LifeLeft};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, BootNo, CertificateId, DnsName, Hash, KeyRef,
    ListenerId, OrderId, RenewalId, Seq, StreamId, StreamKind,
};
use renewd_events::listener::ListenerEvent;
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

    /// Our own listener is open in this life.
    pub(crate) fn listening(&mut self) -> &mut Self {
        let address = "0.0.0.0:443".to_owned();
        self.add(listener(), ListenerEvent::ListenerOpened { address })
    }

    /// The certificate is wanted in files, and nowhere else.
    pub(crate) fn in_files(&mut self, verify: Option<&str>) -> &mut Self {
        let (directory, verify) = ("/srv/out".to_owned(), verify.map(str::to_owned));
        let target = Target::Files { directory, reload: false, verify };
        let certificate = certificate();
        self.add(binding(), BindingEvent::BindingDeclared { certificate, target })
    }

    pub(crate) fn facts(&self) -> Facts {
        read(Facts::default(), &self.envelopes)
    }

    pub(crate) fn witnesses(&self) -> crate::why::Witnesses {
        read(crate::why::Witnesses::default(), &self.envelopes)
    }

    pub(crate) fn why(&self) -> crate::why::Why {
        crate::why::why(&self.facts(), &self.witnesses(), certificate(), self.now()).unwrap()
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
        log.listening();
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
