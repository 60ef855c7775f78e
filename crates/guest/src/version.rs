//! Which engine this build has, and what names an engine.

use std::fmt;

use outlayer_protocol::{EngineVersion, index::PendingEntry, machine::LiveRequest};

/// The engine that this build has. The number stands for everything that a verdict, an output or an
/// amount of fuel depends on: wasmtime 48 and wasmparser 0.254 with the accepted features, the
/// bounds of [`prepare`](crate::prepare), the costs of [`fuel`](crate::fuel), the virtual clock's
/// rule, the random stream, the vocabulary of reasons, near-vm-runner 0.38 at
/// [`NEAR_CONFIG_VERSION`], and what gas costs a WASI guest. A change to any of them needs a
/// new number.
pub const ENGINE_VERSION: EngineVersion = EngineVersion(2);

/// NEAR's protocol version whose runtime configuration (fees, limits, host functions) the gas meter
/// and `near` guests follow: the newest that the nearcore crates of this workspace (0.38) know.
pub const NEAR_CONFIG_VERSION: u32 = 88;

/// What names an engine. A request pins both numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EngineId {
    /// The engine's version.
    pub version: EngineVersion,
    /// NEAR's protocol version whose fees its gas meter has.
    pub near_config_version: u32,
}

impl EngineId {
    /// The engine of this build.
    pub const OWN: Self =
        Self { version: ENGINE_VERSION, near_config_version: NEAR_CONFIG_VERSION };
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (NEAR config {})", self.version, self.near_config_version)
    }
}

impl From<&LiveRequest> for EngineId {
    fn from(request: &LiveRequest) -> Self {
        let terms = &request.terms;
        Self { version: terms.engine_version, near_config_version: terms.near_config_version }
    }
}

impl From<&PendingEntry> for EngineId {
    fn from(entry: &PendingEntry) -> Self {
        Self { version: entry.engine_version, near_config_version: entry.near_config_version }
    }
}
