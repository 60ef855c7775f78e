//! What a caller asks for.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::{FromJson, Reader, ToJson};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    Bytes, Hash32, HttpAccess, HttpLimits, ResourceLimits, SecretRef,
    code_name::MAX_NAMED_BYTES,
    object::{self, Place, Shape, read_by_fields},
    secrets,
};

/// Names the deterministic engine with its features, cost tables and NEAR config version. Two
/// executions of one request under one engine version are bit for bit the same.
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(transparent)]
pub struct EngineVersion(pub u32);

impl std::fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "engine {}", self.0)
    }
}

/// Where the bytes of the code are, and the hash that they must have.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, ToJson)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(BorshSerialize, BorshDeserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRef {
    /// SHA-256 of the code.
    pub hash: Hash32,
    /// The `https:` or `http:` address of the code; `None` when it is published in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

read_by_fields! {
    CodeRef = Self { hash: Hash32::default(), url: None },
    only: true,
    required: { hash: Hash, },
    optional: { url: MaybeText, }
}

impl CodeRef {
    /// Length of the URL, bytes; 0 where there is none.
    pub fn url_bytes(&self) -> u64 {
        self.url.as_ref().map_or(0, |url| url.len() as u64)
    }
}

/// How many workers execute a request: the approvals and the spares, or one where one approval is
/// enough.
pub(crate) fn seats(approvals: u8, spares: u8) -> u8 {
    if approvals < 2 { 1 } else { approvals.saturating_add(spares) }
}

/// Bytes of arguments and environment, with one for the terminator of each text.
pub(crate) fn args_env_bytes(args: &[String], env: &[(String, String)]) -> u64 {
    let args = args.iter().map(|arg| arg.len() as u64 + 1);
    let env = env.iter().map(|(name, value)| name.len() as u64 + value.len() as u64 + 2);
    args.chain(env).sum()
}

/// How a request names its code: by the hash, or by a name that its owner has given to it.
///
/// In JSON it is `{"hash": …}`, `{"hash": …, "url": …}` or `{"name": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, ToJson)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(BorshSerialize, BorshDeserialize, Serialize)]
#[serde(untagged)]
pub enum CodeSource {
    /// The code with this hash.
    Exact(CodeRef),
    /// The code that a name stands for when the request is taken.
    Named {
        /// `owner/name@version`, or `owner/name` for the latest version: see
        /// [`CodeName`](crate::code_name::CodeName). The contract checks it, so that a name which
        /// is none gets a refusal with a code.
        name: String,
    },
}

/// How the three fields of a [`CodeSource`] are read.
const CODE_SOURCE: Shape =
    Shape { name: "CodeSource", fields: &["hash", "url", "name"], required: 0, only: true };
const NO_CODE_SOURCE: &str = "expected a hash and perhaps a url, or a name alone";

impl CodeSource {
    fn of_fields(
        hash: Option<Hash32>,
        url: Option<String>,
        name: Option<String>,
    ) -> Result<Self, &'static str> {
        match (hash, url, name) {
            (Some(hash), url, None) => Ok(Self::Exact(CodeRef { hash, url })),
            (None, None, Some(name)) => Ok(Self::Named { name }),
            _ => Err(NO_CODE_SOURCE),
        }
    }
}

// Serde's untagged enums buffer what they read, and do not say what is wrong.
impl<'de> Deserialize<'de> for CodeSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut hash, mut url, mut name) = (None, None, None);
        let mut places = [
            Some(Place::MaybeHash(&mut hash)),
            Some(Place::MaybeText(&mut url)),
            Some(Place::MaybeText(&mut name)),
        ];
        object::fill(deserializer, &CODE_SOURCE, &mut places)?;
        Self::of_fields(hash, url, name).map_err(D::Error::custom)
    }
}

impl FromJson for CodeSource {
    fn read(reader: &mut Reader<'_>) -> Self {
        let (mut hash, mut url, mut name) = (None, None, None);
        let mut places = [
            Some(Place::MaybeHash(&mut hash)),
            Some(Place::MaybeText(&mut url)),
            Some(Place::MaybeText(&mut name)),
        ];
        object::read(reader, &CODE_SOURCE, &mut places);
        Self::of_fields(hash, url, name).unwrap_or_else(|error| {
            reader.refuse(format_args!("{error}"));
            Self::Named { name: String::new() }
        })
    }
}

impl From<CodeRef> for CodeSource {
    fn from(code: CodeRef) -> Self {
        Self::Exact(code)
    }
}

impl CodeSource {
    /// Bytes that URL and name can take in the record of a live request.
    ///
    /// A name takes as many as the longest name and URL, whatever it stands for. So the deposit and
    /// gas that a request needs do not change when the owner of the name publishes a new version.
    pub fn text_bytes(&self) -> u64 {
        match self {
            Self::Exact(code) => code.url_bytes(),
            Self::Named { .. } => MAX_NAMED_BYTES,
        }
    }
}

/// The kinds of guest.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
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

/// Who may cancel a request before it is answered.
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CancelBy {
    /// Nobody: the request ends with an answer, or by its deadline.
    Nobody,
    /// The account that made the request.
    #[default]
    Requester,
    /// The account that made the request, and the one that gets its refunds. The seed of a request
    /// is public once it is made, so that a payer who computes an outcome that does not please them
    /// can cancel it.
    Payer,
}

/// What becomes of a request that the contract does not take.
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OnRefusal {
    /// The call fails, and its deposit goes back to the account that called.
    #[default]
    Panic,
    /// The call returns a settlement with [`Outcome::Refused`](crate::Outcome::Refused), and its
    /// deposit goes to the payer.
    Return,
}

fn one() -> u8 {
    1
}

/// The argument of `request_execution`. In JSON, only `code` must be given.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, ToJson)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(BorshSerialize, BorshDeserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    /// The code to run.
    pub code: CodeSource,
    /// The kind of guest that the code must be; `None` has the kind detected from its bytes.
    #[serde(default)]
    pub kind: Option<GuestKind>,
    /// The guest's arguments. Everybody can read them.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables of the guest, after those that the system sets. Everybody can read
    /// them.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// What the guest reads from its standard input.
    #[serde(default)]
    pub input: Bytes,
    /// The most that the execution may use.
    #[serde(default)]
    pub limits: ResourceLimits,
    /// What the guest may reach over HTTP; `None` for nothing.
    #[serde(default)]
    pub http: Option<HttpAccess>,
    /// Secrets that the guest is given as environment variables, after those of the request.
    #[serde(default)]
    pub secrets: Vec<SecretRef>,
    /// How many registered workers must agree, at least 1.
    #[serde(default = "one")]
    pub approvals: u8,
    /// How many more workers than `approvals` execute the request, so that as many of them may lie
    /// or be away; less than `approvals`. It means nothing where one approval is enough.
    #[serde(default = "one")]
    pub spares: u8,
    /// The most that the execution may cost, yoctoNEAR; `None` for whatever the configuration says
    /// when the request is taken. A request that could cost more is refused.
    #[serde(default)]
    pub max_fee: Option<NearToken>,
    /// Who may cancel the request.
    #[serde(default)]
    pub cancel_by: CancelBy,
    /// What becomes of the request when the contract does not take it.
    #[serde(default)]
    pub on_refusal: OnRefusal,
    /// How many blocks after its settlement the result is kept for `get_result`, at most
    /// [`MAX_KEEP_RESULT_BLOCKS`](crate::kept_result::MAX_KEEP_RESULT_BLOCKS); 0 keeps none.
    #[serde(default)]
    pub keep_result_blocks: u32,
    /// The account that gets refunds; `None` for the caller.
    #[serde(default)]
    pub refund_to: Option<AccountId>,
    /// How the settlement is encoded for the caller.
    #[serde(default)]
    pub response_format: ResponseFormat,
}

read_by_fields! {
    ExecutionRequest = Self::new(CodeSource::Named { name: String::new() }, Bytes::default()),
    only: true,
    required: { code: Code, },
    optional: {
        kind: Kind,
        args: Texts,
        env: Variables,
        input: Bytes,
        limits: Limits,
        http: MaybeHttp,
        secrets: Secrets,
        approvals: U8,
        spares: U8,
        max_fee: MaybeToken,
        cancel_by: CancelBy,
        on_refusal: OnRefusal,
        keep_result_blocks: U32,
        refund_to: MaybeAccount,
        response_format: Format,
    }
}

impl ExecutionRequest {
    /// A request with defaults for everything but the code and the input.
    pub fn new(code: impl Into<CodeSource>, input: impl Into<Bytes>) -> Self {
        Self {
            code: code.into(),
            kind: None,
            args: Vec::new(),
            env: Vec::new(),
            input: input.into(),
            limits: ResourceLimits::default(),
            http: None,
            secrets: Vec::new(),
            approvals: one(),
            spares: one(),
            max_fee: None,
            cancel_by: CancelBy::default(),
            on_refusal: OnRefusal::default(),
            keep_result_blocks: 0,
            refund_to: None,
            response_format: ResponseFormat::default(),
        }
    }

    /// How many workers execute the request: the approvals and the spares, or one where one
    /// approval is enough.
    pub fn seats(&self) -> u8 {
        seats(self.approvals, self.spares)
    }

    /// The numbers of what it says about HTTP.
    pub fn http_limits(&self) -> HttpLimits {
        self.http.as_ref().into()
    }

    /// The account that gets refunds: the one that the request names, or the requester.
    pub fn payer<'a>(&'a self, requester: &'a AccountId) -> &'a AccountId {
        self.refund_to.as_ref().unwrap_or(requester)
    }

    /// Bytes of arguments and environment, with one for the terminator of each text.
    pub fn args_env_bytes(&self) -> u64 {
        args_env_bytes(&self.args, &self.env)
    }

    /// Bytes of arguments, environment, URL, name, hosts and secrets' names and recipients, which
    /// every step of the request reads and writes.
    pub fn text_bytes(&self) -> u64 {
        let hosts = self.http.as_ref().map_or(0, HttpAccess::text_bytes);
        let secrets = secrets::record_bytes(&self.secrets);
        self.args_env_bytes() + self.code.text_bytes() + hosts + secrets
    }

    /// The hash that binds arguments and environment into the record.
    pub fn args_env_hash(&self) -> Hash32 {
        Hash32::of_borsh(&(&self.args, &self.env))
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
        let limits: ResourceLimits = serde_json::from_str(r#"{"max_module_bytes":5}"#).unwrap();
        assert_eq!(limits, ResourceLimits { max_module_bytes: 5, ..ResourceLimits::default() });
        assert!(serde_json::from_str::<ResourceLimits>(r#"{"module_bytes":5}"#).is_err());
    }

    #[test]
    fn code_is_named_by_its_hash_or_by_its_name() {
        let hash = Hash32::of(b"code");
        let url = || Some("https://code.example".to_owned());
        let by_hash = |url| CodeSource::Exact(CodeRef { hash, url });
        let by_name = CodeSource::Named { name: "alice.near/median@3".to_owned() };
        for (source, json) in [
            (by_hash(None), format!(r#"{{"hash":"{hash}"}}"#)),
            (by_hash(url()), format!(r#"{{"hash":"{hash}","url":"https://code.example"}}"#)),
            (by_name, r#"{"name":"alice.near/median@3"}"#.to_owned()),
        ] {
            assert_eq!(serde_json::to_string(&source).unwrap(), json);
            assert_eq!(serde_json::from_str::<CodeSource>(&json).unwrap(), source);
        }
        for json in [
            "{}".to_owned(),
            r#"{"url":"https://code.example"}"#.to_owned(),
            format!(r#"{{"hash":"{hash}","name":"alice.near/median"}}"#),
            r#"{"url":"https://code.example","name":"alice.near/median"}"#.to_owned(),
            r#"{"name":"alice.near/median","version":3}"#.to_owned(),
        ] {
            assert!(serde_json::from_str::<CodeSource>(&json).is_err(), "{json}");
        }
    }
}
