//! One account at its CA: its transport, its `instant-acme` handle, registration, and the requests
//! that we sign ourselves.

use std::sync::Arc;

use bytes::Bytes;
use instant_acme::Account;
use renewd_actors::ports::RegisteredAccount;
use renewd_events::account::Directory;
use renewd_events::id::{AccountId, KeyRef};
use renewd_events::problem::{Problem, ProblemClass};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::call;
use super::directory::Document;
use super::jws::{Identity, Signer};
use super::limits;
use super::lost::Learnt;
use super::problem;
use super::settings::{AccountConfig, AccountFacts, AccountKeys, Bounds, KnownAccount};
use super::transport::{DIRECTORY_AGE_MAX, DIRECTORY_FRESH, Shared, Transport, usable};
use super::unread::Unread;
use super::wire::Wire;

/// `instant-acme` tries three times; so often we repeat that. The CA has not acted (RFC 8555 §6.5).
pub(super) const BAD_NONCE_REPEATS: u32 = 3;
/// The same number of tries in all for a request of our own.
const BAD_NONCE_TRIES: u32 = 3 * (1 + BAD_NONCE_REPEATS);

/// Evaluates a call of `instant-acme` again while the CA refuses its nonce.
macro_rules! patiently {
    ($call:expr) => {{
        let mut repeats = 0;
        loop {
            match $call.await {
                Err(error)
                    if repeats < $crate::acme::seat::BAD_NONCE_REPEATS
                        && $crate::acme::problem::is_bad_nonce(&error) =>
                {
                    repeats += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}
pub(super) use patiently;

/// One account.
pub(super) struct Seat {
    id: AccountId,
    contacts: Vec<String>,
    transport: Arc<Transport>,
    keys: Arc<dyn AccountKeys>,
    facts: Arc<AccountFacts>,
    ready: tokio::sync::Mutex<Option<Ready>>,
    learnt: Learnt,
    unread: Unread,
}

/// The handle of `instant-acme`, and what it was made from.
struct Ready {
    known: KnownAccount,
    directory: Arc<Document>,
    account: Account,
}

impl Seat {
    pub(super) fn new(
        id: AccountId,
        config: &AccountConfig,
        wire: Wire,
        bounds: Bounds,
        (keys, facts): (Arc<dyn AccountKeys>, Arc<AccountFacts>),
    ) -> Self {
        Self {
            id,
            contacts: config.contacts.clone(),
            transport: Arc::new(Transport::new(&config.directory_url, wire, bounds)),
            keys,
            facts,
            ready: tokio::sync::Mutex::new(None),
            learnt: Learnt::default(),
            unread: Unread::default(),
        }
    }

    /// The contact URLs of the configuration.
    pub(super) fn contacts(&self) -> &[String] {
        &self.contacts
    }

    /// What is known of the orders in its list.
    pub(super) fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// Orders of which nothing but their URL is known.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Its way to the CA.
    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The directory, a minute old at most.
    pub(super) async fn directory(&self) -> Result<Directory, Problem> {
        let document = self.transport.directory(DIRECTORY_FRESH).await;
        Ok(document.map_err(|fault| problem::of_fault(&fault))?.facts())
    }

    /// Terms that the CA insists on are newer than the directory at hand (RFC 8555 §7.3.3).
    pub(super) async fn heard(&self, problem: Problem) -> Problem {
        if problem.is_acme("userActionRequired") {
            self.transport.forget_directory().await;
        }
        problem
    }

    /// The directory for its URLs.
    pub(super) async fn urls(&self) -> Result<Arc<Document>, Problem> {
        let document = self.transport.directory(DIRECTORY_AGE_MAX).await;
        document.map_err(|fault| problem::of_fault(&fault))
    }

    /// The registered account; costs no request while the directory is known.
    pub(super) async fn account(&self) -> Result<Account, Problem> {
        let known = self.known()?;
        let directory = self.urls().await?;
        let mut held = self.ready.lock().await;
        if let Some(ready) = held.as_ref()
            && ready.known == known
            && Arc::ptr_eq(&ready.directory, &directory)
        {
            return Ok(ready.account.clone());
        }
        let key = self.keys.pkcs8(&known.key)?;
        let account = Account::builder_with_http(Box::new(Shared(Arc::clone(&self.transport))))
            .from_parts(
                known.url.clone(),
                PrivatePkcs8KeyDer::from(key.as_slice()),
                self.transport.directory_url().to_owned(),
            )
            .await
            .map_err(|error| problem::of(&error))?;
        *held = Some(Ready { known, directory, account: account.clone() });
        Ok(account)
    }

    fn known(&self) -> Result<KnownAccount, Problem> {
        (self.facts)(self.id).ok_or_else(|| {
            let detail = "the account is not registered yet, so nothing can be asked in its name";
            Problem::new(ProblemClass::Local, "account-not-registered", detail)
                .about(self.transport.directory_url())
        })
    }

    /// newAccount with key, terms and contacts in one request (RFC 8555 §7.3). Signed here:
    /// `instant-acme` cannot send contacts together with a key of ours. That the terms are accepted
    /// was checked by the caller.
    pub(super) async fn register(&self, key: &KeyRef) -> Result<RegisteredAccount, Problem> {
        let signer = Signer::from_pkcs8(&self.keys.pkcs8(key)?)?;
        let url = self.urls().await?.new_account.clone();
        let mut payload = json!({"termsOfServiceAgreed": true});
        if let Some(fields) = payload.as_object_mut()
            && !self.contacts.is_empty()
        {
            fields.insert("contact".to_owned(), json!(self.contacts));
        }
        self.post(&signer, Identity::Key, &url, Some(&payload)).await?;
        let call = call::seen();
        let url = call.location.filter(|location| limits::is_url(location)).ok_or_else(|| {
            let detail = "the registration was answered without an https Location (RFC 8555 §7.3), \
                              so the account has no URL";
            problem::broken("missing", detail)
        })?;
        let already_existed = call.status == 200;
        // Known here and there: this call is only for the agreement.
        if already_existed && self.known().is_ok_and(|known| known.url == url) {
            self.agree(&signer, &url).await?;
        }
        Ok(RegisteredAccount { url, already_existed })
    }

    /// A CA may look at the agreement in newAccount, which was sent, or in an update of the account. RFC
    /// 8555 §7.3.2 lets it ignore the second; Pebble then calls the update empty, and malformed.
    async fn agree(&self, signer: &Signer, account: &str) -> Result<(), Problem> {
        let agreed = json!({"termsOfServiceAgreed": true});
        match self.post(signer, Identity::Account(account), account, Some(&agreed)).await {
            Err(problem) if !problem.is_acme("malformed") => Err(problem),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The contacts of the configuration, in place of those the CA has (RFC 8555 §7.3.2).
    pub(super) async fn update_contacts(&self) -> Result<(), Problem> {
        let account = self.account().await?;
        let contacts: Vec<&str> = self.contacts.iter().map(String::as_str).collect();
        patiently!(account.update_contacts(&contacts)).map_err(|error| problem::of(&error))
    }

    /// A POST-as-GET of our own in the name of the account.
    pub(super) async fn fetch(&self, signer: &Signer, url: &str) -> Result<Bytes, Problem> {
        let known = self.known()?;
        self.post(signer, Identity::Account(&known.url), url, None).await
    }

    /// What [`Self::fetch`] needs, and the account's URL.
    pub(super) fn signer(&self) -> Result<(Signer, String), Problem> {
        let known = self.known()?;
        let signer = Signer::from_pkcs8(&self.keys.pkcs8(&known.key)?)?;
        Ok((signer, known.url))
    }

    async fn post(
        &self,
        signer: &Signer,
        identity: Identity<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Bytes, Problem> {
        let fault = |fault| problem::of_fault(&fault);
        let mut tries = 1;
        loop {
            let nonce = self.transport.nonce().await.map_err(fault)?;
            let jws = signer.sign(identity, &nonce, url, payload)?;
            let answer = self.transport.post(url, jws).await.map_err(fault)?;
            if answer.status().as_u16() < 400 {
                return usable(answer).map_err(fault);
            }
            let problem = problem::of_answer(answer.body());
            if !problem.is_acme("badNonce") || tries >= BAD_NONCE_TRIES {
                return Err(problem);
            }
            tries += 1;
        }
    }
}
