//! Heads or tails against the house, for twice the stake or nothing.
//!
//! The guest `random-ark` draws the coin from the request's random seed, which is public as soon as
//! the request is made. Nobody can choose the seed. But a player who sees a loss coming can cancel
//! the request, and workers can disagree, or stay silent until the request times out. So **a
//! missing answer is a loss**: the house pays only for a coin that was drawn and shows the guess.
//! Otherwise everybody would cancel the flips that they are about to lose.
//!
//! The house pays nothing that OutLayer pays already. What a request does not use, and the whole
//! deposit of one that is refused, goes from OutLayer to the player, so that the house returns the
//! stake of a refused flip and no more.

use near_sdk::{
    AccountId, Gas, NearToken, PanicOnDefault, env, near, require,
    serde_json::{self, json},
    store::LookupMap,
};
use outlayer_interface::{
    CancelBy, CodeRef, Deposit, ExecutionRequest, Hash32, Outcome, ResourceLimits, ext_outlayer,
    request_for, settlement,
};

#[near(serializers = [json])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Coin {
    Heads,
    Tails,
}

/// The result of a flip.
#[near(serializers = [json])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Whether the player gets twice the stake.
    pub won: bool,
    /// The coin that was drawn, or why there is none.
    pub shown: String,
    /// What the house pays the player: the prize, the stake of a refused flip, or nothing.
    pub paid: NearToken,
    /// What OutLayer returns of the rest of the deposit to the player.
    pub refund: NearToken,
}

/// The part of `random-ark`'s answer that matters here.
#[near(serializers = [json])]
struct Drawn {
    coin: Coin,
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct CoinFlip {
    outlayer: AccountId,
    /// SHA-256 of `random-ark`, which is published in OutLayer.
    code: Hash32,
    /// The prizes of all open flips and what is set aside, yoctoNEAR. The house does not bet this
    /// money again.
    at_risk: NearToken,
    /// What players may have due, and the house cannot tell.
    set_aside: LookupMap<AccountId, NearToken>,
}

#[near]
impl CoinFlip {
    #[init]
    pub fn new(outlayer: AccountId, code: Hash32) -> Self {
        Self { outlayer, code, at_risk: NearToken::ZERO, set_aside: LookupMap::new(b"a") }
    }

    /// Flips a coin for a stake. What is attached beyond the stake pays for the request, and what
    /// the request does not use goes back to the player.
    #[payable]
    pub fn flip(&mut self, guess: Coin, stake: NearToken) {
        let (player, attached) = (env::predecessor_account_id(), env::attached_deposit());
        require!(stake < attached, "attach the stake and what the request costs");
        let deposit = attached.saturating_sub(stake);
        let prize = stake.saturating_mul(2);
        let bound = env::storage_byte_cost().saturating_mul(env::storage_usage().into());
        let taken = bound.saturating_add(self.at_risk).saturating_add(deposit);
        let free = env::account_balance().saturating_sub(taken);
        require!(prize <= free, "the house cannot pay that");
        self.at_risk = self.at_risk.saturating_add(prize);

        let flip = json!({ "player": player, "guess": guess, "stake": stake, "deposit": deposit });
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(deposit)
            .request_execution(&self.request(player))
            .then("on_coin", &flip, Gas::from_tgas(10))
            .return_to_caller();
    }

    /// The request that a flip makes, to pass to OutLayer's view `estimate_cost`.
    pub fn request(&self, player: AccountId) -> ExecutionRequest {
        let code = CodeRef { hash: self.code, url: None };
        let limits = ResourceLimits {
            output_bytes: 500,
            // The code has 120 KB. Every byte that is declared costs, so this is not much more.
            max_module_bytes: 256 << 10,
            ..ResourceLimits::default()
        };
        // A player may give up. That is a loss, like any other flip without a coin.
        let cancel_by = CancelBy::Payer;
        ExecutionRequest { limits, cancel_by, ..request_for(player, code, "") }
    }

    #[private]
    pub fn on_coin(
        &mut self,
        player: AccountId,
        guess: Coin,
        stake: NearToken,
        deposit: NearToken,
    ) -> Flip {
        let prize = stake.saturating_mul(2);
        self.at_risk = self.at_risk.saturating_sub(prize);
        let settled = match settlement() {
            Ok(settled) => settled,
            Err(error) => {
                let due = match error.deposit() {
                    Deposit::Settled => stake,
                    Deposit::Unclear => stake.saturating_add(deposit),
                };
                self.keep_aside(player, due);
                return Flip {
                    won: false,
                    shown: error.to_string(),
                    paid: NearToken::ZERO,
                    refund: NearToken::ZERO,
                };
            }
        };
        let (won, shown, paid) = match (coin(&settled.outcome), settled.outcome) {
            (Some(coin), _) if coin == guess => (true, format!("{coin:?}").to_lowercase(), prize),
            (Some(coin), _) => (false, format!("{coin:?}").to_lowercase(), NearToken::ZERO),
            // No seed was drawn, so there was no flip.
            (None, Outcome::Refused { reason, .. }) => (false, format!("refused: {reason}"), stake),
            // The request timed out, was cancelled or disputed, or the guest failed: a loss.
            (None, other) => (false, other.name().to_owned(), NearToken::ZERO),
        };
        pay(&player, paid);
        Flip { won, shown, paid, refund: settled.refund }
    }

    /// What a player may have due since a call to OutLayer failed. OutLayer returns the deposit to
    /// the house when it could not look at the call, and to the player when it could. The house
    /// cannot tell, and would pay twice if it paid.
    pub fn set_aside(&self, player: AccountId) -> NearToken {
        self.set_aside.get(&player).copied().unwrap_or(NearToken::ZERO)
    }

    /// Whoever has the house's key has looked at the player's transactions: the player gets
    /// `amount` of what is set aside, and the rest is the house's.
    #[private]
    pub fn decide(&mut self, player: AccountId, amount: NearToken) {
        let due = self.set_aside.remove(&player).unwrap_or(NearToken::ZERO);
        require!(amount <= due, "that is more than is set aside");
        self.at_risk = self.at_risk.saturating_sub(due);
        pay(&player, amount);
    }
}

impl CoinFlip {
    fn keep_aside(&mut self, player: AccountId, due: NearToken) {
        self.at_risk = self.at_risk.saturating_add(due);
        let sum = self.set_aside(player.clone()).saturating_add(due);
        self.set_aside.insert(player, sum);
    }
}

fn coin(outcome: &Outcome) -> Option<Coin> {
    let Outcome::Completed { output } = outcome else {
        return None;
    };
    serde_json::from_slice::<Drawn>(output).ok().map(|drawn| drawn.coin)
}

fn pay(to: &AccountId, amount: NearToken) {
    if amount.is_zero() {
        return;
    }
    let promise = env::promise_batch_create(to);
    env::promise_batch_action_transfer(promise, amount);
}
