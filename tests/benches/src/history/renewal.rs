//! One renewal, batch by batch, in the order in which the actors append.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::authorization::{AuthorizationEvent, Challenge, Probe};
use renewd_events::binding::{BindingEvent, Deployment};
use renewd_events::certificate::{Certificate, CertificateEvent, Issue, KeyRequest, Leaf};
use renewd_events::id::{
    AuthorizationId, Generation, Hash, KeyRef, OrderId, RenewalId, StreamId, sha256,
};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus};
use renewd_events::schedule::{Cause, ScheduleEvent};

use super::{Batch, Lineage, digest_text, said};

/// Octets of a PKCS#10 request of one name with a P-256 key.
const CSR_OCTETS: usize = 245;
/// Life of an issue.
const LIFE: Duration = Duration::from_secs(90 * 86_400);

impl Lineage {
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
        let scheduled = ScheduleEvent::RenewalScheduled { at, cause: Cause::LifeLeft, attempt: 1 };
        let key = KeyRequest { key_ref: self.key(run), identifiers: vec![self.domain.clone()] };
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
            authorizations: vec![format!("https://ca.example.org/acme/authz/1234567890/{order}")],
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
            offers: ["http-01", "dns-01", "tls-alpn-01"].map(str::to_owned).into(),
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
        [vec![of(seen), of(chosen)], vec![of(published)], vec![of(requested)]]
    }

    fn validated(&self, number: u32) -> [Batch; 2] {
        let (run, order) = self.ids(number);
        let authorization = AuthorizationId::derive(&[&order.0]);
        let accepted = AuthorizationEvent::ReadinessAccepted { inferred: false };
        let valid = AuthorizationEvent::AuthorizationBecameValid { visits: 5 };
        let of = |event| said(authorization, event, Some(run));
        [vec![of(accepted)], vec![of(valid), of(AuthorizationEvent::ChallengeWithdrawn)]]
    }

    fn issued(&self, number: u32, at: WallMs) -> [Batch; 4] {
        let (run, order) = self.ids(number);
        let ready = OrderEvent::OrderBecameReady { looks: 1 };
        let finalize = OrderEvent::FinalizationRequested { csr: Hash::of(&run.0) };
        let accepted = OrderEvent::FinalizationAccepted { status: OrderStatus::Processing };
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
            vec![said(order, OrderEvent::ChainDownloaded(leaf), run), said(self.id, adopted, run)],
        ]
    }

    fn served(&self, number: u32, at: WallMs) -> [Batch; 3] {
        let (run, _) = self.ids(number);
        let (generation, fingerprint) = (Generation(number), self.leaf(run, at).fingerprint);
        let wanted = BindingEvent::DeploymentRequested(Deployment { generation, fingerprint });
        let verified = BindingEvent::ServedVerified {
            generation,
            address: "192.0.2.1:443".to_owned(),
            fingerprint,
        };
        let of = |event: BindingEvent| said(self.binding, event, Some(run));
        [vec![of(wanted)], vec![of(BindingEvent::Deployed { generation })], vec![of(verified)]]
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
