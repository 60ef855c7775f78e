//! Secrets: values that the owner of an API key seals to certain workers, and that reach a guest as
//! environment variables.
//!
//! An entry stands in its owner's namespace under a [reserved key](entry_key). Its terms are
//! public: which code may have the value, for which callers, with which hosts, from which workers.
//! The contract [checks](SecretTerms::check) them when it takes a request and pins version and
//! commitment. The value is sealed to the key of each recipient with HPKE (RFC 9180), whose
//! [associated data](associated_data) are the terms and where they stand, so that a sealed value
//! that somebody copies, or whose terms somebody changes, opens nothing.
//!
//! Nobody but the recipients sees the value. Records bind its salted
//! [commitment](Opening::commitment).

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode, Error, Input, from_slice, to_vec};
use outlayer_json::{Quoted, ToJson};
use serde::{Deserialize, Serialize};

use crate::{Bytes, Hash32, HttpAccess, RefusalCode, RequestId, object::read_by_fields};

/// The most secrets of a request.
pub const MAX_SECRETS: u32 = 4;
/// The most workers to which a secret may be sealed.
pub const MAX_RECIPIENTS: u32 = 16;
/// The longest value of a secret, bytes.
pub const MAX_SECRET_BYTES: u32 = 4 << 10;
/// The most bytes of the encoded terms of a secret.
pub const MAX_TERMS_BYTES: usize = 4 << 10;
/// What is sealed has a multiple of so many bytes.
pub const SEALED_BLOCK_BYTES: usize = 64;
/// Length of the owner's salt, bytes.
pub const OPENING_SALT_BYTES: usize = 32;
/// What ends an execution whose worker could not open a secret to the value that its owner has
/// committed to: the reason of its [`Trapped`](crate::Status::Trapped) status.
pub const NOT_AS_COMMITTED: &str = "a secret is not what its owner has committed to";

/// What the key of every entry starts with. No guest may write a key that starts so.
const RESERVED_PREFIX: &[u8] = b"\0outlayer:";
const KEY_PREFIX: &[u8] = b"\0outlayer:secret:";
/// What stands before a worker's key in its metadata.
const METADATA_TAG: &str = "x25519:";
/// Bytes of the longest account id in borsh.
const ID_BYTES: u64 = 4 + 64;

/// The key of the entry of a secret in its owner's namespace.
pub fn entry_key(name: &str) -> Vec<u8> {
    [KEY_PREFIX, name.as_bytes()].concat()
}

/// The name of the secret whose entry has this key, if it is one.
pub fn name_in_key(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(KEY_PREFIX)?).ok()
}

/// Whether a key is one that only the owner of the namespace may use, and no guest.
pub fn is_reserved_key(key: &[u8]) -> bool {
    key.starts_with(RESERVED_PREFIX)
}

/// A secret that a request asks for. The guest finds the value in the environment variable of its
/// name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, ToJson)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(BorshSerialize, BorshDeserialize, Serialize)]
pub struct SecretRef {
    /// The account in whose namespace the entry stands; `None` for the account that asks.
    pub owner_id: Option<AccountId>,
    /// The name of the secret, and of the environment variable.
    pub name: String,
}

read_by_fields! {
    SecretRef = Self { owner_id: None, name: String::new() },
    only: true,
    required: { name: Text, },
    optional: { owner_id: MaybeAccount, }
}

impl SecretRef {
    /// The account in whose namespace the entry stands.
    pub fn owner<'a>(&'a self, requester: &'a AccountId) -> &'a AccountId {
        self.owner_id.as_ref().unwrap_or(requester)
    }
}

/// The terms on which a worker gives a secret to a guest. All of it is public.
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
    Deserialize,
)]
pub struct SecretTerms {
    /// How often the owner has set the secret under this name.
    pub version: u32,
    /// The [commitment](Opening::commitment) to the value.
    pub commitment: Hash32,
    /// SHA-256 of the code that may have the value.
    pub code_hash: Hash32,
    /// The accounts that may request an execution with it.
    pub access: Vec<AccountId>,
    /// The hosts that such a request may list, word for word.
    pub hosts: Vec<String>,
    /// The workers to which the value is sealed.
    pub recipients: Vec<AccountId>,
}

/// What stands under the key of a secret: the terms, and the value as it is sealed to each of the
/// recipients, in their order.
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
    Deserialize,
)]
pub struct SecretEntry {
    /// The terms.
    pub terms: SecretTerms,
    /// For each recipient, the encapsulated key (32 bytes) and the ciphertext of HPKE.
    pub sealed: Vec<Bytes>,
}

impl SecretEntry {
    /// The entry as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        to_vec(self)
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn decode(value: &[u8]) -> Result<Self, SecretError> {
        let entry: Self = from_slice(value).map_err(SecretError::Malformed)?;
        Ok(Self { terms: entry.terms.bounded()?, ..entry })
    }

    /// What is sealed to a worker.
    pub fn sealed_to(&self, worker_id: &AccountId) -> Option<&Bytes> {
        let position = self.terms.recipients.iter().position(|id| id == worker_id)?;
        self.sealed.get(position)
    }
}

/// Why a request does not get a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The owner has none of this name.
    #[error("there is none of this name")]
    Unknown,
    /// What stands under its key is no entry.
    #[error(
        "its entry cannot be read: its terms have more than {MAX_TERMS_BYTES} bytes or \
         {MAX_RECIPIENTS} recipients, or {0}"
    )]
    Malformed(Error),
    /// It is for other code.
    #[error("it is for the code {expected}, found {found}")]
    Code {
        /// The hash of the request's code.
        found: Hash32,
        /// The hash of the code that may have it.
        expected: Hash32,
    },
    /// The caller is not listed.
    #[error("{found} is not among the accounts that may use it")]
    Caller {
        /// The account that asks.
        found: AccountId,
    },
    /// The request lists a host that the secret does not.
    #[error("it may not be used with the host {}", Quoted(.found))]
    Host {
        /// The host.
        found: String,
    },
}

impl SecretError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Unknown | Self::Malformed(_) => RefusalCode::UnknownSecret,
            Self::Code { .. } | Self::Caller { .. } | Self::Host { .. } => {
                RefusalCode::SecretDenied
            }
        }
    }
}

impl SecretTerms {
    /// The terms at the start of a stored entry. The rest is not looked at.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn of_entry(value: &[u8]) -> Result<Self, SecretError> {
        let mut input = Input::new(value.get(..MAX_TERMS_BYTES).unwrap_or(value));
        let terms = Self::decode(&mut input);
        match input.error() {
            Some(error) => Err(SecretError::Malformed(error)),
            None => terms.bounded(),
        }
    }

    /// The terms, unless they list more recipients than a secret may have.
    fn bounded(self) -> Result<Self, SecretError> {
        if self.recipients.len() > MAX_RECIPIENTS as usize {
            return Err(SecretError::Malformed(Error::Invalid));
        }
        Ok(self)
    }

    /// Checks that a request may have the secret.
    ///
    /// # Errors
    /// [`SecretError`]: the code, the caller, or a host is another than the owner has listed.
    pub fn check(
        &self,
        code_hash: Hash32,
        requester: &AccountId,
        http: Option<&HttpAccess>,
    ) -> Result<(), SecretError> {
        if code_hash != self.code_hash {
            return Err(SecretError::Code { found: code_hash, expected: self.code_hash });
        }
        if !self.access.contains(requester) {
            return Err(SecretError::Caller { found: requester.clone() });
        }
        let mut hosts = http.map_or(&[][..], |http| &http.hosts).iter();
        match hosts.find(|host| !self.hosts.contains(host)) {
            Some(host) => Err(SecretError::Host { found: host.clone() }),
            None => Ok(()),
        }
    }
}

/// A secret as a request pins it.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
pub struct SecretPin {
    /// The account in whose namespace the entry stands.
    pub owner_id: AccountId,
    /// The name of the secret.
    pub name: String,
    /// The version when the request was taken.
    pub version: u32,
    /// The commitment to the value of that version.
    pub commitment: Hash32,
}

/// The secrets of a live request.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
pub struct LiveSecrets {
    /// The secrets, in the order of the request. Each has its own name.
    pub pins: Vec<SecretPin>,
    /// The workers to which all of them are sealed and that were active when the request was taken.
    /// Nobody else may answer it.
    pub recipients: Vec<AccountId>,
}

impl LiveSecrets {
    /// Bytes that they take in the record.
    pub(crate) fn record_bytes(&self) -> u64 {
        let pin = |pin: &SecretPin| pin.owner_id.len() + pin.name.len() + 3 * 4 + 32;
        let pins: usize = self.pins.iter().map(pin).sum();
        let recipients: usize = self.recipients.iter().map(|id| 4 + id.len()).sum();
        (4 + pins + 4 + recipients) as u64
    }
}

/// The most bytes that the secrets of a request take in its record.
pub(crate) fn record_bytes(secrets: &[SecretRef]) -> u64 {
    if secrets.is_empty() {
        return 0;
    }
    let pin = |secret: &SecretRef| ID_BYTES + 4 + secret.name.len() as u64 + 4 + 32;
    4 + secrets.iter().map(pin).sum::<u64>() + 4 + u64::from(MAX_RECIPIENTS) * ID_BYTES
}

/// What a secret's commitment opens to: the value, and the salt that hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// The owner's salt: random, so that nobody can try likely values.
    pub salt: [u8; OPENING_SALT_BYTES],
    /// The value.
    pub value: String,
}

/// Says nothing of what it holds.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening(…)")
    }
}

impl Opening {
    /// What the owner publishes: `sha256("outlayer:secret" || salt || value)`.
    pub fn commitment(&self) -> Hash32 {
        Hash32::of_parts(&[b"outlayer:secret", &self.salt, self.value.as_bytes()])
    }

    /// What is sealed: the salt, the value, and zeros up to the next multiple of
    /// [`SEALED_BLOCK_BYTES`], so that what is sealed does not tell how long the value is.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.salt[..], self.value.as_bytes()].concat();
        bytes.resize(bytes.len().next_multiple_of(SEALED_BLOCK_BYTES), 0);
        bytes
    }

    /// Reads what was sealed; `None` when it is no opening: it is too short, or its value is no
    /// text that an environment variable can hold.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (salt, value) = bytes.split_first_chunk()?;
        // A value holds no zeros.
        let value = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
        is_value(value).then(|| Self { salt: *salt, value: value.to_owned() })
    }
}

/// Whether a secret may have this value: 1 to [`MAX_SECRET_BYTES`] without a NUL.
pub fn is_value(value: &str) -> bool {
    (1..=MAX_SECRET_BYTES as usize).contains(&value.len()) && !value.contains('\0')
}

/// With what the hashes are hidden that a request's record and transcript publish, so that nobody
/// who has no salt can try which secret they come from, or see that two requests have the same.
pub fn blinding<'a>(
    request_id: RequestId,
    openings: impl IntoIterator<Item = &'a Opening>,
) -> Hash32 {
    let salts: Vec<[u8; OPENING_SALT_BYTES]> =
        openings.into_iter().map(|opening| opening.salt).collect();
    let id = request_id.to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![b"outlayer:secret-blinding", &id];
    parts.extend(salts.iter().map(|salt| &salt[..]));
    Hash32::of_parts(&parts)
}

/// What a hash is hidden for: two of the same are hidden differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blinded {
    /// The hash of the request of an HTTP exchange, by its number from 0.
    Exchange(u32),
    /// The hash of the logs.
    Logs,
}

/// A hash as it is published of an execution with secrets.
pub fn blinded(blinding: &Hash32, what: Blinded, hash: &Hash32) -> Hash32 {
    let number = match what {
        Blinded::Exchange(number) => u64::from(number),
        Blinded::Logs => u64::MAX,
    };
    Hash32::of_parts(&[b"outlayer:secret-hash", &blinding.0, &number.to_le_bytes(), &hash.0])
}

/// The associated data of HPKE for one recipient: where the entry stands, its terms, and for whom
/// it is. The encoding is borsh, behind a tag.
pub fn associated_data(
    contract_id: &AccountId,
    owner_id: &AccountId,
    name: &str,
    terms: &SecretTerms,
    recipient_id: &AccountId,
) -> Vec<u8> {
    let mut data = b"outlayer:secret-terms".to_vec();
    contract_id.encode(&mut data);
    owner_id.encode(&mut data);
    name.to_owned().encode(&mut data);
    terms.encode(&mut data);
    recipient_id.encode(&mut data);
    data
}

/// The X25519 key that a worker's metadata publish: the first word that is `x25519:` with 64 hex
/// digits after it.
pub fn key_in_metadata(metadata: &str) -> Option<[u8; 32]> {
    let mut words = metadata.split_whitespace();
    words.find_map(|word| Some(word.strip_prefix(METADATA_TAG)?.parse::<Hash32>().ok()?.0))
}

/// The word in a worker's metadata that publishes this key.
pub fn key_word(public_key: &[u8; 32]) -> String {
    format!("{METADATA_TAG}{}", Hash32(*public_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn terms() -> SecretTerms {
        SecretTerms {
            version: 3,
            commitment: Hash32::of(b"commitment"),
            code_hash: Hash32::of(b"code"),
            access: vec![id("dapp.near")],
            hosts: vec!["api.example.com".to_owned()],
            recipients: vec![id("a.near"), id("b.near")],
        }
    }

    #[test]
    fn terms_name_the_code_the_callers_and_the_hosts() {
        let (terms, code, dapp) = (terms(), Hash32::of(b"code"), id("dapp.near"));
        let http = |host: &str| HttpAccess::to(vec![host.to_owned()]);
        assert_eq!(terms.check(code, &dapp, None), Ok(()));
        assert_eq!(terms.check(code, &dapp, Some(&http("api.example.com"))), Ok(()));
        let code_error = terms.check(Hash32::of(b"other"), &dapp, None).unwrap_err();
        assert!(matches!(code_error, SecretError::Code { .. }));
        let caller = SecretError::Caller { found: id("mallory.near") };
        assert_eq!(terms.check(code, &id("mallory.near"), None), Err(caller));
        for host in ["*.example.com", "api.example.com:8443", "evil.example"] {
            let denied = SecretError::Host { found: host.to_owned() };
            assert_eq!(terms.check(code, &dapp, Some(&http(host))), Err(denied), "{host}");
        }
    }

    #[test]
    fn the_terms_are_read_without_what_is_sealed() {
        let entry = SecretEntry { terms: terms(), sealed: vec![vec![1; 80].into(); 2] };
        let stored = entry.encode();
        assert_eq!(stored, borsh::to_vec(&entry).unwrap());
        assert_eq!(SecretEntry::decode(&stored), Ok(entry.clone()));
        assert_eq!(SecretTerms::of_entry(&stored), Ok(entry.terms.clone()));
        assert!(SecretTerms::of_entry(&stored[..40]).is_err());
        let mut long = entry.terms;
        long.hosts = vec!["h".repeat(250); 20];
        let stored = SecretEntry { terms: long, sealed: Vec::new() }.encode();
        assert!(matches!(SecretTerms::of_entry(&stored), Err(SecretError::Malformed(_))));
    }

    #[test]
    fn associated_data_differ_wherever_anything_does() {
        let (contract, owner) = (id("outlayer.near"), id("owner.near"));
        let data = |contract: &AccountId, owner: &AccountId, name: &str, terms: &SecretTerms| {
            associated_data(contract, owner, name, terms, &terms.recipients[0])
        };
        let mut seen = vec![data(&contract, &owner, "KEY", &terms())];
        let mut add = |data: Vec<u8>| {
            assert!(!seen.contains(&data));
            seen.push(data);
        };
        add(data(&owner, &contract, "KEY", &terms()));
        add(data(&contract, &id("other.near"), "KEY", &terms()));
        add(data(&contract, &owner, "YEK", &terms()));
        let changes: [fn(&mut SecretTerms); 6] = [
            |terms| terms.version += 1,
            |terms| terms.commitment = Hash32::of(b"other"),
            |terms| terms.code_hash = Hash32::of(b"other"),
            |terms| terms.access.push("mallory.near".parse().unwrap()),
            |terms| terms.hosts.push("evil.example".to_owned()),
            |terms| terms.recipients.reverse(),
        ];
        for change in changes {
            let mut changed = terms();
            change(&mut changed);
            add(data(&contract, &owner, "KEY", &changed));
        }
        add(associated_data(&contract, &owner, "KEY", &terms(), &id("b.near")));
    }

    #[test]
    fn an_opening_is_what_was_sealed_and_its_commitment_needs_the_salt() {
        let opening = Opening { salt: [7; 32], value: "hunter2".to_owned() };
        assert_eq!(Opening::from_bytes(&opening.to_bytes()), Some(opening.clone()));
        assert_eq!(format!("{opening:?}"), "Opening(…)");
        let salted = Opening { salt: [8; 32], ..opening.clone() };
        assert_ne!(opening.commitment(), salted.commitment());
        let with = |value: &[u8]| Opening::from_bytes(&[&[7; 32], value].concat());
        assert_eq!((with(b""), with(b"a\0b"), with(b"\xff")), (None, None, None));
        assert!(with(&vec![b'a'; MAX_SECRET_BYTES as usize]).is_some());
        assert_eq!(with(&vec![b'a'; MAX_SECRET_BYTES as usize + 1]), None);
        assert_eq!(Opening::from_bytes(&[7; 31]), None);
        let hash = Hash32::of(b"request");
        let by = |id, opening: &Opening, what| blinded(&blinding(id, [opening]), what, &hash);
        let one = by(7, &opening, Blinded::Exchange(0));
        assert_ne!(one, by(7, &salted, Blinded::Exchange(0)));
        assert_ne!(one, by(8, &opening, Blinded::Exchange(0)));
        assert_ne!(one, by(7, &opening, Blinded::Exchange(1)));
        assert_ne!(one, by(7, &opening, Blinded::Logs));
    }

    #[test]
    fn metadata_publish_a_key_beside_other_words() {
        let key = [0xab; 32];
        let metadata = format!("run by Alice {} in Lisbon", key_word(&key));
        assert_eq!(key_in_metadata(&metadata), Some(key));
        assert_eq!(key_in_metadata("x25519:abcd"), None);
        assert_eq!(key_in_metadata(""), None);
    }

    #[test]
    fn keys_of_entries_are_reserved() {
        let key = entry_key("API_KEY");
        assert!(is_reserved_key(&key));
        assert_eq!(name_in_key(&key), Some("API_KEY"));
        assert_eq!((name_in_key(b"API_KEY"), is_reserved_key(b"outlayer:secret:A")), (None, false));
    }
}
