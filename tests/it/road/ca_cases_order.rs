//! Broken answers once there is an order: authorizations, validation, finalize, the chain.

use std::time::Duration;

use renewd_testca::Endpoint::{Authorization, Certificate, Challenge, Finalize, Order, Validation};
use renewd_testca::FaultKind;

use crate::ca_cases::{Case, fails, page, passes, problem, raw, too_large, waits};

fn oops() -> FaultKind {
    problem(500, "serverInternal", "oops")
}

fn half_json() -> FaultKind {
    raw(200, "application/json", "{\"status\"")
}

fn truncated() -> FaultKind {
    FaultKind::Truncated
}

fn dripping() -> FaultKind {
    FaultKind::SlowDrip { bytes: 100, every: Duration::from_millis(50) }
}

fn lost() -> FaultKind {
    FaultKind::CutAfterActing
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = validation();
    all.extend(order());
    all.extend(finalize());
    all.extend(download());
    all
}

fn validation() -> Vec<Case> {
    const MADE: &str = "OrderCreated";
    const WORDS: &[&str] = &["learning the challenges"];
    let refused = || problem(400, "malformed", "not this challenge");
    let may_not = || problem(403, "unauthorized", "you may not");
    let connection = || problem(400, "connection", "Timeout during connect (likely firewall)");
    let dns = || problem(400, "dns", "DNS problem: NXDOMAIN looking up A for fault.test");
    let caa = || problem(403, "caa", "CAA record for fault.test prevents issuance");
    vec![
        waits(("authorization: 500", Authorization), oops, (MADE, WORDS)),
        waits(("authorization: truncated", Authorization), truncated, (MADE, WORDS)),
        fails(("authorization: half of it", Authorization), half_json, ("R0326", &["breaks"])),
        fails(("authorization: too large", Authorization), too_large, ("R0326", &["larger than"])),
        passes(("authorization: drips", Authorization), dripping),
        fails(("challenge: refused", Challenge), refused, ("R0228", &["not this challenge"])),
        fails(("challenge: unauthorized", Challenge), may_not, ("R0228", &["you may not"])),
        passes(("challenge: answer lost", Challenge), lost),
        fails(
            ("validation: connection", Validation),
            connection,
            ("R0212", &["Port 80", "likely firewall"]),
        ),
        fails(("validation: dns", Validation), dns, ("R0201", &["NXDOMAIN"])),
        fails(("validation: caa", Validation), caa, ("R0206", &["CAA"])),
    ]
}

fn order() -> Vec<Case> {
    let gone = || problem(404, "malformed", "no such order");
    let stuck = || FaultKind::StuckProcessing;
    vec![
        waits(
            ("order: 503 html", Order),
            || page(503),
            ("ReadinessAccepted", &["the CA is checking 1 of 1 names"]),
        ),
        fails(("order: half of it", Order), half_json, ("R0326", &["breaks the protocol"])),
        fails(("order: gone", Order), gone, ("R0311", &["no such order"])),
        waits(
            ("order: processing", Order),
            stuck,
            ("FinalizationAccepted", &["the CA is issuing"]),
        ),
        passes(("order: drips", Order), dripping),
    ]
}

fn finalize() -> Vec<Case> {
    let bad_csr = || problem(400, "badCSR", "a weak request");
    let late = || FaultKind::Delay(Duration::from_secs(2));
    vec![
        fails(("finalize: bad CSR", Finalize), bad_csr, ("R0318", &["a weak request"])),
        waits(
            ("finalize: 500", Finalize),
            oops,
            ("FinalizationRequested", &["the CA's answer to finalize"]),
        ),
        passes(("finalize: answer lost", Finalize), lost),
        passes(("finalize: late", Finalize), late),
    ]
}

fn download() -> Vec<Case> {
    const PEM: &str = "application/pem-certificate-chain";
    const READY: (&str, &[&str]) = ("CertificateReady", &["downloading the certificate"]);
    let empty = || raw(200, PEM, "");
    let rubbish =
        || raw(200, PEM, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let media = || FaultKind::WrongContentType;
    vec![
        fails(("chain: html", Certificate), || page(200), ("R0329", &["chain"])),
        fails(("chain: empty", Certificate), empty, ("R0329", &["chain"])),
        fails(("chain: rubbish", Certificate), rubbish, ("R0329", &["chain"])),
        waits(("chain: 503", Certificate), || page(503), READY),
        waits(("chain: truncated", Certificate), truncated, READY),
        passes(("chain: another media type", Certificate), media),
    ]
}
