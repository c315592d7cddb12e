//! The events of renewals as the engine really writes them: same order, same batches, values of the
//! same lengths. What a log of years looks like, without waiting for years.

mod renewal;

use renewd_events::account::{AccountEvent, AccountRequest, Directory};
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, Declaration, LifeLeft};
use renewd_events::id::{
    AccountId, BindingId, CertificateId, CertificateName, DnsName, Hash, KeyRef, RenewalId,
    StreamId, sha256,
};
use renewd_events::{Event, NewEvent};

use crate::error::BenchError;

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
    NewEvent { stream: stream.into(), event: event.into(), renewal: run, cause: None }
}

/// Text of the length and alphabet of a base64url digest, different for different parts.
fn digest_text(parts: &[&[u8]]) -> String {
    Hash(sha256(parts)).to_string().chars().take(DIGEST_CHARACTERS).collect()
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
            AccountEvent::TermsAccepted { terms_url: None, by: "configuration".to_owned() },
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
        events.into_iter().map(|event| said(self.account, event, None)).collect()
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
        said(self.id, CertificateEvent::CertificateDeclared(declaration), None)
    }

    /// A place to serve it.
    pub(crate) fn bound(&self) -> NewEvent {
        let target = Target::Builtin { address: "192.0.2.1:443".to_owned() };
        let certificate = self.id;
        said(self.binding, BindingEvent::BindingDeclared { certificate, target }, None)
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
    use renewd_events::id::{Generation, Seq};
    use renewd_events::log::MirrorReader;
    use renewd_events::{Facts, WallMs};

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
        assert_eq!(certificate.current.as_ref().unwrap().generation, Generation(2));
        assert_eq!((facts.orders.len(), facts.answers()), (1, 1));
        let token = site.token(3);
        assert_eq!(facts.answer(&token).unwrap().1, answer(&token));
    }
}
