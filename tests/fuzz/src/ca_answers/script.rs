//! An input as a CA's answers. A line `@KIND` begins an answer to requests of that kind; then comes an
//! HTTP head (or none: status 200), an empty line, and the body. The answers of a kind are given in
//! turn, the last one again and again; a kind that the input does not name is answered as a CA does.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

/// The CA.
pub(super) const HOST: &str = "https://ca.test";
/// A token as it should be.
pub(super) const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
/// Requests of all calls together: 100 pages and 32 orders of a list, nonces refused 12 times each.
const REQUESTS_MAX: u32 = 4000;
/// A chain as it should be.
const CHAIN: &str = include_str!("chain.pem");

const DIRECTORY: &str = r#"{"newNonce":"https://ca.test/nonce","newAccount":"https://ca.test/new-account","newOrder":"https://ca.test/new-order","revokeCert":"https://ca.test/revoke","keyChange":"https://ca.test/key-change","renewalInfo":"https://ca.test/renewal-info","meta":{"termsOfService":"https://ca.test/terms","profiles":{"default":"","shortlived":""}}}"#;
const ACCOUNT: &str = r#"{"status":"valid","orders":"https://ca.test/list"}"#;
const NEW_ORDER: &str = r#"{"status":"pending","expires":"2027-01-01T00:00:00Z","identifiers":[{"type":"dns","value":"a.test"}],"authorizations":["https://ca.test/authorization/1"],"finalize":"https://ca.test/finalize/1"}"#;
const ORDER: &str = r#"{"status":"valid","expires":"2027-01-01T00:00:00Z","identifiers":[{"type":"dns","value":"a.test"}],"authorizations":["https://ca.test/authorization/1"],"finalize":"https://ca.test/finalize/1","certificate":"https://ca.test/chain/1"}"#;
const AUTHORIZATION: &str = r#"{"identifier":{"type":"dns","value":"a.test"},"status":"pending","expires":"2027-01-01T00:00:00Z","challenges":[{"type":"http-01","url":"https://ca.test/challenge/1","status":"pending","token":"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"},{"type":"dns-01","url":"https://ca.test/challenge/2","status":"pending","token":"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"}]}"#;
const CHALLENGE: &str = r#"{"type":"http-01","url":"https://ca.test/challenge/1","status":"processing","token":"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"}"#;
const RENEWAL_INFO: &str = r#"{"suggestedWindow":{"start":"2026-12-01T00:00:00Z","end":"2026-12-03T00:00:00Z"},"explanationURL":"https://ca.test/why"}"#;
const LIST: &str = r#"{"orders":["https://ca.test/order/1"]}"#;

/// What is asked for, by the request's path; the default's status, location and body.
const KINDS: [(&str, &str, u16, &str, &str); 10] = [
    ("/directory", "directory", 200, "", DIRECTORY),
    ("/new-account", "account", 201, "https://ca.test/account/1", ACCOUNT),
    ("/account", "account", 200, "", ACCOUNT),
    ("/new-order", "order", 201, "https://ca.test/order/1", NEW_ORDER),
    ("/finalize", "order", 200, "https://ca.test/order/1", ORDER),
    ("/authorization", "authorization", 200, "", AUTHORIZATION),
    ("/challenge", "challenge", 200, "", CHALLENGE),
    ("/chain", "chain", 200, "", CHAIN),
    ("/renewal-info", "renewal-info", 200, "", RENEWAL_INFO),
    ("/list", "list", 200, "", LIST),
];

/// The answers of one input.
pub(super) struct Script {
    answers: BTreeMap<String, Vec<Response<Bytes>>>,
    asked: BTreeMap<String, usize>,
    requests: u32,
}

impl Script {
    pub(super) fn parse(data: &[u8]) -> Self {
        let mut answers: BTreeMap<String, Vec<Response<Bytes>>> = BTreeMap::new();
        let mut kind = String::new();
        let mut content: Vec<&[u8]> = Vec::new();
        for line in data.split_inclusive(|octet| *octet == b'\n').chain([&b"@"[..]]) {
            if let Some(name) = line.strip_prefix(b"@") {
                answers.entry(kind).or_default().push(answer(&content.concat()));
                kind = String::from_utf8_lossy(name).trim().to_owned();
                content.clear();
            } else {
                content.push(line);
            }
        }
        Self { answers, asked: BTreeMap::new(), requests: 0 }
    }

    /// Whether every answer is the default.
    pub(super) fn is_usual(&self) -> bool {
        let asked = KINDS.iter().map(|(_, kind, ..)| *kind).chain(["nonce"]);
        asked.into_iter().all(|kind| !self.answers.contains_key(kind))
    }

    /// The answer to a request, which is checked: TLS only, and an end.
    pub(super) fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        self.requests += 1;
        assert!(self.requests <= REQUESTS_MAX, "requests without end");
        assert_eq!(request.uri().scheme_str(), Some("https"), "{}", request.uri());
        let path = request.uri().path();
        let known = KINDS.iter().find(|(prefix, ..)| path.starts_with(prefix));
        let kind = match request.method() == Method::HEAD {
            true => "nonce",
            false => known.map_or("order", |(_, kind, ..)| kind),
        };
        let asked = self.asked.entry(kind.to_owned()).or_default();
        *asked += 1;
        let scripted = self.answers.get(kind);
        let scripted = scripted.and_then(|all| all.get(*asked - 1).or(all.last())).cloned();
        let mut answer = scripted.unwrap_or_else(|| {
            let (_, _, status, location, body) =
                known.unwrap_or(&("", "", 200, "https://ca.test/order/1", ORDER));
            usual(*status, location, body)
        });
        let nonce = format!("nonce-{}", self.requests);
        let headers = answer.headers_mut();
        headers.entry("replay-nonce").or_insert(HeaderValue::from_str(&nonce).unwrap());
        answer
    }
}

fn usual(status: u16, location: &str, body: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    if !location.is_empty() {
        answer.headers_mut().insert("location", HeaderValue::from_str(location).unwrap());
    }
    answer
}

/// Head and body. A line of the head that is none is left out.
fn answer(content: &[u8]) -> Response<Bytes> {
    if !content.starts_with(b"HTTP/1.1 ") {
        return Response::new(Bytes::copy_from_slice(content));
    }
    let end = content.windows(2).position(|two| two == b"\n\n").unwrap_or(content.len());
    let body = content.get(end + 2..).unwrap_or_default();
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    let mut lines = content[..end].split(|octet| *octet == b'\n');
    let first = lines.next().unwrap_or_default();
    let status = first.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
    *answer.status_mut() = status.unwrap_or(StatusCode::OK);
    for line in lines {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}
