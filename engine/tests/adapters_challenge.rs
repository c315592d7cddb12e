//! The challenge responder over real sockets, as a CA, a stranger and a slow client see it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use renewd::challenge::{Redirect, Responder, ResponderOptions};
use renewd_actors::ports::Prober;
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::id::DnsName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const THUMBPRINT: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";

fn challenge() -> Challenge {
    Challenge { url: String::new(), token: TOKEN.to_owned(), thumbprint: THUMBPRINT.to_owned() }
}

fn options() -> ResponderOptions {
    ResponderOptions {
        lookup: Arc::new(|token| (token == TOKEN).then(|| format!("{TOKEN}.{THUMBPRINT}"))),
        visited: None,
        opened: None,
        redirect: Redirect::default(),
    }
}

fn start(options: ResponderOptions) -> (Responder, SocketAddr) {
    let responder = Responder::start(&["127.0.0.1:0".parse().unwrap()], options).unwrap();
    let at = *responder.addresses().first().unwrap();
    (responder, at)
}

/// Sends a request and reads until the server closes.
async fn raw(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask(at: SocketAddr, method: &str, path: &str, host: &str) -> (String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(at, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn path(token: &str) -> String {
    format!("/.well-known/acme-challenge/{token}")
}

#[tokio::test]
async fn a_pending_token_is_answered_with_exactly_its_key_authorization() {
    let (_responder, at) = start(options());
    let (head, body) = ask(at, "GET", &path(TOKEN), "example.com").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, challenge().key_authorization());
    for header in [
        "content-type: text/plain",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "content-length: 87",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert!(!head.contains("server:"), "{head}");
    let (head, body) = ask(at, "HEAD", &path(TOKEN), "other.example").await;
    assert!(head.contains("content-length: 87"), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn unknown_path_is_constant_404() {
    let (responder, at) = start(options());
    let without_date = |head: String| -> Vec<String> {
        head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect()
    };
    let other = TOKEN.replace('e', "f");
    let (head, body) = ask(at, "GET", "/", "a.example").await;
    assert!(head.starts_with("http/1.1 404"));
    assert_eq!(body, "");
    let first = without_date(head);
    for path in [
        path(&other),
        path(&format!("{TOKEN}/")),
        path(&format!("../{TOKEN}")),
        path("x"),
        "/etc/passwd".to_owned(),
    ] {
        let (head, body) = ask(at, "GET", &path, "b.example").await;
        assert_eq!(without_date(head), first, "{path}");
        assert_eq!(body, "");
    }
    let (head, _) = ask(at, "POST", &path(TOKEN), "example.com").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert_eq!(responder.visits(TOKEN), 0);
}

#[tokio::test]
async fn visits_are_counted_and_told_and_our_own_probe_is_not() {
    let told = Arc::new(AtomicU32::new(0));
    let teller = Arc::clone(&told);
    let (responder, at) = start(ResponderOptions {
        visited: Some(Arc::new(move |token| {
            assert_eq!(token, TOKEN);
            teller.fetch_add(1, Ordering::SeqCst);
        })),
        ..options()
    });
    let seen = responder.probe("example.com", &challenge()).await;
    assert_eq!(seen, Probe::Seen);
    assert_eq!(responder.visits(TOKEN), 0);
    for _ in 0..3 {
        ask(at, "GET", &path(TOKEN), "example.com").await;
    }
    assert_eq!(responder.visits(TOKEN), 3);
    assert_eq!(told.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_probe_says_what_it_saw_instead() {
    let (responder, _) = start(options());
    let wrong = Challenge { thumbprint: "other".to_owned(), ..challenge() };
    let Probe::NotSeen(text) = responder.probe("example.com", &wrong).await else {
        unreachable!("the body differs")
    };
    assert!(text.contains("status 200"), "{text}");
    let forged = responder.probe("a\r\nX: y", &challenge()).await;
    assert!(matches!(forged, Probe::NotSeen(_)));
    let nowhere = Responder::new(options()).unwrap();
    let seen = nowhere.probe("example.com", &challenge()).await;
    assert_eq!(
        seen,
        Probe::NotSeen(
            "renewd has no challenge listener of its own open; the program around it has to answer"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn other_paths_go_to_https_when_asked_for() {
    let (responder, at) = start(options());
    responder.set_redirect(Redirect {
        names: [DnsName::parse("example.com").unwrap()].into(),
        port: 443,
    });
    let (head, _) = ask(at, "GET", "/shop?x=1", "EXAMPLE.com:80").await;
    assert!(head.starts_with("http/1.1 308"), "{head}");
    assert!(head.contains("location: https://example.com/shop?x=1"), "{head}");
    let (head, _) = ask(at, "GET", "/", "evil.example").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    // A pending challenge is answered all the same.
    let (head, _) = ask(at, "GET", &path(TOKEN), "example.com").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let (_responder, at) = start(options());
    let one = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path(TOKEN));
    let last = one.replace("Host: a", "Host: a\r\nConnection: close");
    let answer = raw(at, &(one.repeat(9) + &last)).await;
    assert_eq!(answer.matches(THUMBPRINT).count(), 10);
}

#[tokio::test]
async fn slow_header_connection_is_closed() {
    let (_responder, at) = start(options());
    let begin = Instant::now();
    // The first says nothing, the second half of a head.
    let (silent, half) = tokio::join!(raw(at, ""), raw(at, "GET / HTTP/1.1\r\nHo"));
    // That they end at all shows the bound: nobody else closes them.
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(4), "{took:?}");
    assert!(!silent.contains("200") && !half.contains("200"));
    // Too many header fields.
    let many = "A: b\r\n".repeat(100);
    let answer = raw(at, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// More silent connections than there are places: they lose them, and the CA is answered.
#[tokio::test]
async fn a_flood_keeps_the_ca_out_only_for_a_moment() {
    let (_responder, at) = start(options());
    let begin = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    let request = format!("GET {} HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n", path(TOKEN));
    loop {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut answer = String::new();
        // The server may close before it reads: both calls may fail, then there is no answer.
        let sent = stream.write_all(request.as_bytes()).await;
        let read = stream.read_to_string(&mut answer).await;
        if sent.is_ok() && read.is_ok() && answer.contains(THUMBPRINT) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "the CA is kept out for good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(3), "the bound was reached");
}

#[tokio::test]
async fn the_holder_of_the_port_is_named() {
    let (_responder, at) = start(options());
    let refused = Responder::start(&[at], options()).unwrap_err();
    let detail = &refused.problem.detail;
    assert_eq!(refused.problem.subject, at.to_string());
    let pid = format!("pid {}", std::process::id());
    assert!(detail.contains(&pid), "{detail}");
    assert!(refused.holder.unwrap().contains(&pid));
}

#[tokio::test]
async fn a_dropped_responder_frees_its_port() {
    let (responder, at) = start(options());
    drop(responder);
    // A minute: its connections end in tasks of their own.
    for _ in 0..6_000 {
        if Responder::start(&[at], options()).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("{at} stays taken");
}
