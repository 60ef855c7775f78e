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

/// Brings every Wasm file up to date with its source, once in this process. Returns their folder.
fn build() -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let script = workspace().join("scripts/wasm");
        let output = Command::new(&script).arg("--quiet").output();
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

/// The bytes of `target/wasm/<name>.wasm`.
///
/// # Errors
/// When the build fails, or does not make this file.
pub fn wasm(name: &str) -> Result<Vec<u8>> {
    let path = build()?.join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path)
        .with_context(|| format!("expected a Wasm file at {}", path.display()))?;
    ensure!(bytes.starts_with(b"\0asm"), "{} is not a Wasm file", path.display());
    Ok(bytes)
}
