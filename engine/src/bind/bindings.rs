//! The port the Binder uses: where each target leads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use renewd_actors::ports::{Act, BindingTarget};
use renewd_events::Durable;
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::Issue;
use renewd_events::id::{BindingId, Fingerprint, Generation};
use renewd_events::problem::{Problem, ProblemClass};
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::listener::TlsServer;
use super::reload::{Occasion, ReloadCommand};
use super::resolver::{CertResolver, Entry, certified};
use super::{files, handshake};
use crate::host::socket;
use crate::vault::{ChainStore, FileVault};

/// All places where certificates are served.
#[derive(Debug)]
pub struct Bindings {
    vault: FileVault,
    chains: ChainStore,
    server: Arc<TlsServer>,
    library: Arc<CertResolver>,
    reloads: RwLock<BTreeMap<BindingId, ReloadCommand>>,
}

/// What a binding of our own process served, and serves again.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Which binding.
    pub binding: BindingId,
    /// Where.
    pub target: &'a Target,
    /// The issue.
    pub issue: &'a Issue,
}

fn entry(issue: &Issue, key: Arc<CertifiedKey>) -> Entry {
    Entry { generation: issue.generation, names: issue.leaf.names.clone(), key }
}

/// A chain and its key.
struct Material {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Bindings {
    /// Over these stores and listeners, with the reload commands of the configuration.
    pub fn new(
        vault: FileVault,
        chains: ChainStore,
        server: Arc<TlsServer>,
        reloads: BTreeMap<BindingId, ReloadCommand>,
    ) -> Self {
        Self { vault, chains, server, library: Arc::default(), reloads: RwLock::new(reloads) }
    }

    /// For programs that embed renewd and terminate TLS themselves: put it into a
    /// [`rustls::ServerConfig`]; it shows what [`Target::Library`] bindings were given.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        self.library.clone()
    }

    /// The reload commands of a new configuration.
    pub fn set_reloads(&self, reloads: BTreeMap<BindingId, ReloadCommand>) {
        *self.reloads.write().unwrap_or_else(PoisonError::into_inner) = reloads;
    }

    /// Stops serving what a binding of our own process serves. Files stay where they are.
    pub fn remove(&self, binding: BindingId, target: &Target) {
        match target {
            Target::Builtin { address } => {
                if let Ok(address) = socket::parse(address) {
                    self.server.resolver(address).remove(binding);
                }
            }
            Target::Files { .. } => {}
            Target::Library => self.library.remove(binding),
        }
    }

    fn material(
        vault: &FileVault,
        chains: &ChainStore,
        issue: &Issue,
    ) -> Result<Material, Problem> {
        let hash = issue.leaf.chain;
        let chain = chains.get(hash)?.ok_or_else(|| {
            let text = "the chain is not in the store; another certificate is ordered by itself";
            Problem::new(ProblemClass::Local, "chainAbsent", text).about(&hash.to_string())
        })?;
        let key = vault.certificate_key_pkcs8(&issue.key_ref)?;
        Ok(Material { chain, key })
    }

    async fn put(&self, binding: BindingId, target: &Target, issue: &Issue) -> Result<(), Problem> {
        let resolver = self.resolver_of(target)?;
        let directory = match target {
            Target::Files { directory, .. } => Some(PathBuf::from(directory)),
            Target::Builtin { .. } | Target::Library => None,
        };
        let (vault, chains) = (self.vault.clone(), self.chains.clone());
        let issue = issue.clone();
        let work = move || {
            let Material { chain, key } = Self::material(&vault, &chains, &issue)?;
            let certified = certified(&chain, &key)?;
            if let Some(resolver) = resolver {
                resolver.put(binding, entry(&issue, certified))?;
            }
            directory.map_or(Ok(()), |directory| {
                files::deploy(&directory, issue.generation, &chain, &key)
            })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| {
            let text = format!("the deployment was cut off: {cause}");
            Err(Problem::new(ProblemClass::Local, "deploy", &text))
        })
    }

    /// A resolver that shows what the files of a directory hold now.
    fn on_disk(directory: &str, server_name: &str) -> Result<Arc<dyn ResolvesServerCert>, Problem> {
        let (chain, key) = files::read(Path::new(directory))?;
        let resolver = CertResolver::default();
        let shown = Entry {
            generation: Generation(0),
            names: vec![server_name.to_owned()],
            key: certified(&chain, &key)?,
        };
        resolver.put(BindingId::default(), shown)?;
        Ok(Arc::new(resolver))
    }

    /// Shows again, in a new life of the process, what bindings of our own process served. Each
    /// listener's table changes once, however many there are. Gives back what is not shown, and why:
    /// the vault or the chain store does not have it any more.
    pub fn show_again(&self, all: &[Shown<'_>]) -> Vec<(BindingId, Problem)> {
        let mut refused = Vec::new();
        let mut places: BTreeMap<&Target, Vec<(BindingId, Entry)>> = BTreeMap::new();
        for shown in all {
            let made = Self::material(&self.vault, &self.chains, shown.issue)
                .and_then(|Material { chain, key }| certified(&chain, &key));
            match made {
                Ok(key) => {
                    let entry = entry(shown.issue, key);
                    let place = places.entry(shown.target).or_default();
                    place.push((shown.binding, entry));
                }
                Err(problem) => refused.push((shown.binding, problem)),
            }
        }
        for (target, entries) in places {
            match self.resolver_of(target) {
                Ok(Some(resolver)) => refused.extend(resolver.put_all(entries)),
                Ok(None) => {}
                Err(problem) => {
                    let ids = entries.iter().map(|(id, _)| (*id, problem.clone()));
                    refused.extend(ids);
                }
            }
        }
        refused
    }

    /// What shows the certificates of a target of our own process; none for files.
    fn resolver_of(&self, target: &Target) -> Result<Option<Arc<CertResolver>>, Problem> {
        Ok(match target {
            Target::Builtin { address } => Some(self.server.resolver(socket::parse(address)?)),
            Target::Files { .. } => None,
            Target::Library => Some(Arc::clone(&self.library)),
        })
    }

    fn command(&self, binding: BindingId) -> Option<ReloadCommand> {
        let reloads = self.reloads.read().unwrap_or_else(PoisonError::into_inner);
        reloads.get(&binding).cloned()
    }

    /// Where our own listener is reached from here.
    fn builtin(&self, address: &str) -> Result<SocketAddr, Problem> {
        let address = socket::parse(address)?;
        let local = self.server.local(address).unwrap_or(address);
        Ok(socket::reachable(local))
    }
}

impl BindingTarget for Bindings {
    fn deploy<'a>(
        &'a self,
        binding: BindingId,
        target: &'a Target,
        issue: &'a Issue,
        _intent: &'a Durable<Deployment>,
    ) -> Act<'a, Result<(), Problem>> {
        Box::pin(self.put(binding, target, issue))
    }

    fn reload<'a>(
        &'a self,
        binding: BindingId,
        intent: &'a Durable<Generation>,
    ) -> Act<'a, Result<(), Problem>> {
        Box::pin(async move {
            let command = self.command(binding).ok_or_else(|| {
                let text = "the configuration has no reload command for this binding";
                Problem::new(ProblemClass::Local, "noReloadCommand", text)
                    .about(&binding.to_string())
            })?;
            let occasion =
                Occasion { binding, generation: *intent.intent(), seq: intent.meta().seq };
            command.run(occasion).await
        })
    }

    fn handshake<'a>(
        &'a self,
        target: &'a Target,
        server_name: &'a str,
    ) -> Act<'a, Result<(String, Fingerprint), Problem>> {
        Box::pin(async move {
            match target {
                Target::Builtin { address } => {
                    let address = self.builtin(address)?.to_string();
                    handshake::look(&address, server_name).await
                }
                Target::Files { directory, verify, .. } => {
                    // Files that are gone are a mismatch, even while the other program remembers them.
                    let on_disk = Self::on_disk(directory, server_name)?;
                    match verify {
                        Some(address) => handshake::look(address, server_name).await,
                        // Nobody to ask: the files themselves must carry a handshake.
                        None => {
                            let seen = handshake::look_inside(on_disk, server_name).await?;
                            Ok((directory.clone(), seen))
                        }
                    }
                }
                Target::Library => {
                    let seen = handshake::look_inside(self.resolver(), server_name).await?;
                    Ok(("library".to_owned(), seen))
                }
            }
        })
    }
}
