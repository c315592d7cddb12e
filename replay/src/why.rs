//! Why a certificate is as it is: cause, evidence, what to do, and what happens otherwise. The first
//! cause that evidence proves is named, not the last error seen.

pub(crate) mod aside;
pub(crate) mod case;
mod issuing;
mod looked;
pub mod rules;
mod unanswered;
mod unserved;
mod witness;

use renewd_events::id::{CertificateId, Seq};
use renewd_events::{Facts, WallMs};
use serde::Serialize;

use crate::codes::Code;
use crate::renewals::{shown, shown_if};
use crate::status::{self, NextAction, Served, State};
use crate::when;

pub use witness::{Witnesses, problem_of};

/// The schema of this JSON.
pub const SCHEMA: &str = "renewd.why/1";

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it is in the log; absent when it follows from the state.
    pub seq: Option<Seq>,
    /// When.
    #[serde(serialize_with = "shown_if")]
    pub at: Option<WallMs>,
    /// In words, those of the other side made inert.
    pub text: String,
}

/// Why a certificate is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The certificate's configured name.
    pub certificate: String,
    /// How it is.
    pub state: State,
    /// One sentence: what, where, since when.
    pub sentence: String,
    /// The cause; absent when all is well.
    pub code: Option<Code>,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// Since when the cause holds.
    #[serde(serialize_with = "shown_if")]
    pub since: Option<WallMs>,
    /// How often it was tried since then.
    pub tries: u32,
    /// What is served now.
    pub served_now: String,
    /// What a person can do; empty when there is nothing to do.
    pub do_this: String,
    /// What happens otherwise.
    pub next: NextAction,
    /// For which moment this is said.
    #[serde(serialize_with = "shown")]
    pub now: WallMs,
}

/// Why the certificate is as it is; nothing when the log does not know it. `witnesses` must
/// have read the same events as `facts`.
pub fn why(facts: &Facts, witnesses: &Witnesses, id: CertificateId, now: WallMs) -> Option<Why> {
    let certificate = facts.certificates.get(&id)?;
    let found = case::find(facts, witnesses, id, certificate, now);
    let row = status::row(facts, id, certificate, now, found.as_ref());
    let name = if row.name.is_empty() { id.to_string() } else { row.name.clone() };
    let mut out = Why {
        certificate: name.clone(),
        state: row.state,
        sentence: well(&name, &row, now),
        code: None,
        evidence: Vec::new(),
        since: None,
        tries: 0,
        served_now: served_now(&row, now),
        do_this: String::new(),
        next: row.next.clone(),
        now,
    };
    if let Some(found) = found {
        out.sentence = found.sentence;
        out.code = Some(found.code);
        out.evidence = found.evidence;
        out.since = Some(found.since);
        out.tries = found.tries;
        out.do_this = found.remedy;
        if row.expired {
            out.sentence = format!("{name} has expired. {}", out.sentence);
        }
    }
    Some(out)
}

/// What is said when no cause for trouble was found.
fn well(name: &str, row: &status::CertificateStatus, now: WallMs) -> String {
    match row.state {
        State::Renewing => match &row.doing {
            Some(doing) => format!(
                "{name} is being renewed: {} (for {}).",
                doing.what,
                when::span(now.since(doing.since))
            ),
            None => format!("{name} is being renewed."),
        },
        State::First => format!("{name} has no certificate yet; the first is about to be ordered."),
        State::Due => format!("{name} is due; it waits for its turn."),
        State::Ok => match row.expires {
            Some(at) if row.expired => {
                format!("{name} has expired ({}), and no failure is known.", when::both(at, now))
            }
            Some(at) => format!("All is well with {name}: it expires {}.", when::both(at, now)),
            None => format!("All is well with {name}."),
        },
        State::Waiting => format!("{name} waits: {}.", row.next.why),
        State::Orphan => format!("{name} is no longer in the configuration."),
        State::NotServed | State::Retrying | State::Failing | State::Broken => match &row.trouble {
            Some(trouble) => format!("{name}: {}.", trouble.sentence),
            None => format!("{name}: {}.", row.next.why),
        },
    }
}

fn served_now(row: &status::CertificateStatus, now: WallMs) -> String {
    let life = match row.expires {
        Some(at) if row.expired => format!("expired {}", when::relative(at, now)),
        Some(at) => format!("valid {} more", when::span(at.since(now))),
        None => return "nothing: there is no certificate yet".to_owned(),
    };
    let generation = row.generation.unwrap_or(0);
    match row.served {
        Served::Everywhere => format!("generation {generation}, {life}"),
        Served::OnDisk => format!(
            "generation {generation} is in its files (no `verify`: no server was asked), {life}"
        ),
        Served::Older => {
            let seen = row.bindings.iter().filter_map(|binding| binding.generation).min();
            format!(
                "generation {} somewhere; the newest is {generation}, {life}",
                seen.unwrap_or(0)
            )
        }
        Served::Partly if !row.bindings.iter().any(|binding| binding.served) => {
            format!("not seen anywhere; the newest is generation {generation}, {life}")
        }
        Served::Partly => {
            format!("not seen everywhere; the newest is generation {generation}, {life}")
        }
        Served::Nothing => format!("nowhere wanted; the newest is generation {generation}, {life}"),
    }
}

/// As people read it.
pub fn text(why: &Why) -> String {
    let code = why.code.map_or_else(String::new, |code| format!("  {code}"));
    let mut out = format!("{}: {}{code}\n{}\n", why.certificate, why.state.word(), why.sentence);
    let mut line = |label: &str, said: &str| {
        out.push_str(&format!("  {label:<10} {said}\n"));
    };
    for (place, evidence) in why.evidence.iter().enumerate() {
        let label = if place == 0 { "evidence" } else { "" };
        let origin = match (evidence.seq, evidence.at) {
            (Some(seq), Some(at)) => format!("event {seq}, {}: ", when::moment(at)),
            (Some(seq), None) => format!("event {seq}: "),
            (None, Some(at)) => format!("{}: ", when::moment(at)),
            (None, None) => String::new(),
        };
        line(label, &format!("{origin}{}", evidence.text));
    }
    if let Some(since) = why.since {
        let tries = match why.tries {
            0 => String::new(),
            1 => " (1 try)".to_owned(),
            n => format!(" ({n} tries)"),
        };
        line("since", &format!("{}{tries}", when::minute(since)));
    }
    line("served now", &why.served_now);
    if !why.do_this.is_empty() {
        line("do", &why.do_this);
    }
    let at = why.next.at.map_or_else(String::new, |at| format!(" {}", when::both(at, why.now)));
    let label = match (why.code, why.next.at) {
        (None, _) => "next",
        _ if why.state == State::Retrying => "next",
        (Some(_), Some(_)) => "otherwise",
        // Nothing of ours changes it.
        (Some(_), None) => "meanwhile",
    };
    line(label, &format!("{}{at}: {}", why.next.what, why.next.why));
    if let Some(code) = why.code {
        line("more", &format!("renewd explain {code}"));
    }
    out
}

#[cfg(test)]
mod tests;
