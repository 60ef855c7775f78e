//! Carrying out what a guest planned, within the bounds that this contract states.
//!
//! A guest decides, and the contract that asked acts. A plan comes with the outcome
//! ([`Outcome::Planned`](crate::Outcome::Planned)) to this contract's callback, which states what
//! it lets a guest decide:
//!
//! ```ignore
//! let Outcome::Planned { plan, .. } = settled.outcome else { return };
//! let carried = Bounds::nothing()
//!     .transfers_to(alice)
//!     .calls_to(token, &["ft_transfer"])
//!     .deposit(pot)
//!     .gas(Gas::from_tgas(40), Gas::from_tgas(20))
//!     .promises(5)
//!     .carry_out(&plan);
//! ```
//!
//! A plan that is not within the bounds in every part is refused as a whole, before anything is
//! made of it.

use near_sdk::{AccountId, Gas, NearToken, PromiseIndex, env};
use outlayer_protocol::{
    Plan,
    plan::{Action, PlanError, Promise},
    pricing::{answer_gas, may_be_created},
};

use crate::Call;

/// Gas that is left to the callback beyond what the plan takes, unless it asks for more.
const ROOM: Gas = Gas::from_ggas(2_000);
/// Gas of making a receipt, at both ends.
const RECEIPT: Gas = Gas::from_gas(2 * 108_059_500_000);
/// Gas for each result that a receipt waits for, at both ends.
const DEPENDENCY: Gas = Gas::from_ggas(120);
/// Gas of a transfer, at both ends.
const TRANSFER: Gas = Gas::from_gas(2 * 115_123_062_500);
/// Gas of a transfer that may have to create its receiver, in addition.
const NEW_ACCOUNT: Gas = Gas::from_ggas(8_300);
/// Gas of the calls of host functions for each promise and action.
const HOST: Gas = Gas::from_ggas(30);

/// What a contract lets a guest decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    receivers: Vec<Receiver>,
    deposit: NearToken,
    gas: Gas,
    gas_per_call: Gas,
    promises: usize,
    kept_gas: Gas,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Receiver {
    id: AccountId,
    may_be_paid: bool,
    methods: Vec<String>,
}

/// Why a plan is not carried out. Nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// It is no plan, or none that anybody could carry out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It has too many promises.
    #[error("the plan has {found} promises, this contract carries out at most {most}")]
    Promises {
        /// How many it has.
        found: usize,
        /// How many are allowed.
        most: usize,
    },
    /// A promise is for an account that is not among the receivers.
    #[error("promise {promise} is for {found}, which this contract does not allow")]
    Receiver {
        /// The promise.
        promise: usize,
        /// Its receiver.
        found: AccountId,
    },
    /// A promise pays an account that may only be called.
    #[error("promise {promise} transfers money to {receiver}, which this contract only calls")]
    Transfer {
        /// The promise.
        promise: usize,
        /// Its receiver.
        receiver: AccountId,
    },
    /// A promise calls a method that is not among those of its receiver.
    #[error("promise {promise} calls {method} of {receiver}, which this contract does not allow")]
    Method {
        /// The promise.
        promise: usize,
        /// Its receiver.
        receiver: AccountId,
        /// The method.
        method: String,
    },
    /// The deposits are too much together.
    #[error(
        "the plan spends {} yoctoNEAR, this contract allows {}",
        found.as_yoctonear(),
        most.as_yoctonear()
    )]
    Deposit {
        /// All deposits together.
        found: NearToken,
        /// What is allowed.
        most: NearToken,
    },
    /// A call has too much gas.
    #[error("promise {promise} gives {method} {found} gas, this contract allows {most} a call")]
    GasPerCall {
        /// The promise.
        promise: usize,
        /// The method.
        method: String,
        /// Its gas.
        found: Gas,
        /// What is allowed.
        most: Gas,
    },
    /// A call has a weight and no gas of its own, and nothing is left to share.
    #[error("promise {promise} calls {method} with a share of what is left, which is no gas")]
    NoGas {
        /// The promise.
        promise: usize,
        /// The method.
        method: String,
    },
    /// The calls have too much gas together.
    #[error("the plan's calls have {found} gas, this contract allows {most}")]
    Gas {
        /// All gas together.
        found: Gas,
        /// What is allowed.
        most: Gas,
    },
    /// This contract does not have the money. What it has for its storage is not spent.
    #[error(
        "the plan spends {} yoctoNEAR, this contract has {} to spend",
        needed.as_yoctonear(),
        found.as_yoctonear()
    )]
    Balance {
        /// What it has.
        found: NearToken,
        /// All deposits together.
        needed: NearToken,
    },
    /// The callback has too little gas left.
    #[error("the plan takes {needed} gas, this call has {found} left")]
    GasLeft {
        /// What is left.
        found: Gas,
        /// What carrying the plan out takes.
        needed: Gas,
    },
}

impl Bounds {
    /// Bounds within which only the empty plan is. Every other method allows something more.
    pub const fn nothing() -> Self {
        Self {
            receivers: Vec::new(),
            deposit: NearToken::from_yoctonear(0),
            gas: Gas::from_gas(0),
            gas_per_call: Gas::from_gas(0),
            promises: 0,
            kept_gas: ROOM,
        }
    }

    /// Allows transfers to an account.
    #[must_use]
    pub fn transfers_to(mut self, receiver: AccountId) -> Self {
        self.receiver(receiver).may_be_paid = true;
        self
    }

    /// Allows calls of these methods of an account.
    ///
    /// A call to this contract's own account has the contract as its predecessor, so its private
    /// methods take it. Allow no such method here that a guest may not call.
    #[must_use]
    pub fn calls_to(mut self, receiver: AccountId, methods: &[&str]) -> Self {
        let methods = methods.iter().map(|method| (*method).to_owned());
        self.receiver(receiver).methods.extend(methods);
        self
    }

    /// Allows transfers and attached deposits of this much in all.
    #[must_use]
    pub fn deposit(self, most: NearToken) -> Self {
        Self { deposit: most, ..self }
    }

    /// Allows calls with this much gas in all, and this much for each. Calls with a weight share in
    /// what the gas of the others leaves of it.
    #[must_use]
    pub fn gas(self, most: Gas, per_call: Gas) -> Self {
        Self { gas: most, gas_per_call: per_call, ..self }
    }

    /// Allows this many promises.
    #[must_use]
    pub fn promises(self, most: usize) -> Self {
        Self { promises: most, ..self }
    }

    /// Leaves this much gas to what the callback does afterwards, such as a callback of its own or
    /// a payment. Without it, 2 Tgas are left. A callback that runs out of gas has carried nothing
    /// out, and cannot say so.
    #[must_use]
    pub fn keep_gas(self, gas: Gas) -> Self {
        Self { kept_gas: gas, ..self }
    }

    fn receiver(&mut self, id: AccountId) -> &mut Receiver {
        let known = self.receivers.iter().position(|known| known.id == id);
        let place = known.unwrap_or(self.receivers.len());
        if known.is_none() {
            self.receivers.push(Receiver { id, may_be_paid: false, methods: Vec::new() });
        }
        &mut self.receivers[place]
    }

    /// Reads a plan and checks that all of it is within these bounds.
    ///
    /// # Errors
    /// The first [`PlanRefused`] found, apart from those about what this contract has.
    pub fn check(&self, plan: &[u8]) -> Result<Plan, PlanRefused> {
        let plan = Plan::decode(plan)?;
        let (found, most) = (plan.promises.len(), self.promises);
        if found > most {
            return Err(PlanRefused::Promises { found, most });
        }
        for (number, promise) in plan.promises.iter().enumerate() {
            self.check_promise(number, promise)?;
        }
        let (found, most) = (plan.deposits()?, self.deposit);
        if found > most {
            return Err(PlanRefused::Deposit { found, most });
        }
        let (found, most) = (Gas::from_gas(plan.gas()?), self.gas);
        if found > most {
            return Err(PlanRefused::Gas { found, most });
        }
        Ok(plan)
    }

    fn check_promise(&self, number: usize, promise: &Promise) -> Result<(), PlanRefused> {
        let id = &promise.receiver;
        let known = self.receivers.iter().find(|known| known.id == *id);
        let Some(receiver) = known else {
            return Err(PlanRefused::Receiver { promise: number, found: id.clone() });
        };
        for action in &promise.actions {
            match action {
                Action::Transfer { .. } if !receiver.may_be_paid => {
                    return Err(PlanRefused::Transfer { promise: number, receiver: id.clone() });
                }
                Action::Transfer { .. } => {}
                Action::FunctionCall { method, .. } if !receiver.methods.contains(method) => {
                    let (receiver, method) = (id.clone(), method.clone());
                    return Err(PlanRefused::Method { promise: number, receiver, method });
                }
                Action::FunctionCall { method, gas, .. } => {
                    let (found, most) = (Gas::from_gas(*gas), self.gas_per_call);
                    if found > most {
                        let method = method.clone();
                        return Err(PlanRefused::GasPerCall {
                            promise: number,
                            method,
                            found,
                            most,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the promises of a plan, if all of it is within these bounds and this contract has the
    /// money and the gas. They are this contract's own: it pays for them, and what comes back when
    /// one fails comes to it.
    ///
    /// # Errors
    /// The first [`PlanRefused`] found. No promise is made then.
    pub fn carry_out(&self, plan: &[u8]) -> Result<CarriedOut, PlanRefused> {
        let plan = self.check(plan)?;
        let needed = plan.deposits()?;
        let bound = env::storage_byte_cost().saturating_mul(env::storage_usage().into());
        let found = env::account_balance().saturating_sub(bound);
        if needed > found {
            return Err(PlanRefused::Balance { found, needed });
        }
        let found = env::prepaid_gas().saturating_sub(env::used_gas());
        let (fixed, making) =
            (Gas::from_gas(plan.gas()?), making(&plan).saturating_add(self.kept_gas));
        let needed = fixed.saturating_add(making);
        if needed > found {
            return Err(PlanRefused::GasLeft { found, needed });
        }
        let shared = self.gas.min(found.saturating_sub(making)).saturating_sub(fixed);
        let shares = Shares { gas: shared, weights: plan.weights()?, per_call: self.gas_per_call };
        shares.check(&plan)?;
        let mut made = Vec::with_capacity(plan.promises.len());
        for promise in &plan.promises {
            made.push(make(promise, &made, &shares));
        }
        let returned = plan.returns.and_then(|number| made.get(number as usize).copied());
        Ok(CarriedOut { plan, made, returned })
    }
}

/// The gas that calls with a weight share in.
struct Shares {
    gas: Gas,
    weights: u64,
    per_call: Gas,
}

impl Shares {
    /// Checks that every call gets gas. A receipt with a call without gas is not valid, and would
    /// undo the whole callback.
    fn check(&self, plan: &Plan) -> Result<(), PlanRefused> {
        for (promise, one) in plan.promises.iter().enumerate() {
            for action in &one.actions {
                if let Action::FunctionCall { method, gas, weight, .. } = action
                    && self.of(*gas, *weight) == Gas::from_gas(0)
                {
                    return Err(PlanRefused::NoGas { promise, method: method.clone() });
                }
            }
        }
        Ok(())
    }

    /// The gas of a call that brings `gas` itself.
    fn of(&self, gas: u64, weight: u64) -> Gas {
        let product = u128::from(self.gas.as_gas()) * u128::from(weight);
        let share = product.checked_div(self.weights.into()).unwrap_or_default();
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        Gas::from_gas(gas.saturating_add(share)).min(self.per_call)
    }
}

/// What making these promises takes of the gas, beside the gas of their calls.
fn making(plan: &Plan) -> Gas {
    plan.promises.iter().fold(Gas::from_gas(0), |sum, promise| {
        let new = may_be_created(Some(&promise.receiver));
        let waits = DEPENDENCY.saturating_mul(promise.after.len() as u64);
        let sum = sum.saturating_add(RECEIPT).saturating_add(HOST).saturating_add(waits);
        promise.actions.iter().fold(sum, |sum, action| {
            let own = match action {
                Action::Transfer { .. } if new => TRANSFER.saturating_add(NEW_ACCOUNT),
                Action::Transfer { .. } => TRANSFER,
                Action::FunctionCall { method, args, .. } => {
                    let bytes = (method.len() + args.len()) as u64;
                    let bytes = bytes.saturating_mul(answer_gas::PER_CALL_BYTE);
                    Gas::from_gas(answer_gas::CALL.saturating_add(bytes))
                }
            };
            sum.saturating_add(own).saturating_add(HOST)
        })
    })
}

/// Makes a promise after those that are made.
fn make(promise: &Promise, made: &[PromiseIndex], shares: &Shares) -> PromiseIndex {
    let after: Vec<_> =
        promise.after.iter().filter_map(|number| made.get(*number as usize).copied()).collect();
    let index = match after[..] {
        [] => env::promise_batch_create(&promise.receiver),
        [one] => env::promise_batch_then(one, &promise.receiver),
        _ => env::promise_batch_then(env::promise_and(&after), &promise.receiver),
    };
    for action in &promise.actions {
        match action {
            Action::Transfer { deposit } => env::promise_batch_action_transfer(index, *deposit),
            Action::FunctionCall { method, args, deposit, gas, weight } => {
                let gas = shares.of(*gas, *weight);
                env::promise_batch_action_function_call(index, method, args, *deposit, gas);
            }
        }
    }
    index
}

/// The promises that were made of a plan. Nothing waits for them unless the callback says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedOut {
    plan: Plan,
    made: Vec<PromiseIndex>,
    returned: Option<PromiseIndex>,
}

impl CarriedOut {
    /// The plan that was carried out, whose promises these are.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All of them, joined: a callback that is chained to it finds the result of each. `None` when
    /// there are none.
    pub fn all(&self) -> Option<Call> {
        match self.made[..] {
            [] => None,
            [one] => Some(Call(one)),
            _ => Some(Call(env::promise_and(&self.made))),
        }
    }

    /// The one whose result the guest returned. `None` when it returned none.
    pub fn returned(&self) -> Option<Call> {
        self.returned.map(Call)
    }
}

#[cfg(test)]
mod tests;
