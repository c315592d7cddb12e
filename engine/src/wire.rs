//! The one place where ports meet adapters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use renewd_actors::Handle;
use renewd_actors::decision::Rules;
use renewd_actors::ports::{BindingTarget, HostProcess, Ports, Prober, TimeSource};
use renewd_events::id::{AccountId, BindingId, Hash, KeyRef};
use renewd_events::problem::Problem;
use renewd_events::{Facts, WallMs};
use zeroize::Zeroizing;

use crate::acme::{AccountConfig, AccountFacts, AccountKeys, AcmeClient, ChainSink, KnownAccount};
use crate::bind::{Bindings, Page, ReloadCommand, TlsServer, status_page};
use crate::challenge::{Responder, ResponderOptions};
use crate::declare::binding_id;
use crate::host::{OwnProcess, OwnProcessOptions, socket};
use crate::settings::{RETRY_MAX, Settings};
use crate::start::StartError;
use crate::vault::{ChainStore, FileVault};

impl AccountKeys for FileVault {
    fn pkcs8(&self, key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.account_key_pkcs8(key)
    }
}

impl ChainSink for ChainStore {
    fn put(&self, pem: &str) -> Result<Hash, Problem> {
        Self::put(self, pem.as_bytes())
    }
}

/// The wall clock of the operating system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl TimeSource for SystemClock {
    fn now(&self) -> WallMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The handle that the responder tells of visits. The handle leads back to the responder, so whoever
/// stops the engine empties it, else neither is ever freed and its listeners stay open.
pub(crate) type Awake = Arc<RwLock<Option<Handle>>>;

/// The adapters of one engine.
#[derive(Debug)]
pub(crate) struct Wired {
    pub(crate) ports: Ports,
    pub(crate) rules: Rules,
    pub(crate) responder: Arc<Responder>,
    pub(crate) bindings: Arc<Bindings>,
    pub(crate) host: Arc<OwnProcess>,
    /// Full while the actors run: visits before and after that are told to nobody.
    pub(crate) handle: Awake,
}

/// Makes the adapters. The responder answers published tokens from this moment on: nothing is asked of
/// a CA before. Only an address that another program holds is opened later.
pub(crate) fn wire(
    settings: &Settings,
    facts: &Arc<RwLock<Facts>>,
    vault: FileVault,
    chains: ChainStore,
    page: Option<Page>,
) -> Result<Wired, StartError> {
    let handle = Awake::default();
    let responder = responder(settings, facts, &handle)?;
    let hsts = settings.hsts.as_deref().and_then(|value| HeaderValue::from_str(value).ok());
    let server = TlsServer::new(page.unwrap_or_else(|| status_page(hsts)));
    let options = OwnProcessOptions { restart: settings.restart, add_live: settings.add_live };
    let host = OwnProcess::new(Arc::clone(&server), options).map_err(StartError::Problem)?;
    let host = Arc::new(host);
    let ca = client(settings, facts, &vault, &chains)?;
    let bindings = Arc::new(Bindings::new(vault.clone(), chains, server, reloads(settings)));
    let rules = Rules {
        parallel_max: settings.parallel,
        retry_first: settings.retry_first,
        retry_max: RETRY_MAX,
        restart: settings.restart,
        identity: host.identity(),
    };
    let prober: Arc<dyn Prober> = responder.clone();
    let targets: Arc<dyn BindingTarget> = bindings.clone();
    let process: Arc<dyn HostProcess> = host.clone();
    let ports = Ports {
        ca: Arc::new(ca),
        vault: Arc::new(vault),
        prober,
        bindings: targets,
        host: process,
        time: Arc::new(SystemClock),
    };
    Ok(Wired { ports, rules, responder, bindings, host, handle })
}

fn responder(
    settings: &Settings,
    facts: &Arc<RwLock<Facts>>,
    handle: &Awake,
) -> Result<Arc<Responder>, StartError> {
    let (tokens, visits, opens) = (Arc::clone(facts), Arc::clone(handle), Arc::clone(handle));
    let options = ResponderOptions {
        lookup: Arc::new(move |token| {
            let facts = tokens.read().unwrap_or_else(PoisonError::into_inner);
            facts.answer(token).map(|(_, answer)| answer)
        }),
        visited: Some(Arc::new(move |token| {
            let awake = visits.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(handle) = awake.as_ref() {
                handle.visited(token);
            }
        })),
        opened: Some(Arc::new(move |address| {
            let handle = opens.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(handle) = handle {
                tokio::spawn(async move { port_opened(&handle, address).await });
            }
        })),
        redirect: settings.redirect(),
    };
    let responder = Arc::new(Responder::new(options).map_err(StartError::Problem)?);
    for address in &settings.http_listen {
        match responder.open(*address) {
            Ok(_) => {}
            // Whoever holds it may go. Until then what is there already is served all the same.
            Err(refused) if refused.problem.kind == socket::IN_USE => {
                responder.open_later(*address, &refused);
            }
            Err(refused) => return Err(StartError::Listener(refused)),
        }
    }
    Ok(responder)
}

/// Without this fact the renewals that are due wait for the next life.
async fn port_opened(handle: &Handle, address: SocketAddr) {
    if let Err(cause) = handle.challenge_port_opened(&address.to_string()).await {
        tracing::error!(%address, %cause, "the open port for challenges is not recorded; restart renewd");
    }
}

fn client(
    settings: &Settings,
    facts: &Arc<RwLock<Facts>>,
    vault: &FileVault,
    chains: &ChainStore,
) -> Result<AcmeClient, StartError> {
    let account = AccountConfig {
        directory_url: settings.account.directory_url.clone(),
        contacts: settings.account.contacts.clone(),
        roots: settings.account.roots.clone(),
    };
    let accounts = BTreeMap::from([(settings.account.id(), account)]);
    let facts = Arc::clone(facts);
    let known: Arc<AccountFacts> = Arc::new(move |id: AccountId| {
        let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
        let account = facts.accounts.get(&id)?;
        let key = account.key.as_ref()?.key_ref.clone();
        Some(KnownAccount { url: account.url()?.to_owned(), key })
    });
    let keys: Arc<dyn AccountKeys> = Arc::new(vault.clone());
    AcmeClient::new(&accounts, &keys, Arc::new(chains.clone()), &known).map_err(StartError::Problem)
}

fn reloads(settings: &Settings) -> BTreeMap<BindingId, ReloadCommand> {
    let mut reloads = BTreeMap::new();
    for certificate in &settings.certificates {
        for binding in &certificate.bindings {
            if let Some((argv, timeout)) = &binding.reload {
                let id = binding_id(certificate.name.id(), &binding.target);
                reloads.insert(
                    id,
                    ReloadCommand {
                        argv: argv.clone(),
                        timeout: *timeout,
                        certificate: certificate.name.as_str().to_owned(),
                        directory: binding.target.label().into(),
                    },
                );
            }
        }
    }
    reloads
}
