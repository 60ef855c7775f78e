//! A pot that a guest divides among members, and that this contract pays.
//!
//! The guest `payout` decides who gets how much, and plans the transfers. The plan comes back with
//! the answer, and the contract carries it out within bounds of its own: transfers to members
//! alone, one for each, and no more than the pot. A plan that is not within them is refused as a
//! whole, and the pot goes back to who brought it. So a guest or a worker that lies can divide the
//! pot wrongly among the members, and nothing else; who wants less trust asks for several
//! approvals.
//!
//! The pot never leaves this contract before that, and what the plan leaves of it goes back as
//! well, and so does a part whose transfer fails, because its member has no account any more.

use near_sdk::{
    AccountId, Gas, NearToken, PanicOnDefault, PromiseError, env, near, require, serde_json::json,
};
use outlayer_interface::{
    Bounds, CodeRef, ExecutionRequest, Hash32, Outcome, Plan, PlanRefused, ResourceLimits,
    ext_outlayer, request_for, settlement,
};

/// The most members, so that the callbacks have enough gas.
const MOST_MEMBERS: usize = 20;
/// For `on_paid`.
const ON_PAID: Gas = Gas::from_tgas(15);
/// What is left for `on_paid` and for what goes back, to an account that may have to be created.
const AFTERWARDS: Gas = Gas::from_tgas(30);
/// More bytes than the plan of a transfer has.
const BYTES_PER_MEMBER: u32 = 120;

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Payout {
    outlayer: AccountId,
    /// SHA-256 of `payout`, which is published in OutLayer.
    code: Hash32,
    /// The members with their points.
    members: Vec<(AccountId, u32)>,
}

/// What became of a pot.
#[near(serializers = [json])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// What is on its way to members.
    pub paid: NearToken,
    /// What goes back to who brought the pot.
    pub returned: NearToken,
    /// Why nothing was paid; `None` when the plan was carried out.
    pub refused: Option<String>,
}

#[near]
impl Payout {
    #[init]
    pub fn new(outlayer: AccountId, code: Hash32, members: Vec<(AccountId, u32)>) -> Self {
        require!(members.len() <= MOST_MEMBERS, "there are too many members");
        Self { outlayer, code, members }
    }

    /// Divides a pot. What is attached beyond it pays for the request, and what the request does
    /// not use goes back.
    #[payable]
    pub fn pay_out(&mut self, pot: NearToken) {
        let (payer, attached) = (env::predecessor_account_id(), env::attached_deposit());
        require!(pot < attached, "attach the pot and what the request costs");
        let paid = json!({ "payer": payer, "pot": pot });
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(attached.saturating_sub(pot))
            .request_execution(&self.request(payer, pot))
            .then("on_plan", &paid, Gas::from_tgas(100))
            .return_to_caller();
    }

    /// The request that a division makes, to pass to OutLayer's view `estimate_cost`.
    pub fn request(&self, payer: AccountId, pot: NearToken) -> ExecutionRequest {
        let code = CodeRef { hash: self.code, url: None };
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let limits = ResourceLimits {
            plan_bytes: members.saturating_mul(BYTES_PER_MEMBER),
            max_module_bytes: 256 << 10,
            ..ResourceLimits::default()
        };
        let input = json!({ "pot": pot, "members": self.members }).to_string();
        ExecutionRequest { limits, ..request_for(payer, code, &input[..]) }
    }

    #[private]
    pub fn on_plan(&mut self, payer: AccountId, pot: NearToken) -> Paid {
        let outcome = settlement().map(|settled| settled.outcome);
        let refused = match outcome {
            Ok(Outcome::Planned { plan, .. }) => match self.carry_out(&plan, &payer, pot) {
                Ok(paid) => {
                    let returned = pot.saturating_sub(paid);
                    pay(&payer, returned);
                    return Paid { paid, returned, refused: None };
                }
                Err(refused) => refused.to_string(),
            },
            Ok(other) => other.name().to_owned(),
            // The pot is here, whatever has become of the call.
            Err(error) => error.to_string(),
        };
        pay(&payer, pot);
        Paid { paid: NearToken::ZERO, returned: pot, refused: Some(refused) }
    }

    /// Parts that did not arrive have come back to this contract, and go on to who brought them.
    #[private]
    pub fn on_paid(&mut self, payer: AccountId, parts: Vec<NearToken>) {
        let bounced = (0u64..)
            .zip(parts)
            .filter(|(number, _)| {
                matches!(env::promise_result_checked(*number, 0), Err(PromiseError::Failed))
            })
            .fold(NearToken::ZERO, |sum, (_, part)| sum.saturating_add(part));
        pay(&payer, bounced);
    }
}

impl Payout {
    /// Pays what the plan says, if all of it is within the bounds. Gives the sum.
    fn carry_out(
        &self,
        plan: &[u8],
        payer: &AccountId,
        pot: NearToken,
    ) -> Result<NearToken, PlanRefused> {
        let bounds = self
            .members
            .iter()
            .fold(Bounds::nothing(), |bounds, (member, _)| bounds.transfers_to(member.clone()));
        let bounds = bounds.promises(self.members.len()).deposit(pot).keep_gas(AFTERWARDS);
        let carried = bounds.carry_out(plan)?;
        let parts = parts(carried.plan());
        let sum = parts.iter().fold(NearToken::ZERO, |sum, part| sum.saturating_add(*part));
        if let Some(all) = carried.all() {
            let told = json!({ "payer": payer, "parts": parts });
            all.then("on_paid", &told, ON_PAID).detach();
        }
        Ok(sum)
    }
}

/// What each promise of the plan pays.
fn parts(plan: &Plan) -> Vec<NearToken> {
    let sum = |promise: &outlayer_interface::protocol::plan::Promise| {
        let deposits = promise.actions.iter().map(|action| action.deposit());
        deposits.fold(NearToken::ZERO, NearToken::saturating_add)
    };
    plan.promises.iter().map(sum).collect()
}

fn pay(to: &AccountId, amount: NearToken) {
    if amount.is_zero() {
        return;
    }
    let promise = env::promise_batch_create(to);
    env::promise_batch_action_transfer(promise, amount);
}
