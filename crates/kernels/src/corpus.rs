//! The list of kernels, and their bytes.

/// A small program of one kind of work.
///
/// It is a core module that imports nothing, exports `_start` and `memory`, declares the memory
/// that a node gives every contract (1,024 pages, at most 2,048), and runs to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name of its file in `wat/` or `wasm/`, without the extension.
    pub name: &'static str,
    /// The module in WebAssembly's binary format.
    pub wasm: Vec<u8>,
}

/// A kernel's text is not valid WebAssembly.
#[derive(Debug, thiserror::Error)]
#[error("kernel {name}: its text is not valid WebAssembly")]
pub struct KernelError {
    /// The kernel's name.
    name: String,
    /// Where in the text, and what was expected there.
    source: wat::Error,
}

impl KernelError {
    pub(crate) fn new(name: impl Into<String>, source: wat::Error) -> Self {
        Self { name: name.into(), source }
    }
}

/// Names and texts of the kernels that are written in WebAssembly's text format.
macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../wat/", $name, ".wat")))),*]
    };
}

/// Names and bytes of the kernels that are written in Rust and built by the script `build`.
macro_rules! binaries {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../wasm/", $name, ".wasm")))),*]
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

/// All kernels, in the order of the published table.
///
/// # Errors
/// [`KernelError`] when the text of a kernel is not valid WebAssembly.
pub fn corpus() -> Result<Vec<Kernel>, KernelError> {
    let texts = TEXTS.iter().map(|&(name, text)| match wat::parse_str(text) {
        Ok(wasm) => Ok(Kernel { name, wasm }),
        Err(source) => Err(KernelError::new(name, source)),
    });
    let binaries = BINARIES.iter().map(|&(name, wasm)| Ok(Kernel { name, wasm: wasm.to_vec() }));
    texts.chain(binaries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folders_is_in_the_corpus() {
        let mut files = Vec::new();
        for extension in ["wat", "wasm"] {
            let folder = format!("{}/{extension}", env!("CARGO_MANIFEST_DIR"));
            for entry in std::fs::read_dir(folder).unwrap() {
                let file = entry.unwrap().file_name().into_string().unwrap();
                let name = file.strip_suffix(extension).and_then(|name| name.strip_suffix('.'));
                files.push(name.unwrap().to_owned());
            }
        }
        files.sort();
        let mut names: Vec<String> =
            corpus().unwrap().iter().map(|kernel| kernel.name.to_owned()).collect();
        names.sort();
        assert_eq!(names, files);
    }
}
