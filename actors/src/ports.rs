//! The world as traits. Each says whether it may be repeated, how long it takes at most, and what an
//! error means. The engine implements them with sockets and files, tests with faults.
//!
//! An act that the world can see takes a [`Durable`] intent: proof that it is on disk.

use std::future::Future;
use std::pin::Pin;

use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::{Issue, KeyRequest, Leaf};
use renewd_events::id::{AccountId, BindingId, Fingerprint, Generation, Hash, KeyRef, RestartId};
use renewd_events::order::{NewOrder, OrderStatus};
use renewd_events::problem::Problem;
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::{Durable, WallMs};

/// What a port method gives back: boxed, so that the actors hold ports as objects.
pub type Act<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An order as the CA shows it (RFC 8555 §7.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLook {
    /// Its URL.
    pub url: String,
    /// Its status.
    pub status: OrderStatus,
    /// URLs of its authorizations.
    pub authorizations: Vec<String>,
    /// When the CA forgets it.
    pub expires: Option<WallMs>,
    /// Where the certificate is, once valid.
    pub certificate: Option<String>,
    /// Why it is invalid, when the CA says so.
    pub problem: Option<Problem>,
    /// The CA asks not to look again before this (RFC 9110 §10.2.3).
    pub retry_after_ms: Option<u64>,
}

/// The status of an authorization (RFC 8555 §7.1.6), as far as it matters to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// Waiting for the challenge.
    Pending,
    /// Satisfied.
    Valid,
    /// Invalid, deactivated, expired or revoked.
    Invalid,
}

/// The status of a challenge (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStatus {
    /// Waiting for readiness.
    Pending,
    /// The CA is looking, or has looked.
    Taken,
}

/// An authorization as the CA shows it (RFC 8555 §7.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationLook {
    /// Its URL.
    pub url: String,
    /// The name.
    pub identifier: String,
    /// Its status.
    pub status: AuthorizationStatus,
    /// When the CA forgets it.
    pub expires: Option<WallMs>,
    /// Challenge types on offer.
    pub offers: Vec<String>,
    /// The http-01 challenge, when offered; its token is checked: base64url of 22 to 128 characters.
    pub http01: Option<Challenge>,
    /// The status of that challenge.
    pub challenge: ChallengeStatus,
    /// Why the CA is not satisfied.
    pub problem: Option<Problem>,
}

/// A suggested renewal window (RFC 9773 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalWindow {
    /// From.
    pub start: WallMs,
    /// To.
    pub end: WallMs,
    /// Why, for people.
    pub explanation_url: Option<String>,
    /// When to look again.
    pub retry_after_ms: Option<u64>,
}

/// What the CA said to newAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredAccount {
    /// The account URL.
    pub url: String,
    /// The key was known before.
    pub already_existed: bool,
}

/// Whether a lost newOrder reached the CA (RFC 8555 §7.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundOrder {
    /// It did, and here it is: newOrder's answer named it, though the rest could not be read.
    Answered(Box<OrderLook>),
    /// It did: the list has it.
    Found(Box<OrderLook>),
    /// The list has no such order: it did not.
    NotThere,
    /// The CA has no list; the text says what it answered.
    NoList(String),
}

/// A certificate authority (RFC 8555). Every call ends within a minute; an answer larger than
/// 256 KiB is an error. Errors of [`renewd_events::problem::ProblemClass::Transport`], `Http` and
/// `Protocol` say nothing about whether the CA has acted; `Acme` says that it has not.
pub trait CertificateAuthority: Send + Sync {
    /// GET directory. Repeatable. Answered from the last minute's answer without a request.
    fn directory(&self, account: AccountId) -> Act<'_, Result<Directory, Problem>>;

    /// POST newAccount with the vault's key. Repeatable: the same key gives the same account (§7.3.1).
    fn register<'a>(
        &'a self,
        account: AccountId,
        request: &'a Durable<AccountRequest>,
    ) -> Act<'a, Result<RegisteredAccount, Problem>>;

    /// Update the contacts to those of the configuration (§7.3.2). Repeatable.
    fn update_contacts<'a>(
        &'a self,
        account: AccountId,
        contacts: &'a Durable<Hash>,
    ) -> Act<'a, Result<(), Problem>>;

    /// POST newOrder (§7.4). **Not repeatable**: a lost answer is settled by [`Self::find_order`].
    fn new_order<'a>(&'a self, order: &'a Durable<NewOrder>)
    -> Act<'a, Result<OrderLook, Problem>>;

    /// Looks for an order that a lost newOrder may have made: the one its answer named, if that much of
    /// it came in this life of the process; else the newest pending or ready one of the
    /// account with exactly these identifiers that is not in `known`. A read; one that ends for want of
    /// time goes on from there when it is asked again.
    fn find_order<'a>(
        &'a self,
        order: &'a NewOrder,
        known: &'a [String],
    ) -> Act<'a, Result<FoundOrder, Problem>>;

    /// POST-as-GET of an order. A read.
    fn look_at_order<'a>(
        &'a self,
        account: AccountId,
        url: &'a str,
    ) -> Act<'a, Result<OrderLook, Problem>>;

    /// POST-as-GET of all authorizations of an order, from the CA and not from memory when `fresh`.
    /// A read.
    fn look_at_authorizations<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        fresh: bool,
    ) -> Act<'a, Result<Vec<AuthorizationLook>, Problem>>;

    /// POST a challenge (§7.5.1). Not repeatable once the CA looks; a lost answer is settled by
    /// looking at the authorization.
    fn make_ready<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        challenge: &'a Durable<Challenge>,
    ) -> Act<'a, Result<(), Problem>>;

    /// POST finalize with this CSR (§7.4). A lost answer is settled by looking at the order.
    fn finalize<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
        intent: &'a Durable<Hash>,
        csr: &'a [u8],
    ) -> Act<'a, Result<OrderLook, Problem>>;

    /// POST-as-GET of the certificate (§7.4.2). The chain is durable in the store when this returns,
    /// under its hash. A read: repeatable.
    fn download<'a>(
        &'a self,
        account: AccountId,
        order_url: &'a str,
    ) -> Act<'a, Result<Leaf, Problem>>;

    /// GET the suggested renewal window (RFC 9773 §4.1). A read.
    fn renewal_window<'a>(
        &'a self,
        account: AccountId,
        ari_id: &'a str,
    ) -> Act<'a, Result<RenewalWindow, Problem>>;

    /// The order is over: connections and nonces held for it can go.
    fn forget_order(&self, order_url: &str);

    /// What this CA's clock shows now: the Date of its last answer (RFC 9110 §6.6.1) and the time since,
    /// which is measured by no wall clock. `None` before an answer, and of a CA that does not say.
    fn clock(&self, account: AccountId) -> Option<WallMs>;
}

/// A public key's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// SHA-256 of the SPKI.
    pub spki: Fingerprint,
    /// PKCS#10 for the names, DER.
    pub csr: Vec<u8>,
}

/// Where keys live. No key leaves it through this trait.
pub trait Vault: Send + Sync {
    /// Makes the account key, durable when this returns, or finds it. Gives its RFC 7638 thumbprint.
    /// Repeatable.
    fn ensure_account_key<'a>(&'a self, key: &'a KeyRef) -> Act<'a, Result<String, Problem>>;

    /// Makes the certificate key, durable when this returns, or finds it, and a CSR with it.
    /// Repeatable.
    fn ensure_certificate_key<'a>(
        &'a self,
        request: &'a KeyRequest,
    ) -> Act<'a, Result<KeyFacts, Problem>>;
}

/// Fetches our own challenge answer through the socket the CA will use.
pub trait Prober: Send + Sync {
    /// GET the token on the first challenge listener. Bounded to 2 s. Never stops an order.
    fn probe<'a>(&'a self, identifier: &'a str, challenge: &'a Challenge) -> Act<'a, Probe>;

    /// How many fetches of this token the responder saw.
    fn visits(&self, token: &str) -> u32;
}

/// Where certificates are served.
pub trait BindingTarget: Send + Sync {
    /// Puts the issue in place: atomically, keeping the earlier one. Repeatable.
    fn deploy<'a>(
        &'a self,
        binding: BindingId,
        target: &'a Target,
        issue: &'a Issue,
        intent: &'a Durable<Deployment>,
    ) -> Act<'a, Result<(), Problem>>;

    /// Runs the reload command. Repeatable, as documented for the operator. Bounded by its timeout.
    fn reload<'a>(
        &'a self,
        binding: BindingId,
        intent: &'a Durable<Generation>,
    ) -> Act<'a, Result<(), Problem>>;

    /// A TLS handshake at the place where the certificate is served. Gives the address and the
    /// fingerprint seen. A read, bounded to 10 s.
    fn handshake<'a>(
        &'a self,
        target: &'a Target,
        server_name: &'a str,
    ) -> Act<'a, Result<(String, Fingerprint), Problem>>;
}

/// Why a listener is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerRefused {
    /// The error.
    pub problem: Problem,
    /// The program that holds the address, where it can be told.
    pub holder: Option<String>,
    /// Only a restart of the host can open it.
    pub needs_restart: bool,
}

/// The process that serves.
pub trait HostProcess: Send + Sync {
    /// Who this process is. `boot` is filled in by the caller's facts.
    fn identity(&self) -> ProcessIdentity;

    /// Opens a listener without a restart, or says why that cannot be. Repeatable: an open one stays.
    fn open_listener<'a>(&'a self, address: &'a str) -> Act<'a, Result<(), ListenerRefused>>;

    /// How this host restarts; absent when it must not.
    fn restart_method(&self) -> Option<Method>;

    /// Begins the restart. The process ends soon after.
    fn restart<'a>(
        &'a self,
        restart: RestartId,
        intent: &'a Durable<ProcessIdentity>,
    ) -> Act<'a, Result<(), Problem>>;
}

/// Wall and monotonic time.
pub trait TimeSource: Send + Sync {
    /// Now, on the wall.
    fn now(&self) -> WallMs;

    /// The longest sleep before the wall is looked at again: a clock that was set, or a host that
    /// slept, is noticed within it. A simulation that sets its own clock can sleep for longer.
    fn nap_max(&self) -> std::time::Duration {
        crate::bounds::SLEEP_MAX
    }

    /// How long an actor lets the others go first before it handles its next message. A simulation draws
    /// it, so that another order of theirs is tried with each seed; nothing else waits.
    fn lag(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// All ports together.
#[derive(Clone)]
pub struct Ports {
    /// The CA.
    pub ca: std::sync::Arc<dyn CertificateAuthority>,
    /// The keys.
    pub vault: std::sync::Arc<dyn Vault>,
    /// Our own look at our challenge answers.
    pub prober: std::sync::Arc<dyn Prober>,
    /// Where certificates are served.
    pub bindings: std::sync::Arc<dyn BindingTarget>,
    /// The process that serves.
    pub host: std::sync::Arc<dyn HostProcess>,
    /// The time.
    pub time: std::sync::Arc<dyn TimeSource>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
