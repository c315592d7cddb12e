//! The error codes: one per cause that a person can act on, each with a page in `ops/errors/`.
//!
//! R02 validation, R03 the CA and its protocol, R04 its limits, R05 keys and vault, R06 the log, R07
//! bound and served, R08 restart, R09 network, names and clock. A code, once released, keeps its
//! meaning: it is in logs. R01 (configuration) and most of R06 live where they are found.

use renewd_events::order::Asked;
use renewd_events::problem::Problem;

use crate::why::rules::{self, Case};

/// A cause that a person can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Code {
    /// `Rnnnn`.
    pub code: &'static str,
    /// It in a few words.
    pub title: &'static str,
    /// Its page, Markdown, without anything from outside.
    #[serde(skip)]
    pub page: &'static str,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                code: $code,
                title: $title,
                page: include_str!(concat!("../../ops/errors/", $code, ".md")),
            };
        )*

        /// All of them, in order of their numbers.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    NO_SUCH_NAME "R0201" "the name does not exist in public DNS";
    NO_ADDRESS "R0202" "the name has no public address";
    DNS_SERVERS_FAIL "R0203" "the name servers answer with an error";
    DNSSEC_BROKEN "R0204" "DNSSEC of the zone is broken";
    DNS_TIMEOUT "R0205" "a name server did not answer the CA in time";
    CAA_FORBIDS "R0206" "a CAA record forbids this CA to issue";
    OTHER_SERVER_IPV6 "R0207" "over IPv6 another server answered";
    CAA_LOOKUP "R0208" "the CAA record cannot be looked up";
    ONLY_FROM_SOME_PLACES "R0209" "the check passed from one place and failed from others";
    DNS_OTHER "R0210" "the CA could not resolve the name";
    PORT_80_REFUSED "R0211" "nothing listens on port 80 where the CA looked";
    PORT_80_FILTERED "R0212" "port 80 does not answer from the Internet";
    SLOW_ANSWER "R0213" "port 80 accepted the connection and then kept silent";
    NOT_HTTP "R0214" "port 80 does not speak plain HTTP/1.1";
    UNREACHABLE "R0215" "the address has no route from the CA";
    REDIRECT_TARGET "R0216" "a redirect leads where the CA does not follow";
    REDIRECT_LOOP "R0217" "the challenge path redirects in a circle";
    REDIRECT_TLS "R0218" "port 80 redirects to HTTPS, and that end is broken";
    OTHER_SERVER "R0221" "another server answered the CA on port 80";
    OTHER_CLIENT "R0222" "another ACME client answers the challenge path";
    OWN_ANSWER "R0223" "the CA reached renewd and did not accept the answer";
    FILTER "R0224" "a filter in front of the server blocks the CA";
    FOREIGN_PAGE "R0225" "a web page was answered in place of the challenge";
    NO_HTTP01 "R0226" "the CA offers no http-01 challenge for the name";
    ORDER_RAN_OUT "R0227" "the order ran out before all names were proven";
    READINESS_REFUSED "R0228" "the CA did not take the challenge";
    INVALID_UNEXPLAINED "R0229" "the CA says invalid and gives no reason";
    UNDECIDED "R0230" "the CA did not decide in time";
    ABSENT "R0231" "renewd was not running when the CA looked";
    VALIDATION_OTHER "R0299" "the validation failed for a reason without a page";
    ACCOUNT_DEACTIVATED "R0301" "the account was deactivated";
    ACCOUNT_UNKNOWN "R0302" "the CA does not know the account";
    EAB_MISSING "R0303" "the CA wants an external account binding";
    EAB_REFUSED "R0304" "the CA refused the external account binding";
    TERMS "R0305" "a person must accept the CA's terms";
    CONTACT "R0306" "the CA refuses the e-mail address";
    NONCES "R0307" "the CA keeps rejecting nonces";
    SIGNATURE_ALGORITHM "R0308" "the CA does not accept our signature algorithm";
    ACCOUNT_KEY_REFUSED "R0309" "the CA refuses the account key";
    MALFORMED "R0310" "the CA could not read our request";
    GONE "R0311" "the CA no longer knows the order";
    NOT_OURS "R0312" "the order belongs to another account";
    TOO_MANY_NAMES "R0313" "the certificate has too many names";
    ORDER_INVALID "R0314" "the order became invalid";
    ALREADY_REPLACED "R0315" "an order that replaces this certificate exists already";
    REPLACES_REFUSED "R0316" "the CA does not accept what the order says to replace";
    NOT_READY "R0317" "the order was not in the state to be finalized";
    BAD_CSR "R0318" "the CA refuses the certificate request";
    STUCK "R0319" "the CA took the request and does not finish";
    PROFILE "R0320" "the CA does not offer the profile";
    NAME_REFUSED "R0321" "the CA refuses to issue for the name";
    NAME_KIND "R0322" "the CA does not issue for this kind of name";
    WRONG_KEY "R0323" "the issued certificate belongs to another key";
    CA_INTERNAL "R0324" "the CA had an internal error";
    CA_DOWN "R0325" "the CA is down or in maintenance";
    BROKEN_ANSWER "R0326" "the CA's answer breaks the protocol";
    NO_DIRECTORY "R0327" "the URL is not an ACME directory";
    PROXY "R0328" "a proxy answered in place of the CA";
    CHAIN "R0329" "the downloaded chain cannot be used";
    ANSWERS_LOST "R0330" "the CA's answers to the order were lost too often";
    SEVERAL_NAMES "R0331" "the CA refuses several names, each with a reason";
    KEY_IN_CHAIN "R0332" "the CA sent a private key";
    NOT_CONFIGURED "R0333" "the certificate is no longer in the configuration";
    CA_CHANGED "R0334" "the configuration names another CA than the order was for";
    CA_OTHER "R0399" "the CA refused for a reason without a page";
    LIMIT_ORDERS "R0401" "too many orders from this account";
    LIMIT_DOMAIN "R0402" "too many certificates for the domain this week";
    LIMIT_EXACT_SET "R0403" "the same certificate was issued too often";
    LIMIT_FAILURES "R0404" "too many failed checks of the name";
    PAUSED "R0405" "the CA paused the name until a person unlocks it";
    LIMIT_ACCOUNTS "R0406" "too many new accounts from this address";
    LIMIT_REQUESTS "R0407" "too many requests; the CA asks to slow down";
    LIMIT_OTHER "R0499" "the CA refuses for now: a limit";
    VAULT_KEY_WRONG "R0501" "the vault does not open with this key";
    VAULT_KEY_FILE "R0502" "the vault's key cannot be read";
    VAULT_DAMAGED "R0503" "a sealed key is damaged";
    ACCOUNT_KEY "R0504" "the account key cannot sign";
    VAULT_DISK "R0505" "the vault cannot be written or read";
    KEY_ABSENT "R0506" "a key is missing from the vault";
    LOCAL_OTHER "R0599" "something on this host failed";
    IMPOSSIBLE_EVENT "R0608" "the log holds an event that cannot follow";
    PORT_TAKEN "R0701" "another program holds the address";
    PORT_NOT_PERMITTED "R0702" "this user may not open the port";
    ADDRESS_NOT_HERE "R0703" "the address is not on this host";
    TARGET_NOT_WRITABLE "R0704" "the target directory cannot be written";
    TARGET_READ_ONLY "R0705" "the target is on a read-only file system";
    TARGET_FULL "R0706" "no space is left at the target";
    RELOAD_FAILED "R0707" "the reload command failed";
    RELOAD_HANGS "R0708" "the reload command does not return";
    OLD_SERVED "R0709" "another certificate is served";
    HANDSHAKE "R0710" "the handshake that verifies failed";
    KEY_PAIR "R0711" "the TLS library refuses key and chain";
    NOT_LISTENING "R0712" "the listener is not open";
    ISSUE_LOST "R0713" "the certificate's key or chain is lost";
    BIND_OTHER "R0799" "the certificate could not be put in place";
    RESTART_NOT_SEEN "R0801" "a restart was asked for and did not happen";
    RESTART_NOT_POSSIBLE "R0802" "nothing here can restart the process";
    RESTART_WAITS "R0803" "the listener waits for a restart";
    RESTART_IN_VAIN "R0804" "the restart did not open the listener";
    SET_ASIDE "R0805" "renewd failed over it and leaves it alone until a restart";
    CA_NAME "R0901" "this host cannot resolve the CA's name";
    CA_CONNECT "R0902" "this host cannot connect to the CA";
    CA_NOT_TRUSTED "R0903" "this host does not trust the CA's server";
    CA_TIME "R0904" "by this host's clock the CA's certificate is not valid";
    CA_SILENT "R0905" "the CA did not answer in time";
    CA_CUT "R0906" "the connection to the CA was cut";
    NETWORK_OTHER "R0999" "the network between here and the CA failed";
}

/// The code written so, in any case of letters.
pub fn find(code: &str) -> Option<Code> {
    ALL.iter().find(|known| known.code.eq_ignore_ascii_case(code)).copied()
}

/// Where in the work a problem came up. The same words of a CA mean different things at different
/// steps.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The directory, the account, its key and contacts.
    Account,
    /// The certificate's key and CSR.
    Key,
    /// newOrder.
    NewOrder,
    /// Authorizations and challenges: what the CA saw on its visit.
    Validation,
    /// The POST that asks the CA to visit (RFC 8555 §7.5.1).
    Readiness,
    /// finalize, and waiting for the certificate.
    Finalize,
    /// The order as a whole.
    Order,
    /// The downloaded chain.
    Chain,
    /// Putting an issue in place, reloading, looking at what is served.
    Binding,
    /// Opening a listening socket.
    Listener,
    /// Restarting the host.
    Restart,
}

/// The step at which a question is asked. Of an authorization only the look is meant: what the CA found
/// on its visit is in the authorization's own events.
pub fn step_of(asked: Asked) -> Step {
    match asked {
        Asked::NewOrder | Asked::OrderList => Step::NewOrder,
        Asked::Order | Asked::Authorizations => Step::Order,
        Asked::Challenge => Step::Readiness,
        Asked::Finalize => Step::Finalize,
        Asked::Chain => Step::Chain,
    }
}

/// The code of a problem, from the problem alone. `why` may know better, since it also sees what the
/// responder and our own probe saw.
pub fn classify(step: Step, problem: &Problem) -> &'static str {
    rules::find(&Case::of(step, problem)).code.code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_unique_and_their_pages_say_the_same() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in ALL {
            let head = format!("# {}: {}\n", code.code, code.title);
            assert!(code.page.starts_with(&head), "{}", code.code);
            for part in ["## What happened", "## Evidence", "## What to do", "## When renewd"] {
                assert!(code.page.contains(part), "{} lacks {part}", code.code);
            }
        }
    }

    #[test]
    fn a_code_is_found_in_any_case() {
        assert_eq!(find("r0207"), Some(OTHER_SERVER_IPV6));
        assert_eq!(find("Q9999"), None);
    }
}
