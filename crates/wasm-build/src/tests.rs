//! Packages as people have them, built with the installed cargo.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use tempfile::TempDir;

use super::*;

/// Where the guest's panics say that they are, in a message that no optimisation removes.
const MAIN: &str = "fn main() {
    let names: Vec<String> = std::env::args().collect();
    println!(\"{}\", helper::pick(&names, names.len()));
}
";
const HELPER: &str = "pub fn pick(names: &[String], index: usize) -> &str {
    names.get(index).unwrap_or_else(|| panic!(\"no name {index}\"))
}
";
const PROFILE: &str = "[profile.release]\nopt-level = 1\ndebug = true\n";

fn write(path: PathBuf, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A guest with a library beside it, both in a workspace.
fn workspace(folder: &Path) -> PathBuf {
    write(
        folder.join("Cargo.toml"),
        &format!("[workspace]\nresolver = \"3\"\nmembers = [\"guest\", \"helper\"]\n{PROFILE}"),
    );
    let guest = folder.join("guest");
    write(
        guest.join("Cargo.toml"),
        "[package]\nname = \"guest\"\nedition = \"2024\"\n\
         [dependencies]\nhelper = { path = \"../helper\" }\n",
    );
    write(guest.join("src/main.rs"), MAIN);
    let helper = "[package]\nname = \"helper\"\nedition = \"2024\"\n";
    write(folder.join("helper/Cargo.toml"), helper);
    write(folder.join("helper/src/lib.rs"), HELPER);
    guest
}

/// A package that is a workspace of its own, with these files beside its manifest.
fn package(folder: &Path, more: &str, files: &[(&str, &str)]) {
    let manifest = format!(
        "[package]\nname = \"one\"\nedition = \"2024\"\n[workspace]\n[profile.release]\n\
         opt-level = 1\n{more}\n"
    );
    write(folder.join("Cargo.toml"), &manifest);
    for (name, content) in files {
        write(folder.join(name), content);
    }
}

fn kept() -> Options {
    Options { progress: Progress::Kept, offline: true, ..Options::default() }
}

fn read(folder: &Path) -> Result<Package, BuildError> {
    Package::read(folder, Progress::Kept)
}

fn only_guest(folder: &Path) -> Vec<u8> {
    let built = read(folder).unwrap().build(Kind::Guest, &kept()).unwrap();
    assert_eq!(built.len(), 1);
    assert!(built[0].code.starts_with(b"\0asm"));
    built.into_iter().next().unwrap().code
}

fn contains(code: &[u8], text: &str) -> bool {
    code.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_same_sources_give_the_same_bytes_in_any_folder() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // Another length and depth, and what a shell and a TOML text would have to quote.
    let other = other.path().join("a folder/with 'quotes\" and = signs/é");
    let (first, second) = (only_guest(&workspace(one.path())), only_guest(&workspace(&other)));
    assert!(first == second, "{} and {} bytes", first.len(), second.len());
    let temporary = std::env::temp_dir();
    let home = std::env::var("HOME").unwrap();
    for path in [temporary.to_str().unwrap(), &home] {
        assert!(!contains(&first, &format!("{path}/")), "{path}");
    }
    // The places are still told, so this test would see them if they were of this machine.
    assert!(contains(&first, "helper/src/lib.rs"));
    assert!(contains(&first, "/workspace"));
}

#[test]
fn settings_that_are_meant_for_other_builds_do_not_change_the_bytes() {
    let folder = TempDir::new().unwrap();
    package(
        folder.path(),
        "",
        &[("src/main.rs", "fn main() { println!(\"{:?}\", std::env::args()) }")],
    );
    let plain = only_guest(folder.path());
    let target = TempDir::new().unwrap();
    let bytes = target.path().join("bytes");
    let output = elsewhere(folder.path())
        .env("OUTLAYER_TEST_BYTES", &bytes)
        .env("CARGO_TARGET_DIR", target.path().join("else where"))
        .env("RUSTFLAGS", "-C target-feature=+simd128 --nonsense")
        .env("CARGO_ENCODED_RUSTFLAGS", "--nonsense")
        .env("CARGO_BUILD_TARGET", "nonsense")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(fs::read(&bytes).unwrap() == plain);
    assert!(target.path().join("else where/wasm32-wasip1").is_dir());
}

/// A process that builds the guest in `folder` and writes its bytes to the file
/// `OUTLAYER_TEST_BYTES`, or fails with the error, so that a test can give it another environment.
fn elsewhere(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "tests::build_what_a_variable_names", "--ignored"])
        .env("OUTLAYER_TEST_FOLDER", folder)
        .env_remove("RUSTC_WRAPPER")
        .env_remove(WASM_CARGO);
    command
}

#[test]
#[ignore = "another test starts it, in a process with other settings"]
fn build_what_a_variable_names() {
    let named = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let package = read(&named("OUTLAYER_TEST_FOLDER")).unwrap();
    let built = package.build(Kind::Guest, &kept()).unwrap_or_else(|error| panic!("{error}"));
    fs::write(named("OUTLAYER_TEST_BYTES"), &built[0].code).unwrap();
}

#[test]
fn what_the_projects_own_settings_say_stays() {
    let folder = TempDir::new().unwrap();
    let settings = "[build]\ntarget-dir = \"else where\"\ntarget = \"nonsense\"\n\
                    rustflags = [\"--nonsense\"]\n\
                    [target.wasm32-wasip1]\nrustflags = [\"--cfg\", \"chosen=\\\"a b\\\"\"]\n";
    let main = "#[cfg(chosen = \"a b\")]\nfn main() { println!(\"chosen\") }\n";
    package(folder.path(), "", &[("src/main.rs", main), (".cargo/config.toml", settings)]);
    let package = read(folder.path()).unwrap();
    assert_eq!(package.target_dir, folder.path().canonicalize().unwrap().join("else where"));
    assert!(contains(&only_guest(folder.path()), "chosen"));
}

#[test]
fn a_link_to_a_package_is_that_package() {
    let folder = TempDir::new().unwrap();
    let guest = workspace(&folder.path().join("real"));
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&guest, &link).unwrap();
    assert_eq!(read(&link).unwrap().folder, guest.canonicalize().unwrap());
    assert_eq!(only_guest(&link), only_guest(&guest));
}

#[test]
fn every_program_is_a_guest_and_a_library_beside_it_is_none() {
    let folder = TempDir::new().unwrap();
    let library = "[lib]\nname = \"one\"\ncrate-type = [\"cdylib\", \"rlib\"]";
    package(
        folder.path(),
        library,
        &[
            ("src/main.rs", "fn main() { one::run() }"),
            ("src/bin/two.rs", "fn main() { println!(\"two\") }"),
            ("src/lib.rs", "#[unsafe(no_mangle)] pub extern \"C\" fn run() {}"),
            ("examples/three.rs", "fn main() {}"),
        ],
    );
    let package = read(folder.path()).unwrap();
    assert_eq!(package.names(Kind::Guest).collect::<Vec<_>>(), ["one", "two"]);
    let mut built = package.build(Kind::Guest, &kept()).unwrap();
    built.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(built.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(contains(&built[1].code, "two") && !contains(&built[0].code, "two\n"));
    assert_eq!(package.build(Kind::Contract, &kept()).unwrap().len(), 1);
    let error = package.only(Kind::Guest).unwrap_err().to_string();
    assert!(error.contains("has 2 guests (one, two), expected one"), "{error}");
}

#[test]
fn a_package_at_the_root_of_a_workspace_is_built_whatever_its_default_members_are() {
    let folder = TempDir::new().unwrap();
    workspace(folder.path());
    let manifest = "[package]\nname = \"root\"\nedition = \"2024\"\n[workspace]\n\
                    members = [\"guest\", \"helper\"]\ndefault-members = [\"helper\"]\n";
    write(folder.path().join("Cargo.toml"), manifest);
    write(folder.path().join("src/main.rs"), "fn main() { println!(\"the root\") }");
    assert!(contains(&only_guest(folder.path()), "the root"));
}

#[test]
fn what_cannot_be_built_says_what_was_found_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let refused = |folder: &Path| read(folder).unwrap_err().to_string();
    let error = refused(folder.path());
    assert!(error.contains("there is no Cargo.toml") && error.contains("outlayer new"), "{error}");
    write(folder.path().join("Cargo.toml"), "[package\n");
    let error = refused(folder.path());
    assert!(error.contains("cargo does not read") && error.contains("unclosed"), "{error}");
    write(folder.path().join("Cargo.toml"), "[workspace]\nmembers = []\n");
    let error = refused(folder.path());
    assert!(error.contains("name the folder of a package"), "{error}");
    package(folder.path(), "", &[("src/lib.rs", "")]);
    let error = refused(folder.path());
    assert!(error.contains("cdylib"), "{error}");
    fs::remove_file(folder.path().join("src/lib.rs")).unwrap();
    package(folder.path(), "", &[("src/main.rs", "fn main() { nonsense() }")]);
    let package = read(folder.path()).unwrap();
    let error = package.build(Kind::Guest, &kept()).unwrap_err().to_string();
    assert!(error.contains("does not build") && error.contains("nonsense"), "{error}");
    assert!(package.build(Kind::Contract, &kept()).unwrap().is_empty());
    let error = package.only(Kind::Contract).unwrap_err().to_string();
    assert!(error.contains("has no contract"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;

    let folder = TempDir::new().unwrap();
    let folder = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    package(&folder, "", &[("src/main.rs", "fn main() {}")]);
    let error = read(&folder).unwrap_err().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
}

#[test]
fn a_compiler_without_libraries_for_wasm_says_which_command_brings_them() {
    let folder = TempDir::new().unwrap();
    package(folder.path(), "", &[("src/main.rs", "fn main() {}")]);
    let compiler = folder.path().join("compiler");
    let said = |script: &str| {
        write(compiler.clone(), &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
        let output = elsewhere(folder.path()).env("RUSTC", &compiler).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let error = said("printf '/sysroot\\n/sysroot/lib/none\\n'");
    assert!(error.contains("because /sysroot/lib/none is missing; run: rustup target add"));
    let error = said("echo 'not for this machine' >&2; exit 1");
    assert!(error.contains("does not say where its libraries are: not for this machine"));
    fs::remove_file(&compiler).unwrap();
    let output = elsewhere(folder.path()).env("RUSTC", &compiler).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("install Rust from https://rustup.rs")
    );
}

/// What cargo would say of a workspace with one package.
fn metadata(targets: &serde_json::Value) -> serde_json::Value {
    json!({
        "target_directory": "/p/target", "workspace_root": "/p",
        "packages": [{
            "id": "path+file:///p#0.1.0", "manifest_path": "/p/Cargo.toml", "targets": targets,
            "metadata": null, "dependencies": [
                { "name": "sdk", "path": "/elsewhere/sdk" }, { "name": "inside", "path": "/p/in" },
                { "name": "published" }
            ],
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
    let package = Package::parse(&metadata(&targets), manifest).unwrap();
    let found: Vec<_> = package.targets.iter().map(|one| (one.name.as_str(), one.kind)).collect();
    assert_eq!(found, [("one", Kind::Guest), ("two", Kind::Contract)]);
    assert_eq!(package.outside, [("/elsewhere/sdk".into(), "/dependencies/sdk".to_owned())]);

    let error = Package::parse(&json!({ "packages": 7 }), manifest).unwrap_err().to_string();
    assert!(error.contains("gives no packages"), "{error}");
}

/// `scripts/wasm` builds this workspace's own guests and contracts with a compiler that may come
/// from elsewhere, and with the same flags.
#[test]
fn the_scripts_have_the_same_flags() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let script = ". scripts/lib/common.sh; . scripts/lib/wasm-toolchain.sh; use_rustup; \
                  wasm_cargo=env; run_wasm_cargo";
    let output = Command::new("bash").args(["-c", script]).current_dir(root).output().unwrap();
    let variables = String::from_utf8(output.stdout).unwrap();
    for kind in [Kind::Guest, Kind::Contract] {
        let expected = format!("{}={}", kind.flags_variable(), kind.flags().join(" "));
        assert!(variables.lines().any(|line| line == expected), "{expected} in {variables}");
    }
}
