//! What a caller asks for.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Hash32, Limit, RefusalCode, ResourceLimits, capacity,
    config::{Config, RequestBounds},
    context::is_reserved_variable,
};

/// Names an engine with its features, cost tables and NEAR config version. Two executions of one request under one
/// engine version are bit for bit the same.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct EngineVersion(pub u32);

impl std::fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "engine {}", self.0)
    }
}

/// Where a module's bytes are, and the hash that they must have.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRef {
    /// SHA-256 of the module.
    pub hash: Hash32,
    /// `https:` or `http:` address of the bytes; without it they were published in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The kinds of guest.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub enum GuestKind {
    /// A core module over WASI preview 1 that exports `_start`.
    #[serde(rename = "wasi-p1")]
    WasiP1,
    /// A component that exports `wasi:cli/run`.
    #[serde(rename = "wasi-p2")]
    WasiP2,
    /// A NEAR contract; the first of the request's arguments names the method.
    #[serde(rename = "near")]
    Near,
}

impl std::fmt::Display for GuestKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WasiP1 => "wasi-p1",
            Self::WasiP2 => "wasi-p2",
            Self::Near => "near",
        })
    }
}

/// How the caller wants its [`Settlement`](crate::Settlement) encoded.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// JSON, with the output in base64.
    #[default]
    Json,
    /// Borsh.
    Borsh,
}

fn one() -> u8 {
    1
}

/// The argument of `request_execution`. In JSON only `code` must be given.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    /// What to run.
    pub code: CodeRef,
    /// The kind the code must be; when absent it is detected from the bytes.
    #[serde(default)]
    pub kind: Option<GuestKind>,
    /// The guest's arguments (public).
    #[serde(default)]
    pub args: Vec<String>,
    /// The guest's own environment variables (public), after the system's.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// What the guest reads from its standard input.
    #[serde(default)]
    pub input: Bytes,
    /// What it may use.
    #[serde(default)]
    pub limits: ResourceLimits,
    /// How many registered workers must agree, at least 1.
    #[serde(default = "one")]
    pub approvals: u8,
    /// Who gets refunds; the caller when absent.
    #[serde(default)]
    pub refund_to: Option<AccountId>,
    /// How the settlement is encoded for the caller.
    #[serde(default)]
    pub response_format: ResponseFormat,
}

/// Why a request is not accepted. Each says what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A number is above the contract's bound.
    #[error("{which} is {found}, more than the {max} that this contract allows")]
    AboveBound {
        /// Which bound.
        which: Limit,
        /// What was asked for.
        found: u64,
        /// What is allowed.
        max: u64,
    },
    /// The largest answer could not be settled: see [`capacity`].
    #[error(
        "settling the largest answer would read {found} bytes of state, a receipt of NEAR may read {max}: ask for less input, output or journal, or fewer keys"
    )]
    Settlement {
        /// What it would read at the most.
        found: u64,
        /// What is possible.
        max: u64,
    },
    /// A number that must not be zero is.
    #[error("{which} is 0, at least 1 is needed")]
    Zero {
        /// Which number.
        which: Limit,
    },
    /// The URL of the code has no `https://` or `http://` in front.
    #[error("the code's url must start with https:// or http://, found {found:?}")]
    UrlScheme {
        /// The start of the URL.
        found: String,
    },
    /// An environment variable has no usable name.
    #[error(
        "{found:?} is no name for an environment variable: expected characters other than '=' and NUL, at least one"
    )]
    VariableName {
        /// The name.
        found: String,
    },
    /// An environment variable has a name that the system keeps for itself.
    #[error(
        "the environment variable {found:?} is the system's own: TZ, LANG and OUTLAYER_* cannot be set"
    )]
    ReservedVariable {
        /// The name.
        found: String,
    },
    /// An environment variable is given twice.
    #[error("the environment variable {found:?} is given twice")]
    DuplicateVariable {
        /// The name.
        found: String,
    },
    /// An argument, name or value has a NUL byte, which WASI cannot pass.
    #[error("arguments and environment cannot hold a NUL byte, found one in {found:?}")]
    NulByte {
        /// The text.
        found: String,
    },
}

impl RequestError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::AboveBound { .. } => RefusalCode::RequestAboveBound,
            Self::Settlement { .. } => RefusalCode::RequestTooLarge,
            Self::Zero { .. } => RefusalCode::RequestZero,
            Self::UrlScheme { .. } => RefusalCode::UrlScheme,
            Self::VariableName { .. } => RefusalCode::VariableName,
            Self::ReservedVariable { .. } => RefusalCode::ReservedVariable,
            Self::DuplicateVariable { .. } => RefusalCode::DuplicateVariable,
            Self::NulByte { .. } => RefusalCode::NulByte,
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

impl ExecutionRequest {
    /// A request with defaults for all but the code and the input.
    pub fn new(code: CodeRef, input: impl Into<Bytes>) -> Self {
        Self {
            code,
            kind: None,
            args: Vec::new(),
            env: Vec::new(),
            input: input.into(),
            limits: ResourceLimits::default(),
            approvals: 1,
            refund_to: None,
            response_format: ResponseFormat::default(),
        }
    }

    /// The account that gets refunds: the one that the request names, or the requester.
    pub fn payer<'a>(&'a self, requester: &'a AccountId) -> &'a AccountId {
        self.refund_to.as_ref().unwrap_or(requester)
    }

    /// Bytes of arguments and environment: each text, and one for its terminator.
    pub fn args_env_bytes(&self) -> u64 {
        let args = self.args.iter().map(|arg| arg.len() as u64 + 1);
        let env = self.env.iter().map(|(name, value)| name.len() as u64 + value.len() as u64 + 2);
        args.chain(env).sum()
    }

    /// The hash that binds arguments and environment into the record.
    pub fn args_env_hash(&self) -> Hash32 {
        Hash32::of_borsh(&(&self.args, &self.env))
    }

    /// Checks the request against the contract's bounds.
    ///
    /// # Errors
    /// The first [`RequestError`] found.
    pub fn validate(&self, config: &Config) -> Result<(), RequestError> {
        let RequestBounds { limits: max, input_bytes, args_env_bytes, url_bytes, approvals } =
            config.bounds;
        let asked = &self.limits;
        let most_compute = match asked.compute.meter() {
            crate::Meter::Fuel => config.max_fuel,
            crate::Meter::Gas => config.max_gas,
        };
        let bounds = [
            (Limit::Compute, asked.compute.amount(), most_compute, true),
            (Limit::MemoryBytes, asked.memory_bytes, max.memory_bytes, true),
            (Limit::TableElements, asked.table_elements.into(), max.table_elements.into(), false),
            (Limit::Instances, asked.instances.into(), max.instances.into(), true),
            (Limit::OutputBytes, asked.output_bytes.into(), max.output_bytes.into(), false),
            (Limit::LogBytes, asked.log_bytes.into(), max.log_bytes.into(), false),
            (Limit::JournalBytes, asked.journal_bytes.into(), max.journal_bytes.into(), false),
            (Limit::StorageReads, asked.storage_reads.into(), max.storage_reads.into(), false),
            (Limit::StorageWrites, asked.storage_writes.into(), max.storage_writes.into(), false),
            (Limit::HostCalls, asked.host_calls, max.host_calls, true),
            (Limit::InputBytes, self.input.len() as u64, input_bytes.into(), false),
            (Limit::ArgsEnvBytes, self.args_env_bytes(), args_env_bytes.into(), false),
            (
                Limit::UrlBytes,
                self.code.url.as_ref().map_or(0, |url| url.len() as u64),
                url_bytes.into(),
                false,
            ),
            (Limit::Approvals, self.approvals.into(), approvals.into(), true),
        ];
        for (which, found, max, nonzero) in bounds {
            if found > max {
                return Err(RequestError::AboveBound { which, found, max });
            }
            if nonzero && found == 0 {
                return Err(RequestError::Zero { which });
            }
        }
        capacity::check(self)?;
        if let Some(url) = &self.code.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(RequestError::UrlScheme { found: clip(url) });
        }
        self.validate_texts()
    }

    fn validate_texts(&self) -> Result<(), RequestError> {
        let mut names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        for (name, _) in &self.env {
            if name.is_empty() || name.contains('=') {
                return Err(RequestError::VariableName { found: clip(name) });
            }
            if is_reserved_variable(name) {
                return Err(RequestError::ReservedVariable { found: clip(name) });
            }
        }
        if let Some([name, _]) = names.array_windows().find(|[one, next]| one == next) {
            return Err(RequestError::DuplicateVariable { found: clip(name) });
        }
        let texts = self.args.iter().chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        match texts.into_iter().find(|text| text.contains('\0')) {
            Some(text) => Err(RequestError::NulByte { found: clip(text) }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) fn sample() -> ExecutionRequest {
    ExecutionRequest::new(CodeRef { hash: Hash32::of(b"code"), url: None }, "input")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compute;

    fn check(change: impl FnOnce(&mut ExecutionRequest)) -> Result<(), RequestError> {
        let mut request = sample();
        change(&mut request);
        request.validate(&crate::config::sample())
    }

    #[test]
    fn json_needs_only_the_code() {
        let hash = Hash32::of(b"code");
        let request: ExecutionRequest =
            serde_json::from_str(&format!(r#"{{"code":{{"hash":"{hash}"}},"input":"aW5wdXQ="}}"#))
                .unwrap();
        assert_eq!(request, sample());
        let limits: ResourceLimits = serde_json::from_str(r#"{"compute":{"fuel":5}}"#).unwrap();
        assert_eq!(
            limits,
            ResourceLimits { compute: Compute::Fuel(5), ..ResourceLimits::default() }
        );
        assert!(serde_json::from_str::<ResourceLimits>(r#"{"compute_units":5}"#).is_err());
    }

    #[test]
    fn the_sample_is_valid_and_bounds_name_what_was_found() {
        assert_eq!(check(|_| ()), Ok(()));
        let error = check(|r| r.limits.memory_bytes = u64::MAX).unwrap_err();
        assert!(matches!(
            error,
            RequestError::AboveBound { which: Limit::MemoryBytes, found: u64::MAX, .. }
        ));
        assert!(
            error.to_string().starts_with("memory_bytes is 18446744073709551615, more than the ")
        );
        assert_eq!(check(|r| r.approvals = 0), Err(RequestError::Zero { which: Limit::Approvals }));
        assert_eq!(
            check(|r| r.limits.compute = Compute::Gas(0)),
            Err(RequestError::Zero { which: Limit::Compute })
        );
    }

    #[test]
    fn a_callers_variables_cannot_shadow_the_systems() {
        let var = |name: &str| vec![(name.to_owned(), "x".to_owned())];
        for name in ["TZ", "LANG", "OUTLAYER_RANDOM_SEED", "OUTLAYER_"] {
            assert_eq!(
                check(|r| r.env = var(name)),
                Err(RequestError::ReservedVariable { found: name.to_owned() })
            );
        }
        assert_eq!(
            check(|r| r.env = var("A=B")),
            Err(RequestError::VariableName { found: "A=B".to_owned() })
        );
        assert_eq!(
            check(|r| r.env = var("A\0B")),
            Err(RequestError::NulByte { found: "A\0B".to_owned() })
        );
        assert_eq!(
            check(|r| r.env = [var("A"), var("A")].concat()),
            Err(RequestError::DuplicateVariable { found: "A".to_owned() })
        );
    }

    #[test]
    fn only_web_addresses_name_code() {
        let error = check(|r| r.code.url = Some("file:///etc/passwd".to_owned())).unwrap_err();
        assert_eq!(error, RequestError::UrlScheme { found: "file:///etc/passwd".to_owned() });
    }
}
