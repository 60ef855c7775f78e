//! A price that a guest asks several servers for, and on which two workers of three must agree.
//!
//! The guest `price-feed` asks each source, takes the median, and keeps it in OutLayer's storage,
//! for which somebody pays by calling `storage_deposit {"account_id": "<this contract>"}` on
//! OutLayer. This contract keeps the price with the time of the block at which it was asked for,
//! and gives it to nobody who wants a newer one.
//!
//! What a price is worth: two of the workers that were drawn were told the same by more than half
//! of the sources, to the cent. They may have agreed on a lie, and so may the sources. Nothing of
//! this is proved, as an execution without HTTP is; see `docs/http.md`.

use near_sdk::{AccountId, Gas, PanicOnDefault, env, near, require, serde_json};
use outlayer_interface::{
    CancelBy, CodeRef, ExecutionRequest, Hash32, HttpAccess, Outcome, ResourceLimits, ext_outlayer,
    request_for, settlement,
};

/// Exchanges for each source: it may send the guest elsewhere once.
const EXCHANGES: u32 = 2;
/// More bytes than the transcript has of an exchange that gave a price or a redirect.
const BYTES: u32 = 256;
/// How long a worker waits for all sources together, milliseconds.
const MAX_MS: u32 = 10_000;
/// A kept price that is used when too few sources answer is no older, seconds.
const MAX_AGE: u64 = 600;

/// A price.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub cents: u64,
    /// How many sources gave it.
    pub sources: u64,
    /// The time of the block at which it was asked for, nanoseconds since 1970.
    pub at: u64,
}

/// What became of a request for a price.
#[near(serializers = [json])]
#[derive(Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Price(Price),
    /// Why there is none: an error, or the name of an outcome.
    Failed(String),
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct PriceFeed {
    outlayer: AccountId,
    /// SHA-256 of `price-feed`, which is published in OutLayer.
    code: Hash32,
    /// The hosts that may be reached.
    hosts: Vec<String>,
    /// The URLs that are asked, each on one of the hosts.
    sources: Vec<String>,
    latest: Option<Price>,
}

#[near]
impl PriceFeed {
    #[init]
    pub fn new(
        outlayer: AccountId,
        code: Hash32,
        hosts: Vec<String>,
        sources: Vec<String>,
    ) -> Self {
        require!(!sources.is_empty(), "there are no sources");
        Self { outlayer, code, hosts, sources, latest: None }
    }

    /// Asks for the price. What the request does not use goes back. The result is an [`Answer`].
    #[payable]
    pub fn refresh(&mut self) {
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(env::attached_deposit())
            .request_execution(&self.request(env::predecessor_account_id()))
            .then("on_price", &(), Gas::from_tgas(10))
            .return_to_caller();
    }

    /// The request that [`Self::refresh`] makes, to pass to OutLayer's view `estimate_cost`.
    pub fn request(&self, payer: AccountId) -> ExecutionRequest {
        let code = CodeRef { hash: self.code, url: None };
        let input = serde_json::json!({ "sources": self.sources, "max_age": MAX_AGE }).to_string();
        let exchanges = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let exchanges = exchanges.saturating_mul(EXCHANGES);
        let limits = ResourceLimits {
            output_bytes: 200,
            journal_bytes: 200,
            storage_reads: 1,
            storage_writes: 1,
            max_module_bytes: 256 << 10,
            ..ResourceLimits::default()
        };
        let http = HttpAccess {
            max_exchanges: exchanges,
            max_bytes: exchanges.saturating_mul(BYTES),
            max_ms: MAX_MS,
            ..HttpAccess::to(self.hosts.clone())
        };
        ExecutionRequest {
            limits,
            http: Some(http),
            approvals: 2,
            spares: 1,
            cancel_by: CancelBy::Payer,
            ..request_for(payer, code, &input[..])
        }
    }

    #[private]
    pub fn on_price(&mut self) -> Answer {
        let price = match answered() {
            Ok(price) => price,
            Err(reason) => return Answer::Failed(reason),
        };
        // Answers may arrive in another order than the requests were made in.
        if self.latest.as_ref().is_none_or(|latest| latest.at < price.at) {
            self.latest = Some(price.clone());
        }
        Answer::Price(price)
    }

    /// The latest price, if it is no older than so many seconds.
    pub fn price(&self, max_age: u64) -> Option<Price> {
        let oldest = env::block_timestamp().saturating_sub(max_age.saturating_mul(1_000_000_000));
        self.latest.clone().filter(|latest| latest.at >= oldest)
    }
}

fn answered() -> Result<Price, String> {
    match settlement().map_err(|error| error.to_string())?.outcome {
        Outcome::Completed { output } => {
            serde_json::from_slice(&output).map_err(|error| error.to_string())
        }
        Outcome::Refused { reason, .. } => Err(format!("refused: {reason}")),
        other => Err(other.name().to_owned()),
    }
}
