//! Our own fetch of a challenge answer, as a CA would do it, but to our own socket. It is evidence
//! only: the CA decides.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use renewd_events::authorization::{Challenge, Probe};
use renewd_events::id::DnsName;
use renewd_events::problem::cut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{PATH, PROBE, is_token};

/// The whole fetch. It is on this machine; an order waits for it.
const FETCH_TIME_MAX: Duration = Duration::from_secs(2);
/// Read at most: the right answer has some 400 octets with its head.
const ANSWER_OCTETS_MAX: u64 = 4096;
/// Of a wrong answer, shown to a person.
const EXCERPT_OCTETS_MAX: usize = 120;

pub(super) async fn fetch(
    address: SocketAddr,
    identifier: &str,
    challenge: &Challenge,
    mark: &str,
) -> Probe {
    // Both come from outside and go into a request.
    if DnsName::parse(identifier).is_err() || !is_token(&challenge.token) {
        return Probe::NotSeen("the name or the token cannot be put into a request".to_owned());
    }
    let token = &challenge.token;
    let request = format!(
        "GET {PATH}{token} HTTP/1.1\r\nHost: {identifier}\r\nConnection: close\r\n{PROBE}: {mark}\r\n\r\n"
    );
    match tokio::time::timeout(FETCH_TIME_MAX, exchange(address, &request)).await {
        Ok(Ok(answer)) => judge(address, &answer, &challenge.key_authorization()),
        Ok(Err(cause)) => Probe::NotSeen(format!("{address}: {cause}")),
        Err(_) => {
            Probe::NotSeen(format!("{address}: no answer within {} s", FETCH_TIME_MAX.as_secs()))
        }
    }
}

async fn exchange(address: SocketAddr, request: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_OCTETS_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn judge(address: SocketAddr, answer: &[u8], wanted: &str) -> Probe {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_ascii_whitespace().nth(1).unwrap_or("none");
    if status == "200" && body == wanted {
        return Probe::Seen;
    }
    Probe::NotSeen(format!("{address}: status {status}, body `{}`", cut(body, EXCERPT_OCTETS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_answer_is_seen() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let judge = |answer: &str| judge(at, answer.as_bytes(), "a.b");
        assert_eq!(judge("HTTP/1.1 200 OK\r\nx: y\r\n\r\na.b"), Probe::Seen);
        assert!(matches!(judge("HTTP/1.1 200 OK\r\n\r\na.b\n"), Probe::NotSeen(_)));
        assert_eq!(
            judge("HTTP/1.1 404 Not Found\r\n\r\nnginx"),
            Probe::NotSeen("127.0.0.1:80: status 404, body `nginx`".to_owned())
        );
        assert!(matches!(judge(""), Probe::NotSeen(_)));
    }
}
