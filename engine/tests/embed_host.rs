//! renewd inside a program, against a real CA over HTTPS: the host of `examples/embed.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use renewd::embed::{Events, What};
use renewd::{Account, Certificate, EmbedError, Renewd};
use renewd_events::id::Hash;
use renewd_testca::{Options, TestCa};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

#[expect(dead_code, reason = "its main is not run here")]
#[path = "../examples/embed.rs"]
mod example;

const NAME: &str = "embed.example.org";
/// A renewal against the CA next door takes a fraction of a second.
const RENEWAL_MAX: Duration = Duration::from_secs(120);

struct World {
    ca: TestCa,
    directory: tempfile::TempDir,
    http: Option<TcpListener>,
}

async fn world() -> World {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { http01_target: http.local_addr().unwrap(), ..Options::default() };
    let ca = TestCa::start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("root.pem"), ca.root_pem()).unwrap();
    World { ca, directory, http: Some(http) }
}

impl World {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn builder(&self, state: &str, name: &str) -> renewd::embed::Builder {
        let account = Account::at(self.ca.directory_url())
            .email("ops@example.org")
            .root_file(self.path("root.pem"))
            .terms_accepted_by_operator();
        Renewd::builder()
            .state_dir(self.path(state))
            .account(account)
            .certificate(Certificate::new([name]))
    }

    /// The certificate that a verifying client is shown.
    async fn served(&self, address: SocketAddr, name: &str) -> std::io::Result<(String, String)> {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.ca.issuer_root_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let server = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(server, stream).await?;
        let leaf = stream.get_ref().1.peer_certificates().unwrap().first().unwrap().clone();
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        // The host closes without close_notify; the bytes are there all the same.
        drop(stream.read_to_string(&mut answer).await);
        Ok((Hash::of(&leaf).to_string(), answer))
    }
}

async fn renewed(events: &mut Events) -> Vec<What> {
    let mut seen = Vec::new();
    let all = async {
        while let Some(event) = events.next().await {
            let over = matches!(event.what, What::Renewed | What::RenewalFailed { .. });
            seen.push(event.what);
            if over {
                break;
            }
        }
    };
    tokio::time::timeout(RENEWAL_MAX, all).await.unwrap();
    assert_eq!(seen.last(), Some(&What::Renewed), "{seen:?}");
    seen
}

/// The Clock plans the next renewal after the end of the last.
async fn scheduled(events: &mut Events) {
    let planned = async {
        while let Some(event) = events.next().await {
            if matches!(event.what, What::RenewalScheduled { .. }) {
                return;
            }
        }
    };
    tokio::time::timeout(RENEWAL_MAX, planned).await.unwrap();
}

fn issued(events: &[What]) -> String {
    let fingerprint = events.iter().find_map(|what| {
        let What::Issued { fingerprint, .. } = what else {
            return None;
        };
        Some(fingerprint.clone())
    });
    fingerprint.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_its_own_servers_shows_what_the_ca_issued_and_renews_it_live() {
    let mut world = world().await;
    let renewd = world.builder("state", NAME).start().await.unwrap();
    let mut events = renewd.events();
    let https = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = https.local_addr().unwrap();
    tokio::spawn(example::plain(world.http.take().unwrap(), renewd.clone()));
    tokio::spawn(example::secure(https, renewd.clone()));

    let first = issued(&renewed(&mut events).await);
    let (shown, answer) = world.served(address, NAME).await.unwrap();
    assert_eq!(shown, first);
    assert!(answer.ends_with("hello from the host\n"), "{answer}");
    scheduled(&mut events).await;
    let status = &renewd.status().await.unwrap()[0];
    assert_eq!(status.fingerprint.as_ref(), Some(&first));
    assert_eq!((status.name.as_str(), status.renewing), (NAME, false));
    assert!(status.next.is_some() && status.failure.is_none());

    renewd.renew(NAME).await.unwrap();
    let second = issued(&renewed(&mut events).await);
    assert_ne!(first, second);
    assert_eq!(world.served(address, NAME).await.unwrap().0, second);
    assert_eq!(world.ca.violations(), Vec::<String>::new());

    let refused = renewd.renew("other.example.org").await.unwrap_err();
    assert!(refused.to_string().contains("other.example.org"), "{refused}");
    renewd.shutdown().await.unwrap();
    assert!(matches!(renewd.status().await, Err(EmbedError::ShutDown)));
    assert!(events.next().await.is_none_or(|event| event.what != What::Renewed));
    // The host's listeners go on with what they have.
    assert_eq!(world.served(address, NAME).await.unwrap().0, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_serves_at_once_and_asks_for_nothing() {
    let mut world = world().await;
    let http = world.http.take().unwrap().local_addr().unwrap();
    let builder = world.builder("state", NAME).http01_listen(http);
    let first = builder.clone().start().await.unwrap();
    let mut events = first.events();
    assert_eq!(first.http01_addresses(), [http]);
    let fingerprint = issued(&renewed(&mut events).await);
    let orders = world.ca.counts().new_order;
    assert_eq!(orders, 1);

    let refused = builder.clone().start().await.unwrap_err();
    assert!(matches!(refused, EmbedError::AlreadyRunning { .. }), "{refused}");
    assert!(refused.to_string().contains("one engine at a time"), "{refused}");
    first.shutdown().await.unwrap();

    // The same directory and the same port, in the same process.
    let second = builder.start().await.unwrap();
    let listener = second.tls_acceptor("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr();
    let service = hyper::service::service_fn(|_| async {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"again"));
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    });
    tokio::spawn(listener.serve(service));
    let (shown, answer) = world.served(address, NAME).await.unwrap();
    assert_eq!(shown, fingerprint);
    assert!(answer.ends_with("again"), "{answer}");
    assert!(world.served(address, "stranger.example.org").await.is_err());
    assert_eq!(world.ca.counts().new_order, orders);
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_on_two_directories_live_in_one_process() {
    let mut world = world().await;
    let a = world.builder("a", "a.example.org").start().await.unwrap();
    let b = world.builder("b", "b.example.org").start().await.unwrap();
    let (mut of_a, mut of_b) = (a.events(), b.events());
    // One port for both: each answers its own tokens and passes the others on.
    let listener = world.http.take().unwrap();
    let service = a.http01_or(b.http01_or(hyper::service::service_fn(|_| async {
        let body = http_body_util::Full::new(bytes::Bytes::new());
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    })));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let io = hyper_util::rt::TokioIo::new(stream);
            let serve = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            tokio::spawn(serve);
        }
    });
    let (seen_a, seen_b) = tokio::join!(renewed(&mut of_a), renewed(&mut of_b));
    assert_ne!(issued(&seen_a), issued(&seen_b));
    assert!(a.http01_response("/.well-known/acme-challenge/x").is_none());
    assert_eq!(b.status().await.unwrap()[0].name, "b.example.org");
    a.shutdown().await.unwrap();
    b.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_is_named() {
    let world = world().await;
    std::fs::write(world.path("file"), b"").unwrap();
    let refused = world.builder("file/state", NAME).start().await.unwrap_err();
    assert!(matches!(refused, EmbedError::StateDir { .. }), "{refused}");
    assert!(refused.to_string().contains("file/state"), "{refused}");
    assert!(Path::new(&world.path("file")).is_file());
}

/// Every future can move between threads.
#[test]
fn futures_are_send() {
    fn send<T: Send>(_: T) {}
    fn futures(renewd: &'static Renewd, events: &'static mut Events) {
        send(Renewd::builder().start());
        send(renewd.status());
        send(renewd.renew("x"));
        send(renewd.failed());
        send(renewd.shutdown());
        send(events.next());
    }
    // Only the types matter.
    let _: fn(&'static Renewd, &'static mut Events) = futures;
}
