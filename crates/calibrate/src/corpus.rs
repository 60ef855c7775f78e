//! The kernels.

use crate::CalibrationError;

/// A small program of one kind of work: a core module that imports nothing, exports `_start` and `memory`, declares
/// the memory that a node gives every contract (1,024 pages, at most 2,048), and runs to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name, that of its file in `kernels/`.
    pub name: &'static str,
    /// The module.
    pub wasm: Vec<u8>,
}

/// Names and texts of those that are written in WebAssembly.
macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../kernels/", $name, ".wat")))),*]
    };
}

/// Names and bytes of those that are written in Rust; `kernels/build` has built them.
macro_rules! binaries {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../kernels/", $name, ".wasm")))),*]
    };
}

const TEXTS: &[(&str, &str)] = texts![
    "empty",
    "loop",
    "branches",
    "branch-table",
    "recursion",
    "early-returns",
    "calls",
    "table-calls",
    "integers",
    "floats",
    "matrix",
    "loads-and-stores",
    "memory-growth",
    "bulk-memory",
    "bulk-tables",
    "globals",
    "start-function",
    "sieve",
];

const BINARIES: &[(&str, &[u8])] = binaries!["sha256", "sorting", "maps-and-strings", "json"];

/// All kernels.
///
/// # Errors
/// [`CalibrationError::Kernel`] when a text is not WebAssembly.
pub fn corpus() -> Result<Vec<Kernel>, CalibrationError> {
    let texts = TEXTS.iter().map(|&(name, text)| match wat::parse_str(text) {
        Ok(wasm) => Ok(Kernel { name, wasm }),
        Err(error) => Err(CalibrationError::kernel(name, error)),
    });
    let binaries = BINARIES.iter().map(|&(name, wasm)| Ok(Kernel { name, wasm: wasm.to_vec() }));
    texts.chain(binaries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_corpus() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| {
                let (name, kind) = name.rsplit_once('.')?;
                matches!(kind, "wat" | "wasm").then(|| name.to_owned())
            })
            .collect();
        files.sort();
        let mut names: Vec<String> =
            corpus().unwrap().iter().map(|kernel| kernel.name.to_owned()).collect();
        names.sort();
        assert_eq!(names, files);
    }
}
