//! NEAR's runtime configuration, at the protocol version that this engine pins.

use std::sync::{Arc, LazyLock};

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use outlayer_guest::NEAR_CONFIG_VERSION;

/// Fees and limits of mainnet at [`NEAR_CONFIG_VERSION`].
pub(crate) fn near_config() -> &'static RuntimeConfig {
    static CONFIG: LazyLock<Arc<RuntimeConfig>> =
        LazyLock::new(|| Arc::clone(RuntimeConfigStore::new(None).get_config(NEAR_CONFIG_VERSION)));
    &CONFIG
}
