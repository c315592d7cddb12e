//! Everything the events say, folded: one state per stream, and the links between streams.
//!
//! Live events and replayed ones take this road. The fold is total: it never fails and never panics.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;
use crate::authorization::{Authorization, AuthorizationEvent};
use crate::binding::{Binding, BindingEvent};
use crate::certificate::{Asked, Certificate, CertificateEvent, Failure};
use crate::event::{Envelope, Event};
use crate::id::{
    AccountId, AuthorizationId, BindingId, CertificateId, ListenerId, OrderId, RestartId, Seq,
    StreamId,
};
use crate::listener::Listener;
use crate::order::{Order, OrderEvent};
use crate::planted::{self, Bug};
use crate::process::{ClockState, Engine, EngineEvent};
use crate::restart::Restart;
use crate::schedule::Schedule;

/// What an event is about, as far as an actor has to look at it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The installation or its clock.
    Engine,
    /// An account.
    Account(AccountId),
    /// A certificate with its schedule, order, authorizations and bindings.
    Certificate(CertificateId),
    /// A listening socket.
    Listener(ListenerId),
    /// A restart.
    Restart(RestartId),
}

impl From<Subject> for StreamId {
    /// Its main stream: that of the installation, account, certificate, listener or restart.
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Engine => Self::ENGINE,
            Subject::Account(id) => id.into(),
            Subject::Certificate(id) => id.into(),
            Subject::Listener(id) => id.into(),
            Subject::Restart(id) => id.into(),
        }
    }
}

/// All states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The last event folded.
    pub seq: Seq,
    /// The installation.
    pub engine: Engine,
    /// Its clock.
    pub clock: ClockState,
    /// Accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Certificates.
    pub certificates: BTreeMap<CertificateId, Certificate>,
    /// Their schedules.
    pub schedules: BTreeMap<CertificateId, Schedule>,
    /// Orders of renewals in progress.
    pub orders: BTreeMap<OrderId, Order>,
    /// Authorizations of those, and older ones whose token is still answered.
    pub authorizations: BTreeMap<AuthorizationId, Authorization>,
    /// Bindings.
    pub bindings: BTreeMap<BindingId, Binding>,
    /// Listeners.
    pub listeners: BTreeMap<ListenerId, Listener>,
    /// Restarts.
    pub restarts: BTreeMap<RestartId, Restart>,
    /// Certificates whose renewal is under way at the CA. One that is issued and not yet served does
    /// not count: it must not hold up the others.
    pub runs: BTreeSet<CertificateId>,
    /// Certificates that asked for an order since events were last lost.
    asked_about: BTreeSet<CertificateId>,
    versions: BTreeMap<StreamId, u32>,
    authorizations_of: BTreeMap<CertificateId, BTreeSet<AuthorizationId>>,
    bindings_of: BTreeMap<CertificateId, BTreeSet<BindingId>>,
    tokens: BTreeMap<String, AuthorizationId>,
}

impl Facts {
    /// How many events the stream has.
    pub fn version(&self, stream: StreamId) -> u32 {
        self.versions.get(&stream).copied().unwrap_or(0)
    }

    /// The authorizations of a certificate's orders.
    pub fn authorizations_of(
        &self,
        certificate: CertificateId,
    ) -> impl Iterator<Item = (AuthorizationId, &Authorization)> {
        let ids = self.authorizations_of.get(&certificate).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.authorizations.get(id)?)))
    }

    /// The bindings of a certificate that are still wanted.
    pub fn bindings_of(
        &self,
        certificate: CertificateId,
    ) -> impl Iterator<Item = (BindingId, &Binding)> {
        let ids = self.bindings_of.get(&certificate).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.bindings.get(id)?)))
            .filter(|(_, binding)| binding.target.is_some())
    }

    /// The key authorization to answer for a token (RFC 8555 §8.3), and the authorization behind it.
    pub fn answer(&self, token: &str) -> Option<(AuthorizationId, String)> {
        let id = self.tokens.get(token)?;
        let authorization = self.authorizations.get(id)?;
        if planted::is(Bug::TokensLostAtStart) && authorization.since < self.engine.booted_at {
            return None;
        }
        let challenge = authorization.challenge.as_ref()?;
        Some((*id, challenge.key_authorization()))
    }

    /// How many tokens are answered.
    pub fn answers(&self) -> usize {
        self.tokens.len()
    }

    /// The present order of the certificate's renewal.
    pub fn order_of(&self, certificate: CertificateId) -> Option<(OrderId, &Order)> {
        let id = self.certificates.get(&certificate)?.run.as_ref()?.order?;
        Some((id, self.orders.get(&id)?))
    }

    /// Whether the CA said, after it had registered the account, that it does not know it: a CA that
    /// lost its memory.
    pub fn is_forgotten(&self, account: AccountId) -> bool {
        let Some(known) = self.accounts.get(&account) else {
            return false;
        };
        self.certificates
            .values()
            .filter(|c| c.declared.as_ref().is_some_and(|d| d.account == account))
            .filter_map(|certificate| certificate.failure.as_ref())
            .any(|failure| {
                failure.problem.is_acme("accountDoesNotExist") && failure.at > known.registered_at
            })
    }

    /// The refusal of a certificate's renewal by which the CA asks for a person, not yet heard and not
    /// yet answered by accepting; the oldest (RFC 8555 §7.3.3).
    pub fn wants_person(&self, account: AccountId) -> Option<&Failure> {
        let known = self.accounts.get(&account)?;
        let after = known.accepted_at.max(known.person_heard);
        self.certificates
            .values()
            .filter(|c| c.declared.as_ref().is_some_and(|d| d.account == account))
            .filter_map(|certificate| certificate.failure.as_ref())
            .filter(|failure| failure.problem.is_acme("userActionRequired") && failure.at > after)
            .min_by_key(|failure| failure.at)
    }

    /// Other subjects that a change of this one concerns: certificates of an account, those that are
    /// bound to a listener, and the account that a CA forgot or wants a person for. Accounts and listeners change rarely.
    pub fn related(&self, subject: Subject) -> Vec<Subject> {
        match subject {
            Subject::Account(account) => self
                .certificates
                .iter()
                .filter(|(_, c)| c.declared.as_ref().is_some_and(|d| d.account == account))
                .map(|(id, _)| Subject::Certificate(*id))
                .collect(),
            Subject::Listener(listener) => self
                .bindings
                .values()
                .filter(|binding| binding.listener == Some(listener))
                .map(|binding| Subject::Certificate(binding.certificate))
                .collect(),
            Subject::Certificate(id) => {
                let certificate = self.certificates.get(&id);
                let failure = certificate.and_then(|certificate| certificate.failure.as_ref());
                failure
                    .filter(|failure| {
                        failure.problem.is_acme("accountDoesNotExist")
                            || failure.problem.is_acme("userActionRequired")
                    })
                    .and_then(|_| certificate?.declared.as_ref())
                    .map(|declared| Subject::Account(declared.account))
                    .into_iter()
                    .collect()
            }
            Subject::Engine | Subject::Restart(_) => Vec::new(),
        }
    }

    /// Folds one event and says what it is about.
    pub fn apply(&mut self, envelope: &Envelope) -> Subject {
        let meta = envelope.meta();
        self.seq = envelope.seq;
        self.versions.insert(envelope.stream, envelope.version);
        let id = envelope.stream.id;
        match &envelope.event {
            Event::Engine(event) => {
                let lost_at = self.engine.lost_at;
                self.engine.evolve(&meta, event);
                if self.engine.lost_at != lost_at {
                    self.asked_about.clear();
                }
                let booted = matches!(event, EngineEvent::EngineBooted { .. });
                if planted::is(Bug::BackoffForgottenAtStart) && booted {
                    self.certificates.values_mut().for_each(|certificate| certificate.failures = 0);
                }
                Subject::Engine
            }
            Event::Clock(event) => {
                self.clock.evolve(&meta, event);
                Subject::Engine
            }
            Event::Account(event) => {
                self.accounts.entry(AccountId(id)).or_default().evolve(&meta, event);
                Subject::Account(AccountId(id))
            }
            Event::Certificate(event) => {
                self.certificate(CertificateId(id), envelope, event);
                Subject::Certificate(CertificateId(id))
            }
            Event::Schedule(event) => {
                self.schedules.entry(CertificateId(id)).or_default().evolve(&meta, event);
                Subject::Certificate(CertificateId(id))
            }
            Event::Order(event) => self.order(OrderId(id), envelope, event),
            Event::Authorization(event) => self.authorization(AuthorizationId(id), envelope, event),
            Event::Binding(event) => {
                let binding = self.bindings.entry(BindingId(id)).or_default();
                binding.evolve(&meta, event);
                let certificate = binding.certificate;
                if let BindingEvent::BindingDeclared { .. } = event {
                    self.bindings_of.entry(certificate).or_default().insert(BindingId(id));
                }
                Subject::Certificate(certificate)
            }
            Event::Listener(event) => {
                self.listeners.entry(ListenerId(id)).or_default().evolve(&meta, event);
                Subject::Listener(ListenerId(id))
            }
            Event::Restart(event) => {
                self.restarts.entry(RestartId(id)).or_default().evolve(&meta, event);
                Subject::Restart(RestartId(id))
            }
        }
    }

    fn certificate(&mut self, id: CertificateId, envelope: &Envelope, event: &CertificateEvent) {
        let certificate = self.certificates.entry(id).or_default();
        let ending = certificate.run.as_ref().and_then(|run| run.order);
        certificate.evolve(&envelope.meta(), event);
        match event {
            CertificateEvent::RenewalStarted { .. } => {
                self.schedules.entry(id).or_default().taken_up();
                self.runs.insert(id);
            }
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. }
            | CertificateEvent::RenewalFailed { .. } => {
                if let Some(order) = ending {
                    self.orders.remove(&order);
                }
                self.runs.remove(&id);
                // A wish that came in the meantime is met by this very renewal.
                if let CertificateEvent::RenewalSucceeded { .. } = event {
                    self.schedules.entry(id).or_default().met();
                }
                self.forget_unanswered(id);
            }
            CertificateEvent::GenerationAdopted(issue) => {
                self.runs.remove(&id);
                let request = self.orders.get(&issue.order).and_then(|o| o.request.clone());
                let cause = certificate.run.as_ref().map(|run| run.cause);
                certificate.asked = request.zip(cause).map(|(request, cause)| Asked {
                    account: request.account,
                    identifiers: request.identifiers,
                    profile: request.profile,
                    cause,
                });
            }
            CertificateEvent::CertificateDeclared(_)
            | CertificateEvent::CertificateOrphaned
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyCreated { .. }
            | CertificateEvent::CertificateKeyFailed { .. } => {}
        }
    }

    fn order(&mut self, id: OrderId, envelope: &Envelope, event: &OrderEvent) -> Subject {
        let mut meta = envelope.meta();
        if let OrderEvent::OrderRequested(request) = event
            && self.engine.may_have_forgotten_orders(envelope.at)
            && self.asked_about.insert(request.certificate)
        {
            // It may have been bought in an event that is lost: the CA is asked first, once.
            meta = meta.of_an_earlier_life();
        }
        let order = self.orders.entry(id).or_default();
        order.evolve(&meta, event);
        let anomaly = order.anomaly.clone();
        let whose = order.request.as_ref().map(|request| request.certificate).unwrap_or_default();
        let Some(certificate) = self.certificates.get_mut(&whose) else {
            return Subject::Certificate(whose);
        };
        // What cannot follow stands still as a whole, and a person hears why.
        certificate.anomaly = certificate.anomaly.take().or(anomaly);
        if let OrderEvent::OrderRequested(_) = event
            && let Some(run) = certificate.run.as_mut().filter(|run| run.order != Some(id))
        {
            run.orders = run.orders.saturating_add(1);
            if let Some(before) = run.order.replace(id) {
                self.orders.remove(&before);
            }
            if planted::is(Bug::OrderForgotten) {
                run.order = None;
            }
        }
        Subject::Certificate(whose)
    }

    fn authorization(
        &mut self,
        id: AuthorizationId,
        envelope: &Envelope,
        event: &AuthorizationEvent,
    ) -> Subject {
        let authorization = self.authorizations.entry(id).or_default();
        authorization.evolve(&envelope.meta(), event);
        let certificate = authorization.certificate;
        if event.tells_of_the_ca()
            && let Some(order) = self.orders.get_mut(&authorization.order)
        {
            order.heard_of_names();
        }
        self.authorizations_of.entry(certificate).or_default().insert(id);
        if let Some(challenge) = &authorization.challenge {
            if authorization.answered {
                self.tokens.insert(challenge.token.clone(), id);
            } else {
                let token = challenge.token.clone();
                self.withdraw(&token, id);
            }
        }
        let run = self.certificates.get(&certificate).and_then(|c| c.run.as_ref());
        if run.is_none() {
            self.forget_unanswered(certificate);
        }
        Subject::Certificate(certificate)
    }

    /// The token is no longer answered for this authorization. A CA may show one authorization in two
    /// orders (RFC 8555 §7.1.3): while the other needs its token, it stays.
    fn withdraw(&mut self, token: &str, id: AuthorizationId) {
        if self.tokens.get(token) != Some(&id) {
            return;
        }
        let needs = |it: &Authorization| {
            it.answered && it.challenge.as_ref().is_some_and(|challenge| challenge.token == token)
        };
        let other = self.authorizations.iter().find(|(_, it)| needs(it)).map(|(other, _)| *other);
        match other {
            Some(other) => self.tokens.insert(token.to_owned(), other),
            None => self.tokens.remove(token),
        };
    }

    /// Drops authorizations of past renewals once their token is withdrawn: the log keeps them.
    fn forget_unanswered(&mut self, certificate: CertificateId) {
        let Some(ids) = self.authorizations_of.get_mut(&certificate) else {
            return;
        };
        let authorizations = &mut self.authorizations;
        ids.retain(|id| {
            let keep = authorizations.get(id).is_some_and(|authorization| authorization.answered);
            if !keep {
                authorizations.remove(id);
            }
            keep
        });
        if ids.is_empty() {
            self.authorizations_of.remove(&certificate);
        }
    }
}
