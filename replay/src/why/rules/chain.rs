//! What was downloaded is not what was asked for. Nothing of it is ever served.

use renewd_events::problem::ProblemClass;

use super::Rule;
use crate::codes::{self, Step};

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::WRONG_KEY,
        applies: |case| case.step == Step::Chain && case.problem.kind == "key-mismatch",
        sentence: "The issued certificate belongs to another key than the one that was sent.",
        remedy: "nothing at first; if it repeats, tell the CA",
    },
    Rule {
        code: codes::KEY_IN_CHAIN,
        applies: |case| case.step == Step::Chain && case.problem.kind == "private-key-in-chain",
        sentence: "{ca} sent a private key with the certificate; it was thrown away.",
        remedy: "tell the CA: a private key that travelled is not private",
    },
    Rule {
        code: codes::CHAIN,
        applies: |case| {
            case.step == Step::Chain
                && (case.class(ProblemClass::Protocol)
                    || case.own(ProblemClass::Local, &["chainTooLarge", "chainDamaged"]))
        },
        sentence: "The downloaded chain for {name} cannot be used.",
        remedy: "if it repeats, tell the CA, with the evidence",
    },
    Rule {
        code: codes::BROKEN_ANSWER,
        applies: |case| case.class(ProblemClass::Protocol) && case.step != Step::Account,
        sentence: "The answer of {ca} breaks the protocol.",
        remedy: "look for a proxy that changes answers; if there is none, tell the CA",
    },
];
