//! What happens in hand-made logs, step by step.

use super::*;
use renewd_events::WallMs;
use renewd_events::authorization::{AuthorizationEvent, Challenge, Probe};
use renewd_events::binding::{BindingEvent, Deployment};
use renewd_events::certificate::{Certificate, CertificateEvent, Issue, KeyRequest};
use renewd_events::id::{Generation, Hash, KeyRef, StreamId};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::problem::Problem;
use renewd_events::process::Previous;
use renewd_events::schedule::{Cause, ScheduleEvent};

impl Log {
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
        log.at(12_160).boot(Previous::Crashed).listening();
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
