//! An account at a CA (RFC 8555 §7.3): its facts, its state, and how a fact changes it.

use serde::{Deserialize, Serialize};

use crate::id::{Hash, KeyRef};
use crate::intent::{Anomaly, Durable, Meta};
use crate::problem::Problem;
use crate::time::WallMs;

/// What can happen to an account.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumCount,
)]
pub enum AccountEvent {
    /// The configuration wants this account.
    AccountDeclared {
        /// The CA's directory (RFC 8555 §7.1.1).
        directory_url: String,
        /// SHA-256 of the contact list; the addresses themselves stay in the configuration.
        contacts_hash: Hash,
        /// How many contacts.
        contacts: u8,
    },
    /// The directory was read and differs from what was known.
    DirectoryObserved(Directory),
    /// The directory could not be read; recorded once per outage.
    DirectoryUnreachable {
        /// What came back.
        problem: Problem,
    },
    /// A person accepted the terms, in the configuration or by command.
    TermsAccepted {
        /// The terms as they were then; absent while the directory was not yet known.
        terms_url: Option<String>,
        /// `configuration` or the command.
        by: String,
    },
    /// The account key is in the vault, durable.
    AccountKeyCreated {
        /// Its name in the vault.
        key_ref: KeyRef,
        /// RFC 7638 thumbprint, base64url: public, and part of every http-01 answer.
        thumbprint: String,
    },
    /// Intent: POST newAccount. Outcomes: registered, refused. The same key gives the same account
    /// (RFC 8555 §7.3.1), so a lost answer is settled by asking again.
    AccountRequested(AccountRequest),
    /// The CA knows the account.
    AccountRegistered {
        /// Its URL, used as `kid`.
        url: String,
        /// The CA knew the key before.
        already_existed: bool,
    },
    /// The CA said no.
    AccountRefused {
        /// Its words.
        problem: Problem,
    },
    /// Intent: change the contacts (RFC 8555 §7.3.2). Idempotent.
    ContactsChangeRequested {
        /// The list that is wanted.
        contacts_hash: Hash,
    },
    /// The CA has the contacts.
    ContactsChanged {
        /// The list it has.
        contacts_hash: Hash,
    },
    /// The CA did not take the contacts. It never blocks an order.
    ContactsChangeFailed {
        /// The list it refused.
        contacts_hash: Hash,
        /// Its words.
        problem: Problem,
    },
    /// The CA refused to go on until a person acts (`userActionRequired`, RFC 8555 §7.3.3): nothing is
    /// ordered until somebody says so with `TermsAccepted`.
    PersonRequired {
        /// Its words, with the URL of the terms and the one to visit.
        problem: Problem,
        /// When the request failed that said so.
        failed_at: WallMs,
    },
    /// Intent: tell the CA of the agreement. Outcomes: agreed, refused. Idempotent.
    AgreementRequested(AccountRequest),
    /// The CA took the agreement; whether it is content, the next order shows.
    AgreementTaken {
        /// The account, as the CA names it.
        url: String,
    },
    /// The CA did not take it. It never blocks an order: that is refused again, or not.
    AgreementRefused {
        /// Its words.
        problem: Problem,
    },
    /// The registration brought an answer without a verdict, or none; recorded once per outage. It is
    /// asked for again.
    RegistrationUnanswered {
        /// What came back.
        problem: Problem,
    },
}

/// How far the CA knows that a person agreed to terms after the registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Agreement {
    /// There is nothing to tell: the registration said it, or the CA was told.
    #[default]
    Settled,
    /// To be told.
    Due,
    /// Told, no outcome yet.
    Requested(Durable<AccountRequest>),
}

/// What a CA wants a person to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonWanted {
    /// Its words, with the URLs.
    pub problem: Problem,
    /// Since when it is known here.
    pub since: WallMs,
}

/// What a directory says (RFC 8555 §7.1.1 and extensions).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// `meta.termsOfService`.
    pub terms_url: Option<String>,
    /// Names of the offered profiles, sorted.
    pub profiles: Vec<String>,
    /// Whether it offers renewal information (RFC 9773).
    pub renewal_info: bool,
    /// Whether a new account needs an external account binding.
    pub external_account_required: bool,
}

/// What a newAccount request says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRequest {
    /// The key that signs.
    pub key_ref: KeyRef,
    /// Its thumbprint.
    pub thumbprint: String,
    /// The contacts that go with it.
    pub contacts_hash: Hash,
}

/// How far registration is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Nothing was asked.
    #[default]
    Absent,
    /// Asked, no outcome yet.
    Requested(Durable<AccountRequest>),
    /// Known to the CA.
    Registered {
        /// The account URL.
        url: String,
    },
    /// Refused.
    Refused {
        /// The CA's words.
        problem: Problem,
        /// When.
        at: WallMs,
    },
}

/// The key of an account, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountKey {
    /// Its name in the vault.
    pub key_ref: KeyRef,
    /// RFC 7638 thumbprint.
    pub thumbprint: String,
}

/// The state of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The CA's directory.
    pub directory_url: String,
    /// What the directory said last.
    pub directory: Option<Directory>,
    /// Why the directory could not be read or the registration was not answered, while it is so.
    pub unreachable: Option<(Problem, WallMs)>,
    /// The accepted terms; `Some(None)`: accepted before their URL was known.
    pub terms: Option<Option<String>>,
    /// The key.
    pub key: Option<AccountKey>,
    /// The registration.
    pub registration: Registration,
    /// When the CA last said that it knows the account.
    pub registered_at: WallMs,
    /// How often registration failed in a row.
    pub failures: u32,
    /// The contacts that are wanted.
    pub contacts_wanted: Hash,
    /// How many of them.
    pub contacts: u8,
    /// The contacts the CA has, or refused.
    pub contacts_known: Option<Hash>,
    /// A change of contacts on its way.
    pub contacts_change: Option<Durable<Hash>>,
    /// What the CA wants a person to do first.
    pub person: Option<PersonWanted>,
    /// The newest refusal that was taken up as [`AccountEvent::PersonRequired`].
    pub person_heard: WallMs,
    /// When a person accepted terms last.
    pub accepted_at: WallMs,
    /// Whether the CA knows of that.
    pub agreement: Agreement,
    /// An impossible event.
    pub anomaly: Option<Anomaly>,
}

impl Account {
    /// The URL, when the account can be used.
    pub fn url(&self) -> Option<&str> {
        match &self.registration {
            Registration::Registered { url } => Some(url),
            Registration::Absent | Registration::Requested(_) | Registration::Refused { .. } => {
                None
            }
        }
    }

    /// Whether orders may be asked for in its name: registered, and nobody has to agree or to tell of an
    /// agreement first.
    pub fn may_order(&self) -> bool {
        self.url().is_some() && self.terms_are_accepted() && self.agreement == Agreement::Settled
    }

    /// Whether the present terms are accepted, and the CA waits for no other act of a person.
    pub fn terms_are_accepted(&self) -> bool {
        if self.person.is_some() {
            return false;
        }
        let now = self.directory.as_ref().and_then(|directory| directory.terms_url.as_ref());
        match (&self.terms, now) {
            (None, _) => false,
            (Some(None), _) | (Some(Some(_)), None) => true,
            (Some(Some(accepted)), Some(now)) => accepted == now,
        }
    }

    /// Applies one fact.
    pub fn evolve(&mut self, meta: &Meta, event: &AccountEvent) {
        match event {
            AccountEvent::AccountDeclared { directory_url, contacts_hash, contacts } => {
                self.directory_url.clone_from(directory_url);
                self.contacts_wanted = *contacts_hash;
                self.contacts = *contacts;
            }
            AccountEvent::DirectoryObserved(directory) => {
                if self.terms == Some(None) {
                    self.terms = Some(directory.terms_url.clone());
                }
                self.directory = Some(directory.clone());
                self.unreachable = None;
            }
            AccountEvent::DirectoryUnreachable { problem }
            | AccountEvent::RegistrationUnanswered { problem } => {
                self.unreachable = Some((problem.clone(), meta.at));
            }
            AccountEvent::TermsAccepted { terms_url, by: _ } => {
                self.terms = Some(terms_url.clone());
                self.accepted_at = meta.at;
                self.person = None;
                // A registration yet to come carries the agreement itself.
                if self.url().is_some() {
                    self.agreement = Agreement::Due;
                }
            }
            AccountEvent::PersonRequired { problem, failed_at } => {
                self.person = Some(PersonWanted { problem: problem.clone(), since: meta.at });
                self.person_heard = self.person_heard.max(*failed_at);
            }
            AccountEvent::AgreementRequested(request) => {
                self.agreement = Agreement::Requested(Durable::of(meta, request.clone()));
            }
            AccountEvent::AgreementTaken { url: _ } | AccountEvent::AgreementRefused { .. } => {
                self.agreement_ended(meta, event);
            }
            AccountEvent::AccountKeyCreated { key_ref, thumbprint } => {
                let (key_ref, thumbprint) = (key_ref.clone(), thumbprint.clone());
                self.key = Some(AccountKey { key_ref, thumbprint });
            }
            AccountEvent::AccountRequested(request) => {
                self.registration = Registration::Requested(Durable::of(meta, request.clone()));
            }
            AccountEvent::AccountRegistered { url, already_existed: _ } => {
                self.registered(meta, event, url);
            }
            AccountEvent::AccountRefused { problem } => {
                self.registration = Registration::Refused { problem: problem.clone(), at: meta.at };
                self.failures = self.failures.saturating_add(1);
            }
            AccountEvent::ContactsChangeRequested { contacts_hash } => {
                self.contacts_change = Some(Durable::of(meta, *contacts_hash));
            }
            AccountEvent::ContactsChanged { contacts_hash }
            | AccountEvent::ContactsChangeFailed { contacts_hash, problem: _ } => {
                self.contacts_known = Some(*contacts_hash);
                self.contacts_change = None;
            }
        }
    }

    /// A new acceptance meanwhile is told anew.
    fn agreement_ended(&mut self, meta: &Meta, event: &AccountEvent) {
        match self.agreement {
            Agreement::Requested(_) => self.agreement = Agreement::Settled,
            Agreement::Due => {}
            Agreement::Settled => {
                self.anomaly = Some(Anomaly { event: event.into(), seq: meta.seq });
            }
        }
    }

    fn registered(&mut self, meta: &Meta, event: &AccountEvent, url: &str) {
        if let Registration::Requested(request) = &self.registration {
            self.contacts_known = Some(request.intent().contacts_hash);
        } else {
            self.anomaly = Some(Anomaly { event: event.into(), seq: meta.seq });
        }
        self.registration = Registration::Registered { url: url.to_owned() };
        self.registered_at = meta.at;
        self.agreement = Agreement::Settled;
        self.failures = 0;
        self.unreachable = None;
    }
}
