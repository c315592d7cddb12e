//! Every event as one line for people. Text from outside is made inert and cut here.

mod order;
mod serving;

use renewd_events::Event;
use renewd_events::account::AccountEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{DnsName, Seq};
use renewd_events::problem::Problem;
use renewd_events::process::{ClockEvent, EngineEvent, Mending, Previous, StopReason};
use renewd_events::schedule::{Cause, ScheduleEvent};

use crate::escape::{field, text};
use crate::when;

pub use order::asked;

/// Words of the other side within a line; the whole is in `why` and in JSON.
const SAID_CHARACTERS_MAX: usize = 96;
/// An URL within a line.
const URL_CHARACTERS_MAX: usize = 80;
/// Names listed before `and n more`.
const NAMES_MAX: usize = 3;

/// The event in one line. No newline, no control character, whatever the world has sent.
pub fn sentence(event: &Event) -> String {
    match event {
        Event::Engine(event) => engine(event),
        Event::Clock(event) => clock(event),
        Event::Account(event) => account(event),
        Event::Certificate(event) => certificate(event),
        Event::Schedule(event) => schedule(event),
        Event::Order(event) => order::order(event),
        Event::Authorization(event) => order::authorization(event),
        Event::Binding(event) => serving::binding(event),
        Event::Listener(event) => serving::listener(event),
        Event::Restart(event) => serving::restart(event),
    }
}

/// A problem in a few words: its kind and what was said.
pub fn problem(problem: &Problem) -> String {
    let kind = field(problem.short_kind(), 40);
    let status = match problem.status {
        0 => String::new(),
        status => format!(" ({status})"),
    };
    if problem.detail.is_empty() {
        format!("{kind}{status}")
    } else {
        format!("{kind}{status}: {}", field(&problem.detail, SAID_CHARACTERS_MAX))
    }
}

/// Why a renewal is planned or begun.
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::FirstIssue => "there is no certificate yet",
        Cause::AriWindow => "the CA suggests this time (ARI)",
        Cause::LifeLeft => "a share of its life is over",
        Cause::DaysLeft => "fewer days are left than configured",
        Cause::Retry => "the last try failed",
        Cause::Operator => "a person asked for it",
        Cause::NamesChanged => "the configured names changed",
        Cause::CaChanged => "another CA is configured than the one that issued",
        Cause::Lost => "the key or the chain of the newest certificate is lost",
    }
}

/// The first names, and how many more.
pub fn names(identifiers: &[DnsName]) -> String {
    let mut told: Vec<String> =
        identifiers.iter().take(NAMES_MAX).map(|name| text(name.as_str())).collect();
    if let more @ 1.. = identifiers.len().saturating_sub(NAMES_MAX) {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}

fn url(raw: &str) -> String {
    field(raw, URL_CHARACTERS_MAX)
}

fn times(count: u32, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

fn engine(event: &EngineEvent) -> String {
    match event {
        EngineEvent::EngineBooted { identity, version, previous, tail } => {
            let before = match previous {
                Previous::None => "the first start",
                Previous::Clean => "the last life ended cleanly",
                Previous::Crashed => "the last life was killed or crashed",
                Previous::PowerLost => "the machine was started afresh meanwhile",
            };
            format!(
                "boot {} (pid {}, renewd {}): {before}; {tail} events found",
                identity.boot,
                identity.pid,
                field(version, 24)
            )
        }
        EngineEvent::EngineStopping { reason } => match reason {
            StopReason::Asked => "stopping: it was asked for".to_owned(),
            StopReason::Restart(_) => "stopping: a planned restart".to_owned(),
            StopReason::Fatal => "stopping: the engine cannot go on".to_owned(),
        },
        EngineEvent::EngineStopped => "stopped cleanly".to_owned(),
        EngineEvent::ActorFailed { actor, incarnation, text } => {
            format!("{actor} (life {incarnation}) failed: {}", field(text, SAID_CHARACTERS_MAX))
        }
        EngineEvent::ActorRestarted { actor, incarnation } => {
            format!("{actor} started again from its events (life {incarnation})")
        }
        EngineEvent::RestartIntensityExceeded { actor, failures } => {
            format!("{actor} failed {failures} times within the window; the process ends")
        }
        EngineEvent::LogMended { by, kept, lost_to, end_known, evidence } => {
            mended(*by, (*kept, *lost_to, *end_known), evidence)
        }
        EngineEvent::SubjectSetAside { actor, stream, strikes, text } => format!(
            "{actor} leaves {stream} alone until it is started again: it failed over it {} ({})",
            times(*strikes, "time"),
            field(text, SAID_CHARACTERS_MAX)
        ),
        EngineEvent::LogWritableAgain { since, cause, refused } => format!(
            "the log is written again; since {} it could not be ({}), {} refused",
            when::moment(*since),
            field(cause, SAID_CHARACTERS_MAX),
            times(*refused, "append")
        ),
    }
}

fn mended(by: Mending, (kept, lost_to, end_known): (Seq, Seq, bool), evidence: &str) -> String {
    let done = match by {
        Mending::Repair => "the log was repaired by hand",
        Mending::Restore => "the log was restored from an export or a backup",
    };
    let lost = match (lost_to > kept, end_known) {
        (true, true) => format!("events {} to {lost_to} are lost", kept.next()),
        (true, false) => format!("events {} to {lost_to} are lost, perhaps more", kept.next()),
        (false, true) => "no event is lost".to_owned(),
        (false, false) => format!("whether there were events after {kept} cannot be told"),
    };
    let then = if lost_to > kept || !end_known {
        "; the CA is asked before anything is bought"
    } else {
        ""
    };
    format!("{done}: {lost}{then} ({})", field(evidence, SAID_CHARACTERS_MAX))
}

fn clock(event: &ClockEvent) -> String {
    match event {
        ClockEvent::DailyCheckRan { certificates, renewing, failing } => format!(
            "daily check: {}, {renewing} renewing, {failing} failing",
            times(*certificates, "certificate")
        ),
        ClockEvent::WallClockJumped { delta_ms } => {
            let way = if *delta_ms < 0 { "back" } else { "forward" };
            format!("the clock jumped {way} by {}", when::span_ms(delta_ms.unsigned_abs()))
        }
    }
}

fn account(event: &AccountEvent) -> String {
    match event {
        AccountEvent::AccountDeclared { directory_url, contacts_hash: _, contacts } => {
            format!(
                "account wanted at {} ({})",
                url(directory_url),
                times((*contacts).into(), "contact")
            )
        }
        AccountEvent::DirectoryObserved(directory) => format!(
            "directory read: {}renewal information {}",
            match directory.profiles.len() {
                0 => String::new(),
                n => format!("{n} profiles, "),
            },
            if directory.renewal_info { "offered" } else { "not offered" }
        ),
        AccountEvent::DirectoryUnreachable { problem: said } => {
            format!("directory not readable: {}", problem(said))
        }
        AccountEvent::TermsAccepted { terms_url, by } => format!(
            "terms accepted by {}: {}",
            field(by, 40),
            terms_url.as_deref().map_or_else(|| "their URL not yet known".to_owned(), url)
        ),
        AccountEvent::RegistrationUnanswered { problem: said } => {
            format!("account request without an answer to go by: {}", problem(said))
        }
        AccountEvent::PersonRequired { problem: said, failed_at: _ } => {
            format!("nothing is ordered until a person acts: {}", problem(said))
        }
        AccountEvent::AgreementRequested(_) => "agreement to the terms announced".to_owned(),
        AccountEvent::AgreementTaken { url: at } => {
            format!("agreement to the terms taken: {}", url(at))
        }
        AccountEvent::AgreementRefused { problem: said } => {
            format!("agreement to the terms refused: {}", problem(said))
        }
        AccountEvent::AccountKeyCreated { key_ref, thumbprint } => {
            format!(
                "account key {} is durable, thumbprint {}",
                text(&key_ref.0),
                field(thumbprint, 48)
            )
        }
        AccountEvent::AccountRequested(_) => "account requested".to_owned(),
        AccountEvent::AccountRegistered { url: at, already_existed } => {
            let known = if *already_existed { " (the CA knew the key)" } else { "" };
            format!("account registered{known}: {}", url(at))
        }
        AccountEvent::AccountRefused { problem: said } => {
            format!("account refused: {}", problem(said))
        }
        AccountEvent::ContactsChangeRequested { .. } => "change of contacts requested".to_owned(),
        AccountEvent::ContactsChanged { .. } => "contacts changed".to_owned(),
        AccountEvent::ContactsChangeFailed { contacts_hash: _, problem: said } => {
            format!("contacts not changed: {}", problem(said))
        }
    }
}

fn certificate(event: &CertificateEvent) -> String {
    match event {
        CertificateEvent::CertificateDeclared(declared) => {
            format!("{} wanted for {}", text(&declared.name), names(&declared.identifiers))
        }
        CertificateEvent::CertificateOrphaned => {
            "no longer in the configuration: kept, not renewed".to_owned()
        }
        CertificateEvent::RenewalStarted { number, cause: why, attempt, replaces } => {
            let replaces = match replaces {
                Some(id) => format!("; replaces {}", field(id, 40)),
                None => String::new(),
            };
            let attempt = match attempt {
                0 | 1 => String::new(),
                n => format!(", try {n}"),
            };
            format!("renewal {number} started{attempt}: {}{replaces}", cause(*why))
        }
        CertificateEvent::CertificateKeyRequested(request) => {
            format!("key {} requested", text(&request.key_ref.0))
        }
        CertificateEvent::CertificateKeyCreated { key_ref, spki: _, csr } => {
            format!("key {} is durable; CSR of {} octets", text(&key_ref.0), csr.len())
        }
        CertificateEvent::CertificateKeyFailed { problem: said } => {
            format!("key not made: {}", problem(said))
        }
        CertificateEvent::GenerationAdopted(issue) => format!(
            "generation {} adopted: serial {}, valid to {}",
            issue.generation,
            field(&issue.leaf.serial, 48),
            when::minute(issue.leaf.not_after)
        ),
        CertificateEvent::RenewalSucceeded { generation } => {
            format!("renewed: generation {generation} was seen at every place")
        }
        CertificateEvent::RenewalEndedUnserved { generation } => {
            format!("ended: generation {generation} is issued, and not everywhere served")
        }
        CertificateEvent::RenewalFailed { code: _, problem: said } => {
            format!("renewal failed: {}", problem(said))
        }
    }
}

fn schedule(event: &ScheduleEvent) -> String {
    match event {
        ScheduleEvent::AriWindowLearned { ari_id: _, start, end, explanation_url } => {
            let reason = match explanation_url {
                Some(page) => format!("; the CA's reason: {}", url(page)),
                None => String::new(),
            };
            format!("the CA suggests {} to {}{reason}", when::minute(*start), when::minute(*end))
        }
        ScheduleEvent::AriLookFailed { ari_id: _, problem: said } => {
            format!("the suggested window is not readable: {}", problem(said))
        }
        ScheduleEvent::RenewalScheduled { at, cause: why, attempt } => {
            let attempt = match attempt {
                0 | 1 => String::new(),
                n => format!(" (try {n})"),
            };
            format!("next renewal {}{attempt}: {}", when::minute(*at), cause(*why))
        }
        ScheduleEvent::RenewalRequested { by } => {
            format!("renewal asked for by {}", field(by, 40))
        }
    }
}
