//! What is elsewhere: the CA and its clock, the names in the DNS, and our own port 80 seen through them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Uri;
use http::header::{DATE, HOST, LOCATION, SERVER, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use renewd_events::Facts;
use renewd_events::id::DnsName;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_replay::codes::{Step, classify};
use renewd_replay::{escape, when};
use serde_json::Value;
use tokio::net::TcpStream;

use super::finding::{Finding, Verdict};
use crate::acme::{roots, unanswered};
use crate::admin::client::once;
use crate::config::{Certificate, Config};
use crate::settings::Settings;

/// The CA's directory: one small file, but a CA may be far away.
const CA_TIME_MAX: Duration = Duration::from_secs(10);
/// A directory has some 800 octets.
const DIRECTORY_OCTETS_MAX: usize = 256 * 1024;
/// A resolver that takes longer does so for the CA too.
const DNS_TIME_MAX: Duration = Duration::from_secs(5);
/// A fetch from ourselves.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// What is read of an answer there: ours has none.
const FETCH_OCTETS_MAX: usize = 4096;
/// Names looked at: a certificate has at most 100, a person waits.
const NAMES_MAX: usize = 200;
/// A clock that is further off will make nonces, windows and expiry times look wrong.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(30);
/// Where a public CA fetches challenges (RFC 8555 §8.3).
const HTTP_PORT: u16 = 80;
/// Who asks.
const AGENT: &str = concat!("renewd-doctor/", env!("CARGO_PKG_VERSION"));
/// A path below the challenges that no token can have: it holds a dot.
const NO_TOKEN: &str = "/.well-known/acme-challenge/renewd.doctor";

/// The directory, the clock, the terms.
pub(super) async fn ca(config: &Config, facts: Option<&Facts>) -> Vec<Finding> {
    let url = &config.account.ca.url;
    let answer = match tokio::time::timeout(CA_TIME_MAX, directory(config)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => {
            let todo = way_to_the_ca(classify(Step::Account, &problem));
            return vec![Finding::bad(Verdict::Fail, ("CA", url), &problem.detail, &todo)];
        }
        Err(_) => {
            let seen = format!("no answer within {}", when::span(CA_TIME_MAX));
            let todo = "check the firewall: port 443 to the CA must be open";
            return vec![Finding::bad(Verdict::Fail, ("CA", url), &seen, todo)];
        }
    };
    let mut findings = vec![clock(&answer)];
    let status = answer.status();
    match serde_json::from_slice::<Value>(answer.body()) {
        Ok(directory) if status.is_success() && directory.get("newOrder").is_some() => {
            findings.insert(0, Finding::ok("CA", url, "its directory is read"));
            findings.push(terms(config, facts, &directory));
        }
        _ => {
            let seen = format!("status {status}, and no ACME directory (RFC 8555)");
            let todo = "give the URL of the directory: `renewd config check` names the known CAs";
            findings.insert(0, Finding::bad(Verdict::Fail, ("CA", url), &seen, todo));
        }
    }
    findings
}

/// What to do about a directory that is not read, as `why` says it for a renewal that met the same.
fn way_to_the_ca(code: &str) -> String {
    let cure = match code {
        "R0904" => "set the clock (NTP); if it is right, the CA's server certificate has run out",
        "R0903" => {
            "private CA: set account.ca_root_file; else update the root certificates, or exempt the \
             host from TLS inspection"
        }
        _ => "check the URL, the name resolution and the firewall",
    };
    format!("{cure} (`renewd explain {code}`)")
}

async fn directory(config: &Config) -> Result<Response<Bytes>, Problem> {
    let own = |cause: String| Problem::new(ProblemClass::Local, "directory", &cause);
    let settings = Settings::from(config);
    let tls = roots::tls(&settings.account.roots)?;
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    let url: Uri =
        settings.account.directory_url.parse().map_err(|cause| own(format!("{cause}")))?;
    // A client names itself (RFC 8555 §6.1).
    let request = Request::get(url)
        .header(USER_AGENT, AGENT)
        .body(Empty::new())
        .map_err(|cause| own(cause.to_string()))?;
    let answer = client.request(request).await.map_err(|error| unanswered(&error))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, DIRECTORY_OCTETS_MAX).collect().await;
    let body = body.map_err(|cause| own(cause.to_string()))?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

fn clock(answer: &Response<Bytes>) -> Finding {
    let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Finding::unknown("clock", "this machine", "the CA sends no Date");
    };
    let ours = SystemTime::now();
    let (off, word) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seen = format!("{} {word} the CA's", when::span(off));
    if off <= CLOCK_OFF_MAX {
        return Finding::ok("clock", "this machine", &seen);
    }
    let todo = "set the clock: timedatectl set-ntp true, or chrony";
    Finding::bad(Verdict::Warn, ("clock", "this machine"), &seen, todo)
}

fn terms(config: &Config, facts: Option<&Facts>, directory: &Value) -> Finding {
    let url = directory.get("meta").and_then(|meta| meta.get("termsOfService"));
    let Some(url) = url.and_then(Value::as_str).map(|url| escape::field(url, 200)) else {
        return Finding::ok("terms", config.account.ca.title(), "the CA has none");
    };
    if !config.account.terms_accepted {
        let todo =
            "read them, then set terms_accepted = true under [account], or run renewd accept-terms";
        return Finding::bad(
            Verdict::Fail,
            ("terms", &url),
            "not accepted: nothing is ordered",
            todo,
        );
    }
    let account = facts.and_then(|facts| facts.accounts.get(&Settings::from(config).account.id()));
    if account.is_some_and(|account| !account.terms_are_accepted()) {
        let seen = "others were accepted; these are new";
        let todo = "read them, then run renewd accept-terms";
        return Finding::bad(Verdict::Warn, ("terms", &url), seen, todo);
    }
    Finding::ok("terms", &url, "accepted")
}

/// Every name: where it points, and what answers there on the challenge port.
pub(super) async fn names(
    config: &Config,
    certificates: &[&Certificate],
    runs: bool,
) -> Vec<Finding> {
    let names: BTreeSet<&DnsName> = certificates
        .iter()
        .flat_map(|certificate| &certificate.domains)
        .map(|domain| domain.name())
        .collect();
    let mut findings = Vec::new();
    let mut addresses: BTreeMap<IpAddr, &DnsName> = BTreeMap::new();
    for name in names.iter().take(NAMES_MAX) {
        let (finding, found) = resolve(config, name).await;
        findings.push(finding);
        for address in found {
            addresses.entry(address).or_insert(name);
        }
    }
    if names.len() > NAMES_MAX {
        let seen =
            format!("{} more names were not looked at", names.len().saturating_sub(NAMES_MAX));
        findings.push(Finding::unknown("DNS", "the rest", &seen));
    }
    if runs {
        for (address, name) in addresses {
            findings.push(port(config, address, name).await);
        }
    }
    findings
}

async fn resolve(config: &Config, name: &DnsName) -> (Finding, Vec<IpAddr>) {
    let subject = name.to_string();
    if name.is_wildcard() {
        return (
            Finding::unknown("DNS", &subject, "a wildcard has no address of its own"),
            Vec::new(),
        );
    }
    // A private CA may resolve its names elsewhere than this machine.
    let verdict = if config.account.ca.known.is_some() { Verdict::Fail } else { Verdict::Warn };
    let todo = "point its A or AAAA record at this machine; a private CA may know other names than \
                this machine's resolver";
    let looking = tokio::net::lookup_host((name.as_str(), HTTP_PORT));
    let bad = |seen: &str| (Finding::bad(verdict, ("DNS", &subject), seen, todo), Vec::new());
    let found: BTreeSet<IpAddr> = match tokio::time::timeout(DNS_TIME_MAX, looking).await {
        Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        Ok(Err(cause)) => return bad(&format!("not resolved: {cause}")),
        Err(_) => return bad(&format!("no answer within {}", when::span(DNS_TIME_MAX))),
    };
    let shown: Vec<String> = found.iter().map(|ip| describe(*ip)).collect();
    let seen = shown.join(", ");
    let public = config.account.ca.known.is_some();
    if public && found.iter().any(|ip| private(*ip).is_some()) {
        let todo = "a public CA cannot reach such an address: publish the outside one";
        return (
            Finding::bad(Verdict::Fail, ("DNS", &subject), &seen, todo),
            found.into_iter().collect(),
        );
    }
    (Finding::ok("DNS", &subject, &seen), found.into_iter().collect())
}

fn describe(ip: IpAddr) -> String {
    match private(ip) {
        Some(kind) => format!("{ip} ({kind})"),
        None => ip.to_string(),
    }
}

/// Why nobody outside reaches this address.
fn private(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() => Some("loopback"),
        IpAddr::V4(v4) if v4.is_private() => Some("private"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("link-local"),
        // RFC 6598: the inside of a provider's NAT.
        IpAddr::V4(v4) if matches!(v4.octets(), [100, 64..=127, ..]) => Some("carrier NAT"),
        IpAddr::V4(v4) if v4.is_unspecified() => Some("no address"),
        IpAddr::V6(v6) if v6.is_loopback() => Some("loopback"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(v6) if v6.is_unique_local() => Some("private"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some("no address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Fetches a path that no challenge has, as the CA would fetch a challenge.
async fn port(config: &Config, ip: IpAddr, name: &DnsName) -> Finding {
    // A private CA fetches where it was told to; the responder's own port is the best guess.
    let port = match (config.account.ca.known, config.http.listen.first()) {
        (None, Some(listen)) => listen.port(),
        (Some(_), _) | (None, None) => HTTP_PORT,
    };
    let address = SocketAddr::new(ip, port);
    let subject = format!("{name} at {address}");
    let todo = "let port 80 of this address lead to this machine, and let nobody else answer there; \
                from inside a NAT this look can fail although the CA gets through";
    let bad = |seen: &str| Finding::bad(Verdict::Warn, ("challenge port", &subject), seen, todo);
    match tokio::time::timeout(FETCH_TIME_MAX, fetch(address, name)).await {
        Ok(Ok(answer)) => match stranger(&answer) {
            None => Finding::ok("challenge port", &subject, "our responder answers"),
            Some(seen) => bad(&seen),
        },
        Ok(Err(cause)) => bad(&cause),
        Err(_) => bad(&format!("no answer within {}", when::span(FETCH_TIME_MAX))),
    }
}

async fn fetch(address: SocketAddr, name: &DnsName) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect(address).await.map_err(|cause| cause.to_string())?;
    let request = Request::builder()
        .uri(NO_TOKEN)
        .header(HOST, name.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|cause| cause.to_string())?;
    once(stream, request, FETCH_OCTETS_MAX).await
}

/// Ours answers 404 or a redirect to HTTPS, without a body and without naming its program; what is
/// seen of another one.
fn stranger(answer: &Response<Bytes>) -> Option<String> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let to_https = header(LOCATION).is_some_and(|to| to.starts_with("https://"));
    let status = answer.status().as_u16();
    let like_ours = (status == 404 || (status == 308 && to_https)) && answer.body().is_empty();
    if like_ours && header(SERVER).is_none() {
        return None;
    }
    let server = header(SERVER).map(|server| format!(", Server: {}", escape::field(server, 60)));
    Some(format!("another server answers: status {status}{}", server.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_outside_reaches_are_named() {
        for (ip, kind) in [
            ("127.0.0.1", Some("loopback")),
            ("10.1.2.3", Some("private")),
            ("100.64.0.1", Some("carrier NAT")),
            ("169.254.169.254", Some("link-local")),
            ("fd00::1", Some("private")),
            ("fe80::1", Some("link-local")),
            ("203.0.113.7", None),
            ("100.128.0.1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(private(ip.parse().unwrap()), kind, "{ip}");
        }
    }

    #[test]
    fn only_our_kind_of_answer_is_ours() {
        let answer = |status: u16, headers: &[(http::HeaderName, &str)], body: &'static str| {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(name, *value);
            }
            answer.body(Bytes::from_static(body.as_bytes())).unwrap()
        };
        assert_eq!(stranger(&answer(404, &[], "")), None);
        assert_eq!(stranger(&answer(308, &[(LOCATION, "https://example.org/")], "")), None);
        let nginx = stranger(&answer(404, &[(SERVER, "nginx")], "<html>"));
        assert_eq!(nginx.as_deref(), Some("another server answers: status 404, Server: nginx"));
        let apache = stranger(&answer(404, &[(SERVER, "Apache")], ""));
        assert!(apache.unwrap().ends_with("Server: Apache"));
        assert!(stranger(&answer(200, &[], "")).is_some());
    }

    #[tokio::test]
    async fn our_responder_is_told_from_another_server() {
        use crate::challenge::{Redirect, Responder, ResponderOptions};
        let options = ResponderOptions {
            lookup: std::sync::Arc::new(|_| None),
            visited: None,
            opened: None,
            redirect: Redirect::default(),
        };
        let responder = Responder::start(&["127.0.0.1:0".parse().unwrap()], options).unwrap();
        let name = DnsName::parse("example.org").unwrap();
        let at = responder.addresses()[0];
        let ours = fetch(at, &name).await.unwrap();
        assert_eq!(stranger(&ours), None, "{ours:?}");
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = other.local_addr().unwrap();
        let asking = fetch(at, &name);
        let answering = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = other.accept().await.unwrap();
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            let page = "HTTP/1.1 404 Not Found\r\nServer: Apache\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(page.as_bytes()).await.unwrap();
            stream
        };
        let (theirs, _stream) = tokio::join!(asking, answering);
        let seen = stranger(&theirs.unwrap()).unwrap();
        assert_eq!(seen, "another server answers: status 404, Server: Apache");
    }
}
