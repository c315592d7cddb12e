//! The events of renewals as the engine really writes them: same order, same batches, values of the
//! same lengths. What a log of years looks like, without waiting for years.

use std::time::Duration;

use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::authorization::{AuthorizationEvent, Challenge, Probe};
use renewd_events::binding::{BindingEvent, Deployment, Target};
use renewd_events::certificate::{
    Certificate, CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft,
};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, CertificateId, CertificateName, DnsName, Generation,
    Hash, KeyRef, OrderId, RenewalId, StreamId, sha256,
};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{Event, NewEvent, WallMs};

use crate::error::BenchError;

/// Octets of a PKCS#10 request of one name with a P-256 key.
const CSR_OCTETS: usize = 245;
/// Life of an issue.
const LIFE: Duration = Duration::from_secs(90 * 86_400);
/// Length of a base64url SHA-256: a thumbprint, and Let's Encrypt's tokens.
const DIGEST_CHARACTERS: usize = 43;

/// A batch: appended together or not at all.
pub(crate) type Batch = Vec<NewEvent>;

/// One account and its certificates.
#[derive(Debug)]
pub(crate) struct History {
    directory_url: String,
    account: AccountId,
}

/// One certificate of a [`History`].
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    /// Its configured name.
    pub(crate) name: String,
    /// Its only DNS name.
    pub(crate) domain: DnsName,
    id: CertificateId,
    account: AccountId,
    binding: BindingId,
}

fn wrong(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(cause.to_string())
}

fn said(stream: impl Into<StreamId>, event: impl Into<Event>, run: Option<RenewalId>) -> NewEvent {
    NewEvent {
        stream: stream.into(),
        event: event.into(),
        renewal: run,
        cause: None,
    }
}

/// Text of the length and alphabet of a base64url digest, different for different parts.
fn digest_text(parts: &[&[u8]]) -> String {
    Hash(sha256(parts))
        .to_string()
        .chars()
        .take(DIGEST_CHARACTERS)
        .collect()
}

impl History {
    /// At the CA with this directory.
    pub(crate) fn at(directory_url: &str) -> Self {
        Self {
            directory_url: directory_url.to_owned(),
            account: AccountId::derive(&[directory_url.as_bytes()]),
        }
    }

    /// What a first start appends about the account, and its registration.
    pub(crate) fn account(&self) -> Batch {
        let none = Hash(sha256(&[]));
        let key_ref = KeyRef(format!("account-{}", self.account));
        let thumbprint = digest_text(&[b"thumbprint"]);
        let events = [
            AccountEvent::AccountDeclared {
                directory_url: self.directory_url.clone(),
                contacts_hash: none,
                contacts: 0,
            },
            AccountEvent::TermsAccepted {
                terms_url: None,
                by: "configuration".to_owned(),
            },
            AccountEvent::DirectoryObserved(Directory {
                terms_url: Some("https://ca.example.org/terms/v7".to_owned()),
                profiles: vec!["default".to_owned(), "shortlived".to_owned()],
                renewal_info: true,
                external_account_required: false,
            }),
            AccountEvent::AccountKeyCreated {
                key_ref: key_ref.clone(),
                thumbprint: thumbprint.clone(),
            },
            AccountEvent::AccountRequested(AccountRequest {
                key_ref,
                thumbprint,
                contacts_hash: none,
            }),
            AccountEvent::AccountRegistered {
                url: "https://ca.example.org/acme/acct/1234567890".to_owned(),
                already_existed: false,
            },
        ];
        events
            .into_iter()
            .map(|event| said(self.account, event, None))
            .collect()
    }

    /// The certificate of this number.
    pub(crate) fn lineage(&self, number: u32) -> Result<Lineage, BenchError> {
        let name = CertificateName::parse(&format!("site-{number:05}")).map_err(wrong)?;
        let id = name.id();
        Ok(Lineage {
            name: name.as_str().to_owned(),
            domain: DnsName::parse(&format!("www.site-{number:05}.example.org")).map_err(wrong)?,
            id,
            account: self.account,
            binding: BindingId::derive(&[&id.0, b"builtin"]),
        })
    }
}

impl Lineage {
    /// What the configuration says, with the settings that [`crate::rig`] writes.
    pub(crate) fn declared(&self) -> NewEvent {
        let declaration = Declaration {
            name: self.name.clone(),
            account: self.account,
            identifiers: vec![self.domain.clone()],
            profile: None,
            ari: false,
            life_left: LifeLeft::Share(1, 3),
        };
        said(
            self.id,
            CertificateEvent::CertificateDeclared(declaration),
            None,
        )
    }

    /// A place to serve it.
    pub(crate) fn bound(&self) -> NewEvent {
        let target = Target::Builtin {
            address: "192.0.2.1:443".to_owned(),
        };
        let certificate = self.id;
        said(
            self.binding,
            BindingEvent::BindingDeclared {
                certificate,
                target,
            },
            None,
        )
    }

    /// The `number`th renewal, from its plan to the next one.
    pub(crate) fn renewal(&self, number: u32, at: WallMs) -> Vec<Batch> {
        let mut batches = self.up_to_challenge(number, at);
        batches.extend(self.validated(number));
        batches.extend(self.issued(number, at));
        batches.extend(self.served(number, at));
        batches.push(self.succeeded(number));
        batches
    }

    /// A renewal of a certificate that is served nowhere.
    pub(crate) fn renewal_unserved(&self, number: u32, at: WallMs) -> Vec<Batch> {
        let mut batches = self.up_to_challenge(number, at);
        batches.extend(self.validated(number));
        batches.extend(self.issued(number, at));
        batches.push(self.succeeded(number));
        batches
    }

    /// A renewal as it stands when the CA is about to fetch the token.
    pub(crate) fn up_to_challenge(&self, number: u32, at: WallMs) -> Vec<Batch> {
        let (run, order) = self.ids(number);
        let scheduled = ScheduleEvent::RenewalScheduled {
            at,
            cause: Cause::LifeLeft,
            attempt: 1,
        };
        let key = KeyRequest {
            key_ref: self.key(run),
            identifiers: vec![self.domain.clone()],
        };
        let started = CertificateEvent::RenewalStarted {
            number,
            cause: Cause::LifeLeft,
            attempt: 1,
            replaces: None,
        };
        let request = NewOrder {
            certificate: self.id,
            account: self.account,
            identifiers: vec![self.domain.clone()],
            profile: None,
            replaces: None,
        };
        let created = CertificateEvent::CertificateKeyCreated {
            key_ref: self.key(run),
            spki: Hash::of(&run.0),
            csr: run.0.iter().copied().cycle().take(CSR_OCTETS).collect(),
        };
        let run = Some(run);
        let mut batches = vec![
            vec![said(StreamId::schedule(self.id), scheduled, None)],
            vec![
                said(self.id, started, run),
                said(self.id, CertificateEvent::CertificateKeyRequested(key), run),
                said(order, OrderEvent::OrderRequested(request), run),
            ],
            vec![said(self.id, created, run)],
            vec![said(order, self.order_created(order, at), run)],
        ];
        batches.extend(self.challenged(number, at));
        batches
    }

    fn order_created(&self, order: OrderId, at: WallMs) -> OrderEvent {
        OrderEvent::OrderCreated {
            url: format!("https://ca.example.org/acme/order/1234567890/{order}"),
            authorizations: vec![format!(
                "https://ca.example.org/acme/authz/1234567890/{order}"
            )],
            status: OrderStatus::Pending,
            expires: Some(at.after(Duration::from_secs(7 * 86_400))),
            found: Found::Answer,
        }
    }

    fn challenged(&self, number: u32, at: WallMs) -> [Batch; 3] {
        let (run, order) = self.ids(number);
        let (run, authorization) = (Some(run), AuthorizationId::derive(&[&order.0]));
        let seen = AuthorizationEvent::AuthorizationSeen {
            order,
            certificate: self.id,
            url: format!("https://ca.example.org/acme/authz/1234567890/{order}"),
            identifier: self.domain.as_str().to_owned(),
            expires: Some(at.after(Duration::from_secs(7 * 86_400))),
            offers: ["http-01", "dns-01", "tls-alpn-01"]
                .map(str::to_owned)
                .into(),
            valid: false,
        };
        let url = format!("https://ca.example.org/acme/chall/1234567890/{order}/AbCdEf");
        let chosen = AuthorizationEvent::ChallengeChosen(Challenge {
            url: url.clone(),
            token: self.token(number),
            thumbprint: digest_text(&[b"thumbprint"]),
        });
        let published = AuthorizationEvent::Published { probe: Probe::Seen };
        let requested = AuthorizationEvent::ReadinessRequested { challenge_url: url };
        let of = |event| said(authorization, event, run);
        [
            vec![of(seen), of(chosen)],
            vec![of(published)],
            vec![of(requested)],
        ]
    }

    fn validated(&self, number: u32) -> [Batch; 2] {
        let (run, order) = self.ids(number);
        let authorization = AuthorizationId::derive(&[&order.0]);
        let accepted = AuthorizationEvent::ReadinessAccepted { inferred: false };
        let valid = AuthorizationEvent::AuthorizationBecameValid { visits: 5 };
        let of = |event| said(authorization, event, Some(run));
        [
            vec![of(accepted)],
            vec![of(valid), of(AuthorizationEvent::ChallengeWithdrawn)],
        ]
    }

    fn issued(&self, number: u32, at: WallMs) -> [Batch; 4] {
        let (run, order) = self.ids(number);
        let ready = OrderEvent::OrderBecameReady { looks: 1 };
        let finalize = OrderEvent::FinalizationRequested {
            csr: Hash::of(&run.0),
        };
        let accepted = OrderEvent::FinalizationAccepted {
            status: OrderStatus::Processing,
        };
        let certificate = OrderEvent::CertificateReady {
            url: format!("https://ca.example.org/acme/cert/{order}"),
            looks: 1,
        };
        let leaf = self.leaf(run, at);
        let adopted = CertificateEvent::GenerationAdopted(Issue {
            generation: Generation(number),
            order,
            key_ref: self.key(run),
            spki: leaf.spki,
            leaf: leaf.clone(),
        });
        let run = Some(run);
        [
            vec![said(order, ready, run), said(order, finalize, run)],
            vec![said(order, accepted, run)],
            vec![said(order, certificate, run)],
            vec![
                said(order, OrderEvent::ChainDownloaded(leaf), run),
                said(self.id, adopted, run),
            ],
        ]
    }

    fn served(&self, number: u32, at: WallMs) -> [Batch; 3] {
        let (run, _) = self.ids(number);
        let (generation, fingerprint) = (Generation(number), self.leaf(run, at).fingerprint);
        let wanted = BindingEvent::DeploymentRequested(Deployment {
            generation,
            fingerprint,
        });
        let verified = BindingEvent::ServedVerified {
            generation,
            address: "192.0.2.1:443".to_owned(),
            fingerprint,
        };
        let of = |event: BindingEvent| said(self.binding, event, Some(run));
        [
            vec![of(wanted)],
            vec![of(BindingEvent::Deployed { generation })],
            vec![of(verified)],
        ]
    }

    fn succeeded(&self, number: u32) -> Batch {
        let generation = Generation(number);
        let event = CertificateEvent::RenewalSucceeded { generation };
        vec![said(self.id, event, Some(self.ids(number).0))]
    }

    fn leaf(&self, run: RenewalId, at: WallMs) -> Leaf {
        let hash = |what: &[u8]| Hash(sha256(&[&run.0, what]));
        Leaf {
            chain: hash(b"chain"),
            fingerprint: hash(b"leaf"),
            spki: hash(b"spki"),
            serial: run.to_string(),
            ari_id: Some(format!("{}.{}", digest_text(&[b"issuer"]), run)),
            not_before: at,
            not_after: at.after(LIFE),
            issuer: "CN=Example Intermediate CA R11, O=Example Trust, C=CH".to_owned(),
            names: vec![self.domain.as_str().to_owned()],
            certificates: 2,
        }
    }

    /// The token of the `number`th renewal's challenge.
    pub(crate) fn token(&self, number: u32) -> String {
        digest_text(&[&self.id.0, &number.to_le_bytes()])
    }

    fn ids(&self, number: u32) -> (RenewalId, OrderId) {
        let run = Certificate::renewal_id(self.id, number);
        (run, Certificate::order_id(run, 1))
    }

    fn key(&self, run: RenewalId) -> KeyRef {
        KeyRef(format!("{}-{run}", self.name))
    }
}

/// What the responder must answer for a token of this history (RFC 8555 §8.1).
pub(crate) fn answer(token: &str) -> String {
    format!("{token}.{}", digest_text(&[b"thumbprint"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_file::{End, Filler};
    use renewd_events::Facts;
    use renewd_events::id::Seq;
    use renewd_events::log::MirrorReader;

    #[test]
    fn a_renewal_of_this_history_is_one_that_the_fold_takes_without_anomaly() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::at("https://ca.example.org/directory");
        let mut filler = Filler::create(&folder.path().join("log"), WallMs(1)).unwrap();
        let site = history.lineage(1).unwrap();
        filler.push(history.account()).unwrap();
        filler.push(vec![site.declared(), site.bound()]).unwrap();
        for number in 1..=2 {
            for batch in site.renewal(number, WallMs(1_000)) {
                filler.push(batch).unwrap();
            }
        }
        for batch in site.up_to_challenge(3, WallMs(2_000)) {
            filler.push(batch).unwrap();
        }
        let (events, _) = filler.end(End::Killed).unwrap();
        let mut facts = Facts::default();
        let reader = MirrorReader::open(&folder.path().join("log")).unwrap();
        for envelope in reader.envelopes(Seq(1)).unwrap() {
            facts.apply(&envelope.unwrap());
        }
        assert_eq!(facts.seq, Seq(u64::from(events)));
        let certificate = &facts.certificates[&site.id];
        assert_eq!(certificate.anomaly, None);
        assert_eq!(
            certificate.current.as_ref().unwrap().generation,
            Generation(2)
        );
        assert_eq!((facts.orders.len(), facts.answers()), (1, 1));
        let token = site.token(3);
        assert_eq!(facts.answer(&token).unwrap().1, answer(&token));
    }
}
