//! The list of targets, each with the words that its inputs are made of.

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the function, the corpus' folder, and the libFuzzer binary.
    pub name: &'static str,
    /// Takes any octets; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Folders with more seeds that belong to other tests, from the root of the repository.
    pub seeds: &'static [&'static str],
    /// Words that are put into inputs.
    pub words: &'static [&'static str],
    /// Inputs of the bounded run: five to eight seconds unoptimised on one core.
    pub inputs: u32,
}

const BINARY: &[&str] = &["RNW1", "RNW2", "RNWH", "\0\0\0\0", "\u{fb}"];
const HTTP: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "\r\n\r\n",
    "\r\n",
    "Host: localhost\r\n",
    "Host: evil.example\r\n",
    "Host: example.org\r\n",
    "Origin: https://evil.example\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 99999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "/.well-known/acme-challenge/",
    "http://localhost",
    "//",
    "/../",
    "%00",
    "%2e%2e",
    "<script>alert(1)</script>",
    "?verbose",
    "?refresh=off",
    "/api/v1/certificates/web/renew",
    "/api/v1/accept-terms",
    "/certificates/",
    "/timeline.svg",
    "?renewal=",
    "[::1]",
    "127.0.0.1",
];
const TOML: &[&str] = &[
    "[[certificate]]\n",
    "[certificate.bind]\n",
    "[renew]\n",
    "domains = ",
    "name = ",
    "bind = ",
    "\"\"\"",
    "'''",
    "\\u0000",
    "password = \"x\"\n",
    "= \"1/3\"\n",
    "= \"21d\"\n",
    "= true\n",
    "= []\n",
    "= {}\n",
    "0x7fffffffffffffff",
    "1979-05-27",
    "xn--",
    "*.",
    "\u{202e}",
    "\u{1b}[31m",
    "https://",
];
const ACME: &[&str] = &[
    "@directory\n",
    "@nonce\n",
    "@account\n",
    "@order\n",
    "@authorization\n",
    "@challenge\n",
    "@chain\n",
    "@renewal-info\n",
    "@list\n",
    "HTTP/1.1 429\n",
    "HTTP/1.1 200\n",
    "retry-after: 86400\n",
    "location: https://ca.test/order/2\n",
    "location: http://ca.test/order/2\n",
    "link: <https://ca.test/list/2>;rel=\"next\"\n",
    "content-type: application/problem+json\n",
    "replay-nonce: \n",
    "\"status\":\"valid\"",
    "\"status\":\"pending\"",
    "\"type\":\"urn:ietf:params:acme:error:badNonce\"",
    "\"error\":{}",
    "\"authorizations\":[",
    "\"https://ca.test/authorization/1\",",
    "http://ca.test/",
    "-----BEGIN CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "null",
    "[[[[[[[[",
    "\\u0000",
];

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "event_codec",
        run: crate::event_codec,
        seeds: &["events/golden/v1"],
        words: BINARY,
        inputs: 200_000,
    },
    Target {
        name: "mirror_segment",
        run: crate::mirror_segment,
        seeds: &[],
        words: BINARY,
        inputs: 500,
    },
    Target {
        name: "configuration",
        run: crate::configuration,
        seeds: &["tests/golden/config", "tests/golden/config/good"],
        words: TOML,
        inputs: 12_000,
    },
    Target { name: "ca_answers", run: crate::ca_answers, seeds: &[], words: ACME, inputs: 2_000 },
    Target {
        name: "challenge_request",
        run: crate::challenge_request,
        seeds: &[],
        words: HTTP,
        inputs: 90_000,
    },
    Target {
        name: "admin_request",
        run: crate::admin_request,
        seeds: &["tests/fuzz/corpus/challenge_request"],
        words: HTTP,
        inputs: 60_000,
    },
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
