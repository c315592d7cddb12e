//! What the page shows of one certificate: the status of `renewd-replay`, with the few facts more that
//! a picture needs. The JSON of the same is made here too.

use renewd_events::certificate::{Certificate, Leaf};
use renewd_events::{Facts, WallMs};
use renewd_replay::escape;
use renewd_replay::renewals::{Outcome, Renewal};
use renewd_replay::status::{self, CertificateStatus, Proof, Served, State};
use renewd_replay::when;
use renewd_replay::why::Witnesses;
use serde_json::{Value, json};

use super::bar::{Bar, Life};

/// Of an issuer's or a name's text.
const TEXT_CHARACTERS_MAX: usize = 160;
/// Names written out in a list of certificates; the rest is counted.
const NAMES_IN_LIST_MAX: usize = 4;

/// A moment, for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) iso: String,
    /// `in 12 d`.
    pub(super) relative: String,
    /// `2026-12-05 03:10 UTC`.
    pub(super) absolute: String,
}

impl Moment {
    fn of(at: WallMs, now: WallMs) -> Self {
        Self { iso: at.rfc3339(), relative: when::relative(at, now), absolute: when::minute(at) }
    }
}

/// A failure in words.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// `R0207`.
    pub(super) code: String,
    /// What.
    pub(super) sentence: String,
    /// When.
    pub(super) at: Moment,
    /// How often in a row.
    pub(super) times: u32,
}

impl Fault {
    fn of(trouble: &status::Trouble, now: WallMs) -> Self {
        Self {
            code: trouble.code.clone(),
            sentence: trouble.sentence.clone(),
            at: Moment::of(trouble.at, now),
            times: trouble.times,
        }
    }
}

/// One place where it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where.
    pub(super) target: String,
    /// What a handshake there has shown, in words.
    pub(super) seen: String,
    /// When.
    pub(super) at: Option<Moment>,
    /// The newest issue was seen.
    pub(super) good: bool,
    /// SHA-256 of the certificate that was seen.
    pub(super) fingerprint: Option<String>,
    /// What is wrong.
    pub(super) fault: Option<Fault>,
}

/// What a renewal under way is doing.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    /// In words.
    pub(super) what: String,
    /// Since when.
    pub(super) since: Moment,
    /// Which try.
    pub(super) attempt: u32,
}

/// The newest issue.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    /// Which one.
    pub(super) generation: u32,
    /// The issuer's name.
    pub(super) issuer: String,
    /// Serial number.
    pub(super) serial: String,
    /// SHA-256 of the certificate.
    pub(super) fingerprint: String,
    /// Valid from.
    pub(super) not_before: Moment,
    /// Valid to.
    pub(super) not_after: Moment,
    /// Its life.
    pub(super) bar: Bar,
    /// The CA's window in words.
    pub(super) window: Option<String>,
}

/// One certificate.
#[derive(Clone, Debug)]
pub(super) struct Card {
    /// Its configured name.
    pub(super) name: String,
    /// Its state.
    pub(super) state: State,
    /// The state in words.
    pub(super) word: &'static str,
    /// Shown beside the word, so that colour is not alone.
    pub(super) sign: &'static str,
    /// The state's class in the style sheet.
    pub(super) tone: &'static str,
    /// The names in it.
    pub(super) names: Vec<String>,
    /// Names left out in a list.
    pub(super) more: usize,
    /// When it was last renewed.
    pub(super) renewed: Option<Moment>,
    /// The newest issue.
    pub(super) issued: Option<Issued>,
    /// It has expired.
    pub(super) expired: bool,
    /// What is served, in words.
    pub(super) served: &'static str,
    /// Where.
    pub(super) places: Vec<Place>,
    /// What is going on.
    pub(super) doing: Option<Doing>,
    /// What happens next.
    pub(super) next: String,
    /// When.
    pub(super) next_at: Option<Moment>,
    /// Why then.
    pub(super) why: String,
    /// What went wrong.
    pub(super) fault: Option<Fault>,
}

/// One past renewal.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// The certificate.
    pub(super) certificate: String,
    /// Its number in the lineage.
    pub(super) number: u32,
    /// Its id, for links.
    pub(super) id: String,
    /// When it began.
    pub(super) started: Moment,
    /// How long it took.
    pub(super) took: String,
    /// Why.
    pub(super) cause: String,
    /// How it ended.
    pub(super) outcome: String,
    /// Shown beside the outcome.
    pub(super) sign: &'static str,
    /// The outcome's class in the style sheet.
    pub(super) tone: &'static str,
    /// How often the process ended within it.
    pub(super) crashes: u32,
}

/// Every certificate: those that need a person first, then the next to act.
pub(super) fn cards(facts: &Facts, witnesses: &Witnesses, now: WallMs) -> Vec<Card> {
    let mut rows = status::status(facts, witnesses, now);
    rows.sort_by_key(|row| {
        let at = row.next.at.unwrap_or(WallMs(0));
        (!row.state.needs_a_person(), row.state == State::Orphan, at)
    });
    rows.iter().map(|row| card(facts, row, now, Some(NAMES_IN_LIST_MAX))).collect()
}

/// The certificate of this configured name, with all its names.
pub(super) fn find(
    facts: &Facts,
    witnesses: &Witnesses,
    name: &str,
    now: WallMs,
) -> Option<(Card, CertificateStatus)> {
    let (id, it) = facts.certificates.iter().find(|(_, it)| it.name() == name)?;
    let row = status::one(facts, witnesses, *id, it, now);
    Some((card(facts, &row, now, None), row))
}

fn card(facts: &Facts, row: &CertificateStatus, now: WallMs, names: Option<usize>) -> Card {
    let (sign, tone) = look(row.state);
    let it = facts.certificates.get(&row.id);
    let shown = names.unwrap_or(usize::MAX);
    Card {
        name: row.name.clone(),
        state: row.state,
        word: row.state.word(),
        sign,
        tone,
        names: row.identifiers.iter().take(shown).cloned().collect(),
        more: row.identifiers.len().saturating_sub(shown),
        renewed: row.last_renewed.map(|at| Moment::of(at, now)),
        issued: it.and_then(|it| issued(facts, row, it, now)),
        expired: row.expired,
        served: served(row),
        places: row.bindings.iter().map(|binding| place(binding, row, now)).collect(),
        doing: row.doing.as_ref().map(|doing| Doing {
            what: doing.what.clone(),
            since: Moment::of(doing.since, now),
            attempt: doing.attempt,
        }),
        next: row.next.what.clone(),
        next_at: row.next.at.map(|at| Moment::of(at, now)),
        why: row.next.why.clone(),
        fault: row.trouble.as_ref().map(|trouble| Fault::of(trouble, now)),
    }
}

fn look(state: State) -> (&'static str, &'static str) {
    match state {
        State::Ok => ("\u{2713}", "good"),
        State::First | State::Due | State::Renewing => ("\u{21bb}", "busy"),
        State::Waiting | State::Retrying => ("\u{2026}", "wait"),
        State::NotServed | State::Failing | State::Broken => ("\u{2717}", "bad"),
        State::Orphan => ("\u{2013}", "idle"),
    }
}

fn served(row: &CertificateStatus) -> &'static str {
    match row.served {
        Served::Everywhere => "yes, everywhere it is wanted",
        Served::OnDisk => "in its files; without verify no server was asked",
        Served::Older => "an older issue",
        Served::Partly => "not everywhere",
        Served::Nothing if row.bindings.is_empty() => "nowhere: no place wants it",
        Served::Nothing => "not yet",
    }
}

fn place(binding: &status::BindingStatus, row: &CertificateStatus, now: WallMs) -> Place {
    let where_seen = match binding.proof {
        Proof::Handshake => "",
        Proof::Files => " (in the files; no server was asked)",
    };
    let seen = match (binding.generation, row.generation) {
        (Some(seen), Some(newest)) if seen == newest => {
            format!("issue {seen}, the newest{where_seen}")
        }
        (Some(seen), _) => format!("issue {seen}, an older one{where_seen}"),
        (None, _) => "nothing yet".to_owned(),
    };
    Place {
        target: binding.target.clone(),
        seen,
        at: binding.seen.map(|at| Moment::of(at, now)),
        good: binding.served,
        fingerprint: binding.fingerprint.map(|fingerprint| fingerprint.to_string()),
        fault: binding.trouble.as_ref().map(|trouble| Fault::of(trouble, now)),
    }
}

fn issued(facts: &Facts, row: &CertificateStatus, it: &Certificate, now: WallMs) -> Option<Issued> {
    let issue = it.current.as_ref()?;
    let leaf = &issue.leaf;
    let window = window(facts, row, leaf);
    let life = Life { not_before: leaf.not_before, not_after: leaf.not_after };
    Some(Issued {
        generation: issue.generation.0,
        issuer: escape::field(&leaf.issuer, TEXT_CHARACTERS_MAX),
        serial: escape::field(&leaf.serial, TEXT_CHARACTERS_MAX),
        fingerprint: leaf.fingerprint.to_string(),
        not_before: Moment::of(leaf.not_before, now),
        not_after: Moment::of(leaf.not_after, now),
        bar: life.bar(now, row.next.at, window),
        window: window.map(|(from, to)| format!("{} to {}", when::minute(from), when::minute(to))),
    })
}

/// The CA's window for exactly this issue.
fn window(facts: &Facts, row: &CertificateStatus, leaf: &Leaf) -> Option<(WallMs, WallMs)> {
    let window = facts.schedules.get(&row.id)?.window.as_ref()?;
    (leaf.ari_id.as_ref() == Some(&window.ari_id)).then_some((window.start, window.end))
}

/// A past renewal in words.
pub(super) fn past(row: &Renewal, now: WallMs) -> Past {
    let (outcome, sign, tone) = match &row.outcome {
        Outcome::Running => ("under way".to_owned(), "\u{21bb}", "busy"),
        Outcome::Succeeded { generation } => (format!("issue {generation}"), "\u{2713}", "good"),
        Outcome::Unserved { generation } => {
            (format!("issue {generation}, not served everywhere"), "\u{2717}", "bad")
        }
        Outcome::Failed { code } => (escape::field(code, 16), "\u{2717}", "bad"),
    };
    let took = row.ended.unwrap_or(now).since(row.started);
    Past {
        certificate: escape::text(&row.certificate),
        number: row.number,
        id: row.id.to_string(),
        started: Moment::of(row.started, now),
        took: when::span(took),
        cause: row.cause.to_string(),
        outcome,
        sign,
        tone,
        crashes: row.crashes,
    }
}

/// The newest issue as JSON.
pub(super) fn issue_json(facts: &Facts, row: &CertificateStatus) -> Value {
    let it = facts.certificates.get(&row.id);
    let Some(issue) = it.and_then(|it| it.current.as_ref()) else {
        return Value::Null;
    };
    let leaf = &issue.leaf;
    let window = window(facts, row, leaf);
    json!({
        "generation": issue.generation.0,
        "issuer": escape::text(&leaf.issuer),
        "serial": escape::text(&leaf.serial),
        "fingerprint": leaf.fingerprint.to_string(),
        "spki": leaf.spki.to_string(),
        "not_before": leaf.not_before.rfc3339(),
        "not_after": leaf.not_after.rfc3339(),
        "names": leaf.names.iter().map(|name| escape::text(name)).collect::<Vec<_>>(),
        "renewal_window": window
            .map(|(from, to)| json!({ "start": from.rfc3339(), "end": to.rfc3339() })),
    })
}
