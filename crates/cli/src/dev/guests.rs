//! The guests of `outlayer dev`: files that are published, and published again when they change,
//! and packages that are built before that.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail, ensure};
use outlayer_client::{At, Contract, SigningAccount};
use outlayer_protocol::{
    CodeRef, Hash32, NearToken, ResourceLimits, code_name, methods, views::NamedCodeView,
};
use serde_json::{Map, json};
use tokio::{task, time};

use super::{
    network::{GAS, returned},
    report::{Event, Published, Report},
};
use crate::{
    cargo::{BuildOptions, Package},
    code_file,
    request_args::{limit_options, quoted},
};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_millis(200);
/// The bytes of code in one call. A transaction may have 1.5 MB.
const PART_BYTES: usize = 1_000_000;
/// What is attached for a part and for a name. The contract takes the price of the bytes, and the
/// rest comes back.
const DEPOSIT: NearToken = NearToken::from_near(50);

/// A guest's file or package, and the name that its code has in the contract.
pub(super) struct Guest {
    /// The file, or the package's folder.
    path: PathBuf,
    /// Without the owner.
    name: String,
    /// What the file or package was like when it was last published, or last found unusable.
    seen: Option<Stamp>,
}

/// What tells that a file, or something in a folder, has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// The newest of all times.
    modified: SystemTime,
    bytes: u64,
    files: u64,
}

/// Folders below this depth are not looked into, so that a link to a folder above ends.
const MOST_DEPTH: u32 = 16;

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let (modified, bytes) = (metadata.modified().ok()?, metadata.len());
        let mut stamp = Self { modified, bytes, files: 1 };
        if metadata.is_dir() {
            // What a build writes would change it.
            stamp = Self { modified: SystemTime::UNIX_EPOCH, bytes: 0, files: 0 };
            stamp.add_folder(path, MOST_DEPTH);
        }
        Some(stamp)
    }

    /// Adds the files of a folder, all but hidden ones, what builds write, and the guest's cases.
    fn add_folder(&mut self, folder: &Path, depth: u32) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with('.') || matches!(&*name, "target" | "cases" | "Cargo.lock") {
                continue;
            }
            if path.is_dir() {
                if depth > 0 {
                    self.add_folder(&path, depth - 1);
                }
            } else if let Some(one) = Self::of(&path) {
                self.modified = self.modified.max(one.modified);
                self.bytes = self.bytes.wrapping_add(one.bytes);
                self.files += 1;
            }
        }
    }
}

/// The guests in these files and packages, which all have names of their own.
pub(super) fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Guest>> {
    let mut names = HashSet::new();
    let mut guests = Vec::new();
    for path in paths {
        let name = if path.is_dir() {
            checked(&Package::read(path)?.guest_name()?, path)?
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
        guests.push(Guest { path: path.clone(), name, seen: None });
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
    /// Publishes the file as it is now, under its name.
    pub(super) async fn publish(
        &mut self,
        contract: &Contract,
        owner: &SigningAccount,
    ) -> anyhow::Result<Published> {
        let begun = Instant::now();
        self.seen = Stamp::of(&self.path);
        let path = self.path.clone();
        let code = task::spawn_blocking(move || code_of(&path)).await??;
        let hash = Hash32::of(&code);
        publish(contract, owner, &code, hash).await?;
        let version = name(contract, owner, &self.name, hash).await?;
        Ok(Published {
            name: format!("{}/{}", owner.id(), self.name),
            version,
            code_hash: hash,
            code_bytes: code.len(),
            file: self.path.clone(),
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Options of a request for it: the limits of its package, and the input of its first case.
    pub(super) fn request_options(&self, code_bytes: usize) -> anyhow::Result<String> {
        let package = self.path.is_dir().then(|| Package::read(&self.path)).transpose()?;
        let mut limits = match &package {
            Some(package) => package.limits(&Map::new())?,
            None => ResourceLimits::default(),
        };
        limits.max_module_bytes = limits.max_module_bytes.max(u32::try_from(code_bytes)?);
        let cases = package.map(|package| package.folder.join("cases")).into_iter();
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

    /// Whether the file has been written since it was last looked at, and is complete: a file that
    /// is still being written changes between two looks.
    async fn has_changed(&self) -> bool {
        let now = Stamp::of(&self.path);
        if now.is_none() || now == self.seen {
            return false;
        }
        time::sleep(EVERY).await;
        now == Stamp::of(&self.path)
    }
}

/// The code in the file, or the code of the package as it is now.
fn code_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.is_dir() {
        return Ok(Package::read(path)?.build_guest(BuildOptions::default())?.code);
    }
    code_file::read(path)
}

/// Publishes the guests again whenever their files change. Does not end.
pub(super) async fn watch(
    mut guests: Vec<Guest>,
    contract: Contract,
    owner: SigningAccount,
    report: Report,
) {
    loop {
        time::sleep(EVERY).await;
        for guest in &mut guests {
            if !guest.has_changed().await {
                continue;
            }
            match guest.publish(&contract, &owner).await {
                Ok(published) => report.say(Event::Published(published)),
                Err(error) => {
                    let reason = format!("{error:#}; the version before it stays");
                    report.say(Event::Failed { request_id: None, reason });
                }
            }
        }
    }
}

/// Publishes code, unless the contract has it.
async fn publish(
    contract: &Contract,
    owner: &SigningAccount,
    code: &[u8],
    hash: Hash32,
) -> anyhow::Result<()> {
    let info = contract.code_info(&hash, At::Optimistic).await?;
    let mut offset = match info {
        Some(info) if info.retired => bail!("the code {hash} is retired in this contract"),
        Some(info) => usize::try_from(info.published_bytes)?,
        None => 0,
    };
    let total = u32::try_from(code.len()).context("the code's size")?;
    while let Some(rest) = code.get(offset..).filter(|rest| !rest.is_empty()) {
        let part = rest.get(..PART_BYTES).unwrap_or(rest);
        let args = (hash, total, u32::try_from(offset)?, part.to_vec());
        let args = borsh::to_vec(&args).context("the code")?;
        let call = owner.call(contract.id(), methods::PUBLISH_CODE, args, GAS, DEPOSIT);
        returned(methods::PUBLISH_CODE, call.await?)?;
        offset += part.len();
    }
    Ok(())
}

/// Has the newest version of a name stand for code. Returns the number of the version.
async fn name(
    contract: &Contract,
    owner: &SigningAccount,
    name: &str,
    hash: Hash32,
) -> anyhow::Result<u32> {
    let args = json!({ "name": format!("{}/{name}", owner.id()) });
    let newest: Option<NamedCodeView> =
        contract.view(methods::GET_NAMED_CODE, args, At::Optimistic).await?;
    if let Some(newest) = newest.filter(|newest| newest.hash == hash && newest.url.is_none()) {
        let parsed = code_name::CodeName::parse(&newest.name)?;
        return parsed.version.context("the contract named a version without its number");
    }
    let args = json!({ "name": name, "code": CodeRef { hash, url: None } }).to_string();
    let call =
        owner.call(contract.id(), methods::NAME_CODE, args.into_bytes(), GAS, DEPOSIT).await?;
    serde_json::from_slice(&returned(methods::NAME_CODE, call)?).context("the version's number")
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

    #[test]
    fn a_package_changes_with_its_sources_and_not_with_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/main.rs", "fn main() {}");
        let before = Stamp::of(folder.path()).unwrap();
        for built in ["target/debug/a", ".git/b", "cases/one/expected", "Cargo.lock"] {
            write(built, "anything");
            assert_eq!(Stamp::of(folder.path()), Some(before), "{built}");
        }
        write("src/bin/deep/other.rs", "");
        assert_ne!(Stamp::of(folder.path()), Some(before));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("src/round")).unwrap();
        Stamp::of(folder.path()).unwrap();
    }
}
