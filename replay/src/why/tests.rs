//! Causes of hand-made logs against golden files.

use renewd_events::account::{AccountEvent, Directory};
use renewd_events::certificate::CertificateEvent;
use renewd_events::listener::ListenerEvent;
use renewd_events::order::{Asked, OrderEvent};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::Previous;
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

/// A renewal whose name was refused; `between` happens after the CA was asked to look.
fn refused_after(visits: u32, between: impl FnOnce(&mut Log)) -> Log {
    let said =
        "203.0.113.7: Fetching http://example.org/.well-known/acme-challenge/x: Connection refused";
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1);
    log.keyed().created(1, renewd_events::order::Found::Answer);
    let probe = renewd_events::authorization::Probe::Seen;
    log.at(900).published("example.org", probe).told("example.org");
    between(&mut log);
    let problem = acme("connection", 400, said);
    log.invalid("example.org", problem.clone(), visits).failed("R0211", problem);
    log
}

#[test]
fn a_process_that_was_dead_when_the_ca_looked_is_the_cause() {
    let killed = |log: &mut Log| {
        log.at(9_000).boot(Previous::Crashed).settled("example.org");
    };
    let why = refused_after(0, killed).why();
    assert_eq!(why.code, Some(codes::ABSENT));
    assert!(why.do_this.starts_with("nothing"), "{}", why.do_this);
    golden("why-absent.txt", &text(&why));
    assert_eq!(code(&refused_after(2, killed)), "R0211", "the CA did reach this life");
}

#[test]
fn a_process_that_was_there_when_the_ca_looked_is_not_the_cause() {
    assert_eq!(code(&refused_after(0, |_| {})), "R0211");
    let before = |log: &mut Log| {
        log.boot(Previous::Crashed).told("example.org").accepted("example.org");
    };
    assert_eq!(code(&refused_after(0, before)), "R0211", "asked after the start");
    let again = |log: &mut Log| {
        log.boot(Previous::Crashed).accepted("example.org");
    };
    assert_eq!(code(&refused_after(0, again)), "R0211", "answered after the start");
    let late = |log: &mut Log| {
        log.at(9_000).boot(Previous::Crashed).settled("example.org").at(300_000);
    };
    assert_eq!(code(&refused_after(0, late)), "R0211", "looked at long after the start");
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

/// A renewal whose order cannot be seen: 503 pages from event 4.0 s on.
fn unanswered() -> Log {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1);
    log.keyed().created(1, renewd_events::order::Found::Answer).at(4000);
    let again = Some(log.now().after(std::time::Duration::from_secs(2)));
    let problem = down("https://ca.test/order/1");
    log.add(log.order(1), OrderEvent::AnswerMissing { asked: Asked::Order, problem, again });
    log
}

fn down(url: &str) -> Problem {
    let mut problem = Problem::new(
        ProblemClass::Http,
        "no-problem-document",
        "HTTP 503 without a problem document; the body begins: `<h1>Back soon</h1>`",
    );
    problem.status = 503;
    problem.about(url)
}

#[test]
fn a_renewal_that_waits_for_an_answer_says_what_came_and_when_it_is_asked_again() {
    let mut log = unanswered();
    let began = log.now();
    log.at(60_000);
    let why = log.why();
    assert_eq!((why.code, why.state), (Some(codes::CA_DOWN), State::Renewing));
    assert_eq!(why.since, Some(began));
    assert!(why.sentence.contains("waits for an answer to the look at the order"), "{why:?}");
    assert!(why.sentence.contains("ca.test is down"), "{why:?}");
    assert!(why.evidence[0].text.contains("503") && why.evidence[0].text.contains("Back soon"));
    assert!(why.evidence[0].seq.is_some());
    assert_eq!(why.next.what, "ask again: the look at the order");
    let ahead = why.next.at.unwrap().since(log.now());
    assert!(!ahead.is_zero() && ahead.as_secs() <= 60, "after 2, 6, 14, 30, 62 s: {ahead:?}");
    golden("why-unanswered.txt", &text(&why));
    let row = &status::status(&log.facts(), &log.witnesses(), log.now())[0];
    assert_eq!(row.trouble.as_ref().unwrap().code, "R0325");
    let doing = &row.doing.as_ref().unwrap().what;
    assert_eq!(doing, "learning the challenges; no usable answer to the look at the order");

    // Another question beside it is further evidence.
    let (asked, problem) = (Asked::Authorizations, down("https://ca.test/authz/1"));
    let again = Some(log.now());
    log.add(log.order(1), OrderEvent::AnswerMissing { asked, problem, again });
    let why = log.why();
    assert_eq!(why.since, Some(began), "the one that lasts longest");
    assert!(why.evidence.iter().any(|part| part.text.contains("the look at the authorizations")));
}

#[test]
fn an_outage_that_is_over_is_no_cause_and_one_given_up_ends_the_renewal() {
    let mut log = unanswered();
    log.add(log.order(1), OrderEvent::AnswerCame { asked: Asked::Order });
    assert_eq!(log.why().code, None);
    assert_eq!(log.why().next.what, "learning the challenges");

    let mut log = unanswered();
    log.published("example.org", renewd_events::authorization::Probe::Seen);
    assert_eq!(log.why().code, Some(codes::CA_DOWN), "the order itself is still not seen");
    let problem = Problem::new(ProblemClass::Protocol, "json", "not JSON: `<h1>`");
    let asked = Asked::Authorizations;
    log.add(
        log.order(1),
        OrderEvent::AnswerMissing { asked, problem: problem.clone(), again: None },
    );
    let why = log.why();
    assert_eq!(why.code, Some(codes::BROKEN_ANSWER));
    assert_eq!((why.next.at, why.next.what.starts_with("end this renewal")), (None, true));
    log.failed("R0326", problem);
    let why = log.why();
    assert_eq!((why.code, why.tries), (Some(codes::BROKEN_ANSWER), 1));
    assert!(why.evidence[0].text.contains("<h1>"), "not the 503 of before: {why:?}");
}

#[test]
fn a_refused_request_to_look_says_nothing_about_a_server() {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1);
    log.keyed().created(1, renewd_events::order::Found::Answer);
    let probe = renewd_events::authorization::Probe::Seen;
    log.published("example.org", probe).told("example.org");
    let problem = acme("unauthorized", 403, "you may not");
    let refused = renewd_events::authorization::AuthorizationEvent::ReadinessRefused {
        problem: problem.clone(),
    };
    log.add(log.authorization("example.org"), refused);
    log.failed("R0228", problem);
    assert_eq!(log.why().code, Some(codes::READINESS_REFUSED));
    assert!(log.why().sentence.contains("refused to look"), "{}", log.why().sentence);
}
