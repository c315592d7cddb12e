//! The way to the CA: names, connections, TLS, proxies, answers that are none.

use renewd_events::problem::ProblemClass;

use super::Rule;
use crate::codes::{self, Step};

/// Steps that talk to the CA.
const CA: &[Step] = &[
    Step::Account,
    Step::NewOrder,
    Step::Validation,
    Step::Readiness,
    Step::Finalize,
    Step::Order,
    Step::Chain,
];

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::ANSWERS_LOST,
        applies: |case| case.own(ProblemClass::Transport, &["answers-lost"]),
        sentence: "The CA's answers to the order were lost again and again; no more orders are bought.",
        remedy: "look for a proxy or firewall between here and the CA that cuts connections",
    },
    Rule {
        code: codes::CA_NAME,
        applies: |case| case.at(CA) && case.own(ProblemClass::Transport, &["name", "dns"]),
        sentence: "This host cannot resolve {ca}: DNS here is down or blocked.",
        remedy: "check /etc/resolv.conf, the container's DNS and the network policy",
    },
    Rule {
        code: codes::CA_TIME,
        applies: |case| {
            case.at(CA)
                && case.own(ProblemClass::Transport, &["tls"])
                && case.says(&["expired", "not valid yet", "notvalidyet", "not yet valid"])
        },
        sentence: "By this host's clock the certificate of {ca} itself is not valid.",
        remedy: "set the clock (NTP); if it is right, the CA's server certificate has run out",
    },
    Rule {
        code: codes::CA_NOT_TRUSTED,
        applies: |case| case.at(CA) && case.own(ProblemClass::Transport, &["tls"]),
        sentence: "This host does not trust the server certificate of {ca}.",
        remedy: "private CA: set account.ca_root_file; else update the root certificates, or exempt the host from TLS inspection",
    },
    Rule {
        code: codes::CA_CONNECT,
        applies: |case| case.at(CA) && case.own(ProblemClass::Transport, &["connect"]),
        sentence: "This host cannot connect to {ca}.",
        remedy: "allow outgoing TCP to the CA's host and port; check the IPv6 route",
    },
    Rule {
        code: codes::CA_SILENT,
        applies: |case| case.at(CA) && case.own(ProblemClass::Transport, &["timeout"]),
        sentence: "{ca} did not answer in time.",
        remedy: "look at the CA's status page and at the network; renewd asks what became of the request",
    },
    Rule {
        code: codes::CA_CUT,
        applies: |case| case.at(CA) && case.own(ProblemClass::Transport, &["cut"]),
        sentence: "The connection to {ca} was cut before the answer was here.",
        remedy: "usually nothing; if it repeats, look for what cuts connections",
    },
    Rule {
        code: codes::NETWORK_OTHER,
        applies: |case| case.at(CA) && case.class(ProblemClass::Transport),
        sentence: "The network between here and {ca} failed.",
        remedy: "read the words below",
    },
    Rule {
        code: codes::LIMIT_REQUESTS,
        applies: |case| case.class(ProblemClass::Http) && case.problem.status == 429,
        sentence: "{ca} asks to slow down.",
        remedy: "usually nothing; look for other programs that talk to this CA from here",
    },
    Rule {
        code: codes::PROXY,
        applies: |case| {
            case.class(ProblemClass::Http)
                && (matches!(case.problem.status, 300..=399 | 401 | 403 | 407 | 511)
                    || case.problem.kind == "redirect")
        },
        sentence: "A proxy answered in place of {ca}.",
        remedy: "let this host reach the CA past the proxy",
    },
    Rule {
        code: codes::NO_DIRECTORY,
        applies: |case| {
            case.step == Step::Account
                && ((case.class(ProblemClass::Http)
                    && matches!(case.problem.status, 404 | 405 | 410))
                    || (case.class(ProblemClass::Protocol)
                        && case.says(&["newOrder", "newNonce", "newAccount", "directory"]))
                    || case.own(ProblemClass::Protocol, &["not-https", "url"]))
        },
        sentence: "{subject} is not an ACME directory.",
        remedy: "correct account.ca; it is the URL that ends in `directory` in the CA's manual",
    },
    Rule {
        code: codes::CA_DOWN,
        applies: |case| case.class(ProblemClass::Http) && case.problem.status >= 500,
        sentence: "{ca} is down or in maintenance (HTTP status without ACME's error format).",
        remedy: "look at the CA's status page; what is served stays served",
    },
    Rule {
        code: codes::GONE,
        applies: |case| case.class(ProblemClass::Http) && matches!(case.problem.status, 404 | 410),
        sentence: "{ca} no longer knows {subject}.",
        remedy: "nothing: the next renewal orders anew",
    },
];
