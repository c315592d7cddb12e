//! `renewd renew` and `renewd doctor`, the real binary, before, beside and after a running engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use renewd_testca::{Endpoint, Fault, FaultKind, TestCa};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The engine's start takes some 100 ms; a busy machine takes its time.
const START_MAX: Duration = Duration::from_secs(60);

struct Site {
    ca: TestCa,
    folder: TempDir,
    http: u16,
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.err))
    }
}

impl Site {
    async fn new() -> Self {
        let [http, https] = renewd_tests::ports::free().unwrap();
        let http01_target = ([127, 0, 0, 1], http).into();
        let options = renewd_testca::Options { http01_target, ..Default::default() };
        let ca = TestCa::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("root.pem"), ca.root_pem()).unwrap();
        renewd::vault::make_key_file(&path("vault.key")).unwrap();
        let config = format!(
            "version = 1\nstate_dir = \"{state}\"\n[account]\nca = \"{ca}\"\nterms_accepted = true\n\
             ca_root_file = \"{root}\"\n[[certificate]]\nname = \"web\"\ndomains = [\"example.org\"]\n\
             [certificate.bind]\ntarget = \"builtin\"\naddress = \"127.0.0.1\"\nport = {https}\n\
             [http]\nlisten = [\"127.0.0.1:{http}\"]\n[admin]\nlisten = \"\"\n\
             [vault]\nkey_file = \"{key}\"\n",
            state = path("state").display(),
            ca = ca.directory_url(),
            root = path("root.pem").display(),
            key = path("vault.key").display(),
        );
        std::fs::write(path("renewd.toml"), config).unwrap();
        Self { ca, folder, http }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
        command.args(arguments).arg("--config").arg(self.path("renewd.toml"));
        command.kill_on_drop(true);
        command
    }

    async fn ran(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().await.unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Starts the engine and waits for its socket and its first certificate.
    async fn engine(&self) -> Child {
        let log = std::fs::File::create(self.path("run.log")).unwrap();
        let child = self.command(&["run"]).stderr(log).spawn().unwrap();
        let ready = async {
            while !self.is_ok().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(START_MAX, ready).await;
        assert!(waited.is_ok(), "{}", std::fs::read_to_string(self.path("run.log")).unwrap());
        child
    }

    async fn is_ok(&self) -> bool {
        let socket = self.path("state").join("admin.sock");
        let answer = renewd::admin::client::ask(&socket, http::Method::GET, "/api/v1/status").await;
        answer
            .is_ok_and(|answer| answer.json().pointer("/data/0/state") == Some(&Value::from("ok")))
    }
}

/// What doctor says about one thing.
fn verdict<'v>(findings: &'v Value, check: &str) -> &'v Value {
    let all = findings.get("data").and_then(Value::as_array).unwrap();
    let found = all.iter().find(|finding| finding.get("check") == Some(&Value::from(check)));
    found.unwrap_or_else(|| panic!("doctor did not look at {check}: {findings}"))
}

fn leftover(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_renew_says_so_and_doctor_looks_all_the_same() {
    let site = Site::new().await;
    let ran = site.ran(&["renew", "web"]).await;
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("state/admin.sock") && ran.err.contains("renewd run"), "{}", ran.err);

    let findings = site.ran(&["doctor", "--json"]).await.json();
    assert_eq!(findings["schema"], "renewd.doctor/1");
    for (check, expected) in [
        ("configuration", "ok"),
        ("engine", "unknown"),
        ("log", "unknown"),
        ("challenge address", "ok"),
        ("https address", "ok"),
        ("CA", "ok"),
        ("clock", "ok"),
        ("terms", "ok"),
    ] {
        assert_eq!(verdict(&findings, check)["verdict"], expected, "{check}: {findings}");
    }
    assert!(!site.path("state").exists(), "looking makes nothing");
    // Somebody else takes the challenge address.
    let _held = std::net::TcpListener::bind(("127.0.0.1", site.http)).unwrap();
    let ran = site.ran(&["doctor", "web", "--json"]).await;
    assert_eq!(ran.code, Some(10));
    let findings = ran.json();
    let held = verdict(&findings, "challenge address");
    assert_eq!(held["verdict"], "fail");
    let pid = format!("(pid {})", std::process::id());
    assert!(held["seen"].as_str().unwrap().contains(&pid), "{held}");
    assert_eq!(site.ran(&["doctor", "nope"]).await.code, Some(5));
    assert!(site.ca.violations().is_empty(), "{:?}", site.ca.violations());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_is_followed_to_its_end() {
    let site = Site::new().await;
    let engine = site.engine().await;
    let ran = site.ran(&["renew", "web", "--wait", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let data = ran.json()["data"].clone();
    assert_eq!((&data["changed"], &data["generation"]), (&Value::from(true), &Value::from(2)));
    assert!(ran.err.contains("renewal 2 started"), "progress is told: {}", ran.err);
    let refusal = FaultKind::Problem {
        status: 403,
        kind: "rejectedIdentifier".to_owned(),
        detail: "the CA does not want this name".to_owned(),
        retry_after: None,
    };
    site.ca.inject(Fault::once(Endpoint::NewOrder, refusal));
    let ran = site.ran(&["renew", "web", "--wait", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert_eq!(ran.json().pointer("/data/changed"), Some(&Value::from(false)));
    assert!(ran.err.contains("the CA does not want this name"), "{}", ran.err);
    assert!(ran.err.contains("renewd why web"), "{}", ran.err);
    assert_eq!(site.ran(&["renew", "nope"]).await.code, Some(5));
    assert_eq!(site.ran(&["renew", "../x"]).await.code, Some(5));

    let findings = site.ran(&["doctor", "--json"]).await.json();
    for check in ["engine", "disk", "log", "vault", "challenge address", "https address", "CA"] {
        assert_eq!(verdict(&findings, check)["verdict"], "ok", "{check}: {findings}");
    }
    let seen = verdict(&findings, "challenge address")["seen"].as_str().unwrap();
    assert_eq!(seen, "held by the running engine");
    assert_eq!(leftover(&site.path("state")), Vec::<String>::new());

    let ran = site.ran(&["status"]).await;
    assert!(!ran.err.contains("is not running"), "{}", ran.err);
    let lines = std::fs::read_to_string(site.path("run.log")).unwrap();
    let line = lines.lines().find(|line| line.contains("OrderRefused")).unwrap();
    assert!(line.contains("the CA does not want this name"), "{line}");
    let mut engine = engine;
    let pid = i32::try_from(engine.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let told = async {
        while !std::fs::read_to_string(site.path("run.log"))
            .unwrap()
            .contains("SIGHUP: there is no")
        {
            assert_eq!(engine.try_wait().unwrap(), None, "a hangup is no end");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(START_MAX, told).await.unwrap();
    engine.kill().await.unwrap();
    let ran = site.ran(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for command in ["status", "why", "list"] {
        let ran = site.ran(&[command]).await;
        assert!(ran.err.contains("the engine is not running: nothing is renewed"), "{}", ran.err);
    }
    assert_eq!(site.ran(&["status", "--check"]).await.code, Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_vault_key_is_found_before_the_engine_starts() {
    let site = Site::new().await;
    let mut engine = site.engine().await;
    engine.kill().await.unwrap();
    let before = site.ran(&["doctor", "--json"]).await.json();
    assert_eq!(verdict(&before, "vault")["seen"], "opens; the account key is there");
    // A socket of a killed engine is no engine.
    assert_eq!(site.ran(&["renew", "web"]).await.code, Some(4));
    std::fs::remove_file(site.path("vault.key")).unwrap();
    renewd::vault::make_key_file(&site.path("vault.key")).unwrap();
    let ran = site.ran(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(10));
    assert_eq!(verdict(&ran.json(), "vault")["verdict"], "fail");
}
