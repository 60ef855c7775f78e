//! What must be true after every receipt. It is read from the raw state, not through the contract's
//! own methods.

use std::collections::BTreeMap;

use near_sdk::{AccountId, NearToken, env, state::ContractState};
use outlayer_codec::Decode;
use outlayer_protocol::{
    Bytes, CodeSource, ExecutionRequest, ExecutionResponse, KeptResult, RequestId, SecretRef,
    machine::{LiveRequest, OpenShares, Phase},
    reserve::reserved_bytes,
    storage::touched_keys,
};

use super::world::World;
use crate::{
    Closed, Contract, Lock,
    code::Code,
    locks::lock_key,
    migration::requests::{Former, staged_body},
    names::Names,
    namespace::Namespace,
    requests::{divide, id_of_shares},
    store::Prefix,
    workers::Worker,
};

impl World {
    /// The entries under a prefix: the rest of the key, and the value.
    pub(crate) fn entries(&self, prefix: Prefix) -> impl Iterator<Item = (&[u8], &[u8])> {
        let wanted = prefix as u8;
        // The entry `STATE` is near-sdk's.
        self.storage
            .iter()
            .filter(move |(key, _)| key[0] == wanted && *key != b"STATE")
            .map(|(k, v)| (&k[1..], &v[..]))
    }

    fn decoded<T: Decode>(&self, prefix: Prefix) -> impl Iterator<Item = (&[u8], T)> {
        self.entries(prefix).map(|(key, value)| (key, outlayer_codec::from_slice(value).unwrap()))
    }

    fn sum(&self, prefix: Prefix) -> u128 {
        self.decoded::<NearToken>(prefix).map(|(_, amount)| amount.as_yoctonear()).sum()
    }

    pub(crate) fn contract(&self) -> Contract {
        outlayer_codec::from_slice(&self.storage[Contract::state_key()]).unwrap()
    }

    /// The short responses that are staged, and the records of the live requests.
    fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries(Prefix::Request).map(|(_, entry)| divide(entry))
    }

    /// The live requests by their ids.
    pub(crate) fn live_requests(&self) -> BTreeMap<RequestId, LiveRequest> {
        let former = self.decoded::<Former>(Prefix::FormerRequest);
        former
            .map(|(_, request)| LiveRequest::from(request))
            .chain(self.records().map(|(_, record)| outlayer_codec::from_slice(record).unwrap()))
            .map(|request| (request.id(), request))
            .collect()
    }

    /// The open shares of settled requests.
    pub(crate) fn shares(&self) -> BTreeMap<RequestId, OpenShares> {
        self.decoded::<OpenShares>(Prefix::SharesSlot)
            .map(|(_, shares)| (shares.request_id, shares))
            .collect()
    }

    /// The keys and values of an account's namespace, as the state has them.
    pub(crate) fn namespace(&self, account_id: &AccountId) -> BTreeMap<Bytes, Bytes> {
        let start = owned(account_id);
        let values = self.entries(Prefix::Value);
        values
            .filter_map(|(key, value)| Some((key.strip_prefix(&start[..])?.into(), value.into())))
            .collect()
    }

    /// Checks everything in this file.
    pub(crate) fn audit(&self) {
        self.audit_usage();
        self.audit_money();
        self.audit_lists();
        self.audit_code();
        self.audit_namespaces();
        self.audit_reserves();
        self.audit_change_fees();
        self.audit_results();
        self.audit_tenants();
    }

    /// The mock counts the bytes that the state has.
    fn audit_usage(&self) {
        let bytes: u64 =
            self.storage.iter().map(|(key, value)| bytes_of(key.len(), value.len())).sum();
        assert_eq!(self.usage, 100_000 + bytes);
    }

    /// Every pot is the sum of its parts, and the balance is the sum of all pots and of what the
    /// contract had for itself.
    fn audit_money(&self) {
        let funds = self.contract().funds.view();
        let deposits: u128 =
            self.live_requests().values().map(|request| request.deposit().as_yoctonear()).sum();
        assert_eq!(funds.deposits.as_yoctonear(), deposits);
        let shares = self.shares();
        let held: u128 = shares.values().map(|shares| shares.held.as_yoctonear()).sum();
        assert_eq!(funds.shares.as_yoctonear(), held);
        let workers = self.decoded::<Worker>(Prefix::Worker);
        let earned: u128 = workers.map(|(_, worker)| worker.earned.as_yoctonear()).sum();
        assert_eq!(funds.earnings.as_yoctonear(), self.sum(Prefix::Earnings) + earned);
        assert_eq!(funds.claimable.as_yoctonear(), self.sum(Prefix::Claimable));
        let storage: u128 = self
            .decoded::<Namespace>(Prefix::Namespace)
            .map(|(_, one)| one.deposit.as_yoctonear())
            .sum();
        assert_eq!(funds.storage.as_yoctonear(), storage);
        let names = self.decoded::<Names>(Prefix::CodeNames);
        let names: u128 = names.map(|(_, own)| own.deposit.as_yoctonear()).sum();
        let code = [Prefix::Code, Prefix::Publication]
            .into_iter()
            .flat_map(|prefix| self.decoded::<Code>(prefix));
        assert_eq!(
            funds.code.as_yoctonear(),
            names + code.map(|(_, code)| code.deposit.as_yoctonear()).sum::<u128>()
        );
        let results: u128 = self
            .decoded::<KeptResult>(Prefix::Result)
            .map(|(_, result)| result.held.as_yoctonear())
            .sum();
        assert_eq!(funds.results.as_yoctonear(), results);
        let pots = [
            funds.results,
            funds.deposits,
            funds.shares,
            funds.earnings,
            funds.protocol,
            funds.claimable,
            funds.storage,
            funds.code,
        ];
        let sum: u128 = pots.iter().map(NearToken::as_yoctonear).sum();
        assert_eq!(self.balance.as_yoctonear(), self.own.as_yoctonear() + sum);
        let stake = env::storage_byte_cost().as_yoctonear() * u128::from(self.usage);
        assert!(self.balance.as_yoctonear() >= stake, "the storage stake is not covered");
    }

    /// Every list has as many places as elements, and every element knows its place.
    fn audit_lists(&self) {
        let contract = self.contract();
        let live = self.live_requests();
        assert_eq!(contract.live.count as usize, live.len());
        let outside = live.keys().filter(|id| **id < contract.live.first);
        assert_eq!(outside.count(), 0, "{:?}", contract.live);
        let with_input = live.values().filter(|request| request.input_bytes > 0).count();
        assert_eq!(self.entries(Prefix::Input).count(), with_input);
        let shares: BTreeMap<_, _> = self.entries(Prefix::SharesSlot).collect();
        assert_eq!(contract.open_shares as usize, shares.len());
        let positions: Vec<_> = self.decoded::<u32>(Prefix::SharesPosition).collect();
        assert_eq!(positions.len(), shares.len());
        for (request_id, position) in positions {
            let listed = id_of_shares(shares[&position.to_be_bytes()[..]]).unwrap();
            assert_eq!(request_id, listed.to_be_bytes());
        }
        // A body is kept whole, or in as many parts as its request says.
        let whole = |request: &&LiveRequest| {
            matches!(request.phase, Phase::Staged { .. }) && request.upload.is_none()
        };
        let short = self.records().filter(|(body, _)| !body.is_empty()).count();
        let kept = self.entries(Prefix::Staged).count() + short;
        assert_eq!(kept, live.values().filter(whole).count());
        let uploads = || live.values().filter_map(|request| request.upload.as_ref());
        let parts: u32 = uploads().map(|upload| upload.parts).sum();
        assert_eq!(self.entries(Prefix::ResponsePart).count(), parts as usize);
        let staged: u64 = uploads().map(|upload| u64::from(upload.staged_bytes)).sum();
        let kept: u64 = self.entries(Prefix::ResponsePart).map(|(_, part)| part.len() as u64).sum();
        assert_eq!(kept, staged);
        self.audit_locks();
        let workers: Vec<_> = self.decoded::<Worker>(Prefix::Worker).collect();
        assert_eq!(contract.roster.registered as usize, workers.len());
        let among = |since: u64| {
            let is_active = |worker: &&(&[u8], Worker)| !worker.1.suspended;
            workers.iter().filter(is_active).filter(|(_, one)| one.active_since < since).count()
        };
        let (former, active) = (among(self.height), among(u64::MAX));
        assert_eq!(contract.roster.drawable_at(self.height) as usize, former);
        assert_eq!(self.entries(Prefix::WorkerSlot).count(), workers.len());
        for (worker_id, worker) in workers {
            let position = worker.position as usize;
            assert_eq!(position < active, !worker.suspended);
            assert_eq!(position < former, !worker.suspended && worker.active_since < self.height);
            let mut slots = self.entries(Prefix::WorkerSlot);
            let (_, listed) = slots.find(|(key, _)| *key == worker.position.to_be_bytes()).unwrap();
            assert_eq!(worker_id, listed);
        }
    }

    /// The locked keys are those that staged responses touch, each with one writer or the right
    /// number of readers.
    fn audit_locks(&self) {
        let mut expected: BTreeMap<Vec<u8>, Lock> = BTreeMap::new();
        for (request_id, live) in self.live_requests() {
            for (key, written) in self.locked_by(&live) {
                let lock = match expected.get(&key) {
                    None if written => Lock::Writer(request_id),
                    None => Lock::Readers { count: 1, closed: None },
                    Some(Lock::Readers { count, .. }) if !written => {
                        Lock::Readers { count: count + 1, closed: None }
                    }
                    Some(other) => panic!("request {request_id} shares a key with {other:?}"),
                };
                expected.insert(key, lock);
            }
        }
        let found = self.decoded::<Lock>(Prefix::Lock);
        let mut found: BTreeMap<Vec<u8>, Lock> =
            found.map(|(key, lock)| (key.to_vec(), lock)).collect();
        // Besides, a lock may be closed to new readers, by a live request that knows this.
        found.retain(|key, lock| {
            let Lock::Readers { count, closed } = lock else { return true };
            if let Some(Closed { by, .. }) = closed.take() {
                let live = &self.live_requests()[&by];
                assert!(live.closed_locks.iter().any(|lock| lock.0[..] == key[..]));
                return *count > 0;
            }
            true
        });
        assert_eq!(found, expected);
    }

    /// Where the locks of a request are kept, without the prefix, and whether the request writes
    /// the key.
    fn locked_by(&self, live: &LiveRequest) -> Vec<(Vec<u8>, bool)> {
        let Some(body) = self.body_of(live) else { return Vec::new() };
        touched_keys(&body.reads, &body.journal)
            .into_iter()
            .map(|one| (lock_key(live.namespace(), one.key)[1..].to_vec(), one.written))
            .collect()
    }

    /// The response that is staged for a request.
    fn body_of(&self, live: &LiveRequest) -> Option<ExecutionResponse> {
        let name = live.id().to_be_bytes();
        if live.upload.is_none() || !matches!(live.phase, Phase::Staged { .. }) {
            let mut entries = self.entries(Prefix::Request).filter(|(key, _)| *key == name);
            let short = entries.next().map(|(_, entry)| divide(entry).0);
            let mut apart = self.entries(Prefix::Staged).filter(|(key, _)| *key == name);
            let body = short.filter(|body| !body.is_empty()).or(apart.next().map(|(_, body)| body));
            return body.map(|body| staged_body(body).unwrap());
        }
        let mut parts: Vec<_> =
            self.entries(Prefix::ResponsePart).filter(|(key, _)| key.starts_with(&name)).collect();
        parts.sort_unstable();
        let whole: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part).copied().collect();
        Some(outlayer_codec::from_slice(&whole).unwrap())
    }

    /// Every module and every account's names have paid for their bytes, names to the yocto, and
    /// every part belongs to a module.
    fn audit_code(&self) {
        let cost = |bytes: u64| env::storage_byte_cost().as_yoctonear() * u128::from(bytes);
        let entries = |prefixes: &[Prefix], start: &[u8]| -> Vec<u64> {
            let entries = prefixes.iter().flat_map(|prefix| self.entries(*prefix));
            let own = entries.filter(|(key, _)| key.starts_with(start));
            own.map(|(key, value)| bytes_of(1 + key.len(), value.len())).collect()
        };
        for (owner_id, own) in self.decoded::<Names>(Prefix::CodeNames) {
            let owner_id: AccountId = std::str::from_utf8(owner_id).unwrap().parse().unwrap();
            let prefixes = [Prefix::CodeNameSlot, Prefix::CodeName, Prefix::CodeVersion];
            let bytes: u64 = entries(&prefixes, &owned(&owner_id)).iter().sum();
            let record = bytes_of(1 + owner_id.len(), outlayer_codec::to_vec(&own).len());
            assert_eq!(own.deposit.as_yoctonear(), cost(bytes + record), "{owner_id}");
            let names = entries(&[Prefix::CodeName], &owned(&owner_id)).len();
            assert_eq!(own.count as usize, names, "{owner_id}");
        }
        let mut parts = 0;
        for (hash, code) in self.decoded::<Code>(Prefix::Code) {
            let mut origin = self.decoded::<AccountId>(Prefix::CodeOrigin);
            let origin = origin.find(|(key, _)| *key == hash);
            let origin = origin.map_or(code.publisher_id.clone(), |(_, id)| id);
            let own = entries(&[Prefix::CodePart], &[hash, &owned(&origin)].concat());
            assert_eq!(own.len(), code.ends.len());
            parts += own.len();
            let other = [Prefix::Code, Prefix::CodeOrigin, Prefix::Retired];
            let bytes: u64 = own.iter().chain(&entries(&other, hash)).sum();
            assert!(code.deposit.as_yoctonear() >= cost(bytes), "{code:?}");
        }
        let publications = self.decoded::<Code>(Prefix::Publication);
        parts += publications.map(|(_, code)| code.ends.len()).sum::<usize>();
        assert_eq!(self.entries(Prefix::CodePart).count(), parts);
    }

    /// A namespace is charged for the bytes that it takes.
    fn audit_namespaces(&self) {
        for (account_id, account) in self.decoded::<Namespace>(Prefix::Namespace) {
            let account_id: AccountId = std::str::from_utf8(account_id).unwrap().parse().unwrap();
            let own = owned(&account_id);
            let entries = [Prefix::Value, Prefix::Meta, Prefix::KeySlot]
                .into_iter()
                .flat_map(|p| self.entries(p));
            let kept: u64 = entries
                .filter(|(key, _)| key.starts_with(&own))
                .map(|(key, value)| bytes_of(1 + key.len(), value.len()))
                .sum();
            let record = bytes_of(1 + account_id.len(), outlayer_codec::to_vec(&account).len());
            assert_eq!(account.used_bytes, kept + record, "{account_id}");
            assert_eq!(account.keys as usize, self.namespace(&account_id).len());
            account.check_paid(&account_id).unwrap();
        }
    }

    /// The bytes counted as paid for by a pot are those of the entries under these prefixes.
    fn audit_tenants(&self) {
        const TENANTS: [Prefix; 25] = [
            Prefix::SharesSlot,
            Prefix::SharesPosition,
            Prefix::Request,
            Prefix::FormerRequest,
            Prefix::Input,
            Prefix::Staged,
            Prefix::ResponsePart,
            Prefix::Namespace,
            Prefix::Value,
            Prefix::Meta,
            Prefix::KeySlot,
            Prefix::Lock,
            Prefix::ChangeFee,
            Prefix::Code,
            Prefix::Publication,
            Prefix::CodePart,
            Prefix::Retired,
            Prefix::CodeOrigin,
            Prefix::CodeNames,
            Prefix::CodeNameSlot,
            Prefix::CodeName,
            Prefix::CodeVersion,
            Prefix::Claimable,
            Prefix::Result,
            Prefix::RecentCode,
        ];
        let entries = TENANTS.into_iter().flat_map(|prefix| self.entries(prefix));
        let bytes: u64 = entries.map(|(key, value)| bytes_of(1 + key.len(), value.len())).sum();
        assert_eq!(self.contract().tenant_bytes + self.uncounted, bytes);
    }

    /// Changing a namespace costs the fees of the live requests that may read it.
    fn audit_change_fees(&self) {
        let mut expected = BTreeMap::new();
        let first = self.contract().former_requests;
        let raised = |live: &&LiveRequest| live.limits.storage_reads > 0 && live.id() >= first;
        for live in self.live_requests().values().filter(raised) {
            let name = live.namespace().as_bytes().to_vec();
            *expected.entry(name).or_insert(0) += live.terms.max_fee.as_yoctonear();
        }
        let found = self.decoded::<NearToken>(Prefix::ChangeFee);
        let found: BTreeMap<_, _> =
            found.map(|(name, fee)| (name.to_vec(), fee.as_yoctonear())).collect();
        assert_eq!(found, expected);
    }

    /// No live request takes more bytes than it has paid for.
    fn audit_reserves(&self) {
        for (request_id, shares) in self.shares() {
            let entry = outlayer_codec::to_vec(&shares).len();
            let bytes = bytes_of(1 + 4, entry) + bytes_of(1 + 8, 4);
            let open = shares.agreement.votes.iter().filter(|vote| vote.digest.is_none()).count();
            let promised = shares.share.saturating_mul(open as u128);
            let promised = promised.saturating_add(shares.close_fee);
            let stake = shares.held.checked_sub(promised).unwrap().as_yoctonear();
            let needed = env::storage_byte_cost().as_yoctonear() * u128::from(bytes);
            assert!(stake >= needed, "the shares of request {request_id} take {bytes} bytes");
            assert!(!self.live_requests().contains_key(&request_id));
        }
        for (request_id, live) in self.live_requests() {
            let used = self.bytes_of_request(request_id);
            if request_id < self.contract().former_requests {
                // It has paid for what it could take by the former rules.
                let paid = live.terms.storage_reserve.as_yoctonear();
                assert!(env::storage_byte_cost().as_yoctonear() * u128::from(used) <= paid);
                continue;
            }
            let ids = [
                &live.context.contract_id,
                &live.context.signer_id,
                &live.context.predecessor_id,
                live.payer(),
            ];
            let id_bytes = ids.iter().map(|id| id.as_bytes().len() as u64).sum();
            let reserved = reserved_bytes(&self.request_of(&live), id_bytes, live.claims.is_some());
            assert!(
                used <= reserved,
                "request {request_id} takes {used} bytes, {reserved} are reserved"
            );
            let paid = env::storage_byte_cost().as_yoctonear() * u128::from(reserved);
            assert_eq!(live.terms.storage_reserve.as_yoctonear(), paid);
        }
    }

    /// What is held for a result that is kept pays for its bytes.
    fn audit_results(&self) {
        for (request_id, result) in self.decoded::<KeptResult>(Prefix::Result) {
            let bytes = bytes_of(1 + request_id.len(), outlayer_codec::to_vec(&result).len());
            let cost = env::storage_byte_cost().saturating_mul(bytes.into());
            assert!(result.held >= cost, "{bytes} bytes, {}", result.held);
        }
    }

    /// Bytes of state that a request takes.
    pub(crate) fn bytes_of_request(&self, request_id: RequestId) -> u64 {
        let name = request_id.to_be_bytes();
        let records = [Prefix::Request, Prefix::FormerRequest];
        let named = records
            .into_iter()
            .chain([Prefix::Input, Prefix::Staged])
            .flat_map(|prefix| self.entries(prefix))
            .filter(|(key, _)| *key == name);
        let live = &self.live_requests()[&request_id];
        let owner = live.namespace().as_bytes();
        let fee = self.entries(Prefix::ChangeFee).filter(|(key, _)| *key == owner);
        let closed = live.closed_locks.iter().map(|lock| lock.0.to_vec());
        let own: Vec<Vec<u8>> =
            self.locked_by(live).into_iter().map(|(key, _)| key).chain(closed).collect();
        let locks = self.entries(Prefix::Lock).filter(|(key, _)| own.iter().any(|one| one == key));
        let parts = self.entries(Prefix::ResponsePart).filter(|(key, _)| key.starts_with(&name));
        named
            .chain(parts)
            .chain(fee)
            .chain(locks)
            .map(|(key, value)| bytes_of(1 + key.len(), value.len()))
            .sum()
    }

    /// The request that a live one came from, as far as its reserve depends on it.
    fn request_of(&self, live: &LiveRequest) -> ExecutionRequest {
        let name = live.id().to_be_bytes();
        let input = self.entries(Prefix::Input).find(|(key, _)| *key == name);
        let input = input.map(|(_, input)| input).unwrap_or_default();
        let code = match live.code_name.clone() {
            Some(name) => CodeSource::Named { name },
            None => live.code.clone().into(),
        };
        let pins = live.secrets.iter().flat_map(|secrets| &secrets.pins);
        let secrets = pins
            .map(|pin| SecretRef { owner_id: Some(pin.owner_id.clone()), name: pin.name.clone() });
        ExecutionRequest {
            args: live.args.clone(),
            env: live.env.clone(),
            limits: live.limits,
            http: live.http.clone(),
            secrets: secrets.collect(),
            approvals: live.approvals(),
            spares: live.seats().saturating_sub(live.approvals()),
            keep_result_blocks: live.keep_result_blocks,
            response_format: live.response_format,
            ..ExecutionRequest::new(code, input)
        }
    }
}

/// The start of the keys of an account's namespace, after the prefix.
fn owned(account_id: &AccountId) -> Vec<u8> {
    [&[u8::try_from(account_id.len()).unwrap()], account_id.as_bytes()].concat()
}

fn bytes_of(key: usize, value: usize) -> u64 {
    40 + key as u64 + value as u64
}
