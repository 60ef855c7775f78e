//! What a worker does whose execution takes long.

use super::*;
use crate::{
    claims::{Claim, MOST_CLAIMS, rank},
    events::ClaimNotice,
    index::PendingEntry,
    live_request::long_sample,
    pricing::least_fee,
};

/// How long a claim of the sample stands.
fn turn() -> u64 {
    long_sample().claims.unwrap().turn_blocks
}

fn claim(request: LiveRequest, worker: &str, height: u64) -> Result<Step<'static>, Refusal> {
    request.step(Input::Claim { worker_id: account(worker), height })
}

fn claimed(request: LiveRequest, worker: &str, height: u64) -> LiveRequest {
    live(claim(request, worker, height).unwrap()).0
}

fn missed<'a>(effects: &'a [Effect<'_>]) -> Vec<&'a str> {
    let missed = effects.iter().filter_map(|effect| match effect {
        Effect::CountMissed(worker_id) => Some(worker_id.as_str()),
        _ => None,
    });
    let missed: Vec<_> = missed.collect();
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Emit(Event::ClaimMissed(ClaimNotice { worker_id, .. })) => Some(worker_id.as_str()),
        _ => None,
    });
    assert_eq!(events.collect::<Vec<_>>(), missed);
    missed
}

/// The workers that are paid, with the protocol's share.
fn paid(effects: &[Effect<'_>]) -> Vec<(String, u128)> {
    let mut paid = Vec::new();
    for pair in effects.windows(2) {
        if let [Effect::PayWorker(_, worker_id, amount), Effect::PayProtocol(_, share)] = pair {
            paid.push((worker_id.to_string(), amount.as_yoctonear() + share.as_yoctonear()));
        }
    }
    paid
}

#[test]
fn a_claim_stands_in_the_record_and_in_the_index_and_changes_nothing_else() {
    let before = long_sample();
    let (after, effects) = live(claim(before.clone(), "a.near", IN_TIME).unwrap());
    let claims = after.claims.as_ref().unwrap();
    assert_eq!(claims.made, [Claim { worker_id: id("a.near"), height: IN_TIME }]);
    let until = IN_TIME + turn();
    let made = ClaimNotice { request_id: 7, worker_id: id("a.near"), until };
    assert_eq!(effects, [Effect::Emit(Event::ClaimMade(made))]);
    assert_eq!(PendingEntry::from(&after).claims, after.claims);
    assert_eq!(LiveRequest { claims: before.claims.clone(), ..after }, before);
}

#[test]
fn a_claim_shuts_nobody_out() {
    let request = claimed(long_sample(), "a.near", IN_TIME);
    let body = response::sample(7);
    let (request, _) = live(submit(request, "b.near", &body, IN_TIME).unwrap());
    let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, IN_TIME + 1));
    assert!(effects.contains(&Effect::CountSettled(id("b.near"))));
    assert!(missed(&effects).is_empty(), "a.near had time left");
    assert_eq!(paid(&effects).len(), 1);
}

#[test]
fn one_claim_a_worker_and_no_more_than_so_many() {
    let mut request = claimed(long_sample(), "w0.near", IN_TIME);
    let again = claim(request.clone(), "w0.near", IN_TIME + turn()).unwrap_err();
    assert_eq!(again, refused(Reason::AlreadyClaimed));
    for n in 1..MOST_CLAIMS {
        request = claimed(request, &format!("w{n}.near"), IN_TIME);
    }
    let full = claim(request, "late.near", IN_TIME).unwrap_err();
    assert_eq!(full, refused(Reason::ClaimsFull));
}

#[test]
fn light_work_and_several_approvals_take_no_claims() {
    for request in [sample(), agreement::two_of_three()] {
        assert_eq!(claim(request, "a.near", IN_TIME), Err(refused(Reason::ClaimNotNeeded)));
    }
}

#[test]
fn what_is_answered_cancelled_or_late_takes_no_claims() {
    let body = response::sample(7);
    let (staged, _) = live(submit(long_sample(), "a.near", &body, IN_TIME).unwrap());
    let error = claim(staged, "b.near", IN_TIME).unwrap_err();
    assert!(matches!(error.reason, Reason::AlreadyStaged { .. }));
    let cancel = Input::Cancel { by: account("dapp.near"), height: IN_TIME };
    let (cancelling, _) = live(long_sample().step(cancel).unwrap());
    assert_eq!(claim(cancelling, "b.near", IN_TIME), Err(refused(Reason::AlreadyCancelled)));
    let late = claim(long_sample(), "b.near", DEADLINE + 1).unwrap_err();
    assert!(matches!(late.reason, Reason::Expired { .. }));
}

#[test]
fn cancelling_pays_one_share_to_the_claimer_that_comes_first_while_its_claim_stands() {
    let share = least_fee(&sample().terms.prices, &(&long_sample()).into()).unwrap();
    let mut order = ["a.near", "b.near"];
    order.sort_by_key(|name| rank(&id(name), 7));
    let [first, second] = order;
    // The later in the order has claimed earlier.
    let request = claimed(claimed(long_sample(), second, IN_TIME - 5), first, IN_TIME);
    let cancel = |height| {
        let cancel = Input::Cancel { by: account("dapp.near"), height };
        let (request, _) = live(request.clone().step(cancel).unwrap());
        let deposit = request.deposit();
        let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, height));
        assert_eq!(total_of(&effects), deposit.as_yoctonear());
        let missed: Vec<_> = missed(&effects).into_iter().map(str::to_owned).collect();
        (settlement.fee, paid(&effects), missed)
    };
    let one = |name: &str| vec![(name.to_owned(), share.as_yoctonear())];
    assert_eq!(cancel(IN_TIME), (share, one(first), vec![]));
    let until = IN_TIME + turn();
    assert_eq!(cancel(until - 1), (share, one(first), vec![second.to_owned()]));
    let nothing = NearToken::from_yoctonear(0);
    assert_eq!(cancel(until), (nothing, vec![], vec![second.to_owned(), first.to_owned()]));
}

#[test]
fn a_claim_that_is_not_answered_in_time_is_counted() {
    let request = claimed(claimed(long_sample(), "a.near", 1_010), "b.near", 1_190);
    let body = response::sample(7);
    // Somebody else answers: a.near is late, b.near is not.
    let (staged, _) = live(submit(request.clone(), "c.near", &body, 1_195).unwrap());
    let step = deliver(staged.clone(), Some(&body), StorageCheck::Fits, 1_196);
    assert_eq!(missed(&settled(step).1), ["a.near"]);
    // It answers late, but it answers.
    let (late, _) = live(submit(request.clone(), "a.near", &body, 1_195).unwrap());
    let step = deliver(late, Some(&body), StorageCheck::Fits, 1_196);
    assert!(missed(&settled(step).1).is_empty());
    // Nobody answers.
    let timeout = Input::Deliver { delivery: Delivery::TimedOut { staged: None }, height: 1_201 };
    let (_, effects) = settled(request.clone().step(timeout).unwrap());
    assert_eq!(missed(&effects), ["a.near", "b.near"]);
    let sweep = |request: LiveRequest, staged| {
        let height = request.terms.sweep_from;
        let (_, effects) = settled(request.step(Input::Sweep { staged, height }).unwrap());
        missed(&effects).len()
    };
    assert_eq!(sweep(request, None), 2);
    // The answer came, and its callback failed: that is nobody's fault.
    assert_eq!(sweep(staged, Some(&body)), 0);
}

#[test]
fn the_gas_of_the_claim_is_in_the_fee_of_work_that_takes_claims_only() {
    let fee = |request: &LiveRequest| {
        let mut request = request.clone();
        request.limits.compute = Compute::Fuel(1);
        crate::pricing::max_fee(&request.terms.prices, &(&request).into()).unwrap().total()
    };
    let gas = crate::pricing::answer_gas::claim(&(&long_sample()).into());
    let price = sample().terms.prices.gas_price.as_yoctonear() * u128::from(gas);
    let (light, long) = (fee(&sample()).as_yoctonear(), fee(&long_sample()).as_yoctonear());
    assert_eq!(long - light, price);
    assert!(price > 0);
    let agreed = crate::pricing::Asked::from(&agreement::two_of_three());
    assert_eq!(crate::pricing::answer_gas::claim(&agreed), 0);
}
