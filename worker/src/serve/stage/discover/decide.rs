//! Which of the live requests to serve now, by their entries in the index.

use outlayer_protocol::{AccountId, EngineVersion, index::PendingEntry};

use super::turn::blocks_to_wait;

/// What to do about a live request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Load its record, and serve it if it still waits for an answer.
    Serve,
    /// It is the turn of other workers: look again later.
    OthersFirst,
    /// It needs this engine with these fees of NEAR, which are not the worker's.
    NeedsEngine {
        /// The version of the engine that it pins.
        engine_version: EngineVersion,
        /// The NEAR protocol version whose fees it pins.
        near_config_version: u32,
    },
    /// Its deadline has passed.
    Over,
}

/// What a decision depends on besides the request and the height.
#[derive(Clone, Debug)]
pub(crate) struct Me<'a> {
    pub(crate) id: &'a AccountId,
    /// The registered workers that are not suspended.
    pub(crate) workers: &'a [AccountId],
    pub(crate) engine: EngineVersion,
    /// The NEAR protocol version whose fees the engine's gas meter has.
    pub(crate) near_config_version: u32,
    pub(crate) step_in_blocks: u64,
}

/// Decides about a request when the chain is at `height`.
pub(crate) fn decide(request: &PendingEntry, height: u64, me: &Me<'_>) -> Decision {
    if !request.is_in_time(height) {
        return Decision::Over;
    }
    let PendingEntry { engine_version, near_config_version, .. } = *request;
    if (engine_version, near_config_version) != (me.engine, me.near_config_version) {
        return Decision::NeedsEngine { engine_version, near_config_version };
    }
    // The contract has drawn the workers, and the request itself says whom.
    if request.approvals > 1 {
        return Decision::Serve;
    }
    let wait = blocks_to_wait(me.id, me.workers, request.request_id, me.step_in_blocks);
    if height < request.block_height.saturating_add(wait) {
        Decision::OthersFirst
    } else {
        Decision::Serve
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::Compute;

    use super::*;

    const ENGINE: EngineVersion = EngineVersion(3);

    fn pending() -> PendingEntry {
        PendingEntry {
            request_id: 7,
            block_height: 100,
            deadline: 300,
            engine_version: ENGINE,
            near_config_version: 84,
            approvals: 1,
            published_code: true,
            kind: None,
            compute: Compute::Fuel(1),
            payer: "dapp.near".parse().unwrap(),
            claims: None,
        }
    }

    fn workers() -> Vec<AccountId> {
        ["a.near", "b.near"].map(|id| id.parse().unwrap()).into()
    }

    /// The decisions of both workers.
    fn both(request: &PendingEntry, height: u64) -> Vec<Decision> {
        let workers = workers();
        let me = |id| Me {
            id,
            workers: &workers,
            engine: ENGINE,
            near_config_version: 84,
            step_in_blocks: 4,
        };
        workers.iter().map(|id| decide(request, height, &me(id))).collect()
    }

    #[test]
    fn one_serves_at_once_and_the_other_steps_in() {
        let mut now = both(&pending(), 100);
        now.sort_unstable_by_key(|decision| *decision == Decision::Serve);
        assert_eq!(now, [Decision::OthersFirst, Decision::Serve]);
        assert_eq!(both(&pending(), 104), [Decision::Serve, Decision::Serve]);
    }

    #[test]
    fn the_deadlines_own_block_is_still_in_time() {
        assert_eq!(both(&pending(), 300), [Decision::Serve, Decision::Serve]);
        assert_eq!(both(&pending(), 301), [Decision::Over, Decision::Over]);
    }

    #[test]
    fn what_needs_another_engine_is_left_alone() {
        let needs = |engine_version, near_config_version| {
            let other = PendingEntry { engine_version, near_config_version, ..pending() };
            let needed = Decision::NeedsEngine { engine_version, near_config_version };
            assert_eq!(both(&other, 200), [needed; 2]);
        };
        needs(EngineVersion(4), 84);
        needs(ENGINE, 85);
    }

    #[test]
    fn where_several_must_agree_nobody_waits_for_another() {
        let several = PendingEntry { approvals: 2, ..pending() };
        assert_eq!(both(&several, 100), [Decision::Serve, Decision::Serve]);
    }
}
