//! The record that binds an execution: what was asked for, under which rules, what was read, and
//! what came out.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Compute, EngineVersion, ExecutionContext, ExecutionResponse, GuestKind, Hash32, HttpAccess,
    RequestId, ResourceLimits, Status, live_request::LiveRequest, secrets::SecretPin,
};

/// Everything that an execution depends on and everything that it gave, by hash where it is large.
///
/// The contract builds it from its own request and the submitted body. A replay builds it from
/// chain data and its own execution. It binds *what* was read, not *when*: two honest workers with
/// different snapshots agree whenever they read the same values.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct ExecutionRecord {
    /// The version of the engine that executes the request.
    pub engine_version: EngineVersion,
    /// The NEAR protocol version whose fees the gas meter uses.
    pub near_config_version: u32,
    /// The account of the OutLayer contract.
    pub contract_id: AccountId,
    /// The id of the request.
    pub request_id: RequestId,
    /// SHA-256 of the code.
    pub code_hash: Hash32,
    /// The kind of guest that the request demands; `None` when it demands none.
    pub kind: Option<GuestKind>,
    /// SHA-256 over the borsh of arguments and environment.
    pub args_env_hash: Hash32,
    /// SHA-256 of the input.
    pub input_hash: Hash32,
    /// The limits of the request, among them its meter.
    pub limits: ResourceLimits,
    /// What the request may reach over HTTP; `None` for nothing.
    pub http: Option<HttpAccess>,
    /// The secrets that the guest was given, with the commitments to their values.
    pub secrets: Vec<SecretPin>,
    /// What the guest was told about its block and caller.
    pub context: ExecutionContext,
    /// SHA-256 over the borsh of the read set.
    pub read_set_hash: Hash32,
    /// How the execution ended.
    pub status: Status,
    /// SHA-256 of the output.
    pub output_hash: Hash32,
    /// SHA-256 of the logs.
    pub log_hash: Hash32,
    /// What the guest used, in the request's meter.
    pub used: Compute,
    /// SHA-256 over the borsh of the journal.
    pub journal_hash: Hash32,
    /// SHA-256 of the encoded plan; `None` where the guest planned nothing.
    pub plan_hash: Option<Hash32>,
    /// SHA-256 of the encoded transcript; `None` where nothing was exchanged.
    pub transcript_hash: Option<Hash32>,
}

impl ExecutionRecord {
    /// The record of `response` as an answer to `request`.
    pub fn new(request: &LiveRequest, response: &ExecutionResponse) -> Self {
        Self::with_output_hash(request, response, Hash32::of(&response.output))
    }

    /// The record of `response`, where the SHA-256 of its output is known already.
    pub fn with_output_hash(
        request: &LiveRequest,
        response: &ExecutionResponse,
        output_hash: Hash32,
    ) -> Self {
        Self {
            engine_version: request.terms.engine_version,
            near_config_version: request.terms.near_config_version,
            contract_id: request.context.contract_id.clone(),
            request_id: request.context.request_id,
            code_hash: request.code.hash,
            kind: request.kind,
            args_env_hash: request.args_env_hash,
            input_hash: request.input_hash,
            limits: request.limits,
            http: request.http.clone(),
            secrets: request.secrets.as_ref().map_or_else(Vec::new, |live| live.pins.clone()),
            context: request.context.clone(),
            read_set_hash: Hash32::of_borsh(&response.reads),
            status: response.status.clone(),
            output_hash,
            log_hash: response.log_hash,
            used: response.used,
            journal_hash: Hash32::of_borsh(&response.journal),
            plan_hash: response.plan_hash(),
            transcript_hash: response.transcript_hash(),
        }
    }

    /// SHA-256 over the record's borsh encoding.
    pub fn digest(&self) -> Hash32 {
        Hash32::of_borsh(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Limit, NearToken, live_request, plan, response};

    /// The borsh layout and the hash are what every worker and replay must reproduce.
    #[test]
    fn the_digest_of_the_sample_does_not_move() {
        let mut request = live_request::sample();
        // The defaults may change, the form of the record may not.
        request.limits = request.limits.with_storage(16, 16, 4 << 10);
        request.limits.output_bytes = 4 << 10;
        request.limits.max_module_bytes = 1 << 20;
        let record = ExecutionRecord::new(&request, &response::sample(7));
        assert_eq!(record.digest(), Hash32::of(&borsh::to_vec(&record).unwrap()));
        assert_eq!(
            record.digest().to_string(),
            "d5c05601da47c6e5bca4eedd3edde702222fe4cf95c70c829b779e5a86b6e86a"
        );
    }

    #[test]
    fn altering_any_bound_field_changes_the_digest() {
        let record = ExecutionRecord::new(&live_request::sample(), &response::sample(7));
        let mut seen = vec![record.digest()];
        let mut alter = |name: &str, change: &dyn Fn(&mut ExecutionRecord)| {
            let mut altered = record.clone();
            change(&mut altered);
            assert_ne!(altered, record, "{name} is not altered");
            let digest = altered.digest();
            assert!(!seen.contains(&digest), "{name} is not bound");
            seen.push(digest);
        };
        let other = Hash32::of(b"other");
        alter("engine_version", &|r| r.engine_version.0 += 1);
        alter("near_config_version", &|r| r.near_config_version += 1);
        alter("contract_id", &|r| r.contract_id = "other.near".parse().unwrap());
        alter("request_id", &|r| r.request_id += 1);
        alter("code_hash", &|r| r.code_hash = other);
        alter("kind", &|r| r.kind = Some(GuestKind::WasiP2));
        alter("args_env_hash", &|r| r.args_env_hash = other);
        alter("input_hash", &|r| r.input_hash = other);
        alter("limits.compute", &|r| r.limits.compute = Compute::Gas(100_000_000));
        alter("limits.memory_bytes", &|r| r.limits.memory_bytes += 1);
        alter("limits.table_elements", &|r| r.limits.table_elements += 1);
        alter("limits.instances", &|r| r.limits.instances += 1);
        alter("limits.output_bytes", &|r| r.limits.output_bytes += 1);
        alter("limits.log_bytes", &|r| r.limits.log_bytes += 1);
        alter("limits.journal_bytes", &|r| r.limits.journal_bytes += 1);
        alter("limits.storage_reads", &|r| r.limits.storage_reads += 1);
        alter("limits.storage_writes", &|r| r.limits.storage_writes += 1);
        alter("limits.host_calls", &|r| r.limits.host_calls += 1);
        alter("limits.max_module_bytes", &|r| r.limits.max_module_bytes += 1);
        alter("limits.plan_bytes", &|r| r.limits.plan_bytes += 1);
        alter("context.request_id", &|r| r.context.request_id += 1);
        alter("context.contract_id", &|r| r.context.contract_id = "other.near".parse().unwrap());
        alter("context.block_height", &|r| r.context.block_height += 1);
        alter("context.block_timestamp", &|r| r.context.block_timestamp += 1);
        alter("context.epoch_height", &|r| r.context.epoch_height += 1);
        alter("context.random_seed", &|r| r.context.random_seed = other);
        alter("context.signer_id", &|r| r.context.signer_id = "other.near".parse().unwrap());
        alter("context.predecessor_id", &|r| {
            r.context.predecessor_id = "other.near".parse().unwrap()
        });
        alter("context.attached_deposit", &|r| {
            r.context.attached_deposit = NearToken::from_yoctonear(1)
        });
        alter("read_set_hash", &|r| r.read_set_hash = other);
        alter("status", &|r| {
            r.status = Status::LimitExceeded { which: Limit::OutputBytes, limit: 1 }
        });
        alter("output_hash", &|r| r.output_hash = other);
        alter("log_hash", &|r| r.log_hash = other);
        alter("used", &|r| r.used = Compute::Fuel(999));
        alter("journal_hash", &|r| r.journal_hash = other);
        alter("plan_hash", &|r| r.plan_hash = Some(other));
        alter("http", &|r| r.http = Some(HttpAccess::to(vec!["a.example".to_owned()])));
        alter("secrets", &|r| {
            r.secrets.push(SecretPin {
                owner_id: "keys.near".parse().unwrap(),
                name: "API_KEY".to_owned(),
                version: 1,
                commitment: other,
            });
        });
        alter("transcript_hash", &|r| r.transcript_hash = Some(other));
    }

    #[test]
    fn altering_any_field_of_a_body_changes_the_digest() {
        let request = live_request::sample();
        let mut honest = response::sample(7);
        honest.plan = plan::sample().encode();
        let digest =
            |response: &ExecutionResponse| ExecutionRecord::new(&request, response).digest();
        let bodies: [&dyn Fn(&mut ExecutionResponse); 11] = [
            &|r| r.status = Status::Exited { code: 1 },
            &|r| r.output = Bytes::from("lie"),
            &|r| r.used = Compute::Fuel(1_001),
            &|r| r.reads[0].value_hash = Some(Hash32::of(b"")),
            &|r| r.reads.clear(),
            &|r| r.journal[0].value = None,
            &|r| r.journal.clear(),
            &|r| r.log_hash = Hash32::of(b"log"),
            &|r| r.plan.0.push(0),
            &|r| r.plan = Bytes::default(),
            &|r| r.transcript = "x".into(),
        ];
        for change in bodies {
            let mut lie = honest.clone();
            change(&mut lie);
            assert_ne!(digest(&lie), digest(&honest), "{lie:?}");
        }
    }
}
