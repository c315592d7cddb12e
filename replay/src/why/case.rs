//! Which cause holds for a certificate now: log, then what is not served, then the last failure, then
//! the account.

use renewd_events::account::{Account, Registration};
use renewd_events::authorization::Probe;
use renewd_events::certificate::{Certificate, Failure};
use renewd_events::id::{CertificateId, Seq, StreamId};
use renewd_events::problem::Problem;
use renewd_events::{Facts, WallMs};

use super::Evidence;
use super::rules::{self, Case, Rule};
use super::witness::{Absence, Checked, Witness, Witnesses};
use super::{aside, issuing, unanswered, unserved};
use crate::codes::{self, Code, Step};
use crate::escape::{self, FIELD_CHARACTERS_MAX};
use crate::status;
use crate::when;

/// Subproblems and further names shown.
const PARTS_MAX: usize = 4;

/// A cause, told.
pub(crate) struct Found {
    pub(crate) code: Code,
    pub(crate) sentence: String,
    pub(crate) remedy: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) since: WallMs,
    pub(crate) tries: u32,
}

/// The cause that holds, if there is one.
pub(crate) fn find(
    facts: &Facts,
    witnesses: &Witnesses,
    id: CertificateId,
    it: &Certificate,
    now: WallMs,
) -> Option<Found> {
    anomaly(facts, it)
        .or_else(|| aside::find(facts, id, it))
        .or_else(|| orphan(it))
        .or_else(|| unserved::find(facts, witnesses, id, it))
        .or_else(|| unanswered::find(facts, id, it))
        .or_else(|| issuing::find(facts, id, it, now))
        .or_else(|| terms(facts, it))
        .or_else(|| it.failure.as_ref().map(|failure| failed(witnesses.of(id), it, failure)))
        .or_else(|| account(facts, witnesses, it))
        .or_else(|| port_held(facts, id, it, now))
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
    it.orphaned.map(|since| Found {
        code: codes::NOT_CONFIGURED,
        sentence: format!(
            "{} is no longer in the configuration: it is kept and not renewed.",
            escape::text(it.name())
        ),
        remedy: "put it back into the configuration, or leave it".to_owned(),
        evidence: Vec::new(),
        since,
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

/// The cause of a failed renewal.
struct Cause<'a> {
    case: Case<'a>,
    rule: &'static Rule,
    /// What the record of the failure says, where it says more than the rule.
    recorded: Option<Code>,
    /// The name that failed first.
    checked: Option<&'a Checked>,
    /// Where the problem is, when it is not in the record of the failure.
    place: Option<(Seq, WallMs)>,
}

impl Cause<'_> {
    fn code(&self) -> Code {
        self.recorded.unwrap_or(self.rule.code)
    }
}

/// The problem of the name that failed first is a better witness than the order's summary.
fn cause<'a>(witness: &'a Witness, name: &str, code: &str, problem: &'a Problem) -> Cause<'a> {
    let checked = witness
        .checked
        .values()
        .filter_map(|checked| Some((checked, checked.failed.as_ref()?)))
        .min_by_key(|(_, (_, _, seq, _))| *seq);
    let (step, problem, place) = match (checked, &witness.order) {
        (Some((_, (step, problem, seq, at))), _) | (None, Some((step, problem, seq, at))) => {
            (*step, problem, Some((*seq, *at)))
        }
        (None, None) => (step_of(code), problem, None),
    };
    let checked = checked.map(|(checked, _)| checked);
    let case = Case {
        name: checked.map_or_else(|| name.to_owned(), |checked| checked.identifier.clone()),
        visits: checked.map(|checked| checked.visits),
        probe: checked.and_then(|checked| checked.probe.as_ref()),
        absent: checked.is_some_and(|checked| checked.absence.is_some()),
        earlier: earlier(witness),
        ..Case::of(step, problem)
    };
    let rule = rules::find(&case);
    // A later version may not know the words that an earlier one understood.
    let recorded = codes::find(code).filter(|it| is_general(rule.code) && !is_general(*it));
    Cause { case, rule, recorded, checked, place }
}

/// The cause of a renewal that ends with this record.
pub(super) fn code(witness: &Witness, code: &str, problem: &Problem) -> Code {
    cause(witness, "", code, problem).code()
}

/// The last renewal failed.
fn failed(witness: &Witness, it: &Certificate, failure: &Failure) -> Found {
    let cause = cause(witness, it.name(), &failure.code, &failure.problem);
    let Cause { case, rule, recorded, checked, place } = &cause;
    let seq = witness.failures.last().map(|failed| failed.seq);
    let place = place.map_or((seq, failure.at), |(seq, at)| (Some(seq), at));
    let mut found = told(case, rule, place, it.failures);
    if let Some(recorded) = recorded {
        found.code = *recorded;
        found.sentence = format!("{}: {}.", escape::text(it.name()), recorded.title);
        found.remedy = format!("renewd explain {recorded}");
    }
    let own = checked.and_then(|checked| own_evidence(case, checked.visits));
    found.evidence.extend(own.map(|text| Evidence { seq: None, at: None, text }));
    if witness.unresolved > 0 {
        let text = format!("{} orders whose fate nobody can tell", witness.unresolved);
        found.evidence.push(Evidence { seq: None, at: None, text });
    }
    let absence = checked.and_then(|checked| checked.absence);
    match absence.filter(|_| found.code == codes::ABSENT) {
        Some(absence) => found.evidence.extend(absent(absence)),
        None => found.since = since(witness, found.code).unwrap_or(failure.at),
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
fn since(witness: &Witness, code: Code) -> Option<WallMs> {
    let same = witness.failures.iter().rev().take_while(|failed| failed.code == code);
    same.last().map(|failed| failed.at)
}

/// The latest failure that is no limit: limits follow from it.
fn earlier(witness: &Witness) -> Option<Code> {
    let mut causes = witness.failures.iter().rev().map(|failed| failed.code);
    causes.find(|code| !code.code.starts_with("R04"))
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

/// What a CA asks a person for: two URLs and its words.
const SAID_MAX: usize = 700;

/// A person must accept terms first.
fn terms(facts: &Facts, it: &Certificate) -> Option<Found> {
    let account = facts.accounts.get(&it.declared.as_ref()?.account)?;
    // Terms that nobody could read yet cannot be accepted: what keeps the directory away comes first.
    let unread = account.directory.is_none() && account.unreachable.is_some();
    if account.terms_are_accepted() || it.run.is_some() || unread {
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

/// What keeps the account from coming about, since when, and how often it was tried.
fn account_problem(account: &Account) -> Option<(&Problem, WallMs, u32)> {
    match (&account.registration, &account.unreachable) {
        (Registration::Refused { problem, at }, _) => Some((problem, *at, account.failures)),
        (Registration::Absent | Registration::Requested(_), Some((problem, at))) => {
            Some((problem, *at, 0))
        }
        (Registration::Absent | Registration::Requested(_), None)
        | (Registration::Registered { .. }, _) => None,
    }
}

/// Whether the certificate's account does not come about.
pub(crate) fn account_fails(facts: &Facts, it: &Certificate) -> bool {
    let id = it.declared.as_ref().map(|declared| declared.account);
    id.and_then(|id| facts.accounts.get(&id)).and_then(account_problem).is_some()
}

/// Where the last refusal or outage of this stream is.
pub(super) fn place(witnesses: &Witnesses, stream: StreamId, at: WallMs) -> (Option<Seq>, WallMs) {
    witnesses.places.get(&stream).map_or((None, at), |(seq, at)| (Some(*seq), *at))
}

/// The account does not come about, or its CA cannot be read.
fn account(facts: &Facts, witnesses: &Witnesses, it: &Certificate) -> Option<Found> {
    let id = it.declared.as_ref()?.account;
    let (problem, at, tries) = account_problem(facts.accounts.get(&id)?)?;
    let case = Case { name: it.name().to_owned(), ..Case::of(Step::Account, problem) };
    Some(told(&case, rules::find(&case), place(witnesses, id.into(), at), tries))
}

/// A renewal that is due and cannot begin: the CA would meet the other program (R0211 and its like),
/// and a try would be spent.
fn port_held(facts: &Facts, id: CertificateId, it: &Certificate, now: WallMs) -> Option<Found> {
    if it.run.is_some() || !(it.current.is_none() || status::is_due(facts, id, now)) {
        return None;
    }
    let (listener, setback) = status::challenge_port_held(facts)?;
    let (name, address) = (escape::text(it.name()), escape::field(&listener.address, 64));
    let said = escape::field(&setback.problem.detail, 300);
    Some(Found {
        code: codes::PORT_TAKEN,
        sentence: format!(
            "{name} is due and waits: no challenge can be answered while another program has {address}."
        ),
        remedy: "stop that program, or let it forward /.well-known/acme-challenge/ to another \
                 address in http.listen; renewd goes on by itself when the port is free"
            .to_owned(),
        evidence: vec![Evidence { seq: None, at: Some(setback.at), text: said }],
        since: setback.at,
        tries: 0,
    })
}
