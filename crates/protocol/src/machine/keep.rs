//! Keeping a result beyond its settlement.

use super::{Effect, LiveRequest};
use crate::{Bytes, Hash32, Outcome, Settlement, kept_result::MAX_KEPT_OUTPUT_BYTES};

/// Keeps the result of a request that asks for it. What is held for its bytes, a part of the
/// request's reserve, is taken off the refund. So this comes before the refund is made.
pub(super) fn keep_result<'a>(
    request: &LiveRequest,
    settlement: &mut Settlement,
    output_hash: Option<Hash32>,
) -> Option<Effect<'a>> {
    if request.keep_result_blocks == 0 {
        return None;
    }
    // The refund contains the whole reserve, which contains what is held. Were it otherwise, no
    // more would be held than there is.
    let held = request.terms.result_reserve.min(settlement.refund);
    settlement.held = settlement.held.saturating_add(held);
    settlement.refund = settlement.refund.saturating_sub(held);
    let (outcome, output_is_whole) = cut(&settlement.outcome);
    Some(Effect::KeepResult {
        request_id: request.id(),
        settlement: Box::new(Settlement { outcome, ..*settlement }),
        output_hash,
        output_is_whole,
        payer: request.payer().clone(),
        blocks: request.keep_result_blocks,
        held,
    })
}

/// The outcome with its output cut to what is kept, and whether the output is whole.
fn cut(outcome: &Outcome) -> (Outcome, bool) {
    let start = outcome.output().and_then(|output| output.get(..MAX_KEPT_OUTPUT_BYTES as usize));
    let Some(start) = start else {
        return (outcome.clone(), true);
    };
    let is_whole = outcome.output().is_some_and(|output| output.len() == start.len());
    let output = Bytes::from(start);
    match outcome {
        // A part of a plan would be none.
        Outcome::Planned { plan, .. } => {
            (Outcome::Planned { output, plan: plan.clone() }, is_whole)
        }
        _ => (Outcome::Completed { output }, is_whole),
    }
}
