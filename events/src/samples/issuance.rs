//! Samples of what it takes to get a certificate.

use strum::IntoEnumIterator;

use super::Fresh;
use crate::account::{AccountEvent, AccountRequest, Directory};
use crate::authorization::{AuthorizationEvent, Challenge, Probe};
use crate::certificate::{CertificateEvent, Declaration, Issue, KeyRequest, Leaf, LifeLeft};
use crate::event::Event;
use crate::id::{AccountId, CertificateId, Generation, OrderId};
use crate::order::{Asked, Found, NewOrder, OrderEvent, OrderStatus};
use crate::problem::{Problem, ProblemClass};
use crate::schedule::{Cause, ScheduleEvent};

fn all<E: Into<Event>>(makers: Vec<fn(&mut Fresh) -> E>) -> Vec<Event> {
    makers.into_iter().map(|make| make(&mut Fresh::new()).into()).collect()
}

pub(super) fn account() -> Vec<Event> {
    all(vec![
        |f| AccountEvent::AccountDeclared {
            directory_url: f.url(),
            contacts_hash: f.hash(),
            contacts: f.octet(),
        },
        |f| {
            AccountEvent::DirectoryObserved(Directory {
                terms_url: Some(f.url()),
                profiles: vec![f.text("profile"), f.text("profile")],
                renewal_info: true,
                external_account_required: false,
            })
        },
        |f| AccountEvent::DirectoryUnreachable { problem: f.problem(ProblemClass::Transport) },
        |f| AccountEvent::TermsAccepted { terms_url: Some(f.url()), by: f.text("by") },
        |f| AccountEvent::AccountKeyCreated {
            key_ref: f.key_ref(),
            thumbprint: f.text("thumbprint"),
        },
        |f| {
            AccountEvent::AccountRequested(AccountRequest {
                key_ref: f.key_ref(),
                thumbprint: f.text("thumbprint"),
                contacts_hash: f.hash(),
            })
        },
        |f| AccountEvent::AccountRegistered { url: f.url(), already_existed: true },
        |f| AccountEvent::AccountRefused { problem: f.problem(ProblemClass::Acme) },
        |f| AccountEvent::ContactsChangeRequested { contacts_hash: f.hash() },
        |f| AccountEvent::ContactsChanged { contacts_hash: f.hash() },
        |f| AccountEvent::ContactsChangeFailed {
            contacts_hash: f.hash(),
            problem: f.problem(ProblemClass::Acme),
        },
        |_| {
            AccountEvent::DirectoryObserved(Directory {
                external_account_required: true,
                ..Directory::default()
            })
        },
        |f| AccountEvent::TermsAccepted { terms_url: None, by: f.text("by") },
        |f| AccountEvent::PersonRequired {
            problem: f.problem(ProblemClass::Acme),
            failed_at: f.moment(),
        },
        |f| {
            AccountEvent::AgreementRequested(AccountRequest {
                key_ref: f.key_ref(),
                thumbprint: f.text("thumbprint"),
                contacts_hash: f.hash(),
            })
        },
        |f| AccountEvent::AgreementTaken { url: f.url() },
        |f| AccountEvent::AgreementRefused { problem: f.problem(ProblemClass::Acme) },
        |f| AccountEvent::RegistrationUnanswered { problem: f.problem(ProblemClass::Http) },
    ])
}

fn leaf(f: &mut Fresh) -> Leaf {
    Leaf {
        chain: f.hash(),
        fingerprint: f.hash(),
        spki: f.hash(),
        serial: f.text("serial"),
        ari_id: Some(f.text("ari")),
        not_before: f.moment(),
        not_after: f.moment(),
        issuer: f.text("issuer"),
        names: vec![f.text("name"), f.text("name")],
        certificates: f.octet(),
    }
}

fn declaration(f: &mut Fresh, life_left: LifeLeft) -> Declaration {
    Declaration {
        name: f.text("name"),
        account: AccountId(f.id()),
        identifiers: f.names(),
        profile: Some(f.text("profile")),
        ari: true,
        life_left,
    }
}

pub(super) fn certificate() -> Vec<Event> {
    all(vec![
        |f| {
            let life_left = LifeLeft::Share(f.short(), f.short());
            CertificateEvent::CertificateDeclared(declaration(f, life_left))
        },
        |_| CertificateEvent::CertificateOrphaned,
        |f| CertificateEvent::RenewalStarted {
            number: f.number(),
            cause: Cause::AriWindow,
            attempt: f.number(),
            replaces: Some(f.text("ari")),
        },
        |f| {
            CertificateEvent::CertificateKeyRequested(KeyRequest {
                key_ref: f.key_ref(),
                identifiers: f.names(),
            })
        },
        |f| CertificateEvent::CertificateKeyCreated {
            key_ref: f.key_ref(),
            spki: f.hash(),
            csr: vec![f.octet(), f.octet(), f.octet()],
        },
        |f| CertificateEvent::CertificateKeyFailed { problem: f.problem(ProblemClass::Local) },
        |f| {
            CertificateEvent::GenerationAdopted(Issue {
                generation: Generation(f.number()),
                order: OrderId(f.id()),
                key_ref: f.key_ref(),
                spki: f.hash(),
                leaf: leaf(f),
            })
        },
        |f| CertificateEvent::RenewalSucceeded { generation: Generation(f.number()) },
        |f| CertificateEvent::RenewalFailed {
            code: f.text("R"),
            problem: f.problem(ProblemClass::Acme),
        },
        |f| {
            let life_left = LifeLeft::Time { left_ms: f.long(), check_every_ms: f.long() };
            CertificateEvent::CertificateDeclared(declaration(f, life_left))
        },
        |f| CertificateEvent::RenewalEndedUnserved { generation: Generation(f.number()) },
    ])
}

pub(super) fn schedule() -> Vec<Event> {
    let mut events = all(vec![
        |f| ScheduleEvent::AriWindowLearned {
            ari_id: f.text("ari"),
            start: f.moment(),
            end: f.moment(),
            explanation_url: Some(f.url()),
        },
        |f| ScheduleEvent::AriLookFailed {
            ari_id: f.text("ari"),
            problem: f.problem(ProblemClass::Http),
        },
        |f| ScheduleEvent::RenewalRequested { by: f.text("by") },
    ]);
    let causes = [
        Cause::FirstIssue,
        Cause::AriWindow,
        Cause::LifeLeft,
        Cause::DaysLeft,
        Cause::Retry,
        Cause::Operator,
        Cause::NamesChanged,
    ];
    events.extend(causes.map(|cause| {
        let mut f = Fresh::new();
        ScheduleEvent::RenewalScheduled { at: f.moment(), cause, attempt: f.number() }.into()
    }));
    events
}

pub(super) fn order() -> Vec<Event> {
    let mut events = all(vec![
        |f| {
            OrderEvent::OrderRequested(NewOrder {
                certificate: CertificateId(f.id()),
                account: AccountId(f.id()),
                identifiers: f.names(),
                profile: Some(f.text("profile")),
                replaces: Some(f.text("ari")),
            })
        },
        |f| created(f, Found::Answer),
        |f| created(f, Found::List),
        |f| OrderEvent::OrderRequestUnresolved { evidence: f.text("evidence") },
        |f| OrderEvent::OrderBecameReady { looks: f.number() },
        |f| OrderEvent::FinalizationRequested { csr: f.hash() },
        |f| OrderEvent::FinalizationRefused { problem: f.problem(ProblemClass::Acme) },
        |f| OrderEvent::CertificateReady { url: f.url(), looks: f.number() },
        |f| OrderEvent::ChainDownloaded(leaf(f)),
        |f| OrderEvent::ChainRejected { problem: f.problem(ProblemClass::Protocol) },
        |f| OrderEvent::OrderBecameInvalid { problem: f.problem(ProblemClass::Acme) },
        |f| OrderEvent::OrderGone { problem: f.problem(ProblemClass::Acme) },
        |_| OrderEvent::OrderRefused {
            problem: Problem::new(ProblemClass::Acme, "kind", "detail"),
        },
    ]);
    events.extend(statuses());
    events.extend(unanswered());
    events
}

/// A missing answer to every question, and one that is given up.
fn unanswered() -> Vec<Event> {
    let missing = |f: &mut Fresh, asked, problem, again| OrderEvent::AnswerMissing {
        asked,
        problem: f.problem(problem),
        again,
    };
    let mut events = Vec::new();
    for asked in Asked::iter() {
        let mut f = Fresh::new();
        let again = Some(f.moment());
        events.push(missing(&mut f, asked, ProblemClass::Http, again).into());
    }
    let given_up = missing(&mut Fresh::new(), Asked::Authorizations, ProblemClass::Protocol, None);
    events.push(given_up.into());
    events.push(OrderEvent::AnswerCame { asked: Asked::Order }.into());
    events
}

fn created(f: &mut Fresh, found: Found) -> OrderEvent {
    OrderEvent::OrderCreated {
        url: f.url(),
        authorizations: vec![f.url(), f.url()],
        status: OrderStatus::Pending,
        expires: Some(f.moment()),
        found,
    }
}

/// Every status, and every class of problem.
fn statuses() -> Vec<Event> {
    let statuses = [
        OrderStatus::Pending,
        OrderStatus::Ready,
        OrderStatus::Processing,
        OrderStatus::Valid,
        OrderStatus::Invalid,
    ];
    let classes = [
        ProblemClass::Acme,
        ProblemClass::Http,
        ProblemClass::Transport,
        ProblemClass::Protocol,
        ProblemClass::Local,
    ];
    let accepted = statuses.map(|status| OrderEvent::FinalizationAccepted { status });
    let refused =
        classes.map(|class| OrderEvent::OrderRefused { problem: Fresh::new().problem(class) });
    accepted.into_iter().chain(refused).map(Event::from).collect()
}

pub(super) fn authorization() -> Vec<Event> {
    all(vec![
        |f| AuthorizationEvent::AuthorizationSeen {
            order: OrderId(f.id()),
            certificate: CertificateId(f.id()),
            url: f.url(),
            identifier: f.text("identifier"),
            expires: Some(f.moment()),
            offers: vec![f.text("offer"), f.text("offer")],
            valid: true,
        },
        |f| {
            AuthorizationEvent::ChallengeChosen(Challenge {
                url: f.url(),
                token: f.text("token"),
                thumbprint: f.text("thumbprint"),
            })
        },
        |_| AuthorizationEvent::Published { probe: Probe::Seen },
        |f| AuthorizationEvent::Published { probe: Probe::NotSeen(f.text("saw")) },
        |f| AuthorizationEvent::ReadinessRequested { challenge_url: f.url() },
        |_| AuthorizationEvent::ReadinessAccepted { inferred: true },
        |f| AuthorizationEvent::ReadinessRefused { problem: f.problem(ProblemClass::Acme) },
        |f| AuthorizationEvent::AuthorizationBecameValid { visits: f.number() },
        |f| AuthorizationEvent::AuthorizationBecameInvalid {
            problem: f.problem(ProblemClass::Acme),
            visits: f.number(),
        },
        |_| AuthorizationEvent::ChallengeWithdrawn,
    ])
}
