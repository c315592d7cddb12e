//! Answers of the CA that do not come: told once per outage and kind, so that the log says within
//! seconds what a renewal waits for. Looked for when nothing else is to be recorded, and from what the
//! session remembers: what is done next does not depend on it, and a retry costs no commit.

use renewd_events::event::NewEvent;
use renewd_events::id::{OrderId, RenewalId};
use renewd_events::order::{Asked, Order, OrderEvent};
use renewd_events::problem::Problem;

use crate::bounds;
use crate::decision::{Decision, Looks, Session, fact};
use crate::effect::EffectKey;

/// The question that an order is at, with the effects that ask it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) asked: Asked,
    pub(crate) effects: Vec<EffectKey>,
}

impl Question {
    pub(crate) fn new(asked: Asked, effects: Vec<EffectKey>) -> Self {
        Self { asked, effects }
    }

    fn looks<'s>(&'s self, session: &'s Session) -> impl Iterator<Item = &'s Looks> {
        self.effects.iter().filter_map(|key| session.looks.get(key)).filter(|looks| looks.count > 0)
    }
}

/// The decision, or the fact that an answer is missing or has come, when the decision records nothing.
pub(crate) fn told(
    mut decision: Decision,
    place: (OrderId, &Order, RenewalId),
    questions: &[Question],
    session: &Session,
) -> Decision {
    if !decision.records.is_empty() {
        return decision;
    }
    let (id, order, renewal) = place;
    let news = questions.iter().find_map(|question| {
        missing(question, order, session, &decision).or_else(|| came(question, order, session))
    });
    if let Some(event) = news {
        decision.records.push(fact(id, event, Some(renewal), None));
    }
    decision
}

/// That this question is given up, once; then the renewal is for the Issuer to end.
pub(crate) fn given_up(
    (id, order, renewal): (OrderId, &Order, RenewalId),
    asked: Asked,
    problem: &Problem,
) -> Vec<NewEvent> {
    if order.missing.get(&asked).is_some_and(|missing| missing.again.is_none()) {
        return Vec::new();
    }
    let event = OrderEvent::AnswerMissing { asked, problem: problem.clone(), again: None };
    vec![fact(id, event, Some(renewal), None)]
}

/// Only news is a fact: another kind of problem than the one that was told.
fn missing(
    question: &Question,
    order: &Order,
    session: &Session,
    decision: &Decision,
) -> Option<OrderEvent> {
    let failing = question.looks(session).filter(|looks| looks.problem.is_some());
    let looks = failing.max_by_key(|looks| looks.last)?;
    let problem = looks.problem.as_ref()?;
    let known = order.missing.get(&question.asked);
    let old = known.is_some_and(|missing| missing.again.is_none() || missing.is_like(problem));
    if old || order.told >= bounds::ANSWERS_TOLD_MAX {
        return None;
    }
    let again = decision.wake.map_or(looks.not_before, |(at, _)| at.max(looks.not_before));
    let (asked, mut problem) = (question.asked, problem.clone());
    // As long as it is followed, so that whoever counts the later tries from it counts right.
    if let Some(floor) = looks.asked.and_then(|floor| u64::try_from(floor.as_millis()).ok()) {
        problem.retry_after_ms = problem.retry_after_ms.map(|said| said.min(floor));
    }
    Some(OrderEvent::AnswerMissing { asked, problem, again: Some(again) })
}

/// The question is answered again, and nothing moved by it.
fn came(question: &Question, order: &Order, session: &Session) -> Option<OrderEvent> {
    let missing = order.missing.get(&question.asked)?;
    let mut looks = question.looks(session).peekable();
    let answered = looks.peek().is_some() && looks.all(Looks::answered);
    (missing.again.is_some() && answered)
        .then_some(OrderEvent::AnswerCame { asked: question.asked })
}

#[cfg(test)]
mod tests;
