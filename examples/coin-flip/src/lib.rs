//! Heads or tails against the house, for twice the stake or nothing.
//!
//! The guest `random-ark` draws the coin from the request's random seed, which is public as soon as
//! the request is made. Nobody can choose the seed, and the player cannot cancel the request when
//! the seed shows a loss. But a worker can stay silent until the request times out. So **a missing
//! answer is a loss**: the house pays only for a coin that was drawn and shows the guess. Otherwise
//! a player who is also a worker would let those flips time out that they are about to lose.

use near_sdk::{
    AccountId, Gas, NearToken, PanicOnDefault, env, near, require,
    serde_json::{self, json},
};
use outlayer_interface::{
    CodeRef, ExecutionRequest, Hash32, Outcome, ResourceLimits, ext_outlayer, settlement,
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
    /// The prizes of all open flips, yoctoNEAR. The house does not bet this money again.
    at_risk: NearToken,
}

#[near]
impl CoinFlip {
    #[init]
    pub fn new(outlayer: AccountId, code: Hash32) -> Self {
        let at_risk = NearToken::ZERO;
        Self { outlayer, code, at_risk }
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
            journal_bytes: 0,
            storage_reads: 0,
            storage_writes: 0,
            // The code has 120 KB. Every byte that is declared costs, so this is not much more.
            max_module_bytes: 256 << 10,
            ..ResourceLimits::default()
        };
        ExecutionRequest { limits, refund_to: Some(player), ..ExecutionRequest::new(code, "") }
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
        match settlement() {
            Ok(settled) => match coin(&settled.outcome) {
                Some(coin) if coin == guess => {
                    pay(&player, prize);
                    ended(true, &format!("{coin:?}"))
                }
                Some(coin) => ended(false, &format!("{coin:?}")),
                // The request timed out or was cancelled, or the guest failed: a loss.
                None => ended(false, settled.outcome.name()),
            },
            // The request was refused before a seed was drawn, and its deposit came back. So the
            // player gets everything back.
            Err(error) => {
                pay(&player, stake.saturating_add(deposit));
                ended(false, &error.to_string())
            }
        }
    }
}

fn coin(outcome: &Outcome) -> Option<Coin> {
    let Outcome::Completed { output } = outcome else {
        return None;
    };
    serde_json::from_slice::<Drawn>(output).ok().map(|drawn| drawn.coin)
}

fn ended(won: bool, shown: &str) -> Flip {
    let shown = shown.to_lowercase();
    Flip { won, shown }
}

fn pay(to: &AccountId, amount: NearToken) {
    let promise = env::promise_batch_create(to);
    env::promise_batch_action_transfer(promise, amount);
}
