//! A small chain with one contract: accounts with balances, blocks, receipts, yields.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::version::PROTOCOL_VERSION;
use near_sdk::{
    AccountId, Gas, MockedBlockchain, NearToken, PromiseResult, env,
    mock::{MockAction, Receipt, with_mocked_blockchain},
    state::ContractState,
    test_utils::VMContextBuilder,
};
use outlayer_protocol::{
    Bytes, Compute, Config, EngineVersion, ExecutionRecord, ExecutionRequest, ExecutionResponse,
    Hash32, JournalEntry, ReadEntry, RequestId, ResponsePart, Settlement, Status,
    commitment::{Salt, commitment},
    events::Event,
    machine::{LiveRequest, Reason, Refusal, Taken},
    methods,
    pricing::{Quote, quote},
    request::{CodeRef, CodeSource, ResponseFormat},
    response::Answer,
};

use super::node::{YIELDS, Yield, Yields};
use crate::{
    Contract, ContractError,
    promises::{CallbackArgs, RefundArgs},
};

pub(crate) const CONTRACT: &str = "outlayer.near";
pub(crate) const OWNER: &str = "owner.near";
/// The salt of all commitments.
pub(crate) const SALT: Salt = [7; 16];
/// What the contract has for itself at first.
pub(crate) const OWN: NearToken = NearToken::from_near(10);
/// What everybody else has at first.
pub(crate) const PURSE: NearToken = NearToken::from_near(1_000);

pub(crate) fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

pub(crate) fn yocto(amount: u128) -> NearToken {
    NearToken::from_yoctonear(amount)
}

/// The limits and fees of a node with the latest protocol version.
fn node_config() -> &'static RuntimeConfig {
    static CONFIG: OnceLock<Arc<RuntimeConfig>> = OnceLock::new();
    CONFIG.get_or_init(|| Arc::clone(RuntimeConfigStore::new(None).get_config(PROTOCOL_VERSION)))
}

/// A transfer that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) to: AccountId,
    pub(crate) amount: NearToken,
    pub(crate) then: RefundArgs,
}

/// The whole chain.
pub(crate) struct World {
    pub(crate) storage: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) usage: u64,
    pub(crate) height: u64,
    pub(crate) gas: Gas,
    pub(crate) balance: NearToken,
    /// What the contract has for itself besides its pots.
    pub(crate) own: NearToken,
    pub(crate) purses: BTreeMap<AccountId, NearToken>,
    /// Accounts that were deleted. Transfers to them bounce.
    pub(crate) deleted: BTreeSet<AccountId>,
    pub(crate) transfers: Vec<Transfer>,
    /// Receipts that deploy code.
    pub(crate) deployments: Vec<Receipt>,
    /// The raw input of the next call, for the method that reads it.
    pub(crate) input: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// What the last successful call logged.
    pub(crate) logs: Vec<String>,
    /// Bytes of claimable payments from a layout that did not count them.
    pub(crate) uncounted: u64,
}

impl World {
    /// A chain with a new contract under [`Config::new`].
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        YIELDS.set(Yields::default());
        let mut world = Self {
            storage: HashMap::new(),
            usage: 100_000,
            height: 1_000,
            gas: Gas::from_tgas(1_000),
            balance: OWN,
            own: OWN,
            purses: BTreeMap::new(),
            deleted: BTreeSet::new(),
            transfers: Vec::new(),
            deployments: Vec::new(),
            input: Vec::new(),
            events: Vec::new(),
            logs: Vec::new(),
            uncounted: 0,
        };
        world.enter(&id(OWNER), NearToken::ZERO, Vec::new());
        Contract::new(id(OWNER), config).unwrap().state_write();
        world.leave();
        world
    }

    pub(super) fn enter(
        &mut self,
        by: &AccountId,
        deposit: NearToken,
        results: Vec<PromiseResult>,
    ) {
        let mut context = VMContextBuilder::new()
            .current_account_id(id(CONTRACT))
            .signer_account_id(by.clone())
            .predecessor_account_id(by.clone())
            .block_height(self.height)
            .block_timestamp(self.height * 1_000_000_000)
            .epoch_height(7)
            .account_balance(self.balance)
            .storage_usage(self.usage)
            .attached_deposit(deposit)
            .prepaid_gas(self.gas)
            .random_seed([9; 32])
            .build();
        context.input = self.input.as_slice().into();
        let storage = std::mem::take(&mut self.storage);
        env::set_blockchain_interface(MockedBlockchain::new(
            context,
            node_config().wasm_config.as_ref().clone(),
            node_config().fees.as_ref().clone(),
            results,
            storage,
            HashMap::new(),
            None,
        ));
    }

    pub(super) fn leave(&mut self) -> Vec<Receipt> {
        self.usage = env::storage_usage();
        let (storage, receipts, logs) = with_mocked_blockchain(|chain| {
            (chain.take_storage(), chain.created_receipts(), chain.logs())
        });
        self.storage = storage;
        self.events.extend(logs.iter().filter_map(|line| Event::from_log(line)));
        self.logs = logs;
        receipts
    }

    fn run<R>(
        &mut self,
        by: &AccountId,
        deposit: NearToken,
        results: Vec<PromiseResult>,
        call: impl FnOnce(&mut Contract) -> Result<R, ContractError>,
    ) -> Result<R, ContractError> {
        let (storage, usage) = (self.storage.clone(), self.usage);
        let yields = YIELDS.with_borrow(Clone::clone);
        self.enter(by, deposit, results);
        let mut contract = Contract::state_read().unwrap();
        let result = call(&mut contract);
        match result {
            Ok(value) => {
                contract.state_write();
                let receipts = self.leave();
                self.balance = self.balance.checked_add(deposit).unwrap();
                self.collect(&receipts);
                Ok(value)
            }
            Err(error) => {
                // The node undoes what a receipt did that panicked.
                (self.storage, self.usage) = (storage, usage);
                YIELDS.set(yields);
                Err(error)
            }
        }
    }

    fn collect(&mut self, receipts: &[Receipt]) {
        let mut receipts = receipts.iter();
        while let Some(receipt) = receipts.next() {
            if matches!(receipt.actions[0], MockAction::DeployContract { .. }) {
                self.deployments.push(receipt.clone());
                continue;
            }
            let [MockAction::Transfer { deposit, .. }] = &receipt.actions[..] else {
                panic!("{receipt:?}")
            };
            let then = receipts.next().unwrap();
            let [MockAction::FunctionCallWeight { method_name, args, attached_deposit, .. }] =
                &then.actions[..]
            else {
                panic!("{then:?}")
            };
            assert_eq!(
                (then.receiver_id.as_str(), &method_name[..]),
                (CONTRACT, methods::ON_REFUND.as_bytes())
            );
            assert!(attached_deposit.is_zero());
            self.balance = self.balance.checked_sub(*deposit).unwrap();
            let then = serde_json::from_slice(args).unwrap();
            self.transfers.push(Transfer {
                to: receipt.receiver_id.clone(),
                amount: *deposit,
                then,
            });
        }
    }

    /// An account calls the contract. If the call fails, nothing has changed.
    pub(crate) fn call<R>(
        &mut self,
        by: &str,
        deposit: NearToken,
        call: impl FnOnce(&mut Contract) -> Result<R, ContractError>,
    ) -> Result<R, ContractError> {
        let by = id(by);
        let purse = self.purse(&by).checked_sub(deposit).unwrap();
        let value = self.run(&by, deposit, Vec::new(), call)?;
        self.purses.insert(by, purse);
        Ok(value)
    }

    /// The owner calls the contract, with the one yoctoNEAR that it must attach, and succeeds.
    pub(crate) fn owner<R>(
        &mut self,
        call: impl FnOnce(&mut Contract) -> Result<R, ContractError>,
    ) -> R {
        self.call(OWNER, yocto(1), call).unwrap()
    }

    /// Calls a view.
    pub(crate) fn view<R>(&mut self, view: impl FnOnce(&Contract) -> R) -> R {
        let usage = self.usage;
        let value = self
            .run(&id("viewer.near"), NearToken::ZERO, Vec::new(), |contract| Ok(view(contract)))
            .unwrap();
        assert_eq!(self.usage, usage);
        value
    }

    pub(crate) fn purse(&self, account_id: &AccountId) -> NearToken {
        self.purses.get(account_id).copied().unwrap_or(PURSE)
    }

    /// Delivers the transfers that are on their way, and runs their callbacks.
    pub(crate) fn deliver_transfers(&mut self) {
        for Transfer { to, amount, then } in std::mem::take(&mut self.transfers) {
            let result = if self.deleted.contains(&to) {
                self.balance = self.balance.checked_add(amount).unwrap();
                PromiseResult::Failed
            } else if to.as_str() == CONTRACT {
                self.balance = self.balance.checked_add(amount).unwrap();
                PromiseResult::Successful(Vec::new())
            } else {
                let purse = self.purse(&to).checked_add(amount).unwrap();
                self.purses.insert(to, purse);
                PromiseResult::Successful(Vec::new())
            };
            let RefundArgs { account_id, amount } = then;
            self.run(&id(CONTRACT), NearToken::ZERO, vec![result], |contract| {
                Contract::on_refund(account_id, amount)?;
                // It reads and writes the state by itself.
                *contract = Contract::state_read().unwrap();
                Ok(())
            })
            .unwrap();
        }
    }

    /// The yields that are not delivered yet.
    pub(crate) fn yields(&self) -> Vec<([u8; 32], Yield)> {
        YIELDS.with_borrow(|yields| yields.open.clone().into_iter().collect())
    }

    /// Delivers a yield: what it was resumed with, or its timeout.
    pub(crate) fn deliver(&mut self, data_id: &[u8; 32]) -> Settlement {
        let (args, bytes) = self.deliver_raw(data_id);
        match args.response_format {
            ResponseFormat::Json => serde_json::from_slice(&bytes).unwrap(),
            ResponseFormat::Borsh => borsh::from_slice(&bytes).unwrap(),
        }
    }

    pub(crate) fn deliver_raw(&mut self, data_id: &[u8; 32]) -> (CallbackArgs, Vec<u8>) {
        let open = YIELDS.with_borrow_mut(|yields| yields.open.remove(data_id)).unwrap();
        let args: CallbackArgs = serde_json::from_slice(&open.arguments).unwrap();
        let bytes = self.call_back(&args, open.payload);
        (args, bytes)
    }

    /// Runs the callback with the payload of a resume, or without one for a timeout.
    pub(crate) fn call_back(&mut self, args: &CallbackArgs, payload: Option<Vec<u8>>) -> Vec<u8> {
        let result = payload.map_or(PromiseResult::Failed, PromiseResult::Successful);
        self.run(&id(CONTRACT), NearToken::ZERO, vec![result], |c| c.settle(args)).unwrap()
    }

    /// Delivers a timeout that overtakes the resume.
    pub(crate) fn time_out(&mut self, data_id: &[u8; 32]) -> Settlement {
        YIELDS.with_borrow_mut(|yields| yields.open.get_mut(data_id).unwrap().payload = None);
        self.deliver(data_id)
    }

    /// Has the callback of a yield fail (out of gas, say). It is not run again.
    pub(crate) fn lose(&mut self, data_id: &[u8; 32]) {
        YIELDS.with_borrow_mut(|yields| yields.open.remove(data_id)).unwrap();
    }

    /// The exact cost of a request that this account makes and signs.
    pub(crate) fn cost(&mut self, by: &str, request: &ExecutionRequest) -> Quote {
        let (by, config) = (id(by), self.contract().config);
        let ids = [&id(CONTRACT), &by, &by, request.payer(&by)];
        let id_bytes = ids.iter().map(|id| id.as_bytes().len() as u64).sum();
        let payer = Some(request.payer(&by));
        quote(&config, request, payer, id_bytes, env::storage_byte_cost()).unwrap()
    }

    /// Makes a request with the exact deposit that it needs. Gives its id.
    pub(crate) fn request(&mut self, by: &str, request: &ExecutionRequest) -> RequestId {
        let total = self.cost(by, request).total;
        self.call(by, total, |c| c.accept(request)).unwrap();
        self.view(|c| c.next_request_id) - 1
    }

    pub(crate) fn live(&mut self, request_id: RequestId) -> LiveRequest {
        self.view(|c| c.get_request(request_id)).live().unwrap().request
    }

    /// Registers workers, and goes on to the next block, from which on they are drawn.
    pub(crate) fn register(&mut self, workers: &[&str]) {
        for worker in workers {
            self.owner(|c| c.register_worker(id(worker), None));
        }
        self.height += 1;
    }

    /// The digest that a response to a live request has.
    pub(crate) fn digest(&self, response: &ExecutionResponse) -> Hash32 {
        let live = self.live_requests();
        let record = |live| ExecutionRecord::new(live, response).digest();
        live.get(&response.request_id).map(record).unwrap_or_default()
    }

    /// Commits to a digest in the round that runs.
    pub(crate) fn commit(
        &mut self,
        by: &str,
        request_id: RequestId,
        digest: Hash32,
    ) -> Result<(), ContractError> {
        let live = self.live_requests();
        let agreement = live.get(&request_id).and_then(|live| live.agreement.as_ref());
        let round = agreement.map_or(0, |agreement| agreement.round);
        let commitment = commitment(&digest, &id(by), round, &SALT);
        self.call(by, NearToken::ZERO, |c| c.commit_execution(request_id, round, commitment))
    }

    pub(crate) fn reveal(
        &mut self,
        by: &str,
        request_id: RequestId,
        digest: Hash32,
    ) -> Result<(), ContractError> {
        let salt = Bytes::from(&SALT[..]);
        self.call(by, NearToken::ZERO, |c| c.reveal_execution(request_id, digest, salt))
    }

    /// Has all workers that were drawn for the seats of a request commit to a response and reveal
    /// its digest.
    pub(crate) fn agree(&mut self, response: &ExecutionResponse) {
        let (request_id, digest) = (response.request_id, self.digest(response));
        let agreement = self.live(request_id).agreement.unwrap();
        let holders = &agreement.drawn[..agreement.seats.into()];
        for holder in holders {
            self.commit(holder.as_str(), request_id, digest).unwrap();
        }
        for holder in holders {
            self.reveal(holder.as_str(), request_id, digest).unwrap();
        }
    }

    /// What an honest worker submits.
    pub(crate) fn answers(&self, bodies: &[ExecutionResponse]) -> Vec<Answer> {
        let answer = |body: &ExecutionResponse| {
            let (response, digest) = (body.clone(), self.digest(body));
            Answer { response, digest, salt: None }
        };
        bodies.iter().map(answer).collect()
    }

    pub(crate) fn resolve(
        &mut self,
        by: &str,
        response: &ExecutionResponse,
    ) -> Result<Taken, ContractError> {
        let (response, digest) = (response.clone(), self.digest(response));
        let answer = Answer { response, digest, salt: None };
        self.call(by, NearToken::ZERO, |c| c.resolve_execution(answer))
    }

    /// Sends a part of a response that gives `digest`.
    pub(crate) fn send(
        &mut self,
        by: &str,
        digest: Hash32,
        body: &ExecutionResponse,
        range: std::ops::Range<usize>,
    ) -> Result<Taken, ContractError> {
        let whole = borsh::to_vec(body).unwrap();
        let part = ResponsePart {
            request_id: body.request_id,
            digest,
            total_bytes: u32::try_from(whole.len()).unwrap(),
            offset: u32::try_from(range.start).unwrap(),
            bytes: whole[range.start..range.end.min(whole.len())].into(),
        };
        self.call(by, NearToken::ZERO, |c| c.stage_response(part))
    }

    /// Settles a request that was resumed, or whose time is over.
    pub(crate) fn settle(&mut self, request_id: RequestId) -> Settlement {
        let data_id = self.live(request_id).data_id.0;
        let settlement = self.deliver(&data_id);
        self.deliver_transfers();
        settlement
    }

    /// Registers a namespace and pays for its bytes.
    pub(crate) fn deposit_storage(&mut self, by: &str, amount: NearToken) {
        self.call(by, amount, |c| c.storage_deposit(None, None)).unwrap();
    }
}

/// Why a request did not take the step of a call, which must have failed.
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, ContractError>) -> Reason {
    match result {
        Err(ContractError::Refusal(Refusal { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}

/// The error of a call whose step a request does not take.
pub(crate) fn refusal(request_id: RequestId, reason: Reason) -> ContractError {
    Refusal { request_id, reason }.into()
}

pub(crate) fn config() -> Config {
    Config::new(EngineVersion(1), 84)
}

/// Code at a URL. Its hash is that of "code".
pub(crate) fn code_at(url: impl Into<String>) -> CodeSource {
    CodeRef { hash: Hash32::of(b"code"), url: Some(url.into()) }.into()
}

/// A request that may use some storage.
pub(crate) fn request(input: &str) -> ExecutionRequest {
    let mut request = ExecutionRequest::new(code_at("https://code.example/guest.wasm"), input);
    request.limits = request.limits.with_storage(8, 4, 4 << 10);
    request
}

/// What an honest worker answers when the guest writes `output` and touches no storage.
pub(crate) fn answer(request_id: RequestId, output: &str) -> ExecutionResponse {
    ExecutionResponse {
        request_id,
        status: Status::Completed,
        output: output.into(),
        used: Compute::Fuel(1_000),
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    }
}

pub(crate) fn read(key: &str, value: Option<&str>) -> ReadEntry {
    ReadEntry { key: key.into(), value_hash: value.map(|value| Hash32::of(value.as_bytes())) }
}

pub(crate) fn write(key: &str, value: Option<&str>) -> JournalEntry {
    JournalEntry { key: key.into(), value: value.map(Into::into) }
}
