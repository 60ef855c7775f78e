//! Whose turn a request is: an order of the workers that each of them can compute alone.
//!
//! This is rendezvous hashing. For each request, every registered worker has a rank, so a worker
//! that comes or goes moves only its own requests. The first in the order serves the request at
//! once. Each one after it steps in when the request has waited a few blocks longer.
//!
//! Where several workers must agree, the contract has drawn them, and there is no such order.

use outlayer_protocol::{AccountId, Hash32, RequestId};

fn rank(worker_id: &AccountId, request_id: RequestId) -> Hash32 {
    Hash32::of_parts(&[worker_id.as_bytes(), &request_id.to_le_bytes()])
}

/// The place of `me` in the order for a request, from 0. A worker that is not in the list counts as
/// the first.
pub(crate) fn place(me: &AccountId, workers: &[AccountId], request_id: RequestId) -> usize {
    if !workers.contains(me) {
        return 0;
    }
    let mine = (rank(me, request_id), me);
    workers.iter().filter(|&other| (rank(other, request_id), other) < mine).count()
}

/// How many blocks after the request's own `me` starts to serve it.
pub(crate) fn blocks_to_wait(
    me: &AccountId,
    workers: &[AccountId],
    request_id: RequestId,
    step_in_blocks: u64,
) -> u64 {
    u64::try_from(place(me, workers, request_id)).unwrap_or(u64::MAX).saturating_mul(step_in_blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize) -> Vec<AccountId> {
        (0..count).map(|n| format!("worker-{n}.near").parse().unwrap()).collect()
    }

    #[test]
    fn every_request_has_one_order_and_the_work_is_divided() {
        let all = workers(4);
        let mut first = vec![0u32; all.len()];
        for request_id in 0..1_000 {
            let mut places: Vec<_> = all.iter().map(|me| place(me, &all, request_id)).collect();
            first[places.iter().position(|place| *place == 0).unwrap()] += 1;
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2, 3]);
        }
        assert!(first.iter().all(|count| (150..=350).contains(count)), "{first:?}");
    }

    #[test]
    fn a_worker_that_leaves_moves_only_its_own_requests() {
        let all = workers(4);
        let rest = &all[..3];
        let first =
            |of: &[AccountId], id| of.iter().find(|me| place(me, of, id) == 0).unwrap().clone();
        for request_id in 0..200 {
            let before = first(&all, request_id);
            if before != all[3] {
                assert_eq!(first(rest, request_id), before);
            }
        }
    }

    #[test]
    fn one_serves_at_once_and_the_next_step_in_later() {
        let all = workers(4);
        let mut waits: Vec<_> = all.iter().map(|me| blocks_to_wait(me, &all, 7, 5)).collect();
        waits.sort_unstable();
        assert_eq!(waits, [0, 5, 10, 15]);
        assert_eq!(blocks_to_wait(&all[0], &all[..1], 7, 5), 0);
        assert_eq!(blocks_to_wait(&all[3], &all[..1], 7, 5), 0);
    }
}
