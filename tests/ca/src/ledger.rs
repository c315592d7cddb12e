//! What the CA saw: requests per endpoint, and every deviation of a client from RFC 8555.

use std::collections::BTreeMap;

/// Violations kept; more of the same say nothing new, they are only counted.
const VIOLATIONS_MAX: usize = 1_000;

/// A place where requests arrive (or, for `Validation`, leave); names the target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// GET of the directory.
    Directory,
    /// HEAD or GET of newNonce.
    NewNonce,
    /// POST newAccount.
    NewAccount,
    /// POST of an account URL.
    Account,
    /// POST-as-GET of an account's list of orders.
    Orders,
    /// POST newOrder.
    NewOrder,
    /// POST-as-GET of an order.
    Order,
    /// POST of an authorization URL.
    Authorization,
    /// POST of a challenge URL.
    Challenge,
    /// POST of a finalize URL.
    Finalize,
    /// POST-as-GET of a chain.
    Certificate,
    /// GET of renewal information (RFC 9773).
    RenewalInfo,
    /// POST revokeCert.
    Revoke,
    /// Any other URL.
    Unknown,
    /// Not a request of the client: the CA's own http-01 validation, once per challenge.
    Validation,
}

/// How often each thing happened since the start. Requests count as soon as their head was read,
/// also those refused or cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// GET directory.
    pub directory: u64,
    /// HEAD or GET newNonce.
    pub nonce: u64,
    /// POST newAccount.
    pub new_account: u64,
    /// POST to an account URL.
    pub account: u64,
    /// Looks at an orders list (pages).
    pub orders_list: u64,
    /// POST newOrder.
    pub new_order: u64,
    /// Looks at an order.
    pub order_look: u64,
    /// Looks at an authorization.
    pub authorization_look: u64,
    /// POST to a challenge.
    pub challenge: u64,
    /// POST finalize.
    pub finalize: u64,
    /// Downloads of a chain.
    pub certificate: u64,
    /// Looks at renewal information.
    pub ari: u64,
    /// POST revokeCert.
    pub revoke: u64,
    /// Requests to unknown URLs.
    pub unknown: u64,
    /// http-01 validations begun (each fetches three times).
    pub validations: u64,
    /// Requests refused with `badNonce`, for any reason.
    pub bad_nonce: u64,
    /// Requests that showed a used nonce.
    pub nonce_reused: u64,
    /// TLS connections accepted.
    pub connections: u64,
    /// Scripted faults played.
    pub faults: u64,
    /// Deviations from RFC 8555, the texts of which are in `violations()`.
    pub violations: u64,
}

impl Counts {
    /// All HTTP requests of clients.
    #[must_use]
    pub fn requests(&self) -> u64 {
        [
            self.directory,
            self.nonce,
            self.new_account,
            self.account,
            self.orders_list,
            self.new_order,
            self.order_look,
            self.authorization_look,
            self.challenge,
            self.finalize,
            self.certificate,
            self.ari,
            self.revoke,
            self.unknown,
        ]
        .iter()
        .sum()
    }
}

/// Events that are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    BadNonce,
    NonceReused,
    Connection,
    Fault,
    Violation,
}

/// The counters and the list of violations.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    endpoints: BTreeMap<Endpoint, u64>,
    marks: BTreeMap<Mark, u64>,
    violations: Vec<String>,
}

impl Ledger {
    /// One more request (or validation) there.
    pub(crate) fn request(&mut self, endpoint: Endpoint) {
        *self.endpoints.entry(endpoint).or_default() += 1;
    }

    /// One more of these.
    pub(crate) fn mark(&mut self, mark: Mark) {
        *self.marks.entry(mark).or_default() += 1;
    }

    /// The client broke a rule.
    pub(crate) fn violation(&mut self, text: String) {
        self.mark(Mark::Violation);
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(text);
        }
    }

    /// The texts, oldest first.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.clone()
    }

    /// The same, and none is left.
    pub(crate) fn forgive(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// The counters.
    pub(crate) fn counts(&self) -> Counts {
        let at = |endpoint| self.endpoints.get(&endpoint).copied().unwrap_or_default();
        let of = |mark| self.marks.get(&mark).copied().unwrap_or_default();
        Counts {
            directory: at(Endpoint::Directory),
            nonce: at(Endpoint::NewNonce),
            new_account: at(Endpoint::NewAccount),
            account: at(Endpoint::Account),
            orders_list: at(Endpoint::Orders),
            new_order: at(Endpoint::NewOrder),
            order_look: at(Endpoint::Order),
            authorization_look: at(Endpoint::Authorization),
            challenge: at(Endpoint::Challenge),
            finalize: at(Endpoint::Finalize),
            certificate: at(Endpoint::Certificate),
            ari: at(Endpoint::RenewalInfo),
            revoke: at(Endpoint::Revoke),
            unknown: at(Endpoint::Unknown),
            validations: at(Endpoint::Validation),
            bad_nonce: of(Mark::BadNonce),
            nonce_reused: of(Mark::NonceReused),
            connections: of(Mark::Connection),
            faults: of(Mark::Fault),
            violations: of(Mark::Violation),
        }
    }
}
