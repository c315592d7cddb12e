//! What the CA is asked about an order, by its phase.

use renewd_events::EffectId;
use renewd_events::id::OrderId;
use renewd_events::order::{Asked, Order, Phase};

use crate::effect::{
    CREATE_ORDER, DOWNLOAD, EffectKey, FINALIZE, FIND_ORDER, LOOK_PENDING, LOOK_PROCESSING,
    LOOK_SETTLING,
};
use crate::waiting::Question;

/// What the CA is asked in this phase.
pub(super) fn questions(id: OrderId, order: &Order) -> Vec<Question> {
    let read = |asked, kind| {
        let key = EffectKey { kind, stream: id.into(), version: 0 };
        Question::new(asked, vec![key])
    };
    let act = |asked, kind, intent: EffectId| {
        let key = EffectKey { kind, stream: intent.stream, version: intent.version };
        Question::new(asked, vec![key])
    };
    match &order.phase {
        Phase::Requested(intent) => vec![
            act(Asked::NewOrder, CREATE_ORDER, intent.effect_id()),
            act(Asked::OrderList, FIND_ORDER, intent.effect_id()),
        ],
        Phase::Pending => vec![read(Asked::Order, LOOK_PENDING)],
        Phase::Finalizing(intent) => vec![
            act(Asked::Finalize, FINALIZE, intent.effect_id()),
            read(Asked::Order, LOOK_SETTLING),
        ],
        Phase::Processing => vec![read(Asked::Order, LOOK_PROCESSING)],
        Phase::Valid { .. } => vec![read(Asked::Chain, DOWNLOAD)],
        Phase::Absent
        | Phase::Refused(_)
        | Phase::Unresolved
        | Phase::Ready
        | Phase::FinalizeRefused(_)
        | Phase::Downloaded(_)
        | Phase::Rejected(_)
        | Phase::Dead(_) => Vec::new(),
    }
}
