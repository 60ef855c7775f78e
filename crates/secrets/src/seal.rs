//! HPKE: one message to one key.

use std::io;

use hpke::{
    Deserializable as _, HpkeError, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use outlayer_protocol::secrets::Opening;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::random;

pub(crate) type Kem = X25519HkdfSha256;
type PublicKey = <Kem as hpke::Kem>::PublicKey;
pub(crate) type PrivateKey = <Kem as hpke::Kem>::PrivateKey;

/// What the key schedule of HPKE is bound to.
const INFO: &[u8] = b"outlayer:secret";
/// Bytes of an encapsulated key, which stands before the ciphertext.
const ENCAPSULATED_BYTES: usize = 32;

/// A secret cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key of a worker is no key of X25519.
    #[error("{found} is no public key of X25519")]
    Key {
        /// The key, in hex.
        found: String,
    },
    /// The system has no randomness.
    #[error("the system has no randomness: {0}")]
    Random(#[from] io::Error),
    /// HPKE fails.
    #[error("sealing fails: {0}")]
    Hpke(HpkeError),
}

/// A sealed value does not open to what was committed to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed to another key, or belongs to something else than it is said to.
    #[error("it was not sealed to this worker's key for these terms")]
    Sealed,
    /// It holds no salt and value.
    #[error("what was sealed is no salt with a value of 1 to 4096 bytes of text")]
    Form,
    /// It holds another value.
    #[error("what was sealed is not what its owner has committed to")]
    Commitment,
}

/// Seals an opening to the public key of a worker: the encapsulated key, then the ciphertext.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    public_key: &[u8; 32],
    associated_data: &[u8],
    opening: &Opening,
) -> Result<Vec<u8>, SealError> {
    let key = PublicKey::from_bytes(public_key)
        .map_err(|_| SealError::Key { found: hex::encode(public_key) })?;
    let mut random = ChaCha20Rng::from_seed(random()?);
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
            &OpModeS::Base,
            &key,
            INFO,
            &opening.to_bytes(),
            associated_data,
            &mut random,
        )
        .map_err(SealError::Hpke)?;
    Ok([&encapsulated.to_bytes()[..], &ciphertext].concat())
}

/// Opens what was sealed to a key.
pub(crate) fn open(
    key: &PrivateKey,
    associated_data: &[u8],
    sealed: &[u8],
) -> Result<Opening, OpenError> {
    let (encapsulated, ciphertext) =
        sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(OpenError::Sealed)?;
    let encapsulated =
        <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| OpenError::Sealed)?;
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeR::Base,
        key,
        &encapsulated,
        INFO,
        ciphertext,
        associated_data,
    )
    .map_err(|_| OpenError::Sealed)?;
    Opening::from_bytes(&opened).ok_or(OpenError::Form)
}

/// The public half of a key.
pub(crate) fn public(key: &PrivateKey) -> [u8; 32] {
    Kem::sk_to_pk(key).to_bytes().into()
}
