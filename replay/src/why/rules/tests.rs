//! The words are those of Boulder, Pebble, rustls and Linux.

use renewd_events::problem::Subproblem;

use super::*;
use crate::codes::classify;
use crate::testlog::acme;

fn own(class: ProblemClass, kind: &str, status: u16, detail: &str) -> Problem {
    let mut problem = Problem::new(class, kind, detail);
    problem.status = status;
    problem.about("https://ca.test/dir")
}

/// Each row: step, ACME type, status, words, code.
const ACME: &[(Step, &str, u16, &str, &str)] = &[
    (
        Step::Validation,
        "dns",
        400,
        "DNS problem: NXDOMAIN looking up A for example.org - check that a DNS record exists for this domain",
        "R0201",
    ),
    (
        Step::Validation,
        "dns",
        400,
        "no valid A records found for example.org; no valid AAAA records found for example.org",
        "R0202",
    ),
    (
        Step::Validation,
        "dns",
        400,
        "DNS problem: SERVFAIL looking up A for example.org - the domain's nameservers may be malfunctioning",
        "R0203",
    ),
    (
        Step::Validation,
        "dns",
        400,
        "DNS problem: looking up A for example.org: DNSSEC: Bogus",
        "R0204",
    ),
    (
        Step::Validation,
        "dns",
        400,
        "DNS problem: query timed out looking up A for example.org",
        "R0205",
    ),
    (
        Step::NewOrder,
        "caa",
        403,
        "While processing CAA for example.org: CAA record for example.org prevents issuance",
        "R0206",
    ),
    (
        Step::Validation,
        "dns",
        400,
        "While processing CAA for example.org: DNS problem: SERVFAIL looking up CAA for org",
        "R0208",
    ),
    (
        Step::Finalize,
        "caa",
        403,
        "Error finalizing order :: rechecking caa: DNS problem: query timed out looking up CAA",
        "R0208",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "2001:db8::7: Fetching http://example.org/.well-known/acme-challenge/x: Connection refused",
        "R0207",
    ),
    (
        Step::Validation,
        "unauthorized",
        403,
        "During secondary validation: 203.0.113.7: Invalid response",
        "R0209",
    ),
    (Step::Validation, "dns", 400, "DNS problem: unknown failure", "R0210"),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/.well-known/acme-challenge/x: Connection refused",
        "R0211",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Timeout during connect (likely firewall problem)",
        "R0212",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Timeout after connect (your server may be slow or overloaded)",
        "R0213",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Connection reset by peer",
        "R0214",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Server is speaking HTTP/2 over HTTP",
        "R0214",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Network unreachable",
        "R0215",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Invalid port in redirect target. Only ports 80 and 443 are supported, not 8443",
        "R0216",
    ),
    (
        Step::Validation,
        "connection",
        400,
        "203.0.113.7: Fetching http://example.org/x: Too many redirects",
        "R0217",
    ),
    (
        Step::Validation,
        "tls",
        400,
        "203.0.113.7: Fetching https://example.org/x: remote error: tls: handshake failure",
        "R0218",
    ),
    (
        Step::Validation,
        "unauthorized",
        403,
        "203.0.113.7: Invalid response from http://example.org/.well-known/acme-challenge/x: 404",
        "R0221",
    ),
    (
        Step::Validation,
        "unauthorized",
        403,
        "The key authorization file from the server did not match this challenge. Expected \"t.a\" (got \"t.b\")",
        "R0222",
    ),
    (
        Step::Validation,
        "unauthorized",
        403,
        "203.0.113.7: Invalid response from http://example.org/x: 403",
        "R0224",
    ),
    (
        Step::Validation,
        "unauthorized",
        403,
        "203.0.113.7: Invalid response from http://example.org/x: \"<!DOCTYPE html><html>\"",
        "R0225",
    ),
    (
        Step::Validation,
        "malformed",
        400,
        "Unable to update challenge :: authorization must be pending",
        "R0228",
    ),
    (Step::Validation, "neverSeen", 400, "words nobody knows", "R0299"),
    (
        Step::NewOrder,
        "unauthorized",
        403,
        "Account is not valid, has status \"deactivated\"",
        "R0301",
    ),
    (
        Step::NewOrder,
        "accountDoesNotExist",
        400,
        "Account \"https://ca.test/acct/1\" not found",
        "R0302",
    ),
    (
        Step::Account,
        "externalAccountRequired",
        403,
        "External Account Binding is required for new accounts",
        "R0303",
    ),
    (Step::Account, "unauthorized", 403, "Unknown external account binding (EAB) key", "R0304"),
    (Step::Account, "malformed", 400, "must agree to terms of service", "R0305"),
    (Step::NewOrder, "userActionRequired", 403, "Terms of service have changed", "R0305"),
    (
        Step::Account,
        "invalidContact",
        400,
        "contact email has forbidden domain \"example.com\"",
        "R0306",
    ),
    (Step::NewOrder, "badNonce", 400, "JWS has an expired anti-replay nonce", "R0307"),
    (Step::Account, "badSignatureAlgorithm", 400, "ES256 is not supported", "R0308"),
    (
        Step::Account,
        "badPublicKey",
        400,
        "invalid request signing key: public key is forbidden",
        "R0309",
    ),
    (Step::NewOrder, "malformed", 400, "Parse error reading JWS", "R0310"),
    (Step::Order, "malformed", 404, "No order for ID 12", "R0311"),
    (Step::Order, "unauthorized", 403, "Account ID doesn't match ID for authorization", "R0312"),
    (Step::NewOrder, "malformed", 400, "Order cannot contain more than 100 identifiers", "R0313"),
    (
        Step::NewOrder,
        "alreadyReplaced",
        409,
        "cannot indicate an order replaces certificate with serial 04, which already has a replacement order",
        "R0315",
    ),
    (
        Step::NewOrder,
        "malformed",
        404,
        "request included `replaces` field, but no current certificate with serial 04 exists",
        "R0316",
    ),
    (
        Step::Finalize,
        "orderNotReady",
        403,
        "Order's status (\"pending\") is not acceptable for finalization",
        "R0317",
    ),
    (Step::Finalize, "badCSR", 400, "invalid public key in CSR", "R0318"),
    (
        Step::Finalize,
        "unauthorized",
        403,
        "CSR does not specify same identifiers as Order",
        "R0318",
    ),
    (Step::NewOrder, "invalidProfile", 400, "unrecognized profile name \"fast\"", "R0320"),
    (
        Step::NewOrder,
        "rejectedIdentifier",
        400,
        "The ACME server refuses to issue a certificate for this domain name, because it is forbidden by policy",
        "R0321",
    ),
    (
        Step::NewOrder,
        "unsupportedIdentifier",
        400,
        "NewOrder request included unsupported identifier",
        "R0322",
    ),
    (
        Step::Finalize,
        "serverInternal",
        500,
        "Unable to meet CA SCT embedding requirements",
        "R0324",
    ),
    (
        Step::NewOrder,
        "serverInternal",
        503,
        "The service is down for maintenance or had an internal error",
        "R0325",
    ),
    (
        Step::NewOrder,
        "rateLimited",
        429,
        "too many new orders (300) from this account in the last 3h0m0s",
        "R0401",
    ),
    (
        Step::NewOrder,
        "rateLimited",
        429,
        "too many certificates (50) already issued for \"example.org\" in the last 168h0m0s",
        "R0402",
    ),
    (
        Step::NewOrder,
        "rateLimited",
        429,
        "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
        "R0403",
    ),
    (
        Step::NewOrder,
        "rateLimited",
        429,
        "too many failed authorizations (5) for \"example.org\" in the last 1h0m0s",
        "R0404",
    ),
    (
        Step::NewOrder,
        "rateLimited",
        429,
        "Your account is temporarily prevented from requesting certificates for example.org",
        "R0405",
    ),
    (
        Step::Account,
        "rateLimited",
        429,
        "too many new registrations (10) from this IP address in the last 3h0m0s",
        "R0406",
    ),
    (Step::NewOrder, "rateLimited", 503, "Service busy; retry later.", "R0407"),
    (Step::NewOrder, "rateLimited", 429, "quota", "R0499"),
    (Step::NewOrder, "neverSeen", 418, "words nobody knows", "R0399"),
];

/// Each row: step, class, our own kind, status, words, code.
const OWN: &[(Step, ProblemClass, &str, u16, &str, &str)] = &[
    (Step::Validation, ProblemClass::Acme, "no-http-01", 0, "the CA offers dns-01", "R0226"),
    (Step::Validation, ProblemClass::Acme, "expired", 0, "the order expired unfinished", "R0227"),
    (Step::Validation, ProblemClass::Acme, "invalid", 0, "the CA gave no reason", "R0229"),
    (Step::Validation, ProblemClass::Acme, "stalled", 0, "no verdict", "R0230"),
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
    assert_eq!(classify(Step::Validation, &acme("dns", 400, "nope")), "R0210");
    assert_eq!(classify(Step::NewOrder, &acme("caa", 403, "nope")), "R0206");
}

#[test]
fn every_code_but_the_states_has_a_rule_and_every_sentence_is_filled() {
    let states = ["R0223", "R0331", "R0333", "R0608", "R0803", "R0804"];
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
