//! The catalogue of causes: one rule per cause, tried in order; the first that applies is it. A rule
//! looks at the problem's type and the step first, then at our own evidence, and at the CA's words
//! only to refine: other CAs word it differently.

mod account;
mod binding;
mod chain;
mod limits;
mod local;
mod network;
mod order;
mod validation;

use std::net::IpAddr;

use renewd_events::authorization::Probe;
use renewd_events::problem::{Problem, ProblemClass};

use crate::codes::{self, Code, Step};
use crate::escape;

/// A problem with everything that is known about its circumstances. What is not known is absent, and
/// a rule that needs it does not apply.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Where it came up.
    pub step: Step,
    /// What came back.
    pub problem: &'a Problem,
    /// The name or certificate it concerns.
    pub name: String,
    /// Fetches of the token that our responder saw.
    pub visits: Option<u32>,
    /// What our own fetch saw.
    pub probe: Option<&'a Probe>,
    /// The program that holds the address.
    pub holder: Option<&'a str>,
    /// The process ended after the CA was asked to look and before its verdict was known.
    pub absent: bool,
    /// The code of an earlier failure that this one follows from.
    pub earlier: Option<Code>,
}

/// A cause.
pub struct Rule {
    /// Its code.
    pub code: Code,
    /// Whether it is it.
    pub applies: fn(&Case<'_>) -> bool,
    /// The sentence, with `{name}`, `{address}`, `{holder}`, `{ca}`, `{subject}`, `{earlier}`.
    pub sentence: &'static str,
    /// What to do, one line.
    pub remedy: &'static str,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)
    }
}

/// All rules, from the special to the general. Network first: a transport error says nothing about
/// what it interrupted.
const ALL: [&[Rule]; 9] = [
    network::RULES,
    limits::RULES,
    chain::RULES,
    validation::RULES,
    account::RULES,
    order::RULES,
    local::RULES,
    binding::RULES,
    LAST,
];

/// What is left.
const LAST: &[Rule] = &[
    Rule {
        code: codes::READINESS_REFUSED,
        applies: |case| case.step == Step::Readiness && case.class(ProblemClass::Acme),
        sentence: "{ca} was asked to check {name} and refused to look.",
        remedy: "read the CA's words; the next renewal asks anew",
    },
    Rule {
        code: codes::VALIDATION_OTHER,
        applies: |case| case.step == Step::Validation,
        sentence: "The CA did not accept the proof for {name}, in words that renewd does not know.",
        remedy: "read the CA's words; please report them",
    },
    Rule {
        code: codes::LOCAL_OTHER,
        applies: |case| case.problem.class == ProblemClass::Local,
        sentence: "Something on this host failed: {subject}.",
        remedy: "read the system's words below",
    },
    OTHER,
];

const OTHER: Rule = Rule {
    code: codes::CA_OTHER,
    applies: |_| true,
    sentence: "{ca} refused for a reason that renewd does not know.",
    remedy: "read the CA's words; please report them",
};

/// The cause. There always is one, if only "other".
pub fn find(case: &Case<'_>) -> &'static Rule {
    ALL.iter().copied().flatten().find(|rule| (rule.applies)(case)).unwrap_or(&OTHER)
}

/// How many causes are told apart.
pub fn count() -> usize {
    ALL.iter().map(|rules| rules.len()).sum()
}

impl<'a> Case<'a> {
    /// Only the problem is known.
    pub fn of(step: Step, problem: &'a Problem) -> Self {
        Self {
            step,
            problem,
            name: String::new(),
            visits: None,
            probe: None,
            holder: None,
            absent: false,
            earlier: None,
        }
    }

    /// The CA's error type is one of these (RFC 8555 §6.7), or that of its only subproblem is.
    pub(crate) fn is(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.problem.is_acme(kind))
    }

    /// A problem of this class.
    pub(crate) fn class(&self, class: ProblemClass) -> bool {
        self.problem.class == class
    }

    /// One of our own kinds of this class.
    pub(crate) fn own(&self, class: ProblemClass, kinds: &[&str]) -> bool {
        self.class(class) && kinds.contains(&self.problem.kind.as_str())
    }

    /// The other side's words contain one of these, whatever their case.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let said = self.problem.detail.to_ascii_lowercase();
        words.iter().any(|word| said.contains(&word.to_ascii_lowercase()))
    }

    /// The step is one of these.
    pub(crate) fn at(&self, steps: &[Step]) -> bool {
        steps.contains(&self.step)
    }

    /// The address that the CA says it used, in front of its words.
    pub fn address(&self) -> Option<IpAddr> {
        let (first, _) = self.problem.detail.split_once(": ")?;
        first.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The rule's sentence about this case, made inert.
    pub fn sentence(&self, rule: &Rule) -> String {
        let or = |text: &str, other: &str| {
            let shown = escape::field(text, 160);
            if shown.is_empty() { other.to_owned() } else { shown }
        };
        let name = or(&self.name, "the name");
        let address = self.address().map_or_else(
            || match self.step {
                Step::Binding | Step::Listener | Step::Restart => or(&self.problem.subject, &name),
                Step::Account
                | Step::Key
                | Step::NewOrder
                | Step::Validation
                | Step::Readiness
                | Step::Finalize
                | Step::Order
                | Step::Chain => name.clone(),
            },
            |address| address.to_string(),
        );
        let ca = host(&self.problem.subject)
            .map_or_else(|| "the CA".to_owned(), |host| or(host, "the CA"));
        let earlier = self.earlier.map_or_else(
            || "see the history".to_owned(),
            |code| format!("{} {}", code.code, code.title),
        );
        // One pass over the template: a value that contains `{name}` is not filled again.
        fill(rule.sentence, |field| match field {
            "name" => name.clone(),
            "address" => address.clone(),
            "holder" => or(self.holder.unwrap_or(""), "another program"),
            "ca" => ca.clone(),
            "earlier" => earlier.clone(),
            _ => or(&self.problem.subject, &name),
        })
    }
}

/// Fills `{field}`s; the first letter of the whole becomes a capital.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((field, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(&value(field));
        rest = after;
    }
    out.push_str(rest);
    match out.strip_prefix("the ") {
        Some(tail) => format!("The {tail}"),
        None => out,
    }
}

/// The host of an URL.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests;
