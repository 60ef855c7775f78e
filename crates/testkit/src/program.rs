//! Where the command `outlayer` is, which runs the node and the workers.
//!
//! The tests of a dApp compile no Wasm engine. They take the command from `OUTLAYER_BIN_PATH`, or
//! from `PATH`, or from a folder in the user's cache, into which it is built once for all projects.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use outlayer_protocol::EngineVersion;
use serde::Deserialize;

use crate::{Error, Result};

/// The environment variable that names the command.
pub const BIN_PATH: &str = "OUTLAYER_BIN_PATH";
/// The version of the command that this version of the test kit needs: its own.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command `outlayer`, or a program that has it as a subcommand.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    about: About,
}

/// What the command says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct About {
    pub(crate) version: String,
    pub(crate) engine_version: EngineVersion,
    pub(crate) near_config_version: u32,
}

impl Program {
    /// Finds the command, and builds it when it is nowhere. That takes about 15 minutes on two
    /// cores, once for each version.
    ///
    /// # Errors
    /// [`Error::Program`]: the command that `OUTLAYER_BIN_PATH` names is not there or has another
    /// version, or the build fails.
    pub fn find() -> Result<Self> {
        Places::of_environment()?.find()
    }

    /// The program at `path`, which is the command `outlayer` when it is called with `args`.
    ///
    /// # Errors
    /// [`Error::Program`] when it is not there, or has another version than this crate.
    pub fn at<A: Into<OsString>>(
        path: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let (path, args) = (path.into(), args.into_iter().map(Into::into).collect::<Vec<_>>());
        let about = ask(&path, &args)?;
        if about.version != VERSION {
            return Err(Error::Program(format!(
                "{} has version {}, expected {VERSION}, the version of outlayer-testkit. \
                 `cargo install outlayer --version {VERSION}` brings that one, or `cargo install \
                 --path crates/cli --locked` in the folder of OutLayer's sources of that version",
                path.display(),
                about.version
            )));
        }
        Ok(Self { path, args, about })
    }

    /// A command line of it, to which arguments can be added.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args);
        command
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }
}

/// Asks a program what it is.
fn ask(path: &Path, args: &[OsString]) -> Result<About> {
    let wrong = |reason: String| Error::Program(format!("{}: {reason}", path.display()));
    let mut command = Command::new(path);
    command.args(args).args(["testkit", "about"]).stdin(Stdio::null());
    let output = command.output().map_err(|error| wrong(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(wrong(format!(
            "`testkit about` ended with {}, expected the command `outlayer` of version {VERSION}. \
             It said: {}",
            output.status,
            said.lines().next().unwrap_or("nothing")
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| wrong(format!("`testkit about` does not answer as expected: {error}")))
}

/// Where the command is looked for.
struct Places {
    named: Option<OsString>,
    path: Option<OsString>,
    cache: PathBuf,
    cargo: OsString,
}

impl Places {
    fn of_environment() -> Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
        Ok(Self {
            named: set(BIN_PATH),
            path: set("PATH"),
            cache: cache.unwrap_or_else(std::env::temp_dir).join("outlayer").join("bin"),
            cargo: set("CARGO").unwrap_or_else(|| "cargo".into()),
        })
    }

    fn find(&self) -> Result<Program> {
        let no_args: [OsString; 0] = [];
        if let Some(named) = &self.named {
            return Program::at(named, no_args).map_err(|error| match error {
                Error::Program(reason) => Error::Program(format!("{BIN_PATH} names {reason}")),
                other => other,
            });
        }
        let folders = self.path.iter().flat_map(std::env::split_paths);
        let on_path = folders.map(|folder| folder.join("outlayer")).find(|path| path.is_file());
        if let Some(path) = on_path {
            match Program::at(&path, no_args.clone()) {
                Ok(program) => return Ok(program),
                Err(error) => eprintln!("outlayer-testkit: not taken from PATH: {error}"),
            }
        }
        Program::at(self.built()?, no_args)
    }

    /// The command in the cache. One process builds it while others wait.
    fn built(&self) -> Result<PathBuf> {
        let folder = self.cache.join(VERSION);
        let program = folder.join("bin").join("outlayer");
        if program.is_file() {
            return Ok(program);
        }
        let file = |path: &Path, source| Error::File { path: path.to_owned(), source };
        fs::create_dir_all(&self.cache).map_err(|error| file(&self.cache, error))?;
        let lock_path = self.cache.join(format!("{VERSION}.lock"));
        let lock = File::create(&lock_path).map_err(|error| file(&lock_path, error))?;
        if lock.try_lock().is_err() {
            eprintln!(
                "outlayer-testkit: waiting for another process that builds `outlayer` {VERSION} \
                 (it holds {})",
                lock_path.display()
            );
            lock.lock().map_err(|error| file(&lock_path, error))?;
        }
        if !program.is_file() {
            self.build(&folder)?;
        }
        Ok(program)
    }

    /// Builds the command in a folder beside the final one, so that what is there is whole.
    fn build(&self, folder: &Path) -> Result<()> {
        eprintln!(
            "outlayer-testkit: building the command `outlayer` {VERSION} into {}. This happens \
             once for all projects and takes about 15 minutes on two cores. {BIN_PATH} may name \
             one that is built already.",
            folder.display()
        );
        let unfinished = folder.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        let mut command = Command::new(&self.cargo);
        command
            .args(["install", "outlayer", "--locked", "--version"])
            .arg(format!("={VERSION}"))
            .arg("--root")
            .arg(&unfinished)
            // The project's own settings are none of the command's.
            .current_dir(&self.cache)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .stdin(Stdio::null());
        let failed = |reason: String| {
            Error::Program(format!(
                "it is neither in {BIN_PATH} nor on PATH, and `cargo install outlayer --version \
                 {VERSION}` {reason}. Where this version is not on crates.io, run `cargo install \
                 --path crates/cli --locked` in the folder of OutLayer's sources, or name a \
                 command that is built already in {BIN_PATH}"
            ))
        };
        // Cargo's progress goes straight to the terminal.
        let status = command.status().map_err(|error| failed(format!("does not run: {error}")))?;
        if !status.success() {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(failed(format!("ended with {status}")));
        }
        let _ = fs::remove_dir_all(folder);
        fs::rename(&unfinished, folder)
            .map_err(|source| Error::File { path: folder.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script that answers like a command of this version.
    fn fake(path: &Path, version: &str) {
        let about =
            format!(r#"{{"version":"{version}","engine_version":1,"near_config_version":88}}"#);
        script(path, &format!("echo '{about}'"));
    }

    /// Another process writes it. If this one had it open, a process that another test starts at
    /// that moment would have it open for writing too, and the system would not run it.
    fn script(path: &Path, script: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 755 "$0""#;
        let written = Command::new("sh").args(["-c", write]).arg(path).arg(script).status();
        assert!(written.unwrap().success());
    }

    fn places(folder: &Path) -> Places {
        Places {
            named: None,
            path: Some(folder.join("path").into()),
            cache: folder.join("cache"),
            cargo: folder.join("cargo").into(),
        }
    }

    /// A cargo that installs a command of this version, slowly, and counts how often.
    fn fake_cargo(folder: &Path) {
        let built = folder.join("built");
        fake(&built, VERSION);
        let (built, count) = (built.display(), folder.join("count"));
        let body = format!(
            r#"[ "$1 $2 $3 $4 $5" = "install outlayer --locked --version ={VERSION}" ] || exit 9
sleep 0.3
echo built >> {}
mkdir -p "$7/bin" && cp {built} "$7/bin/outlayer""#,
            count.display()
        );
        script(&folder.join("cargo"), &body);
    }

    #[test]
    fn the_command_that_is_named_must_be_of_this_version() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("named");
        let of = |places: &Places| places.find().map_err(|error| error.to_string());
        let places = Places { named: Some(named.clone().into()), ..places(folder.path()) };
        assert!(of(&places).unwrap_err().contains("OUTLAYER_BIN_PATH names"));
        fake(&named, "0.0.1");
        let error = of(&places).unwrap_err();
        assert!(error.contains("0.0.1") && error.contains(VERSION), "{error}");
        script(&named, "echo usage >&2; exit 2");
        assert!(of(&places).unwrap_err().contains("usage"));
        fake(&named, VERSION);
        assert_eq!(of(&places).unwrap().path, named);
    }

    #[test]
    fn a_command_on_the_path_is_taken_when_it_is_of_this_version() {
        let folder = tempfile::tempdir().unwrap();
        let on_path = folder.path().join("path/outlayer");
        let places = places(folder.path());
        fake(&on_path, VERSION);
        assert_eq!(places.find().unwrap().path, on_path);
        fake(&on_path, "0.0.1");
        fake_cargo(folder.path());
        assert!(places.find().unwrap().path.starts_with(&places.cache));
    }

    #[test]
    fn several_processes_build_the_command_once() {
        let folder = tempfile::tempdir().unwrap();
        fake_cargo(folder.path());
        let places = places(folder.path());
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| places.find().unwrap().path)).collect();
            for one in all {
                assert!(one.join().unwrap().is_file());
            }
        });
        let count = fs::read_to_string(folder.path().join("count")).unwrap();
        assert_eq!(count, "built\n");
    }

    #[test]
    fn a_build_that_fails_leaves_nothing_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        script(&folder.path().join("cargo"), r#"mkdir -p "$7/bin"; exit 101"#);
        let places = places(folder.path());
        let error = places.find().unwrap_err().to_string();
        assert!(error.contains("exit status: 101") && error.contains(BIN_PATH), "{error}");
        let left: Vec<_> = fs::read_dir(&places.cache).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        // The next attempt is not in the way of what this one left.
        fake_cargo(folder.path());
        places.find().unwrap();
    }
}
