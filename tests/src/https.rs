//! A bounded HTTP client of its own, so that a test never proves `renewd` with `renewd`'s code.
//!
//! It speaks HTTP/1.0: the server answers without chunks and closes, which is all that is needed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::error::HarnessError;
use crate::tls::{self, SOCKET_TIME_MAX};

/// One answer. The largest thing asked for is a directory or a chain: some KiB.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Octets of a body that go into an error.
const BODY_SHOWN_MAX: usize = 300;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Status line and header lines as sent.
    pub head: String,
    /// The body as text.
    pub body: String,
}

/// Where to send a request: a port of 127.0.0.1, over TLS when roots are given.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Host name for SNI, verification and the Host header.
    pub host: String,
    /// PEM of the trusted roots; `None` means plain HTTP.
    pub roots_pem: Option<String>,
}

impl Endpoint {
    /// GETs `path`; any status is an answer.
    ///
    /// # Errors
    /// When nobody answers, TLS does not verify, or the answer is not HTTP.
    pub fn get(&self, path: &str) -> Result<Answer, HarnessError> {
        self.ask(path, &format!("{}\r\n", self.head("GET", path)))
    }

    /// GETs `path` and returns the body of a 200.
    ///
    /// # Errors
    /// As [`Endpoint::get`], and when the status is another one.
    pub fn get_ok(&self, path: &str) -> Result<String, HarnessError> {
        self.get(path).and_then(|answer| self.ok(path, answer))
    }

    /// POSTs a JSON text to `path` and returns the body of a 200.
    ///
    /// # Errors
    /// As [`Endpoint::get`], and when the status is another one.
    pub fn post_ok(&self, path: &str, json: &str) -> Result<String, HarnessError> {
        let request = format!(
            "{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            self.head("POST", path),
            json.len()
        );
        self.ask(path, &request).and_then(|answer| self.ok(path, answer))
    }

    /// The URL of `path` here.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.roots_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}{path}", self.host, self.port)
    }

    /// Pebble builds its URLs from the Host header, so it needs the port; and it refuses a request
    /// without User-Agent (RFC 8555 §6.1).
    fn head(&self, method: &str, path: &str) -> String {
        let (host, port) = (&self.host, self.port);
        format!("{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\nUser-Agent: renewd-tests\r\n")
    }

    fn ok(&self, path: &str, answer: Answer) -> Result<String, HarnessError> {
        match answer.status {
            200 => Ok(answer.body),
            status => Err(HarnessError::Http {
                url: self.url(path),
                status,
                body: answer.body.chars().take(BODY_SHOWN_MAX).collect(),
            }),
        }
    }

    fn ask(&self, path: &str, request: &str) -> Result<Answer, HarnessError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let bytes = match &self.roots_pem {
            Some(roots) => exchange(tls::connect(address, &self.host, roots)?, request),
            None => {
                let socket = TcpStream::connect_timeout(&address, SOCKET_TIME_MAX);
                socket.and_then(bounded).and_then(|socket| exchange(socket, request))
            }
        };
        let bytes = bytes.map_err(HarnessError::io("ask", self.url(path)))?;
        parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| HarnessError::Http {
            url: self.url(path),
            status: 0,
            body: String::from_utf8_lossy(&bytes).chars().take(BODY_SHOWN_MAX).collect(),
        })
    }
}

fn bounded(socket: TcpStream) -> std::io::Result<TcpStream> {
    socket.set_read_timeout(Some(SOCKET_TIME_MAX))?;
    socket.set_write_timeout(Some(SOCKET_TIME_MAX))?;
    Ok(socket)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_and_anything_else_is_refused() {
        let answer = parse("HTTP/1.0 404 Not Found\r\nDate: now\r\n\r\nno\r\n\r\nmore").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "no\r\n\r\nmore"));
        assert!(answer.head.ends_with("Date: now"));
        for (case, text) in
            [("empty", ""), ("no end of head", "HTTP/1.0 200 OK"), ("SSH", "SSH-2.0 x\r\n\r\n")]
        {
            assert!(parse(text).is_none(), "{case}");
        }
    }
}
