//! The plan that a guest records: what it would have its caller do.

use outlayer_protocol::{
    AccountId, Bytes, Limit, NearToken, Plan,
    plan::{Action, MAX_ACTIONS, MAX_DEPENDENCIES, MAX_METHOD_BYTES, MAX_PROMISES, Promise},
};

use crate::{stop::Stop, verdict::reason};

/// A plan in the making, which is at every moment within the bounds of [`Plan::check`] and of the
/// request.
#[derive(Debug)]
pub struct Planner {
    plan: Plan,
    /// The length of the plan's encoding.
    bytes: u64,
    max_bytes: u32,
    deposits: NearToken,
    gas: u64,
    weights: u64,
}

/// A call of a function, as a guest asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCall<'a> {
    /// The name of the method.
    pub method: &'a [u8],
    /// The arguments.
    pub args: &'a [u8],
    /// The attached deposit, yoctoNEAR.
    pub deposit: u128,
    /// The attached gas.
    pub gas: u64,
    /// The share of the gas that is left over.
    pub weight: u64,
}

impl Planner {
    /// Nothing planned yet; the plan may have so many bytes.
    pub fn new(max_bytes: u32) -> Self {
        Self {
            plan: Plan::default(),
            bytes: 0,
            max_bytes,
            deposits: NearToken::from_yoctonear(0),
            gas: 0,
            weights: 0,
        }
    }

    /// Adds a promise for `receiver`, which waits for those in `after`. Gives its number.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the plan gets too long. A trap when there are too many promises, the
    /// receiver is no account id, or it waits for too many others or for one that does not exist.
    pub fn promise(&mut self, receiver: &[u8], after: Vec<u32>) -> Result<u32, Stop> {
        // The first promise of a plan brings what every plan has.
        self.admit(receiver.len() as u64 + after.len() as u64)?;
        let number = self.plan.promises.len();
        if number >= MAX_PROMISES {
            return Err(Stop::Trap(reason::TOO_MANY_PROMISES));
        }
        if after.len() > MAX_DEPENDENCIES {
            return Err(Stop::Trap(reason::TOO_MANY_DEPENDENCIES));
        }
        if after.iter().any(|after| *after as usize >= number) {
            return Err(Stop::Trap(reason::NO_SUCH_PROMISE));
        }
        let receiver = std::str::from_utf8(receiver).ok().and_then(|id| id.parse().ok());
        let receiver: AccountId = receiver.ok_or(Stop::Trap(reason::NO_ACCOUNT_ID))?;
        self.plan.promises.push(Promise { receiver, after, actions: Vec::new() });
        let added = self.plan.promises.last().map_or(0, Promise::bytes);
        let own = if number == 0 { Plan::EMPTY_BYTES } else { 0 };
        self.grow(own + added)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Adds a function call to a promise.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the plan gets too long. A trap when the promise does not exist or has
    /// too many actions, the method's name is empty, too long or not text, there is neither gas nor
    /// a weight, or the sum of deposits, gas or weights does not fit.
    pub fn call(&mut self, promise: u32, call: &PlannedCall<'_>) -> Result<(), Stop> {
        self.admit((call.method.len() + call.args.len()) as u64)?;
        if call.method.is_empty() || call.method.len() > MAX_METHOD_BYTES {
            return Err(Stop::Trap(reason::METHOD_NAME));
        }
        let method = std::str::from_utf8(call.method);
        let method = method.map_err(|_| Stop::Trap(reason::METHOD_NAME))?.to_owned();
        if call.gas == 0 && call.weight == 0 {
            return Err(Stop::Trap(reason::NO_GAS));
        }
        let sums = self.gas.checked_add(call.gas).zip(self.weights.checked_add(call.weight));
        let (gas, weights) = sums.ok_or(Stop::Trap(reason::PLAN_OVERFLOW))?;
        self.add(
            promise,
            Action::FunctionCall {
                method,
                args: Bytes::from(call.args),
                deposit: NearToken::from_yoctonear(call.deposit),
                gas: call.gas,
                weight: call.weight,
            },
        )?;
        (self.gas, self.weights) = (gas, weights);
        Ok(())
    }

    /// Adds a transfer of `deposit` yoctoNEAR to a promise.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn transfer(&mut self, promise: u32, deposit: u128) -> Result<(), Stop> {
        self.add(promise, Action::Transfer { deposit: NearToken::from_yoctonear(deposit) })
    }

    /// Returns the result of a promise. The last promise that is returned counts.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the plan gets too long, or a trap when the promise does not exist.
    pub fn returns(&mut self, promise: u32) -> Result<(), Stop> {
        if promise as usize >= self.plan.promises.len() {
            return Err(Stop::Trap(reason::NO_SUCH_PROMISE));
        }
        let is_first = self.plan.returns.replace(promise).is_none();
        self.grow(if is_first { Plan::RETURNED_BYTES } else { 0 })
    }

    /// The plan.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    fn add(&mut self, promise: u32, action: Action) -> Result<(), Stop> {
        let deposits = self.deposits.checked_add(action.deposit());
        let deposits = deposits.ok_or(Stop::Trap(reason::PLAN_OVERFLOW))?;
        let promise = self.plan.promises.get_mut(promise as usize);
        let actions = &mut promise.ok_or(Stop::Trap(reason::NO_SUCH_PROMISE))?.actions;
        if actions.len() >= MAX_ACTIONS {
            return Err(Stop::Trap(reason::TOO_MANY_ACTIONS));
        }
        let added = action.bytes();
        actions.push(action);
        self.deposits = deposits;
        self.grow(added)
    }

    /// Checks that so many bytes more are possible, before they are copied.
    fn admit(&self, bytes: u64) -> Result<(), Stop> {
        if self.bytes.saturating_add(bytes) > self.max_bytes.into() {
            return Err(Stop::limit(Limit::PlanBytes, self.max_bytes));
        }
        Ok(())
    }

    fn grow(&mut self, bytes: u64) -> Result<(), Stop> {
        self.admit(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: PlannedCall<'_> =
        PlannedCall { method: b"note", args: b"{}", deposit: 1, gas: 5, weight: 0 };

    fn planner() -> Planner {
        let mut planner = Planner::new(10_000);
        planner.promise(b"alice.near", vec![]).unwrap();
        planner
    }

    fn trap<T>(answer: Result<T, Stop>) -> Option<&'static str> {
        match answer {
            Err(Stop::Trap(reason)) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn what_is_recorded_could_be_carried_out() {
        let mut planner = planner();
        planner.transfer(0, 7).unwrap();
        assert_eq!(planner.promise(b"book.near", vec![0]), Ok(1));
        planner.call(1, &CALL).unwrap();
        planner.returns(0).unwrap();
        planner.returns(1).unwrap();
        let bytes = planner.bytes;
        let plan = planner.into_plan();
        assert_eq!((plan.check(), plan.bytes(), plan.returns), (Ok(()), bytes, Some(1)));
        assert_eq!(plan.encode().len() as u64, bytes);
    }

    #[test]
    fn the_limit_is_met_to_the_byte() {
        let plan = |max_bytes| {
            let mut planner = Planner::new(max_bytes);
            planner.promise(b"alice.near", vec![])?;
            planner.call(0, &CALL)?;
            planner.transfer(0, 1)?;
            planner.returns(0)?;
            Ok(planner.into_plan())
        };
        let whole = u32::try_from(plan(10_000).unwrap().bytes()).unwrap();
        assert!(plan(whole).is_ok());
        for max_bytes in 0..whole {
            assert_eq!(plan(max_bytes), Err(Stop::limit(Limit::PlanBytes, max_bytes)));
        }
    }

    #[test]
    fn what_a_plan_cannot_hold_is_a_trap_that_says_so() {
        for receiver in [&b"Alice.near"[..], b"", b"a", b"\xff\xff"] {
            let answer = planner().promise(receiver, vec![]);
            assert_eq!(trap(answer), Some(reason::NO_ACCOUNT_ID), "{receiver:?}");
        }
        assert_eq!(trap(planner().promise(b"b.near", vec![1])), Some(reason::NO_SUCH_PROMISE));
        let after = vec![0; MAX_DEPENDENCIES + 1];
        assert_eq!(trap(planner().promise(b"b.near", after)), Some(reason::TOO_MANY_DEPENDENCIES));
        assert_eq!(trap(planner().transfer(1, 1)), Some(reason::NO_SUCH_PROMISE));
        assert_eq!(trap(planner().call(1, &CALL)), Some(reason::NO_SUCH_PROMISE));
        assert_eq!(trap(planner().returns(1)), Some(reason::NO_SUCH_PROMISE));
        for method in [&b""[..], b"\xff", &[b'm'; 257]] {
            let answer = planner().call(0, &PlannedCall { method, ..CALL });
            assert_eq!(trap(answer), Some(reason::METHOD_NAME));
        }
        let answer = planner().call(0, &PlannedCall { gas: 0, ..CALL });
        assert_eq!(trap(answer), Some(reason::NO_GAS));
        let mut many = planner();
        assert!((1..MAX_PROMISES).all(|_| many.promise(b"b.near", vec![]).is_ok()));
        assert_eq!(trap(many.promise(b"b.near", vec![])), Some(reason::TOO_MANY_PROMISES));
        assert!((0..MAX_ACTIONS).all(|_| many.transfer(0, 1).is_ok()));
        assert_eq!(trap(many.transfer(0, 1)), Some(reason::TOO_MANY_ACTIONS));
        for call in [
            PlannedCall { gas: u64::MAX, ..CALL },
            PlannedCall { weight: u64::MAX, ..CALL },
            PlannedCall { deposit: u128::MAX, ..CALL },
        ] {
            let mut planner = planner();
            planner.call(0, &call).unwrap();
            let again = planner.call(0, &PlannedCall { weight: 1, ..CALL });
            assert_eq!(trap(again), Some(reason::PLAN_OVERFLOW));
        }
    }
}
