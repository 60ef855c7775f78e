//! A developer's package: what it is built to, and the limits that it asks for.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use outlayer_protocol::ResourceLimits;
use outlayer_wasm_build::{Kind, Options, Progress};
use serde_json::{Map, Value};

/// The feature of the SDK with which a guest can become a component.
const COMPONENT: &str = "outlayer-sdk/component";

/// A package that can be built to Wasm.
#[derive(Debug)]
pub(crate) struct Package {
    package: outlayer_wasm_build::Package,
    /// The limits of a request, from `[package.metadata.outlayer.limits]`.
    limits: Map<String, Value>,
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
        let package = outlayer_wasm_build::Package::read(folder, Progress::Shown)?;
        let limits = match &package.metadata["outlayer"]["limits"] {
            Value::Null => Map::new(),
            Value::Object(limits) => limits.clone(),
            other => bail!("package.metadata.outlayer.limits is {other}, expected a table"),
        };
        let package = Self { package, limits };
        package.limits(&Map::new())?;
        Ok(package)
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.package.folder
    }

    /// The limits of a request for its guest: the defaults, changed by the package and then by
    /// `more`.
    pub(crate) fn limits(&self, more: &Map<String, Value>) -> anyhow::Result<ResourceLimits> {
        limits(self.limits.iter().chain(more)).context("the limits in Cargo.toml")
    }

    /// Builds everything that is Wasm in the package. Cargo shows on stderr what it does.
    pub(crate) fn build(&self, options: BuildOptions) -> anyhow::Result<Vec<BuiltFile>> {
        let contracts: HashSet<_> = self.package.names(Kind::Contract).collect();
        if let Some(both) = self.package.names(Kind::Guest).find(|name| contracts.contains(name)) {
            bail!(
                "a guest and a contract in {} are both called {both}, and so would be their \
                 files; give one of them another name",
                self.folder().display()
            );
        }
        let mut files = self.build_kind(Kind::Guest, options)?;
        files.extend(self.build_kind(Kind::Contract, options)?);
        Ok(files)
    }

    fn build_kind(&self, kind: Kind, options: BuildOptions) -> anyhow::Result<Vec<BuiltFile>> {
        let is_contract = kind == Kind::Contract;
        let component = options.component && !is_contract;
        let options = Options {
            features: component.then(|| COMPONENT.to_owned()).into_iter().collect(),
            offline: options.offline,
            progress: Progress::Shown,
        };
        let mut files = Vec::new();
        for file in self.package.build(kind, &options)? {
            let (name, code) = if component {
                let made = outlayer_componentize::componentize(&file.code)
                    .with_context(|| file.path.display().to_string())?;
                (format!("{}.component", file.name), made)
            } else {
                (file.name, file.code)
            };
            let path = self.place(&name, &code)?;
            files.push(BuiltFile { path, code, is_contract });
        }
        Ok(files)
    }

    /// The name of the only guest in the package.
    pub(crate) fn guest_name(&self) -> anyhow::Result<&str> {
        Ok(self.package.only(Kind::Guest)?)
    }

    /// Builds the only guest in the package.
    pub(crate) fn build_guest(&self, options: BuildOptions) -> anyhow::Result<BuiltFile> {
        self.guest_name()?;
        let mut files = self.build_kind(Kind::Guest, options)?.into_iter();
        files.next().context("the guest was not built")
    }

    /// Builds the only contract in the package.
    pub(crate) fn build_contract(&self, options: BuildOptions) -> anyhow::Result<BuiltFile> {
        self.package.only(Kind::Contract)?;
        let mut files = self.build_kind(Kind::Contract, options)?.into_iter();
        files.next().context("the contract was not built")
    }

    /// Puts a file into the folder of what was built, in one step, and leaves it alone when it is
    /// there already: whoever watches the file sees only whole changes.
    fn place(&self, name: &str, code: &[u8]) -> anyhow::Result<PathBuf> {
        let folder = self.package.target_dir.join("outlayer");
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
}

/// The default limits of a request, changed by these.
pub(crate) fn limits<'a>(
    changes: impl Iterator<Item = (&'a String, &'a Value)>,
) -> anyhow::Result<ResourceLimits> {
    let merged: Map<_, _> = changes.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(serde_json::from_value(Value::Object(merged))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package of a program `one`, whose manifest ends in `more`.
    fn package(more: &str) -> anyhow::Result<Package> {
        let folder = tempfile::tempdir()?;
        let manifest =
            format!("[package]\nname = \"one\"\nedition = \"2024\"\n[workspace]\n{more}");
        fs::write(folder.path().join("Cargo.toml"), manifest)?;
        fs::create_dir(folder.path().join("src"))?;
        fs::write(folder.path().join("src/main.rs"), "fn main() {}")?;
        Package::read(folder.path())
    }

    #[test]
    fn the_packages_limits_change_the_defaults_and_wrong_ones_are_refused() {
        let limits = "[package.metadata.outlayer.limits]\noutput_bytes = 9\nstorage_reads = 2";
        let package_with_limits = package(limits).unwrap();
        let more = serde_json::json!({ "output_bytes": 10 });
        let merged = package_with_limits.limits(more.as_object().unwrap()).unwrap();
        let default = ResourceLimits::default();
        assert_eq!((merged.output_bytes, merged.storage_reads), (10, 2));
        assert_eq!(merged.memory_bytes, default.memory_bytes);
        for wrong in ["limits.outputs = 9", "limits.output_bytes = \"x\"", "limits = 7"] {
            let refused = package(&format!("[package.metadata.outlayer]\n{wrong}"));
            assert!(format!("{:#}", refused.unwrap_err()).contains("limits"), "{wrong}");
        }
    }

    #[test]
    fn a_guest_and_a_contract_of_one_name_are_refused_before_anything_is_built() {
        let library = "[lib]\nname = \"one\"\npath = \"src/main.rs\"\ncrate-type = [\"cdylib\"]";
        let package = package(library).unwrap();
        let error = package.build(BuildOptions::default()).unwrap_err().to_string();
        assert!(error.contains("are both called one"), "{error}");
    }
}
