//! The Wasm files, which `scripts/wasm` builds from source before the first of them is read.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail, ensure};

/// The workspace's root folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Whether the Wasm files could be built. `scripts/wasm` runs once in this process.
static BUILT: OnceLock<std::result::Result<(), String>> = OnceLock::new();

/// Brings Wasm files up to date with their sources: those with the given names, or all of them when
/// there are no names. Returns their folder. Only the first call in a process builds anything.
fn build(names: &[&str]) -> Result<PathBuf> {
    let built = BUILT.get_or_init(|| {
        let script = workspace().join("scripts/wasm");
        let output = Command::new(&script).arg("--quiet").args(names).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                Err(format!("{}\n{}", script.display(), String::from_utf8_lossy(&output.stderr)))
            }
            Err(error) => Err(format!("{}: {error}", script.display())),
        }
    });
    if let Err(error) = built {
        bail!("the Wasm files could not be built: {error}");
    }
    Ok(workspace().join("target/wasm"))
}

/// Tells this module that the process reads no other Wasm files than the named ones, so that no
/// others are built. To be called before [`wasm`].
///
/// # Errors
/// When the build fails.
pub fn build_only(names: &[&str]) -> Result<()> {
    build(names).map(drop)
}

/// The bytes of `target/wasm/<name>.wasm`.
///
/// # Errors
/// When the build fails, or does not make this file.
pub fn wasm(name: &str) -> Result<Vec<u8>> {
    let path = build(&[])?.join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path)
        .with_context(|| format!("expected a Wasm file at {}", path.display()))?;
    ensure!(bytes.starts_with(b"\0asm"), "{} is not a Wasm file", path.display());
    Ok(bytes)
}
