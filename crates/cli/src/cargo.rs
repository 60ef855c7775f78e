//! A developer's package, and how it is built to Wasm with the cargo that is installed.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use outlayer_protocol::ResourceLimits;
use serde_json::{Map, Value};

/// The target of a guest, which is a program.
const GUEST_TARGET: &str = "wasm32-wasip1";
/// The target of a contract, which is a library.
const CONTRACT_TARGET: &str = "wasm32-unknown-unknown";

/// What the engine and a NEAR node both accept: the first version of Wasm, and the additions that
/// nodes take from protocol version 84 on. `scripts/lib/wasm-toolchain.sh` has the same flags.
const FLAGS: &str = "-C target-cpu=mvp \
    -C target-feature=+mutable-globals,+sign-ext,+nontrapping-fptoint,+bulk-memory";

/// Settings of a shell, or of a cargo around this command, that are not meant for Wasm.
const NOT_FOR_WASM: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_INCREMENTAL",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// A package that can be built to Wasm.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    target_dir: PathBuf,
    targets: Vec<Target>,
    /// The limits of a request, from `[package.metadata.outlayer.limits]`.
    limits: Map<String, Value>,
}

/// One Wasm file that a package gives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    /// A library is a contract, and a program is a guest.
    is_contract: bool,
}

// How a package is built. A doc comment would become the help of every command that has these.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct BuildOptions {
    /// Make components (WASI 0.2) of guests
    #[arg(long)]
    component: bool,
    /// Let cargo use only what is on this machine
    #[arg(long)]
    offline: bool,
}

/// A Wasm file that was built.
#[derive(Debug)]
pub(crate) struct BuiltFile {
    pub(crate) path: PathBuf,
    pub(crate) code: Vec<u8>,
    pub(crate) is_contract: bool,
}

impl Package {
    /// The package in `folder`.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join("Cargo.toml");
        ensure!(
            manifest.is_file(),
            "there is no Cargo.toml in {}; expected the folder of a guest or a contract, as \
             `outlayer new guest NAME` makes it",
            folder.display()
        );
        let manifest = manifest.canonicalize().with_context(|| manifest.display().to_string())?;
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        let output = command
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo does not start; install Rust from https://rustup.rs")?;
        ensure!(output.status.success(), "cargo does not read {}", manifest.display());
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Self::parse(&metadata, &manifest)
    }

    fn parse(metadata: &Value, manifest: &Path) -> anyhow::Result<Self> {
        let packages = metadata["packages"].as_array().context("cargo metadata: packages")?;
        let package = packages
            .iter()
            .find(|one| one["manifest_path"].as_str().map(Path::new) == Some(manifest))
            .with_context(|| {
                format!("{} is a workspace; name the folder of a package", manifest.display())
            })?;
        let targets = package["targets"].as_array().context("cargo metadata: targets")?;
        let targets: Vec<_> = targets.iter().filter_map(Target::parse).collect();
        ensure!(
            !targets.is_empty(),
            "{} has neither a program, which would be a guest, nor a library with the crate-type \
             cdylib, which would be a contract",
            manifest.display()
        );
        let limits = &package["metadata"]["outlayer"]["limits"];
        let limits = match limits {
            Value::Null => Map::new(),
            Value::Object(limits) => limits.clone(),
            other => bail!("package.metadata.outlayer.limits is {other}, expected a table"),
        };
        let target_dir = metadata["target_directory"].as_str().context("target_directory")?;
        let folder = manifest.parent().context("the package's folder")?.to_owned();
        let package = Self { folder, target_dir: target_dir.into(), targets, limits };
        package.limits(&Map::new())?;
        Ok(package)
    }

    /// The limits of a request for its guest: the defaults, changed by the package and then by
    /// `more`.
    pub(crate) fn limits(&self, more: &Map<String, Value>) -> anyhow::Result<ResourceLimits> {
        limits(self.limits.iter().chain(more)).context("the limits in Cargo.toml")
    }

    /// Builds everything that is Wasm in the package. Cargo shows on stderr what it does.
    pub(crate) fn build(&self, options: BuildOptions) -> anyhow::Result<Vec<BuiltFile>> {
        let mut files = Vec::new();
        for is_contract in [false, true] {
            let targets = self.targets.iter().filter(|one| one.is_contract == is_contract);
            let names: Vec<_> = targets.map(|one| one.name.as_str()).collect();
            if names.is_empty() {
                continue;
            }
            let component = options.component && !is_contract;
            for (name, path) in self.run_cargo(&names, is_contract, component, options.offline)? {
                let code = fs::read(&path).with_context(|| path.display().to_string())?;
                let (name, code) = if component {
                    let made = outlayer_componentize::componentize(&code)
                        .with_context(|| path.display().to_string())?;
                    (format!("{name}.component"), made)
                } else {
                    (name, code)
                };
                let path = self.publish(&name, &code)?;
                files.push(BuiltFile { path, code, is_contract });
            }
        }
        Ok(files)
    }

    /// The name of the only guest in the package.
    pub(crate) fn guest_name(&self) -> anyhow::Result<String> {
        let mut guests = self.targets.iter().filter(|target| !target.is_contract);
        match (guests.next(), guests.next()) {
            (Some(guest), None) => Ok(guest.name.clone()),
            _ => bail!(
                "{} has {} guests, expected one; build them, and name the Wasm of one of them",
                self.folder.display(),
                self.targets.iter().filter(|target| !target.is_contract).count()
            ),
        }
    }

    /// Builds the only guest in the package.
    pub(crate) fn build_guest(&self, options: BuildOptions) -> anyhow::Result<BuiltFile> {
        self.guest_name()?;
        let mut files = self.build(options)?.into_iter();
        files.find(|file| !file.is_contract).context("the guest was not built")
    }

    /// Puts a file into the folder of what was built, in one step, and leaves it alone when it is
    /// there already: whoever watches the file sees only whole changes.
    fn publish(&self, name: &str, code: &[u8]) -> anyhow::Result<PathBuf> {
        let folder = self.target_dir.join("outlayer");
        let path = folder.join(format!("{name}.wasm"));
        if fs::read(&path).is_ok_and(|found| found == code) {
            return Ok(path);
        }
        let unfinished = folder.join(format!(".{name}.{}", std::process::id()));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&unfinished, code))
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Builds these targets, and returns the file of each.
    fn run_cargo(
        &self,
        names: &[&str],
        is_contract: bool,
        component: bool,
        offline: bool,
    ) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let target = if is_contract { CONTRACT_TARGET } else { GUEST_TARGET };
        check_target(target)?;
        let mut command = cargo();
        command.args(["build", "--release", "--target", target]);
        command.arg("--message-format=json-render-diagnostics");
        if is_contract {
            command.arg("--lib");
        } else {
            command.args(names.iter().flat_map(|name| ["--bin", name]));
        }
        if component {
            command.args(["--features", "outlayer-sdk/component"]);
        }
        if offline {
            command.arg("--offline");
        }
        let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.replace('-', "_"));
        let variable = variable.to_uppercase();
        if std::env::var_os(&variable).is_none() {
            // near-sdk gives its panics messages under this setting.
            let flags = if is_contract { format!("--cfg near {FLAGS}") } else { FLAGS.to_owned() };
            command.env(variable, flags);
        }
        let output = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cargo does not start")?;
        ensure!(output.status.success(), "{} does not build", self.folder.display());
        let messages = String::from_utf8_lossy(&output.stdout);
        let built: Vec<_> = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|message| artifact(&message, names))
            .collect();
        ensure!(
            built.len() == names.len(),
            "cargo named {} files of {}, expected those of {}",
            built.len(),
            self.folder.display(),
            names.join(", ")
        );
        Ok(built)
    }
}

impl Target {
    fn parse(target: &Value) -> Option<Self> {
        let name = target["name"].as_str()?.to_owned();
        let kinds = target["kind"].as_array()?;
        let has = |kind: &str| kinds.iter().any(|one| one == kind);
        match (has("bin"), has("cdylib")) {
            (true, _) => Some(Self { name, is_contract: false }),
            (_, true) => Some(Self { name, is_contract: true }),
            _ => None,
        }
    }
}

/// The name and the file of one of these targets, from a message of cargo's.
fn artifact(message: &Value, names: &[&str]) -> Option<(String, PathBuf)> {
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let target = Target::parse(&message["target"])?;
    let files = message["filenames"].as_array()?;
    let file = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
    names.contains(&target.name.as_str()).then(|| (target.name, file.into()))
}

/// The default limits of a request, changed by these.
pub(crate) fn limits<'a>(
    changes: impl Iterator<Item = (&'a String, &'a Value)>,
) -> anyhow::Result<ResourceLimits> {
    let merged: Map<_, _> = changes.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(serde_json::from_value(Value::Object(merged))?)
}

/// The cargo that runs this command, or else the one that is installed.
fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    for name in NOT_FOR_WASM {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        let unstable = name.to_str().is_some_and(|name| {
            ["CARGO_UNSTABLE_", "CARGO_RESOLVER_", "CARGO_PROFILE_", "__CARGO_TEST_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if unstable {
            command.env_remove(name);
        }
    }
    command
}

/// Says what to do where the compiler has no standard library for the target.
fn check_target(target: &str) -> anyhow::Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    let output = asked.context("rustc does not start; install Rust from https://rustup.rs")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    // A build may bring its own standard library, and cargo then says more than this would.
    let brings_its_own = std::env::var_os("RUSTC_WRAPPER").is_some();
    ensure!(
        brings_its_own || Path::new(folder.trim()).is_dir(),
        "the Rust compiler cannot build for {target}; run: rustup target add {target}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(targets: &Value, limits: &Value) -> Value {
        json!({
            "target_directory": "/p/target",
            "packages": [{
                "manifest_path": "/p/Cargo.toml", "targets": targets,
                "metadata": { "outlayer": { "limits": limits } },
            }],
        })
    }

    #[test]
    fn a_program_is_a_guest_and_a_dynamic_library_a_contract() {
        let targets = json!([
            { "name": "one", "kind": ["bin"] },
            { "name": "two", "kind": ["cdylib", "rlib"] },
            { "name": "three", "kind": ["lib"] },
            { "name": "four", "kind": ["test"] },
        ]);
        let manifest = Path::new("/p/Cargo.toml");
        let package = Package::parse(&metadata(&targets, &json!(null)), manifest).unwrap();
        let found: Vec<_> =
            package.targets.iter().map(|one| (one.name.as_str(), one.is_contract)).collect();
        assert_eq!(found, [("one", false), ("two", true)]);

        let neither = json!([{ "name": "three", "kind": ["lib"] }]);
        let error = Package::parse(&metadata(&neither, &json!(null)), manifest).unwrap_err();
        assert!(error.to_string().contains("cdylib"), "{error}");
        let error = Package::parse(&metadata(&targets, &json!(null)), Path::new("/Cargo.toml"))
            .unwrap_err();
        assert!(error.to_string().contains("name the folder of a package"), "{error}");
    }

    #[test]
    fn the_packages_limits_change_the_defaults_and_wrong_ones_are_refused() {
        let targets = json!([{ "name": "one", "kind": ["bin"] }]);
        let manifest = Path::new("/p/Cargo.toml");
        let limits = json!({ "output_bytes": 9, "storage_reads": 2 });
        let package = Package::parse(&metadata(&targets, &limits), manifest).unwrap();
        let more = json!({ "output_bytes": 10 });
        let merged = package.limits(more.as_object().unwrap()).unwrap();
        let default = ResourceLimits::default();
        assert_eq!((merged.output_bytes, merged.storage_reads), (10, 2));
        assert_eq!(merged.memory_bytes, default.memory_bytes);
        for wrong in [json!({ "outputs": 9 }), json!({ "output_bytes": "x" }), json!(7)] {
            let refused = Package::parse(&metadata(&targets, &wrong), manifest);
            assert!(format!("{:#}", refused.unwrap_err()).contains("limits"), "{wrong}");
        }
    }
}
