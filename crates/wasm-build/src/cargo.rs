//! Cargo: the program, what it is asked, and what of the environment reaches it.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    BuildError, Kind, Package,
    compiler::{Compiler, remapped},
    package::Target,
};

/// The environment variable that names the cargo which builds Wasm, where the one that runs this
/// program, or the installed one, has no standard library for it.
pub const WASM_CARGO: &str = "OUTLAYER_WASM_CARGO";

/// Settings of a shell, or of a cargo around this program, that are not meant for Wasm.
const NOT_FOR_WASM: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_INCREMENTAL",
    "RUSTC_WORKSPACE_WRAPPER",
];
/// Beginnings of the names of such settings.
const NEVER_FOR_WASM: [&str; 4] =
    ["CARGO_UNSTABLE_", "CARGO_RESOLVER_", "CARGO_PROFILE_", "__CARGO_TEST_"];

/// Where cargo says what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// On this program's standard error.
    #[default]
    Shown,
    /// In the error, if there is one.
    Kept,
}

/// How a package is built.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Features to turn on, as cargo's `--features` takes them.
    pub features: Vec<String>,
    /// Whether cargo uses only what is on this machine.
    pub offline: bool,
    /// Where cargo says what it does.
    pub progress: Progress,
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The cargo that the environment names, or the one that runs this program, or else the one that is
/// installed. It runs in `folder`, where the settings of the project are found.
fn cargo(folder: &Path) -> Command {
    let program = set(WASM_CARGO).or_else(|| set("CARGO")).unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder);
    for name in NOT_FOR_WASM {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if NEVER_FOR_WASM.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn run(mut command: Command, progress: Progress) -> Result<Output, BuildError> {
    let stderr = match progress {
        Progress::Shown => Stdio::inherit(),
        Progress::Kept => Stdio::piped(),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    command.output().map_err(|source| BuildError::NoProgram {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// What cargo said on standard error, where it was kept.
fn said(output: &Output) -> String {
    match String::from_utf8_lossy(&output.stderr).trim_end() {
        "" => String::new(),
        said => format!("\n{said}"),
    }
}

/// What cargo knows of the package with this manifest, and of the others of its workspace.
pub(crate) fn metadata(manifest: &Path, progress: Progress) -> Result<Value, BuildError> {
    let mut command = cargo(manifest.parent().unwrap_or(Path::new(".")));
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
    command.arg(manifest);
    let output = run(command, progress)?;
    let unread = |said| BuildError::Manifest { manifest: manifest.to_owned(), said };
    if !output.status.success() {
        return Err(unread(said(&output)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| unread(format!(": {error}")))
}

/// Builds these targets of a package, which are all of one kind. Returns the file of each.
pub(crate) fn build(
    package: &Package,
    kind: Kind,
    names: &[&str],
    options: &Options,
) -> Result<Vec<(String, PathBuf)>, BuildError> {
    // A wrapper, and a cargo that was chosen for Wasm, may bring libraries of their own. Cargo then
    // says more than this would.
    let brings_its_own = set("RUSTC_WRAPPER").is_some() || set(WASM_CARGO).is_some();
    let compiler = Compiler::find(&package.folder, kind, !brings_its_own)?;
    let mut command = cargo(&package.folder);
    command.args(["build", "--release", "--target", kind.target(), "--package", &package.id]);
    command.arg("--message-format=json-render-diagnostics");
    // As a setting of cargo's, because in the environment a space would end a flag. Those of the
    // project's own `.cargo/config.toml` come before it.
    let flags = json!(flags(kind, set(&kind.flags_variable()), &remaps(package, &compiler)));
    command.env_remove(kind.flags_variable());
    command.arg("--config").arg(format!("target.{}.rustflags={flags}", kind.target()));
    match kind {
        Kind::Contract => {
            command.arg("--lib");
        }
        Kind::Guest => {
            command.args(names.iter().flat_map(|name| ["--bin", name]));
        }
    }
    for feature in &options.features {
        command.args(["--features", feature]);
    }
    if options.offline {
        command.arg("--offline");
    }
    let output = run(command, options.progress)?;
    let folder = || package.folder.clone();
    if !output.status.success() {
        let (status, said) = (output.status, said(&output));
        return Err(BuildError::Failed { folder: folder(), status, said });
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let files: Vec<_> =
        messages.filter_map(|message| artifact(&message, package, kind, names)).collect();
    if files.len() != names.len() {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        return Err(BuildError::Files { folder: folder(), found: files.len(), names });
    }
    Ok(files)
}

/// The flags for the compiler: those of the kind, or those that a developer has in the environment
/// for this target, who knows what they do; then the paths.
fn flags(kind: Kind, developers: Option<OsString>, paths: &[(PathBuf, String)]) -> Vec<String> {
    let developers = developers.as_deref().map(OsStr::to_string_lossy);
    let mut flags: Vec<String> = match &developers {
        Some(flags) => flags.split_whitespace().map(str::to_owned).collect(),
        None => kind.flags().into_iter().map(str::to_owned).collect(),
    };
    flags.extend(remapped(paths));
    flags
}

/// The folders of this machine, and what is written for them. The last one that fits counts.
fn remaps(package: &Package, compiler: &Compiler) -> Vec<(PathBuf, String)> {
    let home = || Some(PathBuf::from(set("HOME")?).join(".cargo"));
    let cargo_home = set("CARGO_HOME").map(PathBuf::from).or_else(home);
    // Cargo may name it as it is written, or as it is found.
    let found = cargo_home.as_ref().and_then(|path| path.canonicalize().ok());
    let mut paths: Vec<_> =
        [cargo_home, found].into_iter().flatten().map(|path| (path, "/cargo".to_owned())).collect();
    paths.dedup();
    paths.extend(compiler.sources());
    paths.extend(package.outside.iter().cloned());
    if !package.folder.starts_with(&package.workspace) {
        paths.push((package.folder.clone(), "/package".to_owned()));
    }
    paths.push((package.workspace.clone(), "/workspace".to_owned()));
    paths.extend(package.built.iter().map(|path| (path.clone(), "/target".to_owned())));
    paths
}

/// The name and the file of one of these targets, from a message of cargo's.
fn artifact(
    message: &Value,
    package: &Package,
    kind: Kind,
    names: &[&str],
) -> Option<(String, PathBuf)> {
    if message["reason"] != "compiler-artifact" || message["package_id"] != package.id.as_str() {
        return None;
    }
    let target = Target::parse(&message["target"])?;
    let files = message["filenames"].as_array()?;
    let file = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
    let wanted = target.kind == kind && names.contains(&target.name.as_str());
    wanted.then(|| (target.name, file.into()))
}
