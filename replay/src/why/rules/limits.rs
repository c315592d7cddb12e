//! The CA's limits. The limit that names failed checks is a consequence: its cause is earlier.

use renewd_events::problem::ProblemClass;

use super::{Case, Rule};
use crate::codes;

fn limited(case: &Case<'_>) -> bool {
    case.is(&["rateLimited"])
}

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::PAUSED,
        applies: |case| {
            case.class(ProblemClass::Acme)
                && case.says(&["temporarily prevented", "paused", "unpause"])
        },
        sentence: "After failing for long, {name} is paused by the CA until a person opens its link.",
        remedy: "mend the cause of the failures, then open the link in the CA's words",
    },
    Rule {
        code: codes::LIMIT_FAILURES,
        applies: |case| {
            limited(case)
                && case.says(&[
                    "failed authorizations",
                    "failed validations",
                    "failed authorisation",
                ])
        },
        sentence: "Too many failed checks of {name}. The cause is the earlier failure: {earlier}.",
        remedy: "mend the earlier cause first (renewd history), with the CA's staging directory",
    },
    Rule {
        code: codes::LIMIT_EXACT_SET,
        applies: |case| limited(case) && case.says(&["exact set"]),
        sentence: "The same certificate was issued too often; the state is probably lost at each start.",
        remedy: "keep state_dir on a persistent disk and do not force renewals",
    },
    Rule {
        code: codes::LIMIT_DOMAIN,
        applies: |case| limited(case) && case.says(&["already issued for"]),
        sentence: "Too many certificates for the domain of {name} this week, by all accounts together.",
        remedy: "put names together into fewer certificates, or ask the CA for a higher limit",
    },
    Rule {
        code: codes::LIMIT_ORDERS,
        applies: |case| limited(case) && case.says(&["new orders"]),
        sentence: "This account has made too many orders.",
        remedy: "look for a program that orders in a loop; renewd waits as long as the CA says",
    },
    Rule {
        code: codes::LIMIT_ACCOUNTS,
        applies: |case| limited(case) && case.says(&["registrations", "new accounts"]),
        sentence: "Too many new accounts from this address.",
        remedy: "keep state_dir: a lost state makes a new account at each start",
    },
    Rule {
        code: codes::LIMIT_REQUESTS,
        applies: |case| {
            limited(case)
                && (case.problem.status == 503 || case.says(&["busy", "too many requests"]))
        },
        sentence: "{ca} asks to slow down.",
        remedy: "usually nothing; look for other programs that talk to this CA from here",
    },
    Rule {
        code: codes::LIMIT_OTHER,
        applies: limited,
        sentence: "{ca} refuses for now: a limit is reached.",
        remedy: "read the CA's words: they name the limit",
    },
];
