//! What can be wrong with a name of code.

use outlayer_protocol::{RefusalCode, code_name::MalformedName};

/// Why a name cannot be used, given, or retired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is no name.
    #[error(transparent)]
    Malformed(#[from] MalformedName),
    /// There is no such name, or no such version of it.
    #[error("there is no {name}: the name has {versions} versions")]
    Unknown {
        /// What was asked for.
        name: String,
        /// How many versions the name has; 0 when there is no such name.
        versions: u32,
    },
    /// The version is retired, or all versions are where none was asked for.
    #[error("{name} is retired: its owner has withdrawn it from new requests")]
    Retired {
        /// What was asked for.
        name: String,
    },
}

impl NameError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Malformed(_) => RefusalCode::MalformedName,
            Self::Unknown { .. } => RefusalCode::UnknownName,
            Self::Retired { .. } => RefusalCode::NameRetired,
        }
    }
}
