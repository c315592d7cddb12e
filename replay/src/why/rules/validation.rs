//! The CA looked at port 80 and did not see what it should. First split: did its requests reach our
//! responder? No: network, or another server. Yes: our answer, or one of the CA's places.

use std::net::IpAddr;

use renewd_events::authorization::{NO_HTTP_01, Probe};

use super::{Case, Rule};
use crate::codes::{self, Step};

fn here(case: &Case<'_>) -> bool {
    case.step == Step::Validation
}

/// An order that became invalid carries the words of one of its names only when it says an address.
fn connection(case: &Case<'_>) -> bool {
    let told = case.step == Step::Order && case.address().is_some();
    (here(case) || told) && case.is(&["connection", "tls", "unauthorized", "malformed"])
}

fn reached_us(case: &Case<'_>) -> bool {
    case.visits.is_some_and(|visits| visits > 0)
}

fn over_ipv6(case: &Case<'_>) -> bool {
    matches!(case.address(), Some(IpAddr::V6(_)))
}

/// CAA can also come up at newOrder and finalize.
fn caa(case: &Case<'_>) -> bool {
    case.is(&["caa"]) || (case.is(&["dns"]) && case.says(&["caa"]))
}

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::ONLY_FROM_SOME_PLACES,
        applies: |case| {
            case.says(&["secondary validation", "multi-perspective", "remote perspective"])
        },
        sentence: "The CA's first check of {name} passed; checks from other places failed.",
        remedy: "allow port 80 from all countries for /.well-known/acme-challenge/; compare the name servers' answers",
    },
    Rule {
        code: codes::CAA_LOOKUP,
        applies: |case| {
            caa(case)
                && case.says(&["servfail", "timed out", "looking up caa", "rechecking caa: dns"])
        },
        sentence: "The name servers of {name} cannot answer a CAA question; the CA must then refuse.",
        remedy: "correct the name server: an empty NOERROR answer to CAA is enough",
    },
    Rule {
        code: codes::CAA_FORBIDS,
        applies: caa,
        sentence: "A CAA record of {name} or above it does not allow this CA.",
        remedy: "add `0 issue \"<the CA's identity>\"` beside it, or use a CA that it lists",
    },
    Rule {
        code: codes::NO_SUCH_NAME,
        applies: |case| case.is(&["dns"]) && case.says(&["nxdomain"]),
        sentence: "{name} does not exist in public DNS.",
        remedy: "create its A or AAAA record, or take the name out of the certificate",
    },
    Rule {
        code: codes::NO_ADDRESS,
        applies: |case| {
            case.is(&["dns"])
                && case.says(&[
                    "no valid a records",
                    "no valid ip",
                    "no ip addresses",
                    "no valid aaaa",
                ])
        },
        sentence: "{name} exists but has no public address.",
        remedy: "publish the public address of this host, or of the router that forwards port 80",
    },
    Rule {
        code: codes::DNSSEC_BROKEN,
        applies: |case| case.is(&["dns"]) && case.says(&["dnssec", "bogus", "rrsig", "dnskey"]),
        sentence: "DNSSEC of {name} is broken: every validating resolver refuses it.",
        remedy: "sign the zone again, or correct the DS record at the registrar",
    },
    Rule {
        code: codes::DNS_TIMEOUT,
        applies: |case| case.is(&["dns"]) && case.says(&["timed out", "timeout"]),
        sentence: "A name server of {name} did not answer the CA in time.",
        remedy: "open UDP and TCP port 53 on every authoritative server",
    },
    Rule {
        code: codes::DNS_SERVERS_FAIL,
        applies: |case| case.is(&["dns"]) && case.says(&["servfail", "refused"]),
        sentence: "The name servers of {name} answer with an error.",
        remedy: "ask each authoritative server: `dig +norecurse SOA ZONE @SERVER`",
    },
    Rule {
        code: codes::DNS_OTHER,
        applies: |case| case.is(&["dns"]),
        sentence: "The CA could not resolve {name}.",
        remedy: "ask the authoritative servers: `dig +trace A NAME`",
    },
    Rule {
        code: codes::NO_HTTP01,
        applies: |case| here(case) && case.problem.kind == NO_HTTP_01,
        sentence: "The CA offers no http-01 challenge for {name}.",
        remedy: "a wildcard can only be proven by DNS: list the names one by one",
    },
    Rule {
        code: codes::ORDER_RAN_OUT,
        applies: |case| {
            (here(case) && case.problem.kind.starts_with("expired"))
                || (here(case) || case.step == Step::Readiness)
                    && case.says(&["expired authorization", "authorization has expired"])
        },
        sentence: "The order for {name} ran out before it was proven.",
        remedy: "renewd timeline shows what kept it waiting",
    },
    Rule {
        code: codes::UNDECIDED,
        applies: |case| here(case) && matches!(case.problem.kind.as_str(), "stalled" | "undecided"),
        sentence: "The CA came to no verdict about {name} in time.",
        remedy: "look at the CA's status page",
    },
    Rule {
        code: codes::REDIRECT_TARGET,
        applies: |case| connection(case) && case.says(&["redirect target", "in redirect"]),
        sentence: "Port 80 of {name} redirects to where the CA does not follow.",
        remedy: "exempt /.well-known/acme-challenge/ from redirects",
    },
    Rule {
        code: codes::REDIRECT_LOOP,
        applies: |case| connection(case) && case.says(&["redirect loop", "too many redirects"]),
        sentence: "Port 80 of {name} redirects in a circle.",
        remedy: "exempt /.well-known/acme-challenge/ from redirects",
    },
    Rule {
        code: codes::REDIRECT_TLS,
        applies: |case| {
            (here(case) && case.is(&["tls"]))
                || (connection(case) && case.says(&["redirected to an https", "fetching https://"]))
        },
        sentence: "Port 80 redirects to https://{name}, and that end is broken.",
        remedy: "exempt /.well-known/acme-challenge/ from the redirect (a browser with HSTS does not show this)",
    },
    Rule {
        code: codes::ABSENT,
        applies: |case| {
            connection(case) && case.is(&["connection"]) && case.absent && !reached_us(case)
        },
        sentence: "renewd was not running when the CA looked at {name}.",
        remedy: "nothing: it is tried again by itself; renewd renew does it at once",
    },
    Rule {
        code: codes::OTHER_SERVER_IPV6,
        applies: |case| connection(case) && over_ipv6(case) && !reached_us(case),
        sentence: "Over IPv6 another server answered for {name}, or none: {address} is not this responder.",
        remedy: "point the AAAA record at this host and listen on [::]:80, or remove the AAAA record",
    },
    Rule {
        code: codes::PORT_80_REFUSED,
        applies: |case| connection(case) && case.says(&["connection refused"]),
        sentence: "Nothing listens on port 80 of {address}.",
        remedy: "forward port 80 to this host, or correct the A record; listen on 0.0.0.0:80 and [::]:80",
    },
    Rule {
        code: codes::PORT_80_FILTERED,
        applies: |case| {
            connection(case) && case.says(&["timeout during connect", "likely firewall"])
        },
        sentence: "Port 80 of {address} does not answer from the Internet: something on the way drops it.",
        remedy: "allow TCP 80 from anywhere: host firewall, security group, provider",
    },
    Rule {
        code: codes::SLOW_ANSWER,
        applies: |case| {
            connection(case)
                && case.says(&["timeout after connect", "timeout during read", "timeout"])
        },
        sentence: "Port 80 of {address} accepted the connection and then kept silent.",
        remedy: "look at what stands on port 80: an overloaded server, or a proxy without its backend",
    },
    Rule {
        code: codes::NOT_HTTP,
        applies: |case| {
            connection(case)
                && case.says(&[
                    "http/2 over http",
                    "reset by peer",
                    "error getting validation data",
                    "only speaks http",
                    "eof",
                    "malformed http",
                ])
        },
        sentence: "Port 80 of {address} does not speak plain HTTP/1.1.",
        remedy: "make port 80 speak plain HTTP without TLS or PROXY protocol",
    },
    Rule {
        code: codes::UNREACHABLE,
        applies: |case| connection(case) && case.says(&["unreachable", "no route to host"]),
        sentence: "There is no route from the CA to {address}.",
        remedy: "correct the address in DNS; a stale AAAA record is the usual reason",
    },
    Rule {
        code: codes::OWN_ANSWER,
        applies: |case| connection(case) && reached_us(case),
        sentence: "The CA reached this responder for {name} and still did not get the right answer everywhere.",
        remedy: "look for caches, rewriting proxies or a load balancer in between",
    },
    Rule {
        code: codes::OTHER_CLIENT,
        applies: |case| {
            connection(case)
                && case.says(&["did not match this challenge"])
                && !case.says(&["<html", "<!doctype"])
        },
        sentence: "Something else answers the challenge path of {name}, probably another ACME client.",
        remedy: "stop the other client; behind a load balancer send the path to one node",
    },
    Rule {
        code: codes::FILTER,
        applies: |case| {
            connection(case) && case.says(&[": 403", ": 429", ": 503", "cloudflare", "captcha"])
        },
        sentence: "A filter in front of {name} blocks the CA.",
        remedy: "exempt /.well-known/acme-challenge/ in the CDN or web application firewall",
    },
    Rule {
        code: codes::FOREIGN_PAGE,
        applies: |case| {
            connection(case) && case.says(&["<html", "<!doctype"]) && !case.says(&[": 404"])
        },
        sentence: "A web page was answered in place of the challenge for {name}.",
        remedy: "look at it with curl; then correct the A record, or forward the path",
    },
    Rule {
        code: codes::OTHER_SERVER,
        applies: |case| {
            here(case)
                && (case.is(&["unauthorized", "connection", "incorrectResponse"])
                    || matches!(case.probe, Some(Probe::NotSeen(_))) && case.is(&["malformed"]))
        },
        sentence: "Another server answered the CA for {name} on port 80.",
        remedy: "forward /.well-known/acme-challenge/ from it to the responder, or correct the A record",
    },
    Rule {
        code: codes::INVALID_UNEXPLAINED,
        applies: |case| {
            here(case) && matches!(case.problem.kind.as_str(), "invalid" | "about:blank")
        },
        sentence: "The CA calls {name} invalid and gives no reason.",
        remedy: "open http://NAME/.well-known/acme-challenge/x from outside and look at what answers",
    },
    Rule {
        code: codes::READINESS_REFUSED,
        applies: |case| (here(case) || case.step == Step::Readiness) && case.is(&["malformed"]),
        sentence: "The CA did not take the challenge for {name}.",
        remedy: "nothing at first; the next renewal asks anew",
    },
];
