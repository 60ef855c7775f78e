//! The guests of `outlayer dev`: files that are published, and packages that are built before that.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use outlayer_client::{AccountCaller, Contract, SigningAccount, name_code, publish_code};
use outlayer_protocol::{CodeRef, Hash32, ResourceLimits, code_name};
use serde_json::Map;
use tokio::{task, time};

use super::{report::Published, stamp::Stamp};
use crate::{
    cargo::{BuildOptions, Package},
    code_file,
    localnet::{self, DEVELOPER},
    request_args::{limit_options, quoted},
};

/// How long a file must stay as it is until it counts as written in full.
const SETTLE: Duration = Duration::from_millis(100);

/// A guest's file or package, and the name that its code has in the contract.
pub(super) struct Guest {
    /// The file, or the package's folder.
    path: PathBuf,
    /// Without the owner.
    name: String,
    /// What the file or package was like when it was last published, or last found unusable.
    seen: Option<Stamp>,
    /// The hash of the code that was published last.
    published: Option<Hash32>,
}

/// The guests in these files and packages, which all have names of their own.
pub(super) fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Guest>> {
    let mut names = HashSet::new();
    let mut guests = Vec::new();
    for path in paths {
        let name = if path.is_dir() {
            checked(Package::read(path)?.guest_name()?, path)?
        } else {
            ensure!(
                path.is_file(),
                "there is no {}; expected a guest's Wasm, or the folder of its package",
                path.display()
            );
            name_of(path)?
        };
        ensure!(
            names.insert(name.clone()),
            "two guests are called {name}: a guest has the name of its file or program; rename one"
        );
        guests.push(Guest { path: path.clone(), name, seen: None, published: None });
    }
    Ok(guests)
}

/// The file's name without `.wasm`, in small letters.
fn name_of(path: &Path) -> anyhow::Result<String> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    checked(name, path)
}

/// The name in small letters, if the contract takes it.
fn checked(name: &str, path: &Path) -> anyhow::Result<String> {
    let name = name.to_ascii_lowercase();
    code_name::check_name(&name).with_context(|| format!("the name of {}", path.display()))?;
    Ok(name)
}

impl Guest {
    /// Publishes the file or package as it is now, as the developer's account and under its name.
    pub(super) async fn publish(&mut self, contract: &Contract) -> anyhow::Result<Published> {
        let begun = Instant::now();
        let code = self.code().await?;
        // Made anew, because the developer's own commands have used nonces of the same key since
        // the last publication. An account that knows old ones waits for seconds until it is sure
        // that a nonce was used up by somebody else.
        let (id, key) = (localnet::id(DEVELOPER)?, localnet::key(DEVELOPER));
        let owner = &SigningAccount::new(contract.node().clone(), id, key);
        let mut caller = AccountCaller { account: owner, contract_id: contract.id() };
        let hash = publish_code(contract, owner.id(), &code, &mut caller).await?.hash;
        let code_ref = CodeRef { hash, url: None };
        let named = name_code(contract, owner.id(), &self.name, &code_ref, &mut caller).await?;
        let version = named.context("the call that names the code was not made")?.version;
        self.published = Some(hash);
        Ok(Published {
            name: format!("{}/{}", owner.id(), self.name),
            version,
            code_hash: hash,
            code_bytes: code.len(),
            file: self.path.clone(),
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// The code in the file, or what the package is built to. A file is read again when it was
    /// written meanwhile, because half of it may be old.
    async fn code(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            self.seen = Stamp::of(&self.path);
            let path = self.path.clone();
            let code = task::spawn_blocking(move || code_of(&path)).await?;
            if self.path.is_dir() || Stamp::of(&self.path) == self.seen {
                return code;
            }
            time::sleep(SETTLE).await;
        }
    }

    /// The hash of the code that was published last.
    pub(super) fn published(&self) -> Option<Hash32> {
        self.published
    }

    /// Whether the file or package has changed since it was last read, and is complete: what is
    /// still being written changes between two looks.
    pub(super) async fn has_changed(&self) -> bool {
        let now = Stamp::of(&self.path);
        if now.is_none() || now == self.seen {
            return false;
        }
        time::sleep(SETTLE).await;
        now == Stamp::of(&self.path)
    }

    /// Options of a request for it: the limits of its package, and the input of its first case.
    pub(super) fn request_options(&self, code_bytes: usize) -> anyhow::Result<String> {
        let package = self.path.is_dir().then(|| Package::read(&self.path)).transpose()?;
        let mut limits = match &package {
            Some(package) => package.limits(&Map::new())?,
            None => ResourceLimits::default(),
        };
        limits.max_module_bytes = limits.max_module_bytes.max(u32::try_from(code_bytes)?);
        let cases = package.map(|package| package.folder().join("cases")).into_iter();
        let mut inputs: Vec<_> = cases
            .flat_map(|cases| fs::read_dir(cases).into_iter().flatten().flatten())
            .map(|case| case.path().join("input"))
            .filter(|input| input.is_file())
            .collect();
        inputs.sort();
        let input = match inputs.first() {
            Some(input) => format!("--input-file {}", quoted(&input.display().to_string())),
            None => "--input hello".to_owned(),
        };
        Ok([input].into_iter().chain(limit_options(&limits)).collect::<Vec<_>>().join(" "))
    }
}

/// The code in the file, or the code of the package as it is now.
fn code_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.is_dir() {
        return Ok(Package::read(path)?.build_guest(BuildOptions::default())?.code);
    }
    code_file::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_have_the_names_of_their_files_and_no_two_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, b"\0asm").unwrap();
            path
        };
        let (one, same) = (file("Median.wasm"), file("other/median.wasm"));
        let found = find(std::slice::from_ref(&one)).unwrap();
        assert_eq!(found[0].name, "median");
        let error = find(&[one, same]).err().unwrap().to_string();
        assert!(error.contains("two guests are called median"), "{error}");
        let error = find(&[file("with space.wasm")]).err().unwrap();
        assert!(format!("{error:#}").contains("with space"), "{error:#}");
        let missing = folder.path().join("missing.wasm");
        assert!(find(&[missing]).err().unwrap().to_string().contains("there is no"));
    }
}
