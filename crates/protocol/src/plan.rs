//! Plans: what a guest would have its caller do, as promises of NEAR.
//!
//! A guest acts on nothing. It records a plan, whose bytes come with the outcome
//! ([`Outcome::Planned`](crate::Outcome::Planned)) to the contract that asked, and that contract
//! carries it out, or a part of it, or nothing. The OutLayer contract binds the bytes into the
//! record and hands them on. It never decodes them, so no plan can make it pay or call anything.
//!
//! A plan that an engine records is [within the bounds](Plan::check) of what NEAR takes. One that a
//! worker made up need not be, so whoever reads a plan uses [`Plan::decode`].

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use serde::Serialize;

use crate::{Bytes, json};

/// The most promises of a plan. NEAR's runtime takes 1,024 of one call.
pub const MAX_PROMISES: usize = 100;
/// The most promises that one may wait for. NEAR's runtime takes 128.
pub const MAX_DEPENDENCIES: usize = MAX_PROMISES;
/// The most actions of one promise: `max_actions_per_receipt` of NEAR's runtime.
pub const MAX_ACTIONS: usize = 100;
/// The longest name of a method, bytes: `max_length_method_name` of NEAR's runtime.
pub const MAX_METHOD_BYTES: usize = 256;

/// Bytes of the encoding of a promise apart from its receiver, dependencies and actions.
const PROMISE_BYTES: u64 = 3 * 4;
/// Bytes of the number of a promise that another one waits for.
const DEPENDENCY_BYTES: u64 = 4;
/// Bytes of a transfer.
const TRANSFER_BYTES: u64 = 1 + 16;
/// Bytes of a function call apart from its method and arguments.
const CALL_BYTES: u64 = 1 + 2 * 4 + 16 + 2 * 8;

/// What a guest would have its caller do.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
)]
pub struct Plan {
    /// The promises. Each is known by its place, from 0.
    pub promises: Vec<Promise>,
    /// The promise whose result the guest returns, if it returns one instead of an output.
    pub returns: Option<u32>,
}

/// A receipt that the caller would make: actions for one account, in this order.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Encode, Decode, Serialize,
)]
pub struct Promise {
    /// The account that executes the actions.
    pub receiver: AccountId,
    /// The earlier promises whose results this one waits for and receives, in this order; none for
    /// a promise that waits for nothing.
    pub after: Vec<u32>,
    /// What the receiver executes: all of it or, when one action fails, none.
    pub actions: Vec<Action>,
}

/// One action of a promise.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Encode, Decode, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Calls a function of the receiver.
    FunctionCall {
        /// The name of the method, 1 to [`MAX_METHOD_BYTES`] bytes.
        method: String,
        /// The arguments, as the method takes them.
        args: Bytes,
        /// The attached deposit, yoctoNEAR.
        deposit: NearToken,
        /// The attached gas.
        #[serde(with = "json::u64_string")]
        gas: u64,
        /// The share of the gas that is left over. A call has gas or a weight, or both.
        #[serde(with = "json::u64_string")]
        weight: u64,
    },
    /// Transfers money to the receiver.
    Transfer {
        /// The amount, yoctoNEAR.
        deposit: NearToken,
    },
}

/// Why bytes are no plan, or a plan is none that could be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The bytes are not the encoding of a plan.
    #[error("these {bytes} bytes are no plan: {source}")]
    Malformed {
        /// How many bytes there are.
        bytes: usize,
        /// What is wrong with them.
        source: outlayer_codec::Error,
    },
    /// There are too many promises.
    #[error("the plan has {found} promises, at most {MAX_PROMISES} are possible")]
    Promises {
        /// How many there are.
        found: usize,
    },
    /// A promise has too many actions.
    #[error("promise {promise} has {found} actions, at most {MAX_ACTIONS} are possible")]
    Actions {
        /// The promise.
        promise: usize,
        /// How many actions it has.
        found: usize,
    },
    /// A promise waits for too many others.
    #[error("promise {promise} waits for {found} others, at most {MAX_DEPENDENCIES} are possible")]
    Dependencies {
        /// The promise.
        promise: usize,
        /// For how many it waits.
        found: usize,
    },
    /// A promise waits for one that is not before it.
    #[error("promise {promise} waits for promise {after}, which is not before it")]
    After {
        /// The promise.
        promise: usize,
        /// The one that it waits for.
        after: u32,
    },
    /// The promise that is returned does not exist.
    #[error("the plan returns promise {found}, of {promises}")]
    Returns {
        /// The promise that is returned.
        found: u32,
        /// How many promises there are.
        promises: usize,
    },
    /// The name of a method is empty or too long.
    #[error(
        "promise {promise} calls a method whose name has {found} bytes, expected 1 to \
         {MAX_METHOD_BYTES}"
    )]
    Method {
        /// The promise.
        promise: usize,
        /// The length of the name, bytes.
        found: usize,
    },
    /// A function call has neither gas nor a weight.
    #[error("promise {promise} calls {method} without gas: give it gas, or a weight")]
    NoGas {
        /// The promise.
        promise: usize,
        /// The method.
        method: String,
    },
    /// A sum does not fit.
    #[error("the sum of the plan's {what} does not fit into its type")]
    Overflow {
        /// `deposits`, `gas` or `weights`.
        what: &'static str,
    },
}

impl Plan {
    /// Bytes that the encoding of every plan has apart from its promises.
    pub const EMPTY_BYTES: u64 = 4 + 1;
    /// Bytes of the number of the promise that is returned.
    pub const RETURNED_BYTES: u64 = 4;

    /// Reads a plan and checks it.
    ///
    /// # Errors
    /// [`PlanError::Malformed`], or what [`check`](Self::check) finds.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        let plan: Self = outlayer_codec::from_slice(bytes)
            .map_err(|source| PlanError::Malformed { bytes: bytes.len(), source })?;
        plan.check()?;
        Ok(plan)
    }

    /// The encoding of the plan, of which there are no bytes when nothing is planned.
    pub fn encode(&self) -> Bytes {
        if self.promises.is_empty() {
            Bytes::default()
        } else {
            outlayer_codec::to_vec(self).into()
        }
    }

    /// The length of [`encode`](Self::encode), bytes.
    pub fn bytes(&self) -> u64 {
        if self.promises.is_empty() {
            return 0;
        }
        let returned = if self.returns.is_some() { Self::RETURNED_BYTES } else { 0 };
        self.promises.iter().fold(Self::EMPTY_BYTES + returned, |sum, one| sum + one.bytes())
    }

    /// Checks that a contract could carry the plan out, if it had the money and the gas.
    ///
    /// # Errors
    /// The first [`PlanError`] found.
    pub fn check(&self) -> Result<(), PlanError> {
        let promises = self.promises.len();
        if promises > MAX_PROMISES {
            return Err(PlanError::Promises { found: promises });
        }
        for (number, promise) in self.promises.iter().enumerate() {
            promise.check(number)?;
        }
        if let Some(found) = self.returns.filter(|found| *found as usize >= promises) {
            return Err(PlanError::Returns { found, promises });
        }
        self.deposits()?;
        self.gas()?;
        self.weights()?;
        Ok(())
    }

    /// All actions.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.promises.iter().flat_map(|promise| &promise.actions)
    }

    /// All deposits together.
    ///
    /// # Errors
    /// [`PlanError::Overflow`].
    pub fn deposits(&self) -> Result<NearToken, PlanError> {
        self.actions()
            .try_fold(NearToken::from_yoctonear(0), |sum, one| sum.checked_add(one.deposit()))
            .ok_or(PlanError::Overflow { what: "deposits" })
    }

    /// All gas that is attached, without what the weights bring.
    ///
    /// # Errors
    /// [`PlanError::Overflow`].
    pub fn gas(&self) -> Result<u64, PlanError> {
        self.actions()
            .try_fold(0u64, |sum, one| sum.checked_add(one.gas_and_weight().0))
            .ok_or(PlanError::Overflow { what: "gas" })
    }

    /// All weights together.
    ///
    /// # Errors
    /// [`PlanError::Overflow`].
    pub fn weights(&self) -> Result<u64, PlanError> {
        self.actions()
            .try_fold(0u64, |sum, one| sum.checked_add(one.gas_and_weight().1))
            .ok_or(PlanError::Overflow { what: "weights" })
    }
}

impl Promise {
    /// The length of the encoding, bytes.
    pub fn bytes(&self) -> u64 {
        let own = PROMISE_BYTES + self.receiver.len() as u64;
        let after = self.after.len() as u64 * DEPENDENCY_BYTES;
        self.actions.iter().fold(own + after, |sum, action| sum + action.bytes())
    }

    /// Checks the promise, which has this number.
    fn check(&self, promise: usize) -> Result<(), PlanError> {
        let found = self.after.len();
        if found > MAX_DEPENDENCIES {
            return Err(PlanError::Dependencies { promise, found });
        }
        if let Some(after) = self.after.iter().find(|after| **after as usize >= promise) {
            return Err(PlanError::After { promise, after: *after });
        }
        let found = self.actions.len();
        if found > MAX_ACTIONS {
            return Err(PlanError::Actions { promise, found });
        }
        self.actions.iter().try_for_each(|action| action.check(promise))
    }
}

impl Action {
    /// The length of the encoding, bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::FunctionCall { method, args, .. } => {
                CALL_BYTES + (method.len() + args.len()) as u64
            }
            Self::Transfer { .. } => TRANSFER_BYTES,
        }
    }

    /// The money that goes with the action, yoctoNEAR.
    pub const fn deposit(&self) -> NearToken {
        match self {
            Self::FunctionCall { deposit, .. } | Self::Transfer { deposit } => *deposit,
        }
    }

    const fn gas_and_weight(&self) -> (u64, u64) {
        match self {
            Self::FunctionCall { gas, weight, .. } => (*gas, *weight),
            Self::Transfer { .. } => (0, 0),
        }
    }

    /// Checks the action, which is one of this promise.
    ///
    /// # Errors
    /// [`PlanError::Method`] or [`PlanError::NoGas`].
    pub fn check(&self, promise: usize) -> Result<(), PlanError> {
        match self {
            Self::FunctionCall { method, .. }
                if method.is_empty() || method.len() > MAX_METHOD_BYTES =>
            {
                Err(PlanError::Method { promise, found: method.len() })
            }
            Self::FunctionCall { method, gas: 0, weight: 0, .. } => {
                Err(PlanError::NoGas { promise, method: method.clone() })
            }
            Self::FunctionCall { .. } | Self::Transfer { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Plan {
    let pay = Action::Transfer { deposit: NearToken::from_yoctonear(7) };
    let call = Action::FunctionCall {
        method: "note".to_owned(),
        args: "{}".into(),
        deposit: NearToken::from_yoctonear(1),
        gas: 5_000_000_000_000,
        weight: 1,
    };
    let receiver = |name: &str| name.parse().unwrap();
    let one = Promise { receiver: receiver("alice.near"), after: vec![], actions: vec![pay] };
    let two = Promise { receiver: receiver("book.near"), after: vec![0], actions: vec![call] };
    Plan { promises: vec![one, two], returns: Some(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn altered(change: impl FnOnce(&mut Plan)) -> Result<(), PlanError> {
        let mut plan = sample();
        change(&mut plan);
        let read = Plan::decode(&plan.encode());
        assert_eq!(read.clone().map(|_| ()), plan.check());
        read.map(|_| ())
    }

    fn call(plan: &mut Plan) -> &mut Action {
        &mut plan.promises[1].actions[0]
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_is_as_long_as_it_says() {
        let plan = sample();
        let bytes = plan.encode();
        assert_eq!(Plan::decode(&bytes), Ok(plan.clone()));
        assert_eq!(bytes.to_vec(), borsh::to_vec(&plan).unwrap());
        assert_eq!(plan.bytes(), bytes.len() as u64);
        let plan = Plan { returns: None, ..plan };
        assert_eq!(plan.bytes(), plan.encode().len() as u64);
        assert_eq!((Plan::default().encode(), Plan::default().bytes()), (Bytes::default(), 0));
    }

    #[test]
    fn what_is_no_plan_is_told() {
        for bytes in [&b""[..], b"plan", &[&sample().encode()[..], b"x"].concat()] {
            let read = Plan::decode(bytes);
            assert!(matches!(read, Err(PlanError::Malformed { .. })), "{read:?}");
        }
    }

    #[test]
    fn what_nobody_could_carry_out_is_refused() {
        let many = |plan: &mut Plan, count| {
            plan.promises = vec![plan.promises[0].clone(); count];
            plan.returns = None;
        };
        assert_eq!(altered(|plan| many(plan, MAX_PROMISES)), Ok(()));
        let found = MAX_PROMISES + 1;
        assert_eq!(altered(|plan| many(plan, found)), Err(PlanError::Promises { found }));
        let repeated = |plan: &mut Plan, count| {
            plan.promises[0].actions = vec![plan.promises[0].actions[0].clone(); count];
        };
        assert_eq!(altered(|plan| repeated(plan, MAX_ACTIONS)), Ok(()));
        let found = MAX_ACTIONS + 1;
        let refused = PlanError::Actions { promise: 0, found };
        assert_eq!(altered(|plan| repeated(plan, found)), Err(refused));
        let found = MAX_DEPENDENCIES + 1;
        let refused = PlanError::Dependencies { promise: 1, found };
        assert_eq!(altered(|plan| plan.promises[1].after = vec![0; found]), Err(refused));
        for after in [1, 2, u32::MAX] {
            let refused = PlanError::After { promise: 1, after };
            assert_eq!(altered(|plan| plan.promises[1].after = vec![0, after]), Err(refused));
        }
        let refused = PlanError::Returns { found: 2, promises: 2 };
        assert_eq!(altered(|plan| plan.returns = Some(2)), Err(refused));
        for (length, fits) in [(0, false), (1, true), (256, true), (257, false)] {
            let found = altered(|plan| {
                if let Action::FunctionCall { method, .. } = call(plan) {
                    *method = "m".repeat(length);
                }
            });
            let refused = Err(PlanError::Method { promise: 1, found: length });
            assert_eq!(found, if fits { Ok(()) } else { refused });
        }
        let with_gas = |new_gas: u64, new_weight: u64| {
            altered(|plan| {
                if let Action::FunctionCall { gas, weight, .. } = call(plan) {
                    (*gas, *weight) = (new_gas, new_weight);
                }
            })
        };
        assert_eq!((with_gas(0, 1), with_gas(1, 0)), (Ok(()), Ok(())));
        assert!(matches!(with_gas(0, 0), Err(PlanError::NoGas { promise: 1, .. })));
    }

    #[test]
    fn sums_do_not_wrap() {
        let two_calls = |new_deposit: u128, new_gas: u64, new_weight: u64| {
            altered(|plan| {
                if let Action::FunctionCall { deposit, gas, weight, .. } = call(plan) {
                    *deposit = NearToken::from_yoctonear(new_deposit);
                    (*gas, *weight) = (new_gas, new_weight);
                }
                plan.promises[0] = Promise { after: vec![], ..plan.promises[1].clone() };
            })
        };
        let overflow = |what| Err(PlanError::Overflow { what });
        assert_eq!(two_calls(u128::MAX / 2, u64::MAX / 2, u64::MAX / 2), Ok(()));
        assert_eq!(two_calls(u128::MAX / 2 + 1, 1, 1), overflow("deposits"));
        assert_eq!(two_calls(1, u64::MAX / 2 + 1, 1), overflow("gas"));
        assert_eq!(two_calls(1, 1, u64::MAX / 2 + 1), overflow("weights"));
    }

    #[test]
    fn json_has_the_amounts_as_strings() {
        let json = serde_json::to_value(sample()).unwrap();
        let expected = serde_json::json!({
            "promises": [
                { "receiver": "alice.near", "after": [], "actions": [
                    { "transfer": { "deposit": "7" } }
                ] },
                { "receiver": "book.near", "after": [0], "actions": [
                    { "function_call": {
                        "method": "note", "args": "e30=", "deposit": "1",
                        "gas": "5000000000000", "weight": "1"
                    } }
                ] }
            ],
            "returns": 1
        });
        assert_eq!(json, expected);
    }
}
