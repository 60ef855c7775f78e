//! The programs, and what they read.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A program with its input.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) code: Vec<u8>,
    pub(crate) input: Vec<u8>,
}

/// What both meters accept, as `scripts/wasm` has it.
const FLAGS: &str = "-C target-cpu=mvp \
     -C target-feature=+mutable-globals,+sign-ext,+nontrapping-fptoint,+bulk-memory";

/// Programs of other people's, which do not stand in this tree, read these inputs.
const INPUTS: [(&str, &[u8]); 3] = [
    ("lua", include_bytes!("inputs/lua.lua")),
    ("qjs", include_bytes!("inputs/qjs.js")),
    ("sqlite", include_bytes!("inputs/sqlite.sql")),
];

/// Our own programs, built from their sources, and those of the folder that `PROGRAMS` names: files
/// `NAME.wasm`, each with an input `NAME.input` or one of [`INPUTS`].
pub(crate) fn all() -> Vec<Program> {
    let mut folders = vec![build()];
    folders.extend(std::env::var_os("PROGRAMS").map(PathBuf::from));
    folders.iter().flat_map(|folder| read(folder)).collect()
}

fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("../../target/programs");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip1"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(here.join("../kernels/programs"))
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success(), "the programs do not build for wasm32-wasip1");
    target.join("wasm32-wasip1/release")
}

fn read(folder: &Path) -> Vec<Program> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    let program = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let known = INPUTS.iter().find(|(known, _)| *known == name);
        let input = std::fs::read(path.with_extension("input"))
            .unwrap_or_else(|_| known.map_or_else(Vec::new, |(_, input)| input.to_vec()));
        Program { name, code: std::fs::read(path).unwrap(), input }
    };
    files.into_iter().map(program).collect()
}
