//! Certificates put in place and looked at: our own listeners, an embedding program, files and reload
//! commands, over real sockets, files and processes.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "bind/reload.rs"]
mod reload;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use renewd::bind::{Bindings, ReloadCommand, TlsServer, files, status_page};
use renewd::vault::{ChainStore, FileVault, KeySource, make_key_file};
use renewd_actors::ports::{BindingTarget, Vault};
use renewd_events::binding::{Binding, BindingEvent, Deployment, Target};
use renewd_events::certificate::{Issue, KeyRequest, Leaf};
use renewd_events::id::{
    BindingId, BootNo, DnsName, Fingerprint, Generation, Hash, KeyRef, OrderId, Seq, StreamId,
};
use renewd_events::{Durable, Meta, WallMs};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tempfile::TempDir;

const BINDING: BindingId = BindingId([1; 16]);
const NAME: &str = "www.example.com";

struct World {
    root: TempDir,
    vault: FileVault,
    chains: ChainStore,
    server: Arc<TlsServer>,
    bindings: Arc<Bindings>,
}

fn world(reloads: BTreeMap<BindingId, ReloadCommand>) -> World {
    let root = TempDir::new().unwrap();
    let key = root.path().join("key");
    make_key_file(&key).unwrap();
    let vault = FileVault::open(&root.path().join("vault"), &KeySource::File(key)).unwrap();
    let chains = ChainStore::open(&root.path().join("chains")).unwrap();
    let server = TlsServer::new(status_page(None));
    let bindings = Bindings::new(vault.clone(), chains.clone(), Arc::clone(&server), reloads);
    World { root, vault, chains, server, bindings: Arc::new(bindings) }
}

impl World {
    /// An issue as the CA would have made it, self-signed.
    async fn issue(&self, number: u32) -> Issue {
        let key_ref = KeyRef(format!("c.{number}"));
        let request = KeyRequest {
            key_ref: key_ref.clone(),
            identifiers: vec![DnsName::parse(NAME).unwrap()],
        };
        let facts = self.vault.ensure_certificate_key(&request).await.unwrap();
        let pkcs8 = self.vault.certificate_key_pkcs8(&key_ref).unwrap();
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(pkcs8.as_slice()),
            &rcgen::PKCS_ECDSA_P256_SHA256,
        )
        .unwrap();
        let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let chain = self.chains.put(certificate.pem().as_bytes()).unwrap();
        Issue {
            generation: Generation(number),
            order: OrderId::default(),
            key_ref,
            spki: facts.spki,
            leaf: Leaf {
                chain,
                fingerprint: Fingerprint::of(certificate.der()),
                spki: facts.spki,
                serial: String::new(),
                ari_id: None,
                not_before: WallMs(0),
                not_after: WallMs(0),
                issuer: String::new(),
                names: vec![NAME.to_owned()],
                certificates: 1,
            },
        }
    }

    async fn deploy(
        &self,
        target: &Target,
        issue: &Issue,
    ) -> Result<(), renewd_events::problem::Problem> {
        let intent = deployment(issue);
        self.bindings.deploy(BINDING, target, issue, &intent).await
    }
}

fn meta() -> Meta {
    Meta {
        seq: Seq(7),
        stream: StreamId::from(BINDING),
        version: 1,
        at: WallMs(0),
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    }
}

fn deployment(issue: &Issue) -> Durable<Deployment> {
    let mut binding = Binding::default();
    let intent = Deployment { generation: issue.generation, fingerprint: issue.leaf.fingerprint };
    binding.evolve(&meta(), &BindingEvent::DeploymentRequested(intent));
    binding.deploying.unwrap()
}

fn builtin() -> (Target, SocketAddr) {
    let address = "127.0.0.1:0";
    let target = Target::Builtin { address: address.to_owned() };
    (target, address.parse().unwrap())
}

#[tokio::test]
async fn a_deployed_issue_is_what_a_handshake_shows() {
    let world = world(BTreeMap::new());
    let (target, address) = builtin();
    let local = world.server.open(address).unwrap();
    assert_eq!(world.server.open(address).unwrap(), local, "an open one stays");
    let before = world.bindings.handshake(&target, NAME).await.unwrap_err();
    assert_eq!(before.kind, "tls");
    let issue = world.issue(1).await;
    world.deploy(&target, &issue).await.unwrap();
    world.deploy(&target, &issue).await.unwrap();
    let (at, seen) = world.bindings.handshake(&target, NAME).await.unwrap();
    assert_eq!(at, local.to_string());
    assert_eq!(seen, issue.leaf.fingerprint);
    // A stranger's name gets an alert.
    let other = world.bindings.handshake(&target, "other.example").await;
    assert_eq!(other.unwrap_err().kind, "tls");
    world.bindings.remove(BINDING, &target);
    assert!(world.bindings.handshake(&target, NAME).await.is_err());
}

#[tokio::test]
async fn a_missing_chain_or_key_is_said() {
    let world = world(BTreeMap::new());
    let (target, _) = builtin();
    let mut issue = world.issue(1).await;
    let other = world.issue(2).await;
    issue.key_ref = other.key_ref;
    let problem = world.deploy(&target, &issue).await.unwrap_err();
    assert_eq!(problem.kind, "badChain", "a key of another certificate");
    issue.key_ref = KeyRef("c.9".to_owned());
    let problem = world.deploy(&target, &issue).await.unwrap_err();
    assert_eq!(problem.kind, "vaultKeyAbsent");
    issue.leaf.chain = Hash::default();
    let problem = world.deploy(&target, &issue).await.unwrap_err();
    assert_eq!(problem.kind, "chainAbsent");
}

/// Handshakes between two changes.
const HANDSHAKES_EACH: usize = 6;
/// Pause between two looks at how far the other side of a test is.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A minute of looks: only a failure takes so long.
const LOOKS_MAX: u32 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_certificates_change() {
    let world = Arc::new(world(BTreeMap::new()));
    let (target, address) = builtin();
    world.server.open(address).unwrap();
    let mut issues = Vec::new();
    for number in 1..=20 {
        issues.push(world.issue(number).await);
    }
    world.deploy(&target, issues.first().unwrap()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (world, target, stop) = (Arc::clone(&world), target.clone(), Arc::clone(&stop));
            let made = Arc::clone(&made);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let look = world.bindings.handshake(&target, NAME).await;
                    seen.push(look.unwrap().1);
                    made.fetch_add(1, Ordering::Relaxed);
                }
                seen
            })
        })
        .collect();
    for issue in &issues {
        let before = made.load(Ordering::Relaxed);
        world.deploy(&target, issue).await.unwrap();
        // Handshakes go on before the next change; a client that fails makes none.
        for _ in 0..LOOKS_MAX {
            if made.load(Ordering::Relaxed) >= before + HANDSHAKES_EACH {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let known: Vec<Fingerprint> = issues.iter().map(|issue| issue.leaf.fingerprint).collect();
    let mut handshakes = 0;
    for client in clients {
        let seen = client.await.unwrap();
        handshakes += seen.len();
        // Each client sees the issues in their order and nothing else.
        let places: Vec<_> =
            seen.iter().map(|seen| known.iter().position(|known| known == seen).unwrap()).collect();
        assert!(places.is_sorted());
    }
    assert!(handshakes >= issues.len() * HANDSHAKES_EACH, "{handshakes}");
    let (_, last) = world.bindings.handshake(&target, NAME).await.unwrap();
    assert_eq!(Some(&last), known.last());
    let older = world.deploy(&target, issues.first().unwrap()).await;
    assert_eq!(older.unwrap_err().kind, "olderGeneration");
}

#[tokio::test]
async fn an_embedding_program_sees_the_issue_through_the_resolver() {
    let world = world(BTreeMap::new());
    let target = Target::Library;
    assert!(world.bindings.handshake(&target, NAME).await.is_err());
    let issue = world.issue(1).await;
    world.deploy(&target, &issue).await.unwrap();
    let (at, seen) = world.bindings.handshake(&target, NAME).await.unwrap();
    assert_eq!((at.as_str(), seen), ("library", issue.leaf.fingerprint));
}

fn file_target(directory: &Path, verify: Option<String>) -> Target {
    Target::Files { directory: directory.display().to_string(), reload: false, verify }
}

#[tokio::test]
async fn files_have_their_modes_and_three_generations_stay() {
    let world = world(BTreeMap::new());
    let directory = world.root.path().join("site");
    let target = file_target(&directory, None);
    for number in 1..=5 {
        world.deploy(&target, &world.issue(number).await).await.unwrap();
        assert_eq!(files::current(&directory), Some(Generation(number)));
    }
    let mode = |name: &str| fs::metadata(directory.join("current").join(name)).unwrap().mode();
    assert_eq!(mode("privkey.pem") & 0o7777, 0o600);
    for name in ["fullchain.pem", "cert.pem", "chain.pem"] {
        assert_eq!(mode(name) & 0o7777, 0o644);
    }
    let mut kept: Vec<_> = fs::read_dir(directory.join("generations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["3", "4", "5"]);
    // Nobody to ask: the files themselves must carry a handshake, and tell when they do not.
    let (place, _) = world.bindings.handshake(&target, NAME).await.unwrap();
    assert_eq!(place, directory.to_string_lossy());
    fs::remove_file(directory.join("current/privkey.pem")).unwrap();
    let problem = world.bindings.handshake(&target, NAME).await.unwrap_err();
    assert_eq!(problem.kind, "diskRead");
}

#[tokio::test]
async fn a_repeated_deployment_changes_nothing_and_mends_what_somebody_changed() {
    let world = world(BTreeMap::new());
    let directory = world.root.path().join("site");
    let target = file_target(&directory, None);
    let issue = world.issue(2).await;
    world.deploy(&target, &issue).await.unwrap();
    let key = directory.join("current/privkey.pem");
    let (inode, pem) = (fs::metadata(&key).unwrap().ino(), fs::read(&key).unwrap());
    world.deploy(&target, &issue).await.unwrap();
    assert_eq!(fs::metadata(&key).unwrap().ino(), inode);
    fs::write(&key, "changed").unwrap();
    world.deploy(&target, &issue).await.unwrap();
    assert_eq!(fs::read(&key).unwrap(), pem);
    let older = world.deploy(&target, &world.issue(1).await).await;
    assert_eq!(older.unwrap_err().kind, "olderGeneration");
    assert_eq!(files::current(&directory), Some(Generation(2)));
    rcgen::KeyPair::from_pem(&String::from_utf8(pem).unwrap()).unwrap();
}

/// A reader that resolves `current` once finds a key and a certificate that belong together, at every
/// instant of forty deployments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_and_chain_never_mixed() {
    let world = world(BTreeMap::new());
    let directory = world.root.path().join("site");
    let target = file_target(&directory, None);
    world.deploy(&target, &world.issue(1).await).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, at) = (Arc::clone(&stop), directory.clone());
    let pairs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&pairs);
    let reader = std::thread::spawn(move || {
        let mut pairs = BTreeMap::new();
        while !stopped.load(Ordering::Relaxed) {
            let Some((folder, key, chain)) = read_pair(&at) else {
                continue;
            };
            let fresh = pairs.insert(folder, (key.clone(), chain.clone())).is_none();
            if fresh {
                assert!(belong(&key, &chain));
                seen.store(pairs.len(), Ordering::Relaxed);
            }
        }
        pairs.len()
    });
    for number in 2..=40 {
        world.deploy(&target, &world.issue(number).await).await.unwrap();
        // A slow reader is waited for now and then: it must have read something between.
        let wanted = usize::try_from(number / 4).unwrap();
        for _ in 0..LOOKS_MAX {
            if pairs.load(Ordering::Relaxed) >= wanted || reader.is_finished() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let pairs = reader.join().unwrap();
    assert!(pairs >= 10, "{pairs}");
}

/// Absent when the generation was pruned meanwhile; `current` itself must always lead somewhere.
fn read_pair(directory: &Path) -> Option<(PathBuf, String, Vec<u8>)> {
    let folder = directory.join(fs::read_link(directory.join("current")).unwrap());
    let key = fs::read_to_string(folder.join("privkey.pem")).ok()?;
    let chain = fs::read(folder.join("fullchain.pem")).ok()?;
    Some((folder, key, chain))
}

fn belong(key: &str, chain: &[u8]) -> bool {
    use rcgen::PublicKeyData;
    let key = rcgen::KeyPair::from_pem(key).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(chain).unwrap();
    pem.parse_x509().unwrap().public_key().raw == key.subject_public_key_info()
}
