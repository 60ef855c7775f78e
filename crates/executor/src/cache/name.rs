//! Under which name an artifact is kept. A name is a hash of everything that the artifact depends
//! on, so a name can be unknown, but it never leads to the wrong artifact.

use std::hash::{Hash as _, Hasher};

use outlayer_guest::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_protocol::Hash32;
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use super::seal::MARK;

/// The names for what one backend compiles.
///
/// They bind the file's format, the kind of artifact, this crate's version, [`ENGINE_VERSION`],
/// [`NEAR_CONFIG_VERSION`], wasmtime's version, target and settings, and what the backend's
/// preparation makes of a sample. So a build that instruments modules differently looks for other
/// files.
pub(crate) struct Names(Hash32);

impl Names {
    pub(super) fn of_wasmtime(kind: &str, engine: &Engine, prepared: &[u8]) -> Self {
        let mut settings = Hashing(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self::new(kind, &settings.0.finalize(), prepared)
    }

    /// The names for what near-vm-runner compiles. Its own keys bind its engine and configuration.
    pub(crate) fn of_near() -> Self {
        Self::new("near", &[], &[])
    }

    fn new(kind: &str, settings: &[u8], prepared: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        let engine = [ENGINE_VERSION.0, NEAR_CONFIG_VERSION].map(u32::to_le_bytes).concat();
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let format = [b"outlayer compiled", &MARK[..]].concat();
        for part in [&format, version, kind.as_bytes(), &engine, settings, prepared] {
            // Hashes all have one length, so no two lists of parts give the same bytes.
            hasher.update(Sha256::digest(part));
        }
        Self(Hash32(hasher.finalize().into()))
    }

    /// The name of what `code` compiles to.
    pub(crate) fn of(&self, code: &Hash32) -> Hash32 {
        Hash32::of_parts(&[self.0.as_bytes(), code.as_bytes()])
    }
}

/// Computes the SHA-256 of a value that implements [`std::hash::Hash`].
struct Hashing(Sha256);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Config, OptLevel};

    use super::*;

    #[test]
    fn whatever_shapes_an_artifact_changes_its_name() {
        let engine = |level| {
            let mut config = Config::new();
            config.cranelift_opt_level(level);
            Engine::new(&config).unwrap()
        };
        let [speed, again, none] = [OptLevel::Speed, OptLevel::Speed, OptLevel::None].map(engine);
        let name = |kind, engine, prepared: &[u8], code: &[u8]| {
            Names::of_wasmtime(kind, engine, prepared).of(&Hash32::of(code))
        };
        let first = name("fuel", &speed, b"p", b"code");
        assert_eq!(name("fuel", &again, b"p", b"code"), first);
        for other in [
            name("gas", &speed, b"p", b"code"),
            name("fuel", &none, b"p", b"code"),
            name("fuel", &speed, b"q", b"code"),
            name("fuel", &speed, b"p", b"other"),
        ] {
            assert_ne!(other, first);
        }
    }
}
