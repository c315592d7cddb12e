//! Any octets on a connection to the challenge responder: 200 for a published token and for nothing
//! else, small answers, nothing of the request in them, and an end.

use std::sync::Arc;
use std::time::Duration;

use renewd::challenge::{Redirect, Responder, ResponderOptions};
use renewd::fuzzing;
use renewd_actors::ports::Prober;
use renewd_events::id::DnsName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::http1::{Answer, Plain, answers, plain};

/// Published tokens; their key authorizations are `TOKEN.thumbprint`.
const TOKENS: [&str; 3] = [
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
    "0123456789012345678901",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
const PATH: &str = "/.well-known/acme-challenge/";
/// A connection's own bounds are a minute and five seconds for the answer under way.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(66);
/// The largest answer is a redirect, which repeats the path: of a head of at most 8 KiB.
const ANSWER_OCTETS_MAX: usize = 9 * 1024;
/// The octets between the two ends of a connection in memory.
const PIPE_OCTETS: usize = 64 * 1024;

/// The octets as one connection whose client then waits.
pub fn challenge_request(data: &[u8]) {
    let lookup = |token: &str| TOKENS.contains(&token).then(|| authorization(token));
    let redirect = Redirect { names: [DnsName::parse("example.org").unwrap()].into(), port: 443 };
    let options =
        ResponderOptions { lookup: Arc::new(lookup), visited: None, opened: None, redirect };
    let responder = Responder::new(options).unwrap();
    let written = runtime().block_on(async {
        let (ours, theirs) = tokio::io::duplex(PIPE_OCTETS);
        let (_, written) = tokio::join!(fuzzing::challenge(&responder, theirs), talk(ours, data));
        written
    });
    let answers = answers(&written);
    let found: u32 = answers.iter().map(|answer| u32::from(judged(answer, data))).sum();
    if let Some(wanted) = plain(data).and_then(wanted) {
        assert_eq!(answers.first().map(|answer| answer.status), Some(wanted));
    }
    let visits: u32 = TOKENS.iter().map(|token| responder.visits(token)).sum();
    assert_eq!(visits, found, "every fetch of a token is counted, and nothing else");
}

/// A runtime whose time stands still while anything can run: waits cost nothing.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Writes everything, then waits for the server to close. Gives what it wrote.
pub(crate) async fn talk(stream: DuplexStream, data: &[u8]) -> Vec<u8> {
    let from = Instant::now();
    let (read, mut write) = tokio::io::split(stream);
    let mut written = Vec::new();
    // A server that closes in the middle refuses the rest: that is its right.
    let (_, ()) = tokio::join!(write.write_all(data), read_all(read, &mut written));
    let took = from.elapsed();
    assert!(took <= CONNECTION_TIME_MAX, "the connection was open for {took:?}");
    written
}

async fn read_all(mut read: impl AsyncRead + Unpin, written: &mut Vec<u8>) {
    read.read_to_end(written).await.unwrap();
}

fn authorization(token: &str) -> String {
    format!("{token}.thumbprint")
}

/// What a request beyond doubt is answered with.
fn wanted(request: Plain<'_>) -> Option<u16> {
    let token = request.path.strip_prefix(PATH);
    let published = token.is_some_and(|token| TOKENS.contains(&token));
    match (request.method, published, request.host) {
        ("POST", ..) => Some(405),
        (_, true, _) => Some(200),
        // A challenge is never redirected, published or not.
        (_, false, _) if token.is_some() => Some(404),
        (_, false, "example.org") => Some(308),
        (_, false, "evil.example" | "localhost") => Some(404),
        _ => None,
    }
}

/// Whether it is a fetch of a token.
fn judged(answer: &Answer, data: &[u8]) -> bool {
    let size: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    assert!(size + answer.body.len() <= ANSWER_OCTETS_MAX, "{answer:?}");
    for (name, value) in &answer.headers {
        headers_are_ours(name, value);
    }
    if answer.status == 200 {
        let wanted = TOKENS.iter().find(|token| asks_for(data, token, &answer.body));
        assert!(wanted.is_some(), "200 for what is not published: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        return true;
    }
    assert!([308, 400, 404, 405, 414, 431].contains(&answer.status), "{answer:?}");
    assert!(answer.body.is_empty(), "{answer:?}");
    let location = answer.header("location");
    assert_eq!(location.is_some(), answer.status == 308, "{answer:?}");
    false
}

/// Whether the octets ask for this token, and the body is its answer or, for a HEAD, nothing.
fn asks_for(data: &[u8], token: &str, body: &[u8]) -> bool {
    let path = format!("{PATH}{token}");
    data.windows(path.len()).any(|window| window == path.as_bytes())
        && (body == authorization(token).as_bytes() || body.is_empty())
}

fn headers_are_ours(name: &str, value: &str) {
    let known = match name {
        "content-type" => value == "text/plain",
        "x-content-type-options" => value == "nosniff",
        "cache-control" => value == "no-store",
        "allow" => value == "GET, HEAD",
        "connection" => value == "close" || value == "keep-alive",
        "content-length" => value.parse::<usize>().is_ok_and(|length| length <= 256),
        "date" => value.len() == 29,
        "location" => {
            value.starts_with("https://example.org/") && value.bytes().all(|b| b.is_ascii_graphic())
        }
        _ => false,
    };
    assert!(known, "a header that is not ours: {name}: {value}");
}
