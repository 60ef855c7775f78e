//! Why there is no Wasm.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why a package is not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is no package.
    #[error(
        "there is no Cargo.toml in {}; expected the folder of a guest or a contract, as \
         `outlayer new guest NAME` and `outlayer new dapp NAME` make it",
        std::path::absolute(.folder).unwrap_or_else(|_| .folder.clone()).display()
    )]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// Cargo names files in text, which this path is not.
    #[error("{} cannot be built, because its path is not UTF-8; move it", .path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A program of the Rust toolchain cannot be run.
    #[error(
        "{program} does not start ({source}); install Rust from https://rustup.rs, or correct the \
         environment variable that names this program (OUTLAYER_WASM_CARGO, CARGO or RUSTC)"
    )]
    NoProgram {
        /// The program, as it was called.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// Cargo does not understand the manifest.
    #[error("cargo does not read {}{said}", .manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo says, after a line end; empty when it was shown.
        said: String,
    },
    /// The manifest belongs to a workspace without a package of its own.
    #[error("{} is a workspace; name the folder of a package", .manifest.display())]
    Workspace {
        /// The manifest.
        manifest: PathBuf,
    },
    /// Nothing in the package would be Wasm.
    #[error(
        "{} has neither a program, which would be a guest, nor a library with the crate-type \
         cdylib, which would be a contract",
        .manifest.display()
    )]
    NoTarget {
        /// The manifest.
        manifest: PathBuf,
    },
    /// The package has none or several of what only one was expected of.
    #[error(
        "{} has {}, expected one; build them, and name the Wasm of one of them",
        .folder.display(),
        counted(.names, .what)
    )]
    NotOne {
        /// The package's folder.
        folder: PathBuf,
        /// "guest" or "contract".
        what: &'static str,
        /// The names of those that it has.
        names: Vec<String>,
    },
    /// The compiler has no standard library for the target.
    #[error(
        "the Rust compiler cannot build for {target}, because {} is missing; run: rustup target \
         add {target}",
        .libraries.display()
    )]
    NoLibraries {
        /// The target's triple.
        target: &'static str,
        /// The folder that the standard libraries would be in.
        libraries: PathBuf,
    },
    /// The compiler does not say what is asked of it.
    #[error("{program} does not say where its libraries are{said}")]
    Compiler {
        /// The compiler, as it was called.
        program: String,
        /// What it says, after a colon.
        said: String,
    },
    /// The package does not compile.
    #[error("{} does not build: cargo ended with {status}{said}", .folder.display())]
    Failed {
        /// The package's folder.
        folder: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
        /// What cargo says, after a line end; empty when it was shown.
        said: String,
    },
    /// Cargo does not name the files that it should have made.
    #[error(
        "cargo named {found} Wasm files of {}, expected those of {}",
        .folder.display(),
        .names.join(", ")
    )]
    Files {
        /// The package's folder.
        folder: PathBuf,
        /// How many were named.
        found: usize,
        /// The names of what was built.
        names: Vec<String>,
    },
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// How many of `what` there are, and their names.
fn counted(names: &[String], what: &str) -> String {
    match names {
        [] => format!("no {what}"),
        [one] => format!("the {what} {one}"),
        several => format!("{} {what}s ({})", several.len(), several.join(", ")),
    }
}
