//! Which events are intents, and which settle them: the pairs that timelines join with a bracket,
//! traces make spans of, and checks count.

use renewd_events::Event;
use renewd_events::account::AccountEvent;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::order::OrderEvent;
use renewd_events::restart::RestartEvent;

/// A kind of act that the world can see. In one stream at most one of a kind is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// newAccount.
    Register,
    /// The CA is told of an agreement to its terms.
    Agreement,
    /// A change of contacts.
    Contacts,
    /// A key in the vault.
    Key,
    /// newOrder.
    NewOrder,
    /// The CA is told to look.
    Readiness,
    /// finalize.
    Finalize,
    /// An issue is put in place.
    Deploy,
    /// The reload command.
    Reload,
    /// A restart of the host.
    Restart,
}

/// What an event is to an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It announces the act.
    Intent(Act),
    /// It is the act's outcome and needs an open intent.
    Outcome(Act),
    /// It says something that also settles the act, if that is open: the order went on, or died.
    Settles(Act),
    /// None of these.
    None,
}

/// What an event is to an act.
pub fn part(event: &Event) -> Part {
    match event {
        Event::Account(event) => account(event),
        Event::Certificate(event) => certificate(event),
        Event::Order(event) => order(event),
        Event::Authorization(event) => authorization(event),
        Event::Binding(event) => binding(event),
        Event::Restart(event) => restart(event),
        Event::Engine(_) | Event::Clock(_) | Event::Schedule(_) | Event::Listener(_) => Part::None,
    }
}

fn account(event: &AccountEvent) -> Part {
    match event {
        AccountEvent::AccountRequested(_) => Part::Intent(Act::Register),
        AccountEvent::AccountRegistered { .. } | AccountEvent::AccountRefused { .. } => {
            Part::Outcome(Act::Register)
        }
        AccountEvent::AgreementRequested(_) => Part::Intent(Act::Agreement),
        AccountEvent::AgreementTaken { .. } | AccountEvent::AgreementRefused { .. } => {
            Part::Outcome(Act::Agreement)
        }
        AccountEvent::ContactsChangeRequested { .. } => Part::Intent(Act::Contacts),
        AccountEvent::ContactsChanged { .. } | AccountEvent::ContactsChangeFailed { .. } => {
            Part::Outcome(Act::Contacts)
        }
        AccountEvent::AccountDeclared { .. }
        | AccountEvent::DirectoryObserved(_)
        | AccountEvent::DirectoryUnreachable { .. }
        | AccountEvent::TermsAccepted { .. }
        | AccountEvent::PersonRequired { .. }
        | AccountEvent::RegistrationUnanswered { .. }
        | AccountEvent::AccountKeyCreated { .. } => Part::None,
    }
}

fn certificate(event: &CertificateEvent) -> Part {
    match event {
        CertificateEvent::CertificateKeyRequested(_) => Part::Intent(Act::Key),
        CertificateEvent::CertificateKeyCreated { .. }
        | CertificateEvent::CertificateKeyFailed { .. } => Part::Outcome(Act::Key),
        CertificateEvent::RenewalFailed { .. } => Part::Settles(Act::Key),
        CertificateEvent::CertificateDeclared(_)
        | CertificateEvent::CertificateOrphaned
        | CertificateEvent::RenewalStarted { .. }
        | CertificateEvent::GenerationAdopted(_)
        | CertificateEvent::RenewalSucceeded { .. }
        | CertificateEvent::RenewalEndedUnserved { .. } => Part::None,
    }
}

fn order(event: &OrderEvent) -> Part {
    match event {
        OrderEvent::OrderRequested(_) => Part::Intent(Act::NewOrder),
        OrderEvent::OrderCreated { .. }
        | OrderEvent::OrderRefused { .. }
        | OrderEvent::OrderRequestUnresolved { .. } => Part::Outcome(Act::NewOrder),
        OrderEvent::FinalizationRequested { .. } => Part::Intent(Act::Finalize),
        OrderEvent::FinalizationAccepted { .. } | OrderEvent::FinalizationRefused { .. } => {
            Part::Outcome(Act::Finalize)
        }
        OrderEvent::CertificateReady { .. }
        | OrderEvent::OrderBecameInvalid { .. }
        | OrderEvent::OrderGone { .. } => Part::Settles(Act::Finalize),
        OrderEvent::OrderBecameReady { .. }
        | OrderEvent::AnswerMissing { .. }
        | OrderEvent::AnswerCame { .. }
        | OrderEvent::ChainDownloaded(_)
        | OrderEvent::ChainRejected { .. } => Part::None,
    }
}

fn authorization(event: &AuthorizationEvent) -> Part {
    match event {
        AuthorizationEvent::ReadinessRequested { .. } => Part::Intent(Act::Readiness),
        AuthorizationEvent::ReadinessAccepted { .. }
        | AuthorizationEvent::ReadinessRefused { .. } => Part::Outcome(Act::Readiness),
        AuthorizationEvent::AuthorizationBecameValid { .. }
        | AuthorizationEvent::AuthorizationBecameInvalid { .. } => Part::Settles(Act::Readiness),
        AuthorizationEvent::AuthorizationSeen { .. }
        | AuthorizationEvent::ChallengeChosen(_)
        | AuthorizationEvent::Published { .. }
        | AuthorizationEvent::ChallengeWithdrawn => Part::None,
    }
}

fn binding(event: &BindingEvent) -> Part {
    match event {
        BindingEvent::DeploymentRequested(_) => Part::Intent(Act::Deploy),
        BindingEvent::Deployed { .. } | BindingEvent::DeploymentFailed { .. } => {
            Part::Outcome(Act::Deploy)
        }
        BindingEvent::ReloadRequested { .. } => Part::Intent(Act::Reload),
        BindingEvent::ReloadFinished { .. } => Part::Outcome(Act::Reload),
        BindingEvent::BindingDeclared { .. }
        | BindingEvent::BindingRemoved
        | BindingEvent::ServedVerified { .. }
        | BindingEvent::ServedMismatch { .. } => Part::None,
    }
}

fn restart(event: &RestartEvent) -> Part {
    match event {
        RestartEvent::RestartRequested { .. } => Part::Intent(Act::Restart),
        RestartEvent::RestartObserved { .. } | RestartEvent::RestartNotObserved { .. } => {
            Part::Outcome(Act::Restart)
        }
        RestartEvent::RestartFinished { .. } => Part::Settles(Act::Restart),
        RestartEvent::RestartPlanned { .. } => Part::None,
    }
}
