//! Just enough HTTP/1.1 to judge what our servers wrote: answers in octets, read by another parser than
//! the one that wrote them.

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body; empty for a HEAD.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request that no server may misunderstand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain<'d> {
    pub(crate) method: &'d str,
    pub(crate) path: &'d str,
    pub(crate) host: &'d str,
}

/// Heads up to this long, and this many fields, are everyday life.
const PLAIN_OCTETS_MAX: usize = 2000;
const PLAIN_FIELDS_MAX: usize = 20;

/// The request that begins the octets, when it is beyond doubt: one line, one Host, fields in plain ASCII,
/// none that changes how it is read, and no body.
pub(crate) fn plain(octets: &[u8]) -> Option<Plain<'_>> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(octets.get(..end).filter(|_| end < PLAIN_OCTETS_MAX)?).ok()?;
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let known = ["GET", "HEAD", "POST"].contains(&method);
    let path_is_plain = path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b));
    if !known || !path_is_plain || words.next() != Some("HTTP/1.1") || words.next().is_some() {
        return None;
    }
    let mut host = None;
    for (count, line) in lines.enumerate() {
        let (name, value) = line.split_once(": ")?;
        let name_is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_is_plain = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if name.is_empty() || !name_is_plain || !value_is_plain || count >= PLAIN_FIELDS_MAX {
            return None;
        }
        match name.to_ascii_lowercase().as_str() {
            "host" if host.is_none() && visible(value) => host = Some(value),
            "content-length" if value == "0" => {}
            "user-agent" | "accept" | "origin" => {}
            _ => return None,
        }
    }
    Some(Plain { method, path, host: host? })
}

/// All answers of one connection. Panics when the octets are not answers, one after the other.
pub(crate) fn answers(octets: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let (answer, after) = answer(rest);
        // An interim answer (100 Continue) announces nothing.
        if answer.status >= 200 {
            all.push(answer);
        }
        rest = after;
    }
    all
}

fn answer(octets: &[u8]) -> (Answer, &[u8]) {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| broken("a head without an end", octets));
    let head = std::str::from_utf8(&octets[..end]).unwrap_or_else(|_| broken("not text", octets));
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    let status: u16 = status.unwrap_or_else(|| broken("no status", octets));
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap_or_else(|| broken("no header", octets)))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    assert!(!headers.iter().any(|(_, value)| value.contains(['\r', '\n', '\0'])), "{head:?}");
    let mut answer = Answer { status, headers, body: Vec::new() };
    let rest = &octets[end + 4..];
    let length = answer.header("content-length").map_or(0, |value| value.parse().unwrap());
    // The answer to a HEAD names a length and has no body: what follows is the next answer, or nothing.
    if rest.is_empty() || rest.starts_with(b"HTTP/1.") || status < 200 {
        return (answer, rest);
    }
    assert!(rest.len() >= length, "a body of {} octets that claims {length}", rest.len());
    answer.body = rest[..length].to_vec();
    (answer, &rest[length..])
}

fn broken(what: &str, octets: &[u8]) -> ! {
    panic!("{what}: {:?}", String::from_utf8_lossy(octets))
}
