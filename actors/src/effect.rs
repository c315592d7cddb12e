//! Acts as data: what is done in the world, and what came of it.

use std::time::Duration;

use renewd_events::account::{AccountRequest, Directory};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::{Issue, KeyRequest, Leaf};
use renewd_events::id::{
    AccountId, AuthorizationId, BindingId, Fingerprint, Generation, Hash, KeyRef, ListenerId,
    OrderId, RestartId, StreamId,
};
use renewd_events::order::NewOrder;
use renewd_events::problem::Problem;
use renewd_events::restart::ProcessIdentity;
use renewd_events::{Durable, EffectId};

use crate::bounds;
use crate::ports::{
    Act, AuthorizationLook, FoundOrder, KeyFacts, ListenerRefused, OrderLook, Ports,
    RegisteredAccount, RenewalWindow,
};

/// An act. What the world can see holds a [`Durable`] intent; the rest are reads and local,
/// repeatable acts.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few exist at once, each about to become a request")]
pub enum Effect {
    /// Read the directory.
    ReadDirectory(AccountId),
    /// Make or find the account key.
    EnsureAccountKey(AccountId, KeyRef),
    /// POST newAccount.
    Register(AccountId, Durable<AccountRequest>),
    /// POST newAccount again, for its agreement to the terms.
    Agree(AccountId, Durable<AccountRequest>),
    /// Change the contacts.
    UpdateContacts(AccountId, Durable<Hash>),
    /// Make or find the certificate key, and a CSR.
    EnsureKey(Durable<KeyRequest>),
    /// POST newOrder.
    CreateOrder(OrderId, Durable<NewOrder>),
    /// Settle a newOrder without answer.
    FindOrder(OrderId, Durable<NewOrder>, Vec<String>),
    /// Look at the order.
    LookAtOrder(OrderId, AccountId, String, OrderStage),
    /// POST finalize.
    Finalize(OrderId, AccountId, String, Durable<Hash>, Vec<u8>),
    /// Fetch the chain.
    Download(OrderId, AccountId, String),
    /// Look at the authorizations.
    SeeAuthorizations(OrderId, AccountId, String, AuthorizationStage),
    /// Fetch our own answer.
    ProbeChallenge(AuthorizationId, String, Challenge),
    /// POST the challenge.
    MakeReady(AuthorizationId, AccountId, String, Durable<Challenge>),
    /// Put an issue in place.
    Deploy(BindingId, Target, Issue, Durable<Deployment>),
    /// Run the reload command.
    Reload(BindingId, Durable<Generation>),
    /// Look at what is served.
    Handshake(BindingId, Target, String, Generation),
    /// Open a listener.
    OpenListener(ListenerId, String),
    /// Restart the host.
    Restart(RestartId, Durable<ProcessIdentity>),
    /// Read the suggested renewal window.
    ReadWindow(renewd_events::id::CertificateId, AccountId, String),
}

/// The kind of [`Effect::CreateOrder`].
pub const CREATE_ORDER: &str = "create order";
/// The kind of [`Effect::FindOrder`].
pub(crate) const FIND_ORDER: &str = "find order";
/// The kind of [`Effect::LookAtOrder`] until it is ready.
pub(crate) const LOOK_PENDING: &str = "look at pending order";
/// The same until it is valid.
pub(crate) const LOOK_PROCESSING: &str = "look at processing order";
/// The same to settle a finalize.
pub(crate) const LOOK_SETTLING: &str = "look at order to settle";
/// The kind of [`Effect::Finalize`].
pub(crate) const FINALIZE: &str = "finalize";
/// The kind of [`Effect::Download`].
pub(crate) const DOWNLOAD: &str = "download";
/// The kind of [`Effect::SeeAuthorizations`] to learn the challenges.
pub(crate) const SEE_LEARNING: &str = "see authorizations";
/// The same to settle a readiness.
pub(crate) const SEE_SETTLING: &str = "see authorizations to settle";
/// The same to learn why the order died.
pub(crate) const SEE_VERDICT: &str = "see verdict";
/// The kind of [`Effect::MakeReady`].
pub(crate) const MAKE_READY: &str = "make ready";

/// The kind of [`Effect::ReadWindow`].
const READ_WINDOW: &str = "read window";

/// What an order is looked at for: each has its own pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderStage {
    /// Until it is ready.
    Pending,
    /// Until it is valid.
    Processing,
    /// To settle a finalize without answer.
    Settling,
}

/// What authorizations are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthorizationStage {
    /// To learn the challenges.
    Learning,
    /// To settle a readiness without answer.
    Settling,
    /// To learn why the order died.
    Verdict,
}

/// What came of an effect.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of [`Effect::ReadDirectory`].
    Directory(Result<Directory, Problem>),
    /// Of [`Effect::EnsureAccountKey`].
    AccountKey(Result<String, Problem>),
    /// Of [`Effect::Register`].
    Registered(Result<RegisteredAccount, Problem>),
    /// Of an act that answers nothing but success.
    Done(Result<(), Problem>),
    /// Of [`Effect::EnsureKey`].
    Key(Result<KeyFacts, Problem>),
    /// Of the effects that show an order.
    Order(Result<OrderLook, Problem>),
    /// Of [`Effect::FindOrder`].
    Found(Result<FoundOrder, Problem>),
    /// Of [`Effect::Download`].
    Chain(Result<Leaf, Problem>),
    /// Of [`Effect::SeeAuthorizations`].
    Authorizations(Result<Vec<AuthorizationLook>, Problem>),
    /// Of [`Effect::ProbeChallenge`].
    Probed(Probe),
    /// Of [`Effect::Handshake`].
    Handshake(Result<(String, Fingerprint), Problem>),
    /// Of [`Effect::OpenListener`].
    Listener(Result<(), ListenerRefused>),
    /// Of [`Effect::ReadWindow`].
    Window(Result<RenewalWindow, Problem>),
}

impl Outcome {
    /// The problem, when it failed.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Directory(result) => result.as_ref().err(),
            Self::AccountKey(result) => result.as_ref().err(),
            Self::Registered(result) => result.as_ref().err(),
            Self::Done(result) => result.as_ref().err(),
            Self::Key(result) => result.as_ref().err(),
            Self::Order(result) => result.as_ref().err(),
            Self::Found(result) => result.as_ref().err(),
            Self::Chain(result) => result.as_ref().err(),
            Self::Authorizations(result) => result.as_ref().err(),
            Self::Probed(_) => None,
            Self::Handshake(result) => result.as_ref().err(),
            Self::Listener(result) => result.as_ref().err().map(|refused| &refused.problem),
            Self::Window(result) => result.as_ref().err(),
        }
    }

    /// The server asked to wait this long, milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Order(Ok(look)) => look.retry_after_ms,
            Self::Window(Ok(window)) => window.retry_after_ms,
            Self::Directory(_)
            | Self::AccountKey(_)
            | Self::Registered(_)
            | Self::Done(_)
            | Self::Key(_)
            | Self::Order(Err(_))
            | Self::Found(_)
            | Self::Chain(_)
            | Self::Authorizations(_)
            | Self::Probed(_)
            | Self::Handshake(_)
            | Self::Listener(_)
            | Self::Window(Err(_)) => self.problem().and_then(|problem| problem.retry_after_ms),
        }
    }
}

/// Names an effect among those under way: one per intent, or one per thing that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectKey {
    /// What kind of act.
    pub kind: &'static str,
    /// On which stream.
    pub stream: StreamId,
    /// Of which intent; 0 for reads.
    pub version: u32,
}

impl EffectKey {
    /// The longest that a Retry-After is followed, if there is a bound besides the port's own (eight
    /// days, longer than the rate limits of public CAs).
    pub(crate) fn asked_max(&self, failed: bool) -> Option<Duration> {
        let looks = [
            FIND_ORDER,
            LOOK_PENDING,
            LOOK_PROCESSING,
            LOOK_SETTLING,
            DOWNLOAD,
            SEE_LEARNING,
            SEE_SETTLING,
            SEE_VERDICT,
        ];
        if self.kind == READ_WINDOW {
            return Some(bounds::ARI_LOOK_MAX);
        }
        // An act that did not fail is one to look after: there is nothing to stay away from.
        (looks.contains(&self.kind) || !failed).then_some(bounds::LOOK_ASKED_MAX)
    }
}

/// The name of [`Effect::Handshake`] among the effects under way: needed where no look is due.
pub(crate) fn handshake_key(binding: BindingId) -> EffectKey {
    EffectKey { kind: "handshake", stream: binding.into(), version: 0 }
}

impl Effect {
    /// Its name among those under way.
    pub fn key(&self) -> EffectKey {
        let read = |kind, stream: StreamId| EffectKey { kind, stream, version: 0 };
        let act = |kind, id: EffectId| EffectKey { kind, stream: id.stream, version: id.version };
        match self {
            Self::ReadDirectory(account) => read("read directory", (*account).into()),
            Self::EnsureAccountKey(account, _) => read("make account key", (*account).into()),
            Self::Register(_, intent) => act("register", intent.effect_id()),
            Self::Agree(_, intent) => act("agree", intent.effect_id()),
            Self::UpdateContacts(_, intent) => act("update contacts", intent.effect_id()),
            Self::EnsureKey(intent) => act("make key", intent.effect_id()),
            Self::CreateOrder(_, intent) => act(CREATE_ORDER, intent.effect_id()),
            Self::FindOrder(_, intent, _) => act(FIND_ORDER, intent.effect_id()),
            Self::LookAtOrder(order, _, _, stage) => read(
                match stage {
                    OrderStage::Pending => LOOK_PENDING,
                    OrderStage::Processing => LOOK_PROCESSING,
                    OrderStage::Settling => LOOK_SETTLING,
                },
                (*order).into(),
            ),
            Self::Finalize(_, _, _, intent, _) => act(FINALIZE, intent.effect_id()),
            Self::Download(order, _, _) => read(DOWNLOAD, (*order).into()),
            Self::SeeAuthorizations(order, _, _, stage) => read(
                match stage {
                    AuthorizationStage::Learning => SEE_LEARNING,
                    AuthorizationStage::Settling => SEE_SETTLING,
                    AuthorizationStage::Verdict => SEE_VERDICT,
                },
                (*order).into(),
            ),
            Self::ProbeChallenge(id, _, _) => read("probe", (*id).into()),
            Self::MakeReady(_, _, _, intent) => act(MAKE_READY, intent.effect_id()),
            Self::Deploy(_, _, _, intent) => act("deploy", intent.effect_id()),
            Self::Reload(_, intent) => act("reload", intent.effect_id()),
            Self::Handshake(binding, _, _, _) => handshake_key(*binding),
            Self::OpenListener(listener, _) => read("open listener", (*listener).into()),
            Self::Restart(_, intent) => act("restart", intent.effect_id()),
            Self::ReadWindow(certificate, _, _) => {
                read(READ_WINDOW, StreamId::schedule(*certificate))
            }
        }
    }

    /// Carries it out.
    pub fn perform<'a>(&'a self, ports: &'a Ports) -> Act<'a, Outcome> {
        Box::pin(async move {
            match self {
                Self::ReadDirectory(account) => {
                    Outcome::Directory(ports.ca.directory(*account).await)
                }
                Self::EnsureAccountKey(_, key) => {
                    Outcome::AccountKey(ports.vault.ensure_account_key(key).await)
                }
                Self::Register(account, intent) | Self::Agree(account, intent) => {
                    Outcome::Registered(ports.ca.register(*account, intent).await)
                }
                Self::UpdateContacts(account, intent) => {
                    Outcome::Done(ports.ca.update_contacts(*account, intent).await)
                }
                Self::EnsureKey(intent) => {
                    Outcome::Key(ports.vault.ensure_certificate_key(intent.intent()).await)
                }
                Self::CreateOrder(_, intent) => Outcome::Order(ports.ca.new_order(intent).await),
                Self::FindOrder(_, intent, known) => {
                    Outcome::Found(ports.ca.find_order(intent.intent(), known).await)
                }
                Self::LookAtOrder(_, account, url, _) => {
                    Outcome::Order(ports.ca.look_at_order(*account, url).await)
                }
                Self::Finalize(_, account, url, intent, csr) => {
                    Outcome::Order(ports.ca.finalize(*account, url, intent, csr).await)
                }
                Self::Download(_, account, url) => {
                    let chain = ports.ca.download(*account, url).await;
                    if chain.is_ok() {
                        ports.ca.forget_order(url);
                    }
                    Outcome::Chain(chain)
                }
                Self::SeeAuthorizations(_, account, url, stage) => {
                    let fresh = *stage != AuthorizationStage::Learning;
                    let looks = ports.ca.look_at_authorizations(*account, url, fresh).await;
                    Outcome::Authorizations(looks)
                }
                Self::ProbeChallenge(_, identifier, challenge) => {
                    Outcome::Probed(ports.prober.probe(identifier, challenge).await)
                }
                Self::MakeReady(_, account, url, intent) => {
                    Outcome::Done(ports.ca.make_ready(*account, url, intent).await)
                }
                Self::Deploy(binding, target, issue, intent) => {
                    Outcome::Done(ports.bindings.deploy(*binding, target, issue, intent).await)
                }
                Self::Reload(binding, intent) => {
                    Outcome::Done(ports.bindings.reload(*binding, intent).await)
                }
                Self::Handshake(_, target, name, _) => {
                    Outcome::Handshake(ports.bindings.handshake(target, name).await)
                }
                Self::OpenListener(_, address) => {
                    Outcome::Listener(ports.host.open_listener(address).await)
                }
                Self::Restart(restart, intent) => {
                    Outcome::Done(ports.host.restart(*restart, intent).await)
                }
                Self::ReadWindow(_, account, ari_id) => {
                    Outcome::Window(ports.ca.renewal_window(*account, ari_id).await)
                }
            }
        })
    }
}

impl Effect {
    /// The look that settles this act: it must be taken anew after each try.
    pub fn settled_by(&self) -> Option<EffectKey> {
        let Self::Finalize(order, ..) = self else {
            return None;
        };
        Some(EffectKey { kind: LOOK_SETTLING, stream: (*order).into(), version: 0 })
    }
}
