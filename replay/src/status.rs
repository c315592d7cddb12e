//! Every certificate in one row: its state, what is served, and exactly one next action with its time
//! and its reason. What is going on in a renewal is read off the facts of its streams.

mod doing;
mod next;
mod place;
mod retry;
pub mod slow;
pub mod waiting;

use renewd_events::binding::Setback;
use renewd_events::certificate::Certificate;
use renewd_events::id::CertificateId;
use renewd_events::listener::Listener;
use renewd_events::{Facts, WallMs};
use serde::Serialize;

use crate::codes;
use crate::escape;
use crate::renewals::{shown, shown_if};
use crate::why::Witnesses;
use crate::why::case::{self, Found};

pub use doing::{Doing, doing};
pub(crate) use next::is_due;
pub use place::{BindingStatus, Proof, Served};
pub use retry::backoff;

/// The schema of this JSON; within `/1` fields are only added.
pub const SCHEMA: &str = "renewd.status/1";

/// How a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Valid, served where it is wanted, and the next renewal is planned.
    Ok,
    /// There is none yet, and none failed: the first is about to be ordered.
    First,
    /// The renewal's time has come; it waits for its turn.
    Due,
    /// A renewal is under way.
    Renewing,
    /// Something has to be waited for that is not this certificate's: terms, or the port for
    /// challenges.
    Waiting,
    /// It is issued, and not everywhere served.
    NotServed,
    /// The last renewal failed of something that is over; it is tried again by itself.
    Retrying,
    /// The last renewal failed, or the account does not come about.
    Failing,
    /// The configuration no longer names it.
    Orphan,
    /// Nothing is done: the log holds an event that cannot follow, or renewd failed over it.
    Broken,
}

impl State {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::First => "first",
            Self::Due => "due",
            Self::Renewing => "renewing",
            Self::Waiting => "waiting",
            Self::NotServed => "NOT SERVED",
            Self::Retrying => "retry",
            Self::Failing => "FAIL",
            Self::Orphan => "orphan",
            Self::Broken => "BROKEN",
        }
    }

    /// Whether a person should look.
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::NotServed | Self::Failing | Self::Broken | Self::Waiting => true,
            Self::Ok | Self::First | Self::Due | Self::Renewing | Self::Retrying | Self::Orphan => {
                false
            }
        }
    }
}

/// What happens next, when, and why then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextAction {
    /// When; absent: it is under way, or it waits for a person, whom it names.
    #[serde(serialize_with = "shown_if")]
    pub at: Option<WallMs>,
    /// What.
    pub what: String,
    /// Why then.
    pub why: String,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The cause.
    pub code: String,
    /// The cause in a few words, and the evidence, made inert.
    pub sentence: String,
    /// When.
    #[serde(serialize_with = "shown")]
    pub at: WallMs,
    /// How often in a row.
    pub times: u32,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateStatus {
    /// Its configured name.
    pub name: String,
    /// Its id.
    #[serde(serialize_with = "shown")]
    pub id: CertificateId,
    /// The names in it, as configured.
    pub identifiers: Vec<String>,
    /// How it is.
    pub state: State,
    /// What is served.
    pub served: Served,
    /// The newest issue, by its number.
    pub generation: Option<u32>,
    /// When it was last renewed.
    #[serde(serialize_with = "shown_if")]
    pub last_renewed: Option<WallMs>,
    /// When the newest issue expires.
    #[serde(serialize_with = "shown_if")]
    pub expires: Option<WallMs>,
    /// It has expired.
    pub expired: bool,
    /// What is going on.
    pub doing: Option<Doing>,
    /// The one next action.
    pub next: NextAction,
    /// What went wrong.
    pub trouble: Option<Trouble>,
    /// Where it is wanted.
    pub bindings: Vec<BindingStatus>,
}

/// Every certificate, by name. `witnesses` must have read the same events as `facts`, or a few more or
/// less: they make the cause of a failure more exact.
pub fn status(facts: &Facts, witnesses: &Witnesses, now: WallMs) -> Vec<CertificateStatus> {
    let one = |(id, it): (&CertificateId, &Certificate)| one(facts, witnesses, *id, it, now);
    let mut rows: Vec<CertificateStatus> = facts.certificates.iter().map(one).collect();
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    rows
}

/// One certificate. What is wrong with it has the code that `why` gives.
pub fn one(
    facts: &Facts,
    witnesses: &Witnesses,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
) -> CertificateStatus {
    row(facts, id, it, now, case::find(facts, witnesses, id, it, now).as_ref())
}

/// The row of a certificate with this cause of trouble.
pub(crate) fn row(
    facts: &Facts,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
    found: Option<&Found>,
) -> CertificateStatus {
    let bindings: Vec<BindingStatus> =
        facts.bindings_of(id).map(|(_, binding)| place::of(facts, it, binding)).collect();
    let expires = it.expires();
    CertificateStatus {
        name: escape::text(it.name()),
        id,
        identifiers: it
            .declared
            .iter()
            .flat_map(|declared| &declared.identifiers)
            .map(|name| escape::text(name.as_str()))
            .collect(),
        state: state(facts, id, it, now, &bindings, found),
        served: place::all(it, &bindings),
        generation: it.current.as_ref().map(|issue| issue.generation.0),
        last_renewed: it.renewed_at,
        expires,
        expired: expires.is_some_and(|at| at <= now),
        doing: doing(facts, id),
        next: next::next(facts, id, it, now),
        trouble: found.map(Trouble::of),
        bindings,
    }
}

/// Failures in a row of a cause that passes: whatever goes on after them is not over by itself.
const PASSING_TRIES_MAX: u32 = 2;

/// What made the last renewal fail is over: nobody has to do anything for the next one.
fn is_over(found: &Found) -> bool {
    found.tries <= PASSING_TRIES_MAX && [codes::ABSENT, codes::CA_CHANGED].contains(&found.code)
}

fn state(
    facts: &Facts,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
    bindings: &[BindingStatus],
    found: Option<&Found>,
) -> State {
    let unserved = it.current.is_some()
        && (bindings.iter().any(|binding| binding.trouble.is_some()) || place::is_shut(facts, id));
    let aside = found.is_some_and(|found| found.code == codes::SET_ASIDE);
    if it.anomaly.is_some() || aside {
        State::Broken
    } else if it.orphaned.is_some() {
        State::Orphan
    } else if unserved {
        State::NotServed
    } else if it.run.is_some() {
        State::Renewing
    } else if it.failure.is_some() {
        if found.is_some_and(is_over) { State::Retrying } else { State::Failing }
    } else if next::waits_for_terms(facts, it) || next::waits_for_another_ca(facts, it) {
        State::Waiting
    } else if case::account_fails(facts, it) {
        State::Failing
    } else if found.is_some() {
        // The port for challenges, which another program has.
        State::Waiting
    } else if it.current.is_none() {
        State::First
    } else if next::is_due(facts, id, now) {
        State::Due
    } else {
        State::Ok
    }
}

/// The address for challenges that another program holds in this life of the process, while no other
/// is open: nothing can be validated then. A listener of ours that no binding needs is one for challenges.
pub fn challenge_port_held(facts: &Facts) -> Option<(&Listener, &Setback)> {
    let ours = facts.listeners.values().filter(|listener| listener.needed.is_none());
    let present = facts.engine.boot;
    if ours.clone().any(|listener| listener.opened == Some(present)) {
        return None;
    }
    let mut held = ours.filter_map(|listener| Some((listener, listener.setback.as_ref()?)));
    held.find(|(_, setback)| setback.at >= facts.engine.booted_at)
}

impl Trouble {
    /// A cause in few words, with the newest evidence.
    fn of(found: &Found) -> Self {
        let first = found.evidence.first();
        let sentence = match first {
            Some(evidence) => format!("{}; {}", found.code.title, evidence.text),
            None => found.code.title.to_owned(),
        };
        let at = first.and_then(|evidence| evidence.at).unwrap_or(found.since);
        Self { code: found.code.to_string(), sentence, at, times: found.tries }
    }
}

fn trouble(code: &str, said: &str, at: WallMs, times: u32) -> Trouble {
    let sentence = match codes::find(code) {
        Some(known) => format!("{}; {said}", known.title),
        None => said.to_owned(),
    };
    Trouble { code: escape::field(code, 16), sentence, at, times }
}

#[cfg(test)]
mod tests;
