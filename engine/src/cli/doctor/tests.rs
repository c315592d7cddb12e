//! What doctor says to do about a held address, by what the address is for, and about a CA whose server
//! is not trusted.

use std::net::TcpListener;
use std::path::Path;

use super::finding::{Finding, Verdict};
use super::{here, there};
use crate::config::Config;

fn config(text: &str) -> Config {
    Config::from_bytes(Path::new("renewd.toml"), text.as_bytes()).unwrap()
}

#[test]
fn a_held_address_gets_the_advice_of_its_use() {
    let held: [TcpListener; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [http, https, page] = held.each_ref().map(|it| it.local_addr().unwrap());
    let config = config(&format!(
        "version = 1\n[http]\nlisten = \"{http}\"\n[admin]\nlisten = \"{page}\"\n\
         [[certificate]]\ndomains = \"example.org\"\n[[certificate.bind]]\naddress = \"127.0.0.1\"\n\
         port = {}\n",
        https.port()
    ));
    let findings = here::listeners(&config, None, false);
    let todo = |check: &str| {
        let of = |it: &&Finding| it.check == check;
        let found = findings.iter().find(of).unwrap_or_else(|| unreachable!("{check}"));
        assert_ne!(found.verdict, Verdict::Ok, "{check}");
        found.todo.clone().unwrap()
    };
    assert!(todo("challenge address").contains("/.well-known/acme-challenge/"));
    assert!(!todo("https address").contains("acme-challenge"));
    assert!(todo("https address").contains("target = \"files\""));
    assert!(todo("status page").contains("[admin] listen"));
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_gets_the_advice_that_why_has() {
    let ca = renewd_testca::TestCa::start(renewd_testca::Options::default()).await.unwrap();
    let text = format!("version = 1\n[account]\nca = \"{}\"\n", ca.directory_url());
    let findings = there::ca(&config(&text), None).await;
    let [finding] = &findings[..] else { unreachable!("{findings:?}") };
    let todo = finding.todo.clone().unwrap();
    assert!(todo.contains("ca_root_file") && todo.contains("R0903"), "{todo}: {}", finding.seen);
    assert!(!todo.contains("firewall"), "{todo}");
    ca.shutdown().await;
}

#[tokio::test]
async fn a_ca_that_cannot_be_reached_gets_its_own_code() {
    // Nobody listens on the port of a socket that is bound and not listening.
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = bound.local_addr().unwrap().as_socket().unwrap().port();
    let text = format!("version = 1\n[account]\nca = \"https://127.0.0.1:{port}/dir\"\n");
    let findings = there::ca(&config(&text), None).await;
    let todo = findings[0].todo.clone().unwrap();
    assert!(todo.contains("firewall") && todo.contains("R0902"), "{todo}");
    assert!(!todo.contains("clock"), "{todo}");
}
