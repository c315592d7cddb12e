//! Which cause holds for a certificate now: log, then what is not served, then the last failure, then
//! the account.

use renewd_events::account::Registration;
use renewd_events::authorization::Probe;
use renewd_events::binding::{Binding, Target};
use renewd_events::certificate::{Certificate, Failure};
use renewd_events::id::{CertificateId, Seq, StreamId};
use renewd_events::listener::Listener;
use renewd_events::problem::Problem;
use renewd_events::restart::Phase;
use renewd_events::{Facts, WallMs};

use super::Evidence;
use super::rules::{self, Case, Rule};
use super::witness::{Absence, Witness};
use super::{issuing, looked, unanswered};
use crate::codes::{self, Code, Step};
use crate::escape::{self, FIELD_CHARACTERS_MAX};
use crate::when;

/// Subproblems and further names shown.
const PARTS_MAX: usize = 4;

/// A cause, told.
pub(super) struct Found {
    pub(super) code: Code,
    pub(super) sentence: String,
    pub(super) remedy: String,
    pub(super) evidence: Vec<Evidence>,
    pub(super) since: WallMs,
    pub(super) tries: u32,
}

/// The cause that holds, if there is one.
pub(super) fn find(
    facts: &Facts,
    witness: &Witness,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
) -> Option<Found> {
    anomaly(facts, it)
        .or_else(|| orphan(it))
        .or_else(|| unserved(facts, witness, id, it))
        .or_else(|| unanswered::find(facts, id, it))
        .or_else(|| issuing::find(facts, id, it, now))
        .or_else(|| terms(facts, it))
        .or_else(|| it.failure.as_ref().map(|failure| failed(witness, it, failure)))
        .or_else(|| account(facts, witness, it))
}

fn anomaly(facts: &Facts, it: &Certificate) -> Option<Found> {
    let anomaly = it.anomaly.as_ref()?;
    Some(Found {
        code: codes::IMPOSSIBLE_EVENT,
        sentence: format!(
            "Nothing is done about {}: event {} ({}) does not follow from what was before.",
            escape::text(it.name()),
            anomaly.seq,
            anomaly.event
        ),
        remedy: "renewd log verify; then report it with renewd log export".to_owned(),
        evidence: vec![Evidence {
            seq: Some(anomaly.seq),
            at: None,
            text: format!("{} in a state that has no place for it", anomaly.event),
        }],
        since: facts.engine.booted_at,
        tries: 0,
    })
}

fn orphan(it: &Certificate) -> Option<Found> {
    it.orphaned.then(|| Found {
        code: codes::NOT_CONFIGURED,
        sentence: format!(
            "{} is no longer in the configuration: it is kept and not renewed.",
            escape::text(it.name())
        ),
        remedy: "put it back into the configuration, or leave it".to_owned(),
        evidence: Vec::new(),
        since: it.renewed_at.unwrap_or_default(),
        tries: 0,
    })
}

/// A rule's words about a case, with the problem as the first evidence.
pub(super) fn told(
    case: &Case<'_>,
    rule: &Rule,
    place: (Option<Seq>, WallMs),
    tries: u32,
) -> Found {
    let problem = case.problem;
    let mut evidence = vec![Evidence { seq: place.0, at: Some(place.1), text: said(problem) }];
    for part in problem.subproblems.iter().take(PARTS_MAX) {
        let kind = part.kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(&part.kind);
        let text = format!(
            "{}: {}: {}",
            escape::field(&part.identifier, 80),
            escape::field(kind, 40),
            escape::field(&part.detail, FIELD_CHARACTERS_MAX)
        );
        evidence.push(Evidence { seq: None, at: None, text });
    }
    Found {
        code: rule.code,
        sentence: case.sentence(rule),
        remedy: rule.remedy.to_owned(),
        evidence,
        since: place.1,
        tries,
    }
}

/// The other side's own words, whole and inert.
fn said(problem: &Problem) -> String {
    let mut text = escape::field(problem.short_kind(), 60);
    if problem.status != 0 {
        text.push_str(&format!(" ({})", problem.status));
    }
    if !problem.detail.is_empty() {
        text.push_str(": ");
        text.push_str(&escape::field(&problem.detail, FIELD_CHARACTERS_MAX));
    }
    if !problem.subject.is_empty() {
        text.push_str(&format!("  [{}]", escape::field(&problem.subject, 160)));
    }
    text
}

/// The last renewal failed. The problem of the name that failed first is a better witness than the
/// order's summary.
fn failed(witness: &Witness, it: &Certificate, failure: &Failure) -> Found {
    let checked = witness
        .checked
        .values()
        .filter_map(|checked| Some((checked, checked.failed.as_ref()?)))
        .min_by_key(|(_, (_, _, seq, _))| *seq);
    let last = witness.failures.last();
    let seq = last.map(|failed| failed.seq);
    let recorded = codes::find(&failure.code);
    let (step, problem, place) = match (checked, &witness.order) {
        (Some((_, (step, problem, seq, at))), _) => (*step, problem, (Some(*seq), *at)),
        (None, Some((step, problem, seq, at))) => (*step, problem, (Some(*seq), *at)),
        (None, None) => (step_of(&failure.code), &failure.problem, (seq, failure.at)),
    };
    let name =
        checked.map_or_else(|| it.name().to_owned(), |(checked, _)| checked.identifier.clone());
    let absence = checked.and_then(|(checked, _)| checked.absence);
    let case = Case {
        name,
        visits: checked.map(|(checked, _)| checked.visits),
        probe: checked.and_then(|(checked, _)| checked.probe.as_ref()),
        absent: absence.is_some(),
        earlier: earlier(witness),
        ..Case::of(step, problem)
    };
    let rule = rules::find(&case);
    let mut found = told(&case, rule, place, it.failures);
    // A later version may not know the words that an earlier one understood.
    if let Some(recorded) = recorded
        && is_general(found.code)
        && !is_general(recorded)
    {
        found.code = recorded;
        found.sentence = format!("{}: {}.", escape::text(it.name()), recorded.title);
        found.remedy = format!("renewd explain {recorded}");
    }
    let own = checked.and_then(|(checked, _)| own_evidence(&case, checked.visits));
    found.evidence.extend(own.map(|text| Evidence { seq: None, at: None, text }));
    if witness.unresolved > 0 {
        let text = format!("{} orders whose fate nobody can tell", witness.unresolved);
        found.evidence.push(Evidence { seq: None, at: None, text });
    }
    match absence.filter(|_| found.code == codes::ABSENT) {
        Some(absence) => found.evidence.extend(absent(absence)),
        None => found.since = since(witness, &failure.code).unwrap_or(failure.at),
    }
    found
}

/// The request, and the gap between it and the verdict.
fn absent(absence: Absence) -> [Evidence; 2] {
    let (asked, started) = (absence.asked, absence.started);
    let gone = when::moment(absence.from);
    [
        Evidence {
            seq: Some(asked.0),
            at: Some(asked.1),
            text: "the CA was asked to look".to_owned(),
        },
        Evidence {
            seq: Some(started.0),
            at: Some(started.1),
            text: format!("renewd began again; its last sign of life before: {gone}"),
        },
    ]
}

/// What we saw ourselves. No fetch counted proves nothing: the count does not survive the process.
fn own_evidence(case: &Case<'_>, visits: u32) -> Option<String> {
    let seen = match visits {
        0 => None,
        1 => Some("our responder saw 1 fetch of the token".to_owned()),
        n => Some(format!("our responder saw {n} fetches of the token")),
    };
    let probe = match case.probe {
        None => None,
        Some(Probe::Seen) => Some("our own fetch, from here, saw the right answer".to_owned()),
        Some(Probe::NotSeen(what)) => Some(format!(
            "our own fetch, from here, did not see the answer: {}",
            escape::field(what, 200)
        )),
    };
    match (seen, probe) {
        (Some(seen), Some(probe)) => Some(format!("{seen}; {probe}")),
        (seen, probe) => seen.or(probe),
    }
}

fn is_general(code: Code) -> bool {
    [codes::VALIDATION_OTHER, codes::CA_OTHER, codes::LOCAL_OTHER].contains(&code)
}

/// Since when the failures have had this code without a break.
fn since(witness: &Witness, code: &str) -> Option<WallMs> {
    let same = witness.failures.iter().rev().take_while(|failed| failed.code == code);
    same.last().map(|failed| failed.at)
}

/// The latest failure that is no limit: limits follow from it.
fn earlier(witness: &Witness) -> Option<Code> {
    let cause = witness.failures.iter().rev().find(|failed| !failed.code.starts_with("R04"))?;
    codes::find(&cause.code)
}

/// The step that a recorded code speaks of.
fn step_of(code: &str) -> Step {
    match code.get(..3) {
        Some("R02") => Step::Validation,
        Some("R05") => Step::Key,
        Some("R07") => Step::Binding,
        Some("R08") => Step::Restart,
        Some(_) | None => Step::NewOrder,
    }
}

/// It is issued and somewhere not served.
fn unserved(
    facts: &Facts,
    witness: &Witness,
    id: CertificateId,
    it: &Certificate,
) -> Option<Found> {
    it.current.as_ref()?;
    facts.bindings_of(id).find_map(|(binding_id, binding)| {
        listener_of(facts, binding)
            .and_then(|(stream, listener)| closed(facts, witness, stream, listener))
            .or_else(|| {
                let setback = binding.setback.as_ref()?;
                let name = looked::place(binding);
                let case = Case { name, ..Case::of(Step::Binding, &setback.problem) };
                let place = place(witness, binding_id.into(), setback.at);
                let found = told(&case, rules::find(&case), place, setback.count);
                Some(looked::amended(found, binding))
            })
    })
}

fn place(witness: &Witness, stream: StreamId, at: WallMs) -> (Option<Seq>, WallMs) {
    witness.places.get(&stream).map_or((None, at), |(seq, at)| (Some(*seq), *at))
}

fn listener_of<'a>(facts: &'a Facts, binding: &Binding) -> Option<(StreamId, &'a Listener)> {
    let Target::Builtin { address } = binding.target.as_ref()? else {
        return None;
    };
    let (id, listener) =
        facts.listeners.iter().find(|(_, listener)| listener.address == *address)?;
    Some(((*id).into(), listener))
}

/// A listener that is not open: its own cause, or the restart it waits for.
fn closed(
    facts: &Facts,
    witness: &Witness,
    stream: StreamId,
    listener: &Listener,
) -> Option<Found> {
    let setback = listener.setback.as_ref()?;
    let case = Case {
        name: listener.address.clone(),
        holder: listener.holder.as_deref(),
        ..Case::of(Step::Listener, &setback.problem)
    };
    let mut found =
        told(&case, rules::find(&case), place(witness, stream, setback.at), setback.count);
    if let Some(holder) = &listener.holder {
        let text = format!("held by {}", escape::field(holder, 80));
        found.evidence.push(Evidence { seq: None, at: None, text });
    }
    let restart = facts.restarts.values().rev().find(|restart| restart.address == listener.address);
    let (code, said, remedy) = match restart.map(|restart| &restart.phase) {
        Some(Phase::Planned | Phase::Requested(_) | Phase::Observed) => (
            codes::RESTART_WAITS,
            "waits for a restart",
            "nothing, unless it takes long: renewd timeline shows the deadline",
        ),
        Some(Phase::NotObserved) => (
            codes::RESTART_NOT_SEEN,
            "waits for a restart that was asked for and did not happen",
            "restart the service by hand; check what its supervisor does when the program ends",
        ),
        Some(Phase::Finished { verified: false }) => (
            codes::RESTART_IN_VAIN,
            "is still not open after the restart",
            "see the error below: another restart would not help",
        ),
        Some(Phase::Finished { verified: true }) | None => return Some(found),
    };
    let address = escape::field(&listener.address, 80);
    let text = format!("{} {}", found.code, found.sentence);
    found.evidence.push(Evidence { seq: None, at: None, text });
    found.code = code;
    found.sentence = format!("The listener on {address} {said}.");
    found.remedy = remedy.to_owned();
    Some(found)
}

/// What a CA asks a person for: two URLs and its words.
const SAID_MAX: usize = 700;

/// A person must accept terms first.
fn terms(facts: &Facts, it: &Certificate) -> Option<Found> {
    let account = facts.accounts.get(&it.declared.as_ref()?.account)?;
    if account.terms_are_accepted() || it.run.is_some() {
        return None;
    }
    let url = account.directory.as_ref().and_then(|directory| directory.terms_url.as_deref());
    let changed = account.terms.is_some();
    let name = escape::text(it.name());
    let person = account.person.as_ref();
    let terms = url.map(|url| Evidence {
        seq: None,
        at: None,
        text: format!("the terms: {}", escape::field(url, 200)),
    });
    let said = person.map(|person| Evidence {
        seq: None,
        at: Some(person.since),
        text: format!("the CA says: {}", escape::field(&person.problem.detail, SAID_MAX)),
    });
    Some(Found {
        code: codes::TERMS,
        sentence: if person.is_some() {
            format!("{name} waits: the CA orders nothing before a person does what it asks.")
        } else if changed {
            format!(
                "{name} waits: the CA's terms have changed and a person must accept them again."
            )
        } else {
            format!("{name} waits: a person must read and accept the CA's terms.")
        },
        remedy: if person.is_some() {
            "visit the address that the CA names below, agree there, then run renewd accept-terms"
        } else {
            "read them, then run renewd accept-terms"
        }
        .to_owned(),
        evidence: terms.into_iter().chain(said).collect(),
        since: person.map_or(facts.engine.booted_at, |person| person.since),
        tries: 0,
    })
}

/// The account does not come about, or its CA cannot be read.
fn account(facts: &Facts, witness: &Witness, it: &Certificate) -> Option<Found> {
    let id = it.declared.as_ref()?.account;
    let account = facts.accounts.get(&id)?;
    let (problem, at, tries) = match (&account.registration, &account.unreachable) {
        (Registration::Refused { problem, at }, _) => (problem, *at, account.failures),
        (Registration::Absent | Registration::Requested(_), Some((problem, at))) => {
            (problem, *at, 0)
        }
        (Registration::Absent | Registration::Requested(_), None)
        | (Registration::Registered { .. }, _) => return None,
    };
    let case = Case { name: it.name().to_owned(), ..Case::of(Step::Account, problem) };
    Some(told(&case, rules::find(&case), place(witness, id.into(), at), tries))
}
