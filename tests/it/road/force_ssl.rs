//! Force SSL and HSTS, as visitors see them: our own client and curl.

use std::process::Command;
use std::time::Duration;

use renewd_tests::https::{Answer, Endpoint};
use renewd_tests::record::Record;
use renewd_tests::site::{Plan, Site, Wanted};

use crate::check;
use crate::lives::VERY_LATE;

/// A name of the certificate.
const NAME: &str = "www.ssl.test";
/// RFC 6797 §6.1.
const HSTS: &str = "strict-transport-security";
/// A token of nobody's, of the right form.
const UNKNOWN: &str = "/.well-known/acme-challenge/abcdefghijklmnopqrstuvwxyz012345";

fn site(http: &str) -> (Site, Wanted) {
    let wanted = Wanted::new("web", &["ssl.test", NAME]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let toml = site.toml().replace("\n[admin]", &format!("{http}\n[admin]"));
    site.host.write_config(&toml).unwrap();
    (site, wanted)
}

/// GETs a path on the port of HTTP under this name.
fn plain(site: &Site, host: &str, path: &str) -> Answer {
    let port = site.plan.pebble.http_port;
    // The address is 127.0.0.1; `host` goes into the Host header alone.
    Endpoint { port, host: host.to_owned(), roots_pem: None }.get(path).unwrap()
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    let found = answer.head.lines().filter_map(|line| line.split_once(':'));
    let mut found = found.filter(|(held, _)| held.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}

/// GETs `/` over HTTPS.
fn secure(site: &Site, wanted: &Wanted) -> Answer {
    let port = wanted.address().unwrap().port();
    let roots_pem = Some(site.pebble.issuer_root_pem().unwrap());
    Endpoint { port, host: NAME.to_owned(), roots_pem }.get("/").unwrap()
}

/// curl, with the names of the site led to this host; its output.
fn curl(site: &Site, wanted: &Wanted, arguments: &[&str]) -> String {
    let root = site.host.write("issuer.pem", site.pebble.issuer_root_pem().unwrap()).unwrap();
    let (http, https) = (site.plan.pebble.http_port, wanted.address().unwrap().port());
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "--max-time", "20", "--cacert"]).arg(root);
    command.args(["--connect-to", &format!("{NAME}:80:127.0.0.1:{http}")]);
    command.args(["--connect-to", &format!("{NAME}:443:127.0.0.1:{https}")]);
    let ran = command.args(arguments).output().expect("curl is needed: apt-get install curl");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// While the CA looks, a pending token is answered over plain HTTP under every name.
fn a_pending_token_is_answered(site: &Site, chosen: &Record, path: &str) {
    for host in [NAME, "ssl.test", "127.0.0.1"] {
        let answer = plain(site, host, path);
        assert_eq!(answer.status, 200, "{host}: {}", answer.head);
        assert!(answer.body.starts_with(chosen.text("/token")), "{host}: {}", answer.body);
        assert_eq!(header(&answer, HSTS), None);
    }
}

/// What our own client sees of the redirect and behind it.
fn is_sent_to_https(site: &Site, wanted: &Wanted) {
    let sent = plain(site, NAME, "/some/page?with=query");
    assert_eq!(sent.status, 308, "{}", sent.head);
    let location = header(&sent, "location");
    assert_eq!(location.as_deref(), Some("https://www.ssl.test/some/page?with=query"));
    // RFC 6797 §7.2: never over plain HTTP.
    assert_eq!(header(&sent, HSTS), None);
    // Not of ours: nobody is sent anywhere by a forged header.
    assert_eq!(plain(site, "evil.test", "/").status, 404);
    let there = secure(site, wanted);
    assert_eq!((there.status, there.body.as_str()), (200, "served by renewd\n"));
    assert_eq!(header(&there, HSTS).as_deref(), Some("max-age=3600"));
}

/// A token that is not, or no longer, ours must not lead a validator to another place.
fn the_challenge_path_is_not_sent(site: &Site, gone: &str) {
    let prefix = "/.well-known/acme-challenge/";
    for path in [gone, UNKNOWN, prefix, &format!("{prefix}x")] {
        let answer = plain(site, NAME, path);
        assert_eq!((answer.status, header(&answer, "location")), (404, None), "{path}");
    }
}

/// What curl sees: the redirect, the page behind it over a verified handshake, and no redirect of the
/// challenge path.
fn curl_sees_the_same(site: &Site, wanted: &Wanted) {
    let seen = |url: &str| {
        let words = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", url];
        curl(site, wanted, &words)
    };
    let url = format!("http://{NAME}/a?b=c");
    assert_eq!(seen(&url), "308 https://www.ssl.test/a?b=c");
    assert_eq!(seen(&format!("http://{NAME}{UNKNOWN}")), "404 ");
    let whole = curl(site, wanted, &["-L", "-i", &url]).to_lowercase();
    let (first, second) = whole.split_once("\r\n\r\n").unwrap();
    assert!(first.contains(" 308 ") && !first.contains(HSTS), "{first}");
    assert!(second.contains(" 200 ") && second.ends_with("served by renewd\n"), "{second}");
    assert!(second.contains("strict-transport-security: max-age=3600"), "{second}");
}

#[test]
fn names_are_sent_to_https_and_the_challenge_path_never_is() {
    let hsts = "force_ssl = true\n[http.hsts]\nenabled = true\nmax_age = \"1h\"\n";
    let (site, wanted) = site(hsts);
    site.passage.answers_late(VERY_LATE);
    let mut renewd = site.run().unwrap();
    let chosen = site.wait_for(&mut renewd, "ChallengeChosen", 1).unwrap();
    // The CA says nothing more until visitors have been there: the token stays.
    site.passage.close();
    // The log is read by all before the responder has taken the commit in: our own fetch has seen it.
    site.wait_for(&mut renewd, "Published", 1).unwrap();
    let token = format!("/.well-known/acme-challenge/{}", chosen[0].text("/token"));
    a_pending_token_is_answered(&site, &chosen[0], &token);
    site.passage.answers_late(Duration::ZERO);
    site.passage.reopen();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    is_sent_to_https(&site, &wanted);
    the_challenge_path_is_not_sent(&site, &token);
    curl_sees_the_same(&site, &wanted);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn without_being_asked_nothing_is_redirected_and_no_browser_is_told_to_remember() {
    let (site, wanted) = site("");
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let answer = plain(&site, NAME, "/");
    assert_eq!((answer.status, header(&answer, "location")), (404, None));
    let there = secure(&site, &wanted);
    assert_eq!((there.status, header(&there, HSTS)), (200, None));
    check::stop(renewd);
}
