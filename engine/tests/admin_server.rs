//! The admin sockets over real connections: in front of an engine that renews with a real CA protocol,
//! and of one whose log breaks.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "admin/fakes.rs"]
mod fakes;
#[path = "admin/wire.rs"]
mod wire;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use http::{Method, StatusCode};
use renewd::admin::client::ask;
use renewd::admin::server::BODY_OCTETS_MAX;
use renewd::admin::{Admin, Counters, Options};
use renewd_events::process::StopReason;
use serde_json::Value;
use tokio::net::UnixStream;
use wire::{Site, get, get_as, metric, raw, send, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_the_json_and_the_metrics_tell_the_same() {
    let site = Site::start().await;
    site.issued().await;
    let page = get(site.page(), "/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.len() < 50 * 1024, "{} octets", page.body.len());
    let status = get(site.page(), "/api/v1/status").await.json();
    assert_eq!(status["schema"], "renewd.status/1");
    let row = &status["data"][0];
    assert_eq!((&row["name"], &row["state"]), (&Value::from("web"), &Value::from("ok")));
    let expires = row["expires"].as_str().unwrap();
    for fact in ["www.example.org", expires, "next renewal", "\u{2713} ok", "issue 1"] {
        assert!(page.body.contains(fact), "{fact} is not in\n{}", page.body);
    }
    let metrics = get(site.page(), "/metrics").await.body;
    assert!(metrics.ends_with("# EOF\n"));
    let at = chrono::DateTime::parse_from_rfc3339(expires).unwrap().timestamp().to_string();
    let not_after = "renewd_certificate_not_after_timestamp_seconds{certificate=\"web\"}";
    assert_eq!(metric(&metrics, not_after), at);
    let renewals = |outcome: &str, cause: &str| {
        let name = format!("renewd_renewals_total{{outcome=\"{outcome}\",cause=\"{cause}\"}}");
        metric(&metrics, &name).to_owned()
    };
    assert_eq!(renewals("succeeded", "first-issue"), "1");
    assert_eq!(renewals("failed", "retry"), "0", "a series exists before its first event");
    let served = format!(
        "renewd_certificate_served_match{{certificate=\"web\",address=\"{}\"}}",
        site.https
    );
    assert_eq!(metric(&metrics, &served), "1");
    let state = "renewd_certificate_state{certificate=\"web\",state=\"ok\"}";
    assert_eq!(metric(&metrics, state), "1");

    let one = get(site.page(), "/certificates/web").await;
    let detail = get(site.page(), "/api/v1/certificates/web").await.json();
    let fingerprint = detail["data"]["issue"]["fingerprint"].as_str().unwrap();
    assert!(one.body.contains(fingerprint));
    let svg = get(site.page(), "/certificates/web/timeline.svg").await;
    assert_eq!(svg.header("content-type"), Some("image/svg+xml; charset=utf-8"));
    assert!(svg.body.starts_with("<svg") && svg.body.contains("web, renewal 1"));
    let history = get(site.page(), "/api/v1/history").await.json();
    assert_eq!(history["data"][0]["result"], "succeeded", "{history}");

    assert_eq!(metric(&metrics, "renewd_set_aside"), "0");
    assert_eq!(get(site.page(), "/readyz?certificate=web").await.status, 200);
    assert_eq!(get(site.page(), "/readyz?certificate=nope").await.status, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_taken_on_the_unix_socket_only() {
    let site = Site::start().await;
    site.issued().await;
    let path = "/api/v1/certificates/web/renew";
    let refused = send(site.page(), "POST", path, "localhost").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(send(site.page(), "DELETE", "/", "localhost").await.status, 405);

    let socket = site.admin.socket().unwrap();
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let unknown = ask(socket, Method::POST, "/api/v1/certificates/nope/renew").await.unwrap();
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.detail(), "there is no certificate `nope`");
    let seen = ask(socket, Method::GET, path).await.unwrap();
    assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED, "a GET never changes anything");
    let too_large = BODY_OCTETS_MAX + 1;
    let flood = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {too_large}\r\n\r\n{}",
        "x".repeat(too_large)
    );
    let refused = raw(UnixStream::connect(socket).await.unwrap(), &flood).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    let answer = ask(socket, Method::POST, path).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let seq = answer.json()["data"]["seq"].as_u64().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let asked = site.events().into_iter().find(|event| event.seq.0 == seq).unwrap();
    let said = serde_json::to_value(&asked.event).unwrap();
    assert_eq!(said["RenewalRequested"]["by"], format!("uid {uid}"));
    until("the renewal that was asked for", || async {
        let metrics = get(site.page(), "/metrics").await.body;
        let name = "renewd_renewals_total{outcome=\"succeeded\",cause=\"operator\"}";
        (metric(&metrics, name) == "1").then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_wait_for_a_person_and_are_accepted_by_the_command() {
    let terms = "https://testca.invalid/terms/2";
    let site = Site::start_with(Some(terms)).await;
    let path = "/api/v1/accept-terms";
    assert_eq!(
        send(site.page(), "POST", path, "localhost").await.status,
        405,
        "the page only shows"
    );
    let socket = site.admin.socket().unwrap();
    let accept = || async {
        let answer = ask(socket, Method::POST, path).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()["data"]["accepted"].clone()
    };
    // Until the directory is read there is nothing to accept.
    let accepted = until("terms to accept", || async {
        let accepted = accept().await;
        (accepted != Value::Array(Vec::new())).then_some(accepted)
    });
    assert_eq!(accepted.await[0]["terms_url"], terms);
    until("the certificate", || async {
        let status = get(site.page(), "/api/v1/status").await.json();
        (status["data"][0]["state"] == "ok").then_some(())
    })
    .await;
    assert_eq!(accept().await, Value::Array(Vec::new()), "once is enough");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_challenge_port_is_told_and_opened_when_it_is_free() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = holder.local_addr().unwrap();
    let site = Site::start_at(held, None).await;
    let ready = get(site.page(), "/readyz").await;
    assert_eq!(ready.status, 503);
    let told = format!("[-]challenge/{held} failed: ");
    let line = ready.body.lines().find(|line| line.starts_with(&told));
    assert!(line.is_some_and(|line| line.contains("this process) holds")), "{}", ready.body);
    drop(holder);
    until("the challenge port", || async {
        let ready = get(site.page(), "/readyz?verbose").await;
        ready.body.contains(&format!("[+]challenge/{held} ok")).then_some(())
    })
    .await;
    // The first try found the port held; its next is minutes away.
    let path = "/api/v1/certificates/web/renew";
    let asked = ask(site.admin.socket().unwrap(), Method::POST, path).await.unwrap();
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    until("the certificate", || async {
        let status = get(site.page(), "/api/v1/status").await.json();
        (status["data"][0]["state"] == "ok").then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_than_this_machines_are_refused() {
    let site = Site::start().await;
    for host in ["evil.example", "evil.example:80", "192.0.2.7"] {
        let refused = get_as(site.page(), "/", host).await;
        assert_eq!(refused.status, 421, "{host}");
        assert!(!refused.body.contains("example.org"), "nothing is shown to {host}");
    }
    let answered = get_as(site.page(), "/", "localhost:9180").await;
    assert_eq!(answered.status, 200);
    let policy = answered.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
        assert_eq!(answered.header(name), Some(value));
    }
    let missing = get(site.page(), "/certificates/nope").await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (404, Some("application/problem+json"))
    );
    assert_eq!(get(site.page(), "/../../etc/passwd").await.status, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_actors_is_alive_and_not_ready() {
    let site = Site::start().await;
    until("a ready engine", || async {
        let ready = get(site.page(), "/readyz?verbose").await;
        (ready.status == 200).then_some(ready)
    })
    .await;
    let page = site.page();
    let Site { running, admin, .. } = site;
    running.stop(StopReason::Asked).await.unwrap();
    let ready = get(page, "/readyz?verbose").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("[-]actor/issuer failed"), "{}", ready.body);
    assert_eq!(get(page, "/livez").await.status, 200);
    let socket = admin.socket().unwrap().to_owned();
    let path = "/api/v1/certificates/web/renew";
    let busy = ask(&socket, Method::POST, path).await.unwrap();
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(admin);
    assert!(!socket.exists(), "the socket goes with its server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_makes_it_not_ready() {
    let (engine, disk) = fakes::engine().await;
    let options = Options {
        socket: None,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        log: None,
        responder: Vec::new(),
        waiting: std::sync::Arc::default(),
        counters: Counters::new(),
    };
    let admin = Admin::start(options, engine.handle());
    let page = admin.page().unwrap();
    let before = get(page, "/readyz?verbose").await;
    assert!(before.body.contains("[+]log ok"), "{}", before.body);
    let one = get(page, "/readyz?certificate=web").await;
    assert_eq!((one.status, one.body.contains("there is none yet")), (503, true), "{}", one.body);
    let told = "[!]certificate/web degraded: R0";
    until("what is wrong with it", || async {
        let ready = get(page, "/readyz?verbose").await;
        ready.body.contains(told).then_some(())
    })
    .await;
    disk.fail();
    let refused = engine.handle().renew("web", "a test").await.unwrap_err();
    assert!(refused.to_string().contains("no space"), "{refused}");
    let after = get(page, "/readyz").await;
    assert_eq!(after.status, 503);
    assert!(
        after.body.contains("[-]log failed") && after.body.contains("no space"),
        "{}",
        after.body
    );
    let shown = get(page, "/").await;
    assert!(shown.body.contains("The log cannot be written"), "{}", shown.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_an_earlier_life_is_replaced_and_a_living_one_is_not() {
    let (engine, _disk) = fakes::engine().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    // A listener that is gone leaves its file.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let options = || Options {
        socket: Some(path.clone()),
        listen: None,
        log: None,
        responder: Vec::new(),
        waiting: std::sync::Arc::default(),
        counters: Counters::new(),
    };
    let first = Admin::start(options(), engine.handle());
    assert!(first.refused.is_empty(), "{:?}", first.refused);
    let second = Admin::start(options(), engine.handle());
    assert!(second.socket().is_none());
    assert!(second.refused.concat().contains("another process answers"), "{:?}", second.refused);
    let answer = tokio::time::timeout(Duration::from_secs(60), ask(&path, Method::GET, "/livez"));
    assert_eq!(answer.await.unwrap().unwrap().body, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_the_world_is_shown_and_not_run() {
    let (engine, _disk) = fakes::engine().await;
    let options = Options {
        socket: None,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        log: None,
        responder: Vec::new(),
        waiting: std::sync::Arc::default(),
        counters: Counters::new(),
    };
    let admin = Admin::start(options, engine.handle());
    let page = admin.page().unwrap();
    let shown = until("failure on the page", || async {
        let shown = get(page, "/").await;
        shown.body.contains("alert").then_some(shown.body)
    })
    .await;
    assert!(!shown.contains("<script") && !shown.contains('\u{202e}'), "{shown}");
    assert!(shown.contains("u{202e}"), "it is made visible: {shown}");
    let status = get(page, "/api/v1/status").await;
    assert!(!status.body.contains('\u{202e}'), "{}", status.body);
    let metrics = get(page, "/metrics").await.body;
    assert!(metric(&metrics, "renewd_certificates{state=\"ok\"}") == "0");
}

/// At the start another program had the port; it goes, and nobody starts the engine again.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_port_was_held_opens_when_it_is_free() {
    let site = Site::start().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = other.local_addr().unwrap();
    let options = Options {
        socket: None,
        listen: Some(held),
        log: None,
        responder: Vec::new(),
        waiting: std::sync::Arc::clone(site.running.responder().waiting()),
        counters: Counters::new(),
    };
    let admin = Admin::start(options, site.running.handle());
    assert_eq!(admin.page(), None);
    let told = admin.refused.join("\n");
    assert!(told.contains("tried again") && told.contains("this process"), "{told}");
    drop(other);
    until("page", || async { admin.page() }).await;
    assert_eq!(get(held, "/livez").await.status, 200);
    site.stop().await;
}
