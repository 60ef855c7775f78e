//! Which engine this build has, and whether it is the one that a request pins.

use outlayer_protocol::{EngineVersion, machine::LiveRequest};

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

/// A request pins an engine, or a NEAR configuration, that this build does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request needs {needed} with NEAR's config {needed_config}, \
     this is {served} with {served_config}"
)]
pub struct UnsupportedVersion {
    /// The engine that the request pins.
    pub needed: EngineVersion,
    /// NEAR's protocol version that the request pins.
    pub needed_config: u32,
    /// This build's [`ENGINE_VERSION`].
    pub served: EngineVersion,
    /// This build's [`NEAR_CONFIG_VERSION`].
    pub served_config: u32,
}

/// Whether this build's engine is the one that the request pins.
///
/// # Errors
/// [`UnsupportedVersion`] when it is not: another build may execute the request, this one must not.
pub fn check_version(request: &LiveRequest) -> Result<(), UnsupportedVersion> {
    let (served, served_config) = (ENGINE_VERSION, NEAR_CONFIG_VERSION);
    let (needed, needed_config) = (request.terms.engine_version, request.terms.near_config_version);
    if (needed, needed_config) == (served, served_config) {
        return Ok(());
    }
    Err(UnsupportedVersion { needed, needed_config, served, served_config })
}
