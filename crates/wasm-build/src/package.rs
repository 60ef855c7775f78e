//! A package, as cargo describes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    BuildError, Kind,
    cargo::{self, Options, Progress},
};

/// A package that can be built to Wasm.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its folder, without symbolic links.
    pub folder: PathBuf,
    /// Where cargo leaves what it builds.
    pub target_dir: PathBuf,
    /// What can be built to Wasm.
    pub targets: Vec<Target>,
    /// What `[package.metadata]` has, which cargo leaves to other programs; null when it is absent.
    pub metadata: Value,
    /// By which cargo tells it from other packages.
    pub(crate) id: String,
    /// The folder of its workspace, which may be its own.
    pub(crate) workspace: PathBuf,
    /// The folders with what is built.
    pub(crate) built: Vec<PathBuf>,
    /// The folders of path dependencies outside of the workspace, and what is written for them.
    pub(crate) outside: Vec<(PathBuf, String)>,
}

/// One Wasm file that a package gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name of the program or library, as cargo has it.
    pub name: String,
    /// What it is built to.
    pub kind: Kind,
}

/// A Wasm file that cargo has built.
#[derive(Clone, Debug)]
pub struct WasmFile {
    /// The name of its target.
    pub name: String,
    /// Where cargo has left it.
    pub path: PathBuf,
    /// Its bytes.
    pub code: Vec<u8>,
}

impl Package {
    /// The package in `folder`.
    ///
    /// # Errors
    /// [`BuildError`], when there is none that cargo can read, or nothing in it would be Wasm.
    pub fn read(folder: &Path, progress: Progress) -> Result<Self, BuildError> {
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(BuildError::NoManifest { folder: folder.to_owned() });
        }
        let canonical = manifest.canonicalize();
        let manifest =
            canonical.map_err(|source| BuildError::File { path: manifest.clone(), source })?;
        if manifest.to_str().is_none() {
            return Err(BuildError::NotText { path: manifest });
        }
        Self::parse(&cargo::metadata(&manifest, progress)?, &manifest)
    }

    /// The package with this manifest, from what cargo says of its workspace.
    pub(crate) fn parse(metadata: &Value, manifest: &Path) -> Result<Self, BuildError> {
        let unread = |missing: &str| BuildError::Manifest {
            manifest: manifest.to_owned(),
            said: format!(": `cargo metadata` gives no {missing}"),
        };
        let text = |value: &Value, name: &str| -> Result<String, BuildError> {
            value[name].as_str().map(str::to_owned).ok_or_else(|| unread(name))
        };
        let packages = metadata["packages"].as_array().ok_or_else(|| unread("packages"))?;
        let is_it = |one: &&Value| {
            let path = one["manifest_path"].as_str().map(Path::new);
            // A member of a workspace may be a link to another folder.
            path.is_some_and(|path| {
                path == manifest || path.canonicalize().is_ok_and(|path| path == manifest)
            })
        };
        let workspace = || BuildError::Workspace { manifest: manifest.to_owned() };
        let package = packages.iter().find(is_it).ok_or_else(workspace)?;
        let targets = package["targets"].as_array().ok_or_else(|| unread("targets"))?;
        let targets: Vec<_> = targets.iter().filter_map(Target::parse).collect();
        if targets.is_empty() {
            return Err(BuildError::NoTarget { manifest: manifest.to_owned() });
        }
        let target_dir = PathBuf::from(text(metadata, "target_directory")?);
        let workspace = PathBuf::from(text(metadata, "workspace_root")?);
        let build_dir = metadata["build_directory"].as_str().map(PathBuf::from);
        let mut built = vec![target_dir.clone()];
        built.extend(build_dir.filter(|folder| *folder != target_dir));
        let outside = packages
            .iter()
            .flat_map(|one| one["dependencies"].as_array().into_iter().flatten())
            .filter_map(|one| Some((one["name"].as_str()?, one["path"].as_str()?)))
            .filter(|(_, path)| !Path::new(path).starts_with(&workspace))
            .map(|(name, path)| (path.into(), format!("/dependencies/{name}")))
            .collect();
        Ok(Self {
            folder: manifest.parent().unwrap_or(Path::new("/")).to_owned(),
            target_dir,
            targets,
            metadata: package["metadata"].clone(),
            id: text(package, "id")?,
            workspace,
            built,
            outside,
        })
    }

    /// The names of what is built to this kind.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(move |one| one.kind == kind).map(|one| one.name.as_str())
    }

    /// The name of the only guest or contract in the package.
    ///
    /// # Errors
    /// [`BuildError::NotOne`].
    pub fn only(&self, kind: Kind) -> Result<&str, BuildError> {
        let names: Vec<_> = self.names(kind).collect();
        match names.as_slice() {
            [one] => Ok(one),
            names => Err(BuildError::NotOne {
                folder: self.folder.clone(),
                what: kind.word(),
                names: names.iter().map(|&name| name.to_owned()).collect(),
            }),
        }
    }

    /// Builds all guests or contracts of the package, in the profile `release`. Without any, there
    /// are no files.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self, kind: Kind, options: &Options) -> Result<Vec<WasmFile>, BuildError> {
        let names: Vec<_> = self.names(kind).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let files = cargo::build(self, kind, &names, options)?;
        let read = |(name, path): (String, PathBuf)| match fs::read(&path) {
            Ok(code) => Ok(WasmFile { name, path, code }),
            Err(source) => Err(BuildError::File { path, source }),
        };
        files.into_iter().map(read).collect()
    }
}

impl Target {
    /// The target that cargo describes, when it would be Wasm.
    pub(crate) fn parse(target: &Value) -> Option<Self> {
        let name = target["name"].as_str()?.to_owned();
        let kinds = target["kind"].as_array()?;
        let has = |kind: &str| kinds.iter().any(|one| one == kind);
        match (has("bin"), has("cdylib")) {
            (true, _) => Some(Self { name, kind: Kind::Guest }),
            (_, true) => Some(Self { name, kind: Kind::Contract }),
            _ => None,
        }
    }
}
