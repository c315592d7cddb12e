//! The words are those of Boulder, Pebble, rustls and Linux.

mod words;

use renewd_events::problem::Subproblem;

use super::*;
use crate::codes::classify;
use crate::testlog::acme;
use words::ACME;

fn own(class: ProblemClass, kind: &str, status: u16, detail: &str) -> Problem {
    let mut problem = Problem::new(class, kind, detail);
    problem.status = status;
    problem.about("https://ca.test/dir")
}

/// Each row: step, class, our own kind, status, words, code.
const OWN: &[(Step, ProblemClass, &str, u16, &str, &str)] = &[
    (Step::Validation, ProblemClass::Acme, "no-http-01", 0, "the CA offers dns-01", "R0226"),
    (Step::Validation, ProblemClass::Acme, "expired", 0, "the order expired unfinished", "R0227"),
    (Step::Validation, ProblemClass::Acme, "invalid", 0, "the CA gave no reason", "R0229"),
    (Step::Validation, ProblemClass::Acme, "stalled", 0, "no verdict", "R0230"),
    (Step::Order, ProblemClass::Http, "no-problem-document", 503, "<html>", "R0325"),
    (Step::Readiness, ProblemClass::Transport, "timeout", 0, "no answer in 30 s", "R0905"),
    (Step::Order, ProblemClass::Acme, "invalid", 0, "the CA gave no reason", "R0314"),
    (Step::Finalize, ProblemClass::Acme, "stalled", 0, "processing for 10 min", "R0319"),
    (Step::Chain, ProblemClass::Protocol, "key-mismatch", 0, "another public key", "R0323"),
    (Step::NewOrder, ProblemClass::Http, "no-problem-document", 502, "<html>", "R0325"),
    (Step::NewOrder, ProblemClass::Protocol, "json", 200, "not JSON", "R0326"),
    (Step::Account, ProblemClass::Http, "no-problem-document", 404, "", "R0327"),
    (Step::Account, ProblemClass::Http, "no-problem-document", 407, "", "R0328"),
    (Step::Chain, ProblemClass::Protocol, "chain", 200, "no certificate", "R0329"),
    (Step::NewOrder, ProblemClass::Transport, "answers-lost", 0, "", "R0330"),
    (Step::Chain, ProblemClass::Protocol, "private-key-in-chain", 200, "", "R0332"),
    (Step::NewOrder, ProblemClass::Http, "no-problem-document", 429, "", "R0407"),
    (Step::Key, ProblemClass::Local, "vaultWrongKey", 0, "", "R0501"),
    (Step::Key, ProblemClass::Local, "vaultKeyMode", 0, "", "R0502"),
    (Step::Key, ProblemClass::Local, "vaultDamaged", 0, "", "R0503"),
    (Step::Account, ProblemClass::Local, "account-key", 0, "", "R0504"),
    (Step::Key, ProblemClass::Local, "diskWrite", 0, "No space left on device", "R0505"),
    (Step::Account, ProblemClass::Local, "vaultKeyAbsent", 0, "", "R0506"),
    (Step::Key, ProblemClass::Local, "odd", 0, "", "R0599"),
    (Step::Binding, ProblemClass::Local, "vaultKeyAbsent", 0, "", "R0713"),
    (Step::Binding, ProblemClass::Local, "vaultDamaged", 0, "", "R0713"),
    (Step::Binding, ProblemClass::Local, "chainAbsent", 0, "", "R0713"),
    (Step::Binding, ProblemClass::Local, "chainDamaged", 0, "", "R0713"),
    (Step::Binding, ProblemClass::Local, "badChain", 0, "", "R0711"),
    (Step::Listener, ProblemClass::Local, "addressInUse", 0, "", "R0701"),
    (Step::Listener, ProblemClass::Local, "listenNotPermitted", 0, "", "R0702"),
    (Step::Listener, ProblemClass::Local, "addressNotHere", 0, "", "R0703"),
    (
        Step::Binding,
        ProblemClass::Local,
        "diskWrite",
        0,
        "Permission denied (os error 13)",
        "R0704",
    ),
    (
        Step::Binding,
        ProblemClass::Local,
        "diskWrite",
        0,
        "Read-only file system (os error 30)",
        "R0705",
    ),
    (
        Step::Binding,
        ProblemClass::Local,
        "diskWrite",
        0,
        "No space left on device (os error 28)",
        "R0706",
    ),
    (
        Step::Binding,
        ProblemClass::Local,
        "reloadFailed",
        0,
        "exit status 1: nginx: unknown directive",
        "R0707",
    ),
    (Step::Binding, ProblemClass::Local, "reloadTimeout", 0, "not returned for 30 s", "R0708"),
    (
        Step::Binding,
        ProblemClass::Local,
        "served-mismatch",
        0,
        "the certificate a is served instead of b",
        "R0709",
    ),
    (Step::Binding, ProblemClass::Transport, "tls", 0, "handshake failure", "R0710"),
    (Step::Binding, ProblemClass::Transport, "connect", 0, "Connection refused", "R0710"),
    (Step::Binding, ProblemClass::Local, "badChain", 0, "the key does not belong to it", "R0711"),
    (Step::Binding, ProblemClass::Local, "listenerNotLive", 0, "", "R0712"),
    (Step::Binding, ProblemClass::Local, "odd", 0, "", "R0799"),
    (Step::Restart, ProblemClass::Local, "not-restarted", 0, "", "R0801"),
    (Step::Listener, ProblemClass::Local, "noRestartMethod", 0, "", "R0802"),
    (Step::Account, ProblemClass::Transport, "name", 0, "dns error", "R0901"),
    (Step::Account, ProblemClass::Transport, "connect", 0, "Connection refused", "R0902"),
    (
        Step::Account,
        ProblemClass::Transport,
        "tls",
        0,
        "invalid peer certificate: UnknownIssuer",
        "R0903",
    ),
    (
        Step::Account,
        ProblemClass::Transport,
        "tls",
        0,
        "invalid peer certificate: certificate expired",
        "R0904",
    ),
    (Step::NewOrder, ProblemClass::Transport, "timeout", 0, "", "R0905"),
    (Step::NewOrder, ProblemClass::Transport, "cut", 0, "", "R0906"),
    (Step::NewOrder, ProblemClass::Transport, "odd", 0, "", "R0999"),
];

#[test]
fn real_words_give_their_cause() {
    for (step, kind, status, said, code) in ACME {
        assert_eq!(classify(*step, &acme(kind, *status, said)), *code, "{kind}: {said}");
    }
    for (step, class, kind, status, said, code) in OWN {
        assert_eq!(classify(*step, &own(*class, kind, *status, said)), *code, "{kind}: {said}");
    }
    let told: std::collections::BTreeSet<&str> =
        ACME.iter().map(|row| row.4).chain(OWN.iter().map(|row| row.5)).collect();
    assert!(told.len() > 90, "{} causes are told apart", told.len());
}

#[test]
fn other_words_of_the_same_type_still_give_the_general_cause() {
    // Another CA's wording: the type decides.
    assert_eq!(classify(Step::Validation, &acme("unauthorized", 403, "nope")), "R0221");
    // The CA refused to look: nothing is known of a server.
    assert_eq!(classify(Step::Readiness, &acme("unauthorized", 403, "nope")), "R0228");
    assert_eq!(classify(Step::Readiness, &acme("connection", 400, "nope")), "R0228");
    assert_eq!(classify(Step::Readiness, &acme("serverInternal", 500, "oops")), "R0324");
    let expired = acme("malformed", 400, "the authorization has expired");
    assert_eq!(classify(Step::Readiness, &expired), "R0227");
    assert_eq!(classify(Step::Validation, &acme("dns", 400, "nope")), "R0210");
    assert_eq!(classify(Step::NewOrder, &acme("caa", 403, "nope")), "R0206");
}

#[test]
fn every_code_but_the_states_has_a_rule_and_every_sentence_is_filled() {
    let states = ["R0223", "R0331", "R0333", "R0608", "R0803", "R0804", "R0805"];
    let problem = acme("connection", 400, "203.0.113.7: x");
    for code in codes::ALL {
        let known = ALL.iter().copied().flatten().filter(|rule| rule.code == *code);
        assert!(known.count() > 0 || states.contains(&code.code), "{code} has no rule");
    }
    for rule in ALL.iter().copied().flatten() {
        let case = Case { name: "example.org".to_owned(), ..Case::of(Step::Validation, &problem) };
        let said = case.sentence(rule);
        assert!(said.ends_with('.') && !said.contains('{'), "{}: {said}", rule.code);
        assert!(!rule.remedy.is_empty() && !rule.remedy.ends_with('.'), "{}", rule.code);
    }
    assert!(count() > 95);
}

#[test]
fn a_value_is_never_filled_again_and_is_inert() {
    let problem = acme("dns", 400, "NXDOMAIN");
    let case = Case { name: "{ca}\u{1b}".to_owned(), ..Case::of(Step::Validation, &problem) };
    assert_eq!(case.sentence(find(&case)), "{ca}\\u{1b} does not exist in public DNS.");
}

#[test]
fn one_subproblem_is_not_several_names() {
    let mut problem = acme("malformed", 400, "words");
    problem.subproblems.push(Subproblem {
        identifier: "example.org".to_owned(),
        kind: "urn:ietf:params:acme:error:caa".to_owned(),
        detail: "no".to_owned(),
    });
    assert_eq!(classify(Step::NewOrder, &problem), "R0310");
    problem.subproblems.push(problem.subproblems[0].clone());
    assert_eq!(classify(Step::NewOrder, &problem), "R0331");
}
