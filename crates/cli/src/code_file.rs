//! Files with WebAssembly.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

/// How every module and component of WebAssembly begins.
const MAGIC: &[u8] = b"\0asm";

/// Reads a file that should have WebAssembly in it.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.is_dir() {
        let shown = path.display();
        let advice = match path.join("Cargo.toml").is_file() {
            true => format!("`outlayer build {shown}` builds one of the package in it"),
            false => "name a file in it".to_owned(),
        };
        bail!("{shown} is a folder, expected a file with WebAssembly (NAME.wasm); {advice}");
    }
    let code = fs::read(path).with_context(|| {
        format!("{}: expected a file with WebAssembly (NAME.wasm)", path.display())
    })?;
    if !code.starts_with(MAGIC) {
        bail!(
            "{} is no WebAssembly: {}. Expected a file that a compiler has made, such as \
             target/wasm32-wasip1/release/NAME.wasm",
            path.display(),
            looks_like(&code)
        );
    }
    Ok(code)
}

/// What a file without WebAssembly has in it, as far as its first bytes show.
fn looks_like(code: &[u8]) -> String {
    let head = code.get(..64).unwrap_or(code);
    if code.is_empty() {
        return "it is empty".to_owned();
    }
    let text = head.trim_ascii_start();
    if text.starts_with(b"(module") || text.starts_with(b"(component") {
        return "it is the text form; convert it with `wat2wasm`".to_owned();
    }
    let is_text = head.iter().all(|byte| !byte.is_ascii_control() || b"\n\r\t".contains(byte));
    let what = if is_text { "a text file" } else { "something else" };
    let first: String = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("it is {what}, and starts with 0x{first} where WebAssembly has 0x0061736d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_by_what_to_do_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let said = || read(folder.path()).unwrap_err().to_string();
        assert!(said().contains("is a folder, expected a file"), "{}", said());
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert!(said().contains("`outlayer build "), "{}", said());
    }

    #[test]
    fn a_file_that_is_no_webassembly_is_told_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("README.md");
        let said = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            read(&path).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(said(b"\0asm\x01").unwrap(), b"\0asm\x01");
        for (content, part) in [
            (&b"# OutLayer\n"[..], "README.md is no WebAssembly: it is a text file"),
            (b"", "it is empty"),
            (b"  (module)", "the text form"),
            (b"\x7fELF\x02", "starts with 0x7f454c46"),
        ] {
            let error = said(content).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        fs::remove_file(&path).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("expected a file with WebAssembly"), "{error}");
    }
}
