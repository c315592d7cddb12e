//! The order: refused, invalid, not finalized.

use renewd_events::problem::ProblemClass;

use super::Rule;
use crate::codes::{self, Step};

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::SEVERAL_NAMES,
        applies: |case| case.problem.subproblems.len() > 1,
        sentence: "{ca} refuses several names, each for a reason of its own.",
        remedy: "treat each name by the reason that is listed below",
    },
    Rule {
        code: codes::ALREADY_REPLACED,
        applies: |case| {
            case.is(&["alreadyReplaced"]) || case.says(&["already has a replacement order"])
        },
        sentence: "An order that replaces this certificate exists already.",
        remedy: "nothing after a crash; else look for a second client that renews the same names",
    },
    Rule {
        code: codes::REPLACES_REFUSED,
        applies: |case| case.step == Step::NewOrder && (case.says(&["replaces", "being replaced"])),
        sentence: "{ca} does not accept what the order says to replace.",
        remedy: "nothing: renewd asks again without it",
    },
    Rule {
        code: codes::PROFILE,
        applies: |case| {
            case.is(&["invalidProfile"])
                || (case.class(ProblemClass::Acme) && case.says(&["profile"]))
        },
        sentence: "{ca} does not offer the configured profile for {name}.",
        remedy: "take a profile that the directory lists, or leave `profile` empty",
    },
    Rule {
        code: codes::TOO_MANY_NAMES,
        applies: |case| {
            case.is(&["malformed"]) && case.says(&["more than", "too many identifiers"])
        },
        sentence: "The certificate {name} has more names than {ca} allows.",
        remedy: "split it over several certificates",
    },
    Rule {
        code: codes::NAME_REFUSED,
        applies: |case| {
            case.is(&["rejectedIdentifier"])
                || (case.is(&["malformed"])
                    && case.says(&[
                        "public suffix",
                        "invalid character",
                        "at least one dot",
                        "domain name",
                    ]))
        },
        sentence: "{ca} refuses to issue for {name}.",
        remedy: "take the name out of the certificate; for internal names use a private CA",
    },
    Rule {
        code: codes::NAME_KIND,
        applies: |case| case.is(&["unsupportedIdentifier"]),
        sentence: "{ca} does not issue for this kind of name.",
        remedy: "use a DNS name",
    },
    Rule {
        code: codes::BAD_CSR,
        applies: |case| {
            case.is(&["badCSR"])
                || (case.step == Step::Finalize && case.is(&["malformed", "unauthorized"]))
        },
        sentence: "{ca} refuses the certificate request for {name}.",
        remedy: "read the CA's words; the next renewal makes a new key",
    },
    Rule {
        code: codes::NOT_READY,
        applies: |case| case.is(&["orderNotReady"]),
        sentence: "The order was not in the state to be finalized.",
        remedy: "nothing: renewd looks at the order and goes on from there",
    },
    Rule {
        code: codes::STUCK,
        applies: |case| case.at(&[Step::Finalize, Step::Order]) && case.problem.kind == "stalled",
        sentence: "{ca} took the request and does not finish.",
        remedy: "look at the CA's status page; the next renewal orders anew",
    },
    Rule {
        code: codes::GONE,
        applies: |case| case.class(ProblemClass::Acme) && case.problem.status == 404,
        sentence: "{ca} no longer knows the order.",
        remedy: "nothing: the next renewal orders anew",
    },
    Rule {
        code: codes::CA_DOWN,
        applies: |case| case.is(&["serverInternal"]) && matches!(case.problem.status, 502..=504),
        sentence: "{ca} is down or in maintenance.",
        remedy: "look at the CA's status page; what is served stays served",
    },
    Rule {
        code: codes::CA_INTERNAL,
        applies: |case| case.is(&["serverInternal"]),
        sentence: "{ca} had an internal error.",
        remedy: "look at the CA's status page",
    },
    Rule {
        code: codes::NOT_OURS,
        applies: |case| {
            case.step != Step::Validation && case.is(&["unauthorized"]) && case.says(&["account"])
        },
        sentence: "{ca} says that the order belongs to another account.",
        remedy: "check whether the account key was replaced, or state_dir mixes two installations",
    },
    Rule {
        code: codes::ORDER_INVALID,
        applies: |case| {
            case.at(&[Step::Order, Step::Finalize, Step::NewOrder])
                && matches!(case.problem.kind.as_str(), "invalid" | "expired" | "about:blank")
        },
        sentence: "{ca} gave the order for {name} up.",
        remedy: "read the CA's words; the next renewal orders anew",
    },
    Rule {
        code: codes::MALFORMED,
        applies: |case| case.step != Step::Validation && case.is(&["malformed"]),
        sentence: "{ca} could not read our request.",
        remedy: "look for a proxy that rewrites requests; else please report it",
    },
];
