//! Which of the live requests to serve now, by their entries in the index.

use outlayer_guest::EngineId;
use outlayer_protocol::index::PendingEntry;

use super::turn::Turn;

/// What to do about a live request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Load its record, and serve it if it still waits for an answer.
    Serve {
        /// How many blocks it has been left to others.
        waited: u64,
    },
    /// It is the turn of other workers: look again later.
    OthersFirst,
    /// It has secrets that this worker cannot open.
    NotEntitled,
    /// It pins this engine, which the worker does not have.
    NeedsEngine(EngineId),
    /// Its deadline has passed.
    Over,
}

/// Decides about a request when the chain is at `height`, for a worker that has these engines, and
/// that can open its secrets or cannot. `turn` says when this worker serves it.
pub(crate) fn decide(
    request: &PendingEntry,
    height: u64,
    engines: &[EngineId],
    can_open: bool,
    turn: impl FnOnce(&PendingEntry) -> Turn,
) -> Decision {
    if !request.is_in_time(height) {
        return Decision::Over;
    }
    if !can_open {
        return Decision::NotEntitled;
    }
    let needed = EngineId::from(request);
    if !engines.contains(&needed) {
        return Decision::NeedsEngine(needed);
    }
    // Where several must agree, the request itself says whom the contract has drawn.
    let turn = turn(request);
    if height < turn.from {
        Decision::OthersFirst
    } else {
        Decision::Serve { waited: turn.waits(request) }
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{Compute, EngineVersion};

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
            recipients: Vec::new(),
        }
    }

    const MINE: EngineId = EngineId { version: ENGINE, near_config_version: 84 };

    /// The decisions of a worker that serves the request at once and of one that waits 4 blocks.
    fn both(request: &PendingEntry, height: u64) -> [Decision; 2] {
        let turn = |wait| move |request: &PendingEntry| Turn::at(request.block_height + wait);
        [0, 4].map(|wait| decide(request, height, &[MINE], true, turn(wait)))
    }

    const FIRST: Decision = Decision::Serve { waited: 0 };
    const SECOND: Decision = Decision::Serve { waited: 4 };

    #[test]
    fn one_serves_at_once_and_the_other_steps_in() {
        assert_eq!(both(&pending(), 100), [FIRST, Decision::OthersFirst]);
        assert_eq!(both(&pending(), 103), [FIRST, Decision::OthersFirst]);
        assert_eq!(both(&pending(), 104), [FIRST, SECOND]);
    }

    #[test]
    fn the_deadlines_own_block_is_still_in_time() {
        assert_eq!(both(&pending(), 300), [FIRST, SECOND]);
        assert_eq!(both(&pending(), 301), [Decision::Over, Decision::Over]);
    }

    #[test]
    fn what_needs_another_engine_is_left_to_a_worker_that_has_it() {
        for id in [
            EngineId { version: EngineVersion(2), ..MINE },
            EngineId { version: EngineVersion(4), ..MINE },
            EngineId { near_config_version: 85, ..MINE },
        ] {
            let (engine_version, near_config_version) = (id.version, id.near_config_version);
            let other = PendingEntry { engine_version, near_config_version, ..pending() };
            assert_eq!(both(&other, 200), [Decision::NeedsEngine(id); 2]);
            let turn = |request: &PendingEntry| Turn::at(request.block_height);
            assert_eq!(decide(&other, 200, &[MINE, id], true, turn), FIRST);
            assert_eq!(decide(&pending(), 200, &[MINE, id], true, turn), FIRST);
        }
    }
}
