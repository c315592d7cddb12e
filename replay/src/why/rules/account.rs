//! The account, its key, terms and contacts.

use renewd_events::problem::ProblemClass;

use super::Rule;
use crate::codes::{self, Step};

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::TERMS,
        applies: |case| {
            case.is(&["userActionRequired"])
                || (case.step == Step::Account && case.says(&["terms of service"]))
        },
        sentence: "A person must read and accept the terms of {ca}.",
        remedy: "read them, then run renewd accept-terms",
    },
    Rule {
        code: codes::ACCOUNT_DEACTIVATED,
        applies: |case| {
            case.is(&["unauthorized", "accountDoesNotExist", "malformed"])
                && case.says(&["deactivated", "status \"revoked\"", "account is not valid"])
        },
        sentence: "The account at {ca} was deactivated; that cannot be undone.",
        remedy: "use a new account; find out who deactivated this one",
    },
    Rule {
        code: codes::ACCOUNT_UNKNOWN,
        applies: |case| {
            case.is(&["accountDoesNotExist"])
                || case.says(&["invalid account url", "no account exists"])
        },
        sentence: "{ca} does not know this account.",
        remedy: "renewd registers again with the same key; if that does not help, check that account.ca is the directory the account was made at",
    },
    Rule {
        code: codes::EAB_MISSING,
        applies: |case| case.is(&["externalAccountRequired"]),
        sentence: "{ca} only takes accounts that are bound to a customer account.",
        remedy: "use a CA without this demand",
    },
    Rule {
        code: codes::EAB_REFUSED,
        applies: |case| case.step == Step::Account && case.says(&["external account", "eab"]),
        sentence: "{ca} refused the external account binding.",
        remedy: "get new values from the CA; many can be used only once",
    },
    Rule {
        code: codes::CONTACT,
        applies: |case| case.is(&["invalidContact", "unsupportedContact"]),
        sentence: "{ca} refuses the e-mail address.",
        remedy: "correct the e-mail in the configuration, or leave it out",
    },
    Rule {
        code: codes::NONCES,
        applies: |case| case.is(&["badNonce"]) || case.own(ProblemClass::Protocol, &["no-nonce"]),
        sentence: "{ca} keeps rejecting nonces.",
        remedy: "take caching proxies out of the way to the CA",
    },
    Rule {
        code: codes::SIGNATURE_ALGORITHM,
        applies: |case| case.is(&["badSignatureAlgorithm"]),
        sentence: "{ca} does not accept ES256 signatures.",
        remedy: "use another CA: RFC 8555 demands ES256",
    },
    Rule {
        code: codes::ACCOUNT_KEY_REFUSED,
        applies: |case| case.is(&["badPublicKey"]),
        sentence: "{ca} refuses the account key.",
        remedy: "if the key may have leaked, use a new account",
    },
    Rule {
        code: codes::BROKEN_ANSWER,
        applies: |case| case.class(ProblemClass::Protocol) && case.step == Step::Account,
        sentence: "The answer of {ca} breaks the protocol.",
        remedy: "look for a proxy that changes answers; if there is none, tell the CA",
    },
];
