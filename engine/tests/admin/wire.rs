//! A running engine with its admin sockets and a CA, and a plain HTTP client whose headers are ours.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use renewd::acme::Roots;
use renewd::admin::{Admin, Counters, Options};
use renewd::settings::{AccountSettings, BindingSettings, CertificateSettings};
use renewd::start::{Extras, LOG, Running};
use renewd::vault::KeySource;
use renewd::{Settings, start};
use renewd_events::Envelope;
use renewd_events::binding::Target;
use renewd_events::certificate::LifeLeft;
use renewd_events::id::{CertificateName, DnsName, Seq};
use renewd_events::log::MirrorReader;
use renewd_events::process::StopReason;
use renewd_testca::TestCa;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A renewal takes half a second; a busy machine takes its time.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A CA, an engine and its admin sockets, in one folder.
pub(crate) struct Site {
    pub(crate) running: Running,
    pub(crate) admin: Admin,
    pub(crate) https: SocketAddr,
    ca: TestCa,
    folder: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With terms of the CA that nobody has accepted yet, if there are any.
    pub(crate) async fn start_with(terms: Option<&str>) -> Self {
        let [http] = renewd_tests::ports::free().unwrap();
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], http)), terms).await
    }

    /// With this address for challenges, whoever holds it.
    pub(crate) async fn start_at(http: SocketAddr, terms: Option<&str>) -> Self {
        let [https] = renewd_tests::ports::free().unwrap();
        let https = SocketAddr::from(([127, 0, 0, 1], https));
        let ca =
            TestCa::start(renewd_testca::Options { http01_target: http, ..Default::default() });
        let ca = ca.await.unwrap();
        if let Some(terms) = terms {
            ca.set_terms(terms);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("root.pem"), ca.root_pem()).unwrap();
        renewd::vault::make_key_file(&path("vault.key")).unwrap();
        let account = AccountSettings {
            directory_url: ca.directory_url(),
            contacts: vec!["mailto:ops@example.org".to_owned()],
            terms_accepted: terms.is_none(),
            roots: Roots::File(path("root.pem")),
        };
        let state_dir = path("state");
        std::fs::create_dir(&state_dir).unwrap();
        let certificate = CertificateSettings {
            name: CertificateName::parse("web").unwrap(),
            identifiers: ["example.org", "www.example.org"]
                .map(|name| DnsName::parse(name).unwrap())
                .to_vec(),
            profile: None,
            ari: true,
            life_left: LifeLeft::Share(1, 3),
            bindings: vec![BindingSettings {
                target: Target::Builtin { address: https.to_string() },
                reload: None,
            }],
        };
        let mut settings =
            Settings::new(state_dir.clone(), account, KeySource::File(path("vault.key")));
        settings.certificates = vec![certificate];
        settings.http_listen = vec![http];
        let counters = Counters::new();
        let extras = Extras { observers: vec![counters.observer()], page: None, lines: false };
        let running = start(&settings, extras).await.unwrap();
        let options = Options {
            socket: Some(state_dir.join(renewd::admin::SOCKET)),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            log: Some(state_dir.join(LOG)),
            responder: vec![http],
            waiting: std::sync::Arc::clone(running.responder().waiting()),
            counters,
        };
        let admin = Admin::start(options, running.handle());
        assert!(admin.refused.is_empty(), "{:?}", admin.refused);
        Self { running, admin, https, ca, folder }
    }

    /// Until the certificate is served and the next renewal is planned.
    pub(crate) async fn issued(&self) {
        until("certificate", || async {
            let status = get(self.page(), "/api/v1/status").await.json();
            let planned = status.pointer("/data/0/next/at").is_some_and(Value::is_string);
            let ok = status.pointer("/data/0/state") == Some(&Value::from("ok"));
            (ok && planned).then_some(())
        })
        .await;
    }

    pub(crate) fn page(&self) -> SocketAddr {
        self.admin.page().unwrap()
    }

    /// What the log holds, read beside the engine.
    pub(crate) fn events(&self) -> Vec<Envelope> {
        let log = MirrorReader::open(&self.folder.path().join("state").join(LOG)).unwrap();
        log.envelopes(Seq(1)).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) async fn stop(self) {
        self.running.stop(StopReason::Asked).await.unwrap();
        self.ca.shutdown().await;
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    head: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Answer {
    get_as(at, path, "localhost").await
}

pub(crate) async fn get_as(at: SocketAddr, path: &str, host: &str) -> Answer {
    send(at, "GET", path, host).await
}

pub(crate) async fn send(at: SocketAddr, method: &str, path: &str, host: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    raw(TcpStream::connect(at).await.unwrap(), &request).await
}

/// Sends exactly this and reads to the end.
pub(crate) async fn raw(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    // A server that refuses early closes while we still send.
    drop(stream.write_all(request.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    Answer { status, body: body.to_owned(), head: head.to_owned() }
}

/// The value of one series.
pub(crate) fn metric<'m>(metrics: &'m str, series: &str) -> &'m str {
    let found = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("there is no {series} in\n{metrics}"))
}

/// Asks until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = tokio::time::timeout(WAIT_MAX, asking).await;
    answer.unwrap_or_else(|_| panic!("no {what} within {WAIT_MAX:?}"))
}
