//! Causes of hand-made logs against golden files.

use renewd_events::account::{AccountEvent, Directory};
use renewd_events::certificate::CertificateEvent;
use renewd_events::listener::ListenerEvent;
use renewd_events::order::OrderEvent;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::Cause;

use super::*;
use crate::codes;
use crate::testlog::{Log, account, acme, certificate, golden, listener};

fn code(log: &Log) -> &'static str {
    log.why().code.map_or("", |code| code.code)
}

#[test]
fn all_is_well_and_what_comes_next() {
    let why = Log::first_with_crash().why();
    assert_eq!((why.code, why.do_this.as_str()), (None, ""));
    golden("why-well.txt", &text(&why));
}

#[test]
fn another_server_on_ipv6() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1).fails_over_ipv6(90_000_000, 2);
    let why = log.why();
    assert_eq!(why.code, Some(codes::OTHER_SERVER_IPV6));
    assert_eq!(why.tries, 2);
    assert_eq!(why.since.unwrap().0, crate::testlog::START + 86_403_100, "the first of them");
    golden("why-ipv6.txt", &text(&why));
}

#[test]
fn a_limit_of_failed_checks_names_the_earlier_cause() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1);
    log.started(90_000_000, Cause::Retry, 2);
    let mut problem = acme(
        "rateLimited",
        429,
        "too many failed authorizations (5) for \"example.org\" in the last 1h0m0s",
    );
    problem.retry_after_ms = Some(720_000);
    log.add(log.order(1), OrderEvent::OrderRefused { problem: problem.clone() });
    log.failed("R0404", problem);
    let why = log.why();
    assert_eq!(why.code, Some(codes::LIMIT_FAILURES));
    assert!(why.sentence.contains("R0207"), "{}", why.sentence);
    golden("why-limit.txt", &text(&why));
}

#[test]
fn our_own_evidence_changes_the_cause() {
    let said =
        "203.0.113.7: Invalid response from http://example.org/.well-known/acme-challenge/x: 404";
    let run = |visits: u32| {
        let mut log = Log::registered();
        log.started(200, Cause::FirstIssue, 1);
        log.keyed().created(1, renewd_events::order::Found::Answer);
        let probe = renewd_events::authorization::Probe::NotSeen("404, Server: Apache".to_owned());
        log.published("example.org", probe).told("example.org").accepted("example.org");
        let problem = acme("unauthorized", 403, said);
        log.invalid("example.org", problem.clone(), visits).failed("R0221", problem);
        log.why()
    };
    assert_eq!(run(0).code, Some(codes::OTHER_SERVER));
    assert_eq!(run(2).code, Some(codes::OWN_ANSWER));
    assert!(run(0).evidence.iter().any(|part| part.text.contains("Server: Apache")));
}

#[test]
fn several_names_each_with_its_reason() {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1);
    let mut problem = acme("compound", 400, "several");
    for (name, kind) in [("example.org", "caa"), ("www.example.org", "rejectedIdentifier")] {
        problem.subproblems.push(renewd_events::problem::Subproblem {
            identifier: name.to_owned(),
            kind: format!("urn:ietf:params:acme:error:{kind}"),
            detail: "no".to_owned(),
        });
    }
    log.add(log.order(1), OrderEvent::OrderRefused { problem: problem.clone() });
    log.failed("R0331", problem);
    let why = log.why();
    assert_eq!(why.code, Some(codes::SEVERAL_NAMES));
    assert!(
        why.evidence
            .iter()
            .any(|part| part.text.starts_with("www.example.org: rejectedIdentifier"))
    );
}

#[test]
fn a_holder_of_the_port_is_named() {
    let mut log = Log::first_with_crash();
    log.add(
        listener(),
        ListenerEvent::ListenerFailed {
            address: "0.0.0.0:443".to_owned(),
            problem: Problem::new(ProblemClass::Local, "addressInUse", "Address already in use"),
            holder: Some("nginx (pid 812)".to_owned()),
            needs_restart: false,
        },
    );
    let why = log.why();
    assert_eq!(why.code, Some(codes::PORT_TAKEN));
    assert!(why.sentence.contains("0.0.0.0:443 is held by nginx (pid 812)"), "{}", why.sentence);
    golden("why-port.txt", &text(&why));
}

#[test]
fn terms_accounts_orphans_and_impossible_events() {
    let mut log = Log::configured();
    let problem =
        Problem::new(ProblemClass::Transport, "tls", "invalid peer certificate: UnknownIssuer")
            .about("https://ca.test/dir");
    log.add(account(), AccountEvent::DirectoryUnreachable { problem });
    assert_eq!(code(&log), "R0903");
    assert!(log.why().sentence.contains("ca.test"));

    let mut log = Log::registered();
    log.add(
        account(),
        AccountEvent::DirectoryObserved(Directory {
            terms_url: Some("https://ca.test/terms-2".to_owned()),
            ..Directory::default()
        }),
    );
    assert_eq!(code(&log), "R0305");

    let mut log = Log::first_with_crash();
    log.add(certificate(), CertificateEvent::CertificateOrphaned);
    assert_eq!(code(&log), "R0333");

    let mut log = Log::first_with_crash();
    log.add(
        certificate(),
        CertificateEvent::CertificateKeyFailed {
            problem: Problem::new(ProblemClass::Local, "vaultDamaged", "x"),
        },
    );
    assert_eq!(code(&log), "R0608");
}

#[test]
fn a_renewal_under_way_says_what_is_going_on() {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1).at(4200);
    let why = log.why();
    assert_eq!(why.code, None);
    assert!(
        why.sentence.contains("waiting for the CA's answer to the order (for 4.0 s)"),
        "{}",
        why.sentence
    );
}

#[test]
fn an_expired_certificate_says_so_first() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(100 * 86_400_000, 1);
    let why = log.why();
    assert!(why.sentence.starts_with("example has expired. Over IPv6"), "{}", why.sentence);
    assert!(why.served_now.contains("expired 10 d ago"), "{}", why.served_now);
}
