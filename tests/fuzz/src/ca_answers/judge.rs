//! What a port call may give: values within bounds that fit into an event, problems that are cut and
//! tell nothing of ours.

use renewd_actors::ports::{
    AuthorizationLook, FoundOrder, OrderLook, RegisteredAccount, RenewalWindow,
};
use renewd_events::Event;
use renewd_events::account::{AccountEvent, Directory};
use renewd_events::authorization::{AuthorizationEvent, Challenge};
use renewd_events::certificate::Leaf;
use renewd_events::codec::{decode_body, encode_body};
use renewd_events::id::{CertificateId, OrderId};
use renewd_events::order::{Found, OrderEvent};
use renewd_events::problem::{EVIDENCE_OCTETS_MAX, Problem, SUBPROBLEMS_MAX};
use renewd_events::schedule::ScheduleEvent;

use super::{CONTACT, STORED_A_KEY};

/// Eight days: see `engine/src/acme/call.rs`.
const RETRY_AFTER_MS_MAX: u64 = 8 * 24 * 3600 * 1000;
/// An order has at most 100 names, and one authorization each.
const AUTHORIZATIONS_MAX: usize = 100;
/// An URL.
const URL_OCTETS_MAX: usize = 1024;

/// It can be recorded, and is read as it was.
fn recorded(event: impl Into<Event>) {
    let event = event.into();
    let body = match encode_body(&event) {
        Ok(body) => body,
        Err(cause) => panic!("{} cannot be recorded: {cause}", event.name()),
    };
    assert_eq!(decode_body(event.kind(), 1, &body), Ok(event));
}

fn problem(problem: &Problem) {
    assert_ne!(problem.kind, STORED_A_KEY);
    assert!(problem.detail.len() <= EVIDENCE_OCTETS_MAX && problem.kind.len() <= 128);
    assert!(problem.subject.len() <= 512 && problem.subproblems.len() <= SUBPROBLEMS_MAX);
    assert!(problem.retry_after_ms.is_none_or(|ms| (1000..=RETRY_AFTER_MS_MAX).contains(&ms)));
    recorded(OrderEvent::OrderRefused { problem: problem.clone() });
}

fn url(text: &str) {
    assert!(text.starts_with("https://"), "`{text}` is not https");
    assert!(text.len() <= URL_OCTETS_MAX, "an URL of {} octets", text.len());
    assert!(text.bytes().all(|octet| octet.is_ascii_graphic()), "`{text:?}` is no URL");
}

/// Each of these says whether there was a value.
pub(super) fn nothing(answer: Result<(), Problem>) -> bool {
    answer.inspect_err(problem).is_ok()
}

pub(super) fn directory(answer: Result<Directory, Problem>) -> bool {
    let directory = answer.inspect_err(problem);
    directory.map(|directory| recorded(AccountEvent::DirectoryObserved(directory))).is_ok()
}

pub(super) fn registered(answer: Result<RegisteredAccount, Problem>) -> bool {
    let is_value = answer.is_ok();
    match answer {
        Ok(RegisteredAccount { url: at, already_existed }) => {
            url(&at);
            recorded(AccountEvent::AccountRegistered { url: at, already_existed });
        }
        Err(refusal) => {
            let text = format!("{refusal:?}").to_ascii_lowercase();
            assert!(!text.contains(CONTACT), "a contact goes into the log: {text}");
            problem(&refusal);
        }
    }
    is_value
}

/// Gives the order's URL.
pub(super) fn order(answer: Result<OrderLook, Problem>) -> Option<String> {
    match answer {
        Ok(look) => {
            order_look(&look);
            Some(look.url)
        }
        Err(refusal) => {
            problem(&refusal);
            None
        }
    }
}

fn order_look(look: &OrderLook) {
    url(&look.url);
    assert!(look.authorizations.len() <= AUTHORIZATIONS_MAX, "{}", look.authorizations.len());
    look.authorizations.iter().map(String::as_str).chain(look.certificate.as_deref()).for_each(url);
    assert!(look.retry_after_ms.is_none_or(|ms| (1000..=RETRY_AFTER_MS_MAX).contains(&ms)));
    if let Some(said) = &look.problem {
        problem(said);
    }
    recorded(OrderEvent::OrderCreated {
        url: look.url.clone(),
        authorizations: look.authorizations.clone(),
        status: look.status,
        expires: look.expires,
        found: Found::Answer,
    });
}

pub(super) fn found(answer: Result<FoundOrder, Problem>) -> bool {
    let is_value = answer.is_ok();
    match answer {
        Ok(FoundOrder::Answered(look) | FoundOrder::Found(look)) => order_look(&look),
        Ok(FoundOrder::NoList(evidence)) => {
            assert!(evidence.len() <= EVIDENCE_OCTETS_MAX, "{} octets", evidence.len());
            recorded(OrderEvent::OrderRequestUnresolved { evidence });
        }
        Ok(FoundOrder::NotThere) => {}
        Err(refusal) => problem(&refusal),
    }
    is_value
}

/// Gives the first challenge.
pub(super) fn authorizations(answer: Result<Vec<AuthorizationLook>, Problem>) -> Option<Challenge> {
    let looks = answer.inspect_err(problem).ok()?;
    assert!(looks.len() <= AUTHORIZATIONS_MAX, "{} authorizations", looks.len());
    for look in &looks {
        url(&look.url);
        assert!(look.offers.len() <= 16 && look.offers.iter().all(|offer| offer.len() <= 64));
        if let Some(said) = &look.problem {
            problem(said);
        }
        recorded(AuthorizationEvent::AuthorizationSeen {
            order: OrderId::default(),
            certificate: CertificateId::default(),
            url: look.url.clone(),
            identifier: look.identifier.clone(),
            expires: look.expires,
            offers: look.offers.clone(),
            valid: false,
        });
        if let Some(challenge) = &look.http01 {
            url(&challenge.url);
            let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!((22..=128).contains(&challenge.token.len()), "{}", challenge.token);
            assert!(challenge.token.bytes().all(token), "{:?}", challenge.token);
            recorded(AuthorizationEvent::ChallengeChosen(challenge.clone()));
        }
    }
    looks.into_iter().find_map(|look| look.http01)
}

pub(super) fn leaf(answer: Result<Leaf, Problem>) -> bool {
    let is_value = answer.is_ok();
    match answer {
        Ok(leaf) => {
            assert!((1..=10).contains(&leaf.certificates));
            recorded(OrderEvent::ChainDownloaded(leaf));
        }
        Err(refusal) => problem(&refusal),
    }
    is_value
}

pub(super) fn window(answer: Result<RenewalWindow, Problem>) -> bool {
    let is_value = answer.is_ok();
    match answer {
        Ok(window) => {
            assert!(window.start < window.end, "{window:?}");
            let RenewalWindow { start, end, explanation_url, retry_after_ms } = window;
            assert!(retry_after_ms.is_none_or(|ms| ms <= RETRY_AFTER_MS_MAX));
            let ari_id = String::new();
            recorded(ScheduleEvent::AriWindowLearned { ari_id, start, end, explanation_url });
        }
        Err(refusal) => problem(&refusal),
    }
    is_value
}
