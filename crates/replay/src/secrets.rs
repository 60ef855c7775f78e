//! The openings of secrets that somebody gives to a replay.

use std::fmt;

use outlayer_guest::Secrets;
use outlayer_protocol::{
    AccountId, Hash32,
    machine::LiveRequest,
    secrets::{Opening, SecretPin},
};

/// The secrets that a replay may use: openings, by the names of the secrets. One name may have
/// several, of different versions or owners.
#[derive(Clone, Default)]
pub struct Openings(Vec<(String, Opening)>);

impl Openings {
    /// None at all.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The secrets that the request pins; `None` where it pins none.
    ///
    /// # Errors
    /// [`OpeningError`]: some are missing, or those of a name are not what the request pins.
    pub fn of(&self, request: &LiveRequest) -> Result<Option<Secrets>, OpeningError> {
        let Some(secrets) = &request.secrets else {
            return Ok(None);
        };
        let missing = secrets.pins.iter().filter(|pin| self.named(&pin.name).next().is_none());
        let missing: Vec<String> = missing.map(|pin| pin.name.clone()).collect();
        if !missing.is_empty() {
            return Err(OpeningError::Missing { names: missing });
        }
        let opened = secrets.pins.iter().map(|pin| Ok((pin, self.opening(pin)?.clone())));
        Ok(Some(Secrets::new(request.id(), opened.collect::<Result<Vec<_>, _>>()?)))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Opening> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, opening)| opening)
    }

    fn opening<'a>(&'a self, pin: &'a SecretPin) -> Result<&'a Opening, OpeningError> {
        let fits = |opening: &&Opening| opening.commitment() == pin.commitment;
        self.named(&pin.name).find(fits).ok_or_else(|| OpeningError::Other {
            name: pin.name.clone(),
            owner_id: pin.owner_id.clone(),
            version: pin.version,
            expected: pin.commitment,
            found: self.named(&pin.name).map(Opening::commitment).collect(),
        })
    }
}

impl FromIterator<(String, Opening)> for Openings {
    fn from_iter<I: IntoIterator<Item = (String, Opening)>>(openings: I) -> Self {
        Self(openings.into_iter().collect())
    }
}

/// The names alone.
impl fmt::Debug for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Why the openings that were given do not serve for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// Some are missing.
    #[error("the guest was given secrets, and the opening of {} is needed", names.join(", "))]
    Missing {
        /// The names of the secrets, in the order of the request.
        names: Vec<String>,
    },
    /// What was given is another value or another version, or has another salt.
    #[error(
        "the opening of {name} that was given is not what the request pins: its commitment is {}, \
         expected {expected}, of version {version} of the secret of {owner_id}",
        listed(found)
    )]
    Other {
        /// The name of the secret.
        name: String,
        /// Whose secret it is.
        owner_id: AccountId,
        /// The version that the request pins.
        version: u32,
        /// The commitment that the request pins.
        expected: Hash32,
        /// The commitments of all openings of this name that were given.
        found: Vec<Hash32>,
    },
}

fn listed(hashes: &[Hash32]) -> String {
    hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
