//! The compiler: targets, flags, and the paths that do not get into the Wasm.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::BuildError;

/// What a package is built to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program, which OutLayer runs.
    Guest,
    /// A library, which a NEAR node runs.
    Contract,
}

/// What the engine and a NEAR node both accept: the first version of Wasm, and the additions that
/// nodes take from protocol version 84 on.
const FLAGS: [&str; 4] = [
    "-C",
    "target-cpu=mvp",
    "-C",
    "target-feature=+mutable-globals,+sign-ext,+nontrapping-fptoint,+bulk-memory",
];
/// The setting under which near-sdk gives the panics of a contract their messages.
const NEAR: [&str; 2] = ["--cfg", "near"];

impl Kind {
    /// The target's triple.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Guest => "wasm32-wasip1",
            Self::Contract => "wasm32-unknown-unknown",
        }
    }

    /// The flags of the compiler.
    pub fn flags(self) -> Vec<&'static str> {
        let near: &[&str] = match self {
            Self::Guest => &[],
            Self::Contract => &NEAR,
        };
        near.iter().chain(&FLAGS).copied().collect()
    }

    /// The word for one of them.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Contract => "contract",
        }
    }

    /// The environment variable in which a developer has other flags for the target.
    pub(crate) fn flags_variable(self) -> String {
        format!("CARGO_TARGET_{}_RUSTFLAGS", self.target().replace('-', "_").to_uppercase())
    }
}

/// The compiler that cargo calls in a folder.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// Where its own libraries are.
    sysroot: PathBuf,
    /// The commit that it was built from, of which its libraries' paths speak.
    commit: Option<String>,
}

impl Compiler {
    /// Asks the compiler about itself. With `must_have_libraries`, it must have the standard
    /// libraries for what is built.
    pub(crate) fn find(
        folder: &Path,
        kind: Kind,
        must_have_libraries: bool,
    ) -> Result<Self, BuildError> {
        let target = kind.target();
        let paths =
            ask(folder, &["--print", "sysroot", "--print", "target-libdir", "--target", target])?;
        let mut paths = paths.lines().map(PathBuf::from);
        let sysroot = paths.next().unwrap_or_default();
        let libraries = paths.next().unwrap_or_default();
        if must_have_libraries && !libraries.is_dir() {
            return Err(BuildError::NoLibraries { target, libraries });
        }
        let version = ask(folder, &["--version", "--verbose"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        Ok(Self { sysroot, commit: commit.map(str::to_owned) })
    }

    /// The folder of the standard libraries' sources, and how their paths are written where the
    /// sources are not installed.
    pub(crate) fn sources(&self) -> Option<(PathBuf, String)> {
        let commit = self.commit.as_ref().filter(|commit| *commit != "unknown")?;
        Some((self.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")))
    }
}

fn ask(folder: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let name = program.to_string_lossy().into_owned();
    let output = Command::new(&program).args(arguments).current_dir(folder).output();
    let output =
        output.map_err(|source| BuildError::NoProgram { program: name.clone(), source })?;
    if !output.status.success() {
        let said = format!(": {}", String::from_utf8_lossy(&output.stderr).trim());
        return Err(BuildError::Compiler { program: name, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The arguments that have the compiler write `to` for every path that begins with `from`. Of
/// several that fit, the last one counts.
pub(crate) fn remapped(paths: &[(PathBuf, String)]) -> Vec<String> {
    let named = |(from, to): &(PathBuf, String)| {
        // A prefix of everything would change paths that are the same everywhere.
        let from = from.to_str().filter(|from| from.len() > 1)?;
        Some(format!("--remap-path-prefix={from}={to}"))
    };
    paths.iter().filter_map(named).collect()
}
