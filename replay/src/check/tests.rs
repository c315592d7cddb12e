//! The checks over hand-made logs: what is whole passes, and each break is found.

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::order::{Found, OrderEvent};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::Cause;

use super::*;
use crate::testlog::{Log, acme};

fn broken(log: &Log) -> Vec<String> {
    check(&log.envelopes).into_iter().map(|violation| violation.what).collect()
}

fn ready() -> Log {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1);
    log
}

#[test]
fn whole_stories_break_nothing() {
    assert_eq!(broken(&Log::first_with_crash()), [""; 0]);
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1).fails_over_ipv6(90_000_000, 2);
    assert_eq!(broken(&log), [""; 0]);
}

#[test]
fn a_gap_in_the_log_or_in_a_stream_is_found() {
    let mut log = Log::first_with_crash();
    log.envelopes.remove(12);
    let found = broken(&log);
    assert!(found.iter().any(|what| what == "event 14 follows event 12"), "{found:?}");
    assert!(found.iter().any(|what| what.starts_with("version ")), "{found:?}");
}

#[test]
fn a_second_order_while_the_first_lives_is_found() {
    let mut log = ready();
    log.requested(2);
    assert!(broken(&log)[0].contains("a second order"));
    let mut log = ready();
    let evidence = "no list".to_owned();
    log.add(log.order(1), OrderEvent::OrderRequestUnresolved { evidence });
    log.requested(2);
    assert_eq!(broken(&log), [""; 0]);
}

#[test]
fn finalize_before_the_key_is_found() {
    let mut log = ready();
    log.created(1, Found::Answer);
    log.add(
        log.order(1),
        OrderEvent::FinalizationRequested { csr: renewd_events::id::Hash([0; 32]) },
    );
    assert_eq!(broken(&log), ["finalize before the key is durable"]);
}

#[test]
fn telling_the_ca_before_answering_is_found() {
    let mut log = ready();
    log.keyed().created(1, Found::Answer).told("example.org");
    assert!(broken(&log)[0].contains("before the token is answered"));
}

#[test]
fn withdrawing_too_early_is_found() {
    let mut log = ready();
    log.keyed().created(1, Found::Answer);
    log.published("example.org", renewd_events::authorization::Probe::Seen);
    log.add(log.authorization("example.org"), AuthorizationEvent::ChallengeWithdrawn);
    assert!(broken(&log)[0].contains("withdrawn while its order is pending"));
}

#[test]
fn serving_before_adopting_is_found() {
    let mut log = ready();
    log.deploying();
    assert_eq!(broken(&log), ["an issue is put in place before it is adopted"]);
}

#[test]
fn a_renewal_ends_once() {
    let mut log = ready();
    let renewal = log.renewal;
    let problem = acme("serverInternal", 500, "down");
    log.failed("R0324", problem.clone());
    log.renewal = renewal;
    log.failed("R0324", problem);
    let found = broken(&log);
    assert!(found.iter().any(|what| what == "a second end of the renewal"), "{found:?}");
}

#[test]
fn outcomes_belong_to_open_intents_and_open_ones_are_listed() {
    let mut log = ready();
    let checker = crate::fold::read(Checker::default(), &log.envelopes);
    let open: Vec<Act> = checker.open().iter().map(|open| open.act).collect();
    assert_eq!(open, [Act::Key, Act::NewOrder]);
    log.created(1, Found::Answer).created(1, Found::Answer);
    assert_eq!(broken(&log), ["an outcome (NewOrder) without an open intent"]);
}

#[test]
fn a_failed_renewal_gives_its_key_up() {
    let mut log = ready();
    let problem = Problem::new(ProblemClass::Local, "vaultDamaged", "x");
    log.add(log.order(1), OrderEvent::OrderRefused { problem: problem.clone() });
    log.failed("R0503", problem);
    log.started(900, Cause::Retry, 2);
    assert_eq!(broken(&log), [""; 0]);
}
