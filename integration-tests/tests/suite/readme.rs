//! The code in the README and in other pages is code that is compiled and tested.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use outlayer_integration_tests::artifacts::workspace;

/// The README's fenced Rust blocks.
fn blocks(readme: &str) -> Vec<&str> {
    readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_contract_in_the_readme_is_the_example() -> Result<()> {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).context(path.to_owned());
    let (readme, example, sdk) =
        (read("README.md")?, read("examples/ask/src/lib.rs")?, read("crates/sdk/src/lib.rs")?);
    let [contract, guest] = blocks(&readme)[..] else { panic!("expected a contract and a guest") };
    assert!(example.ends_with(contract), "README.md and examples/ask/src/lib.rs differ");
    // The guest's `main` is a tested example in the sdk's documentation.
    let body = guest
        .lines()
        .skip_while(|line| !line.starts_with("fn main"))
        .skip(1)
        .take_while(|line| *line != "}");
    let documented: String = body.map(|line| format!("//! {}\n", line.trim_start())).collect();
    assert!(sdk.contains(&documented), "expected this in crates/sdk/src/lib.rs:\n{documented}");
    Ok(())
}

/// The lines of all Rust files below a folder, without indentation and without what makes them
/// documentation.
fn sources(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(unindented(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn unindented(text: &str) -> String {
    let line = |line: &str| {
        let line = line.trim();
        let documentation = ["//! ", "/// "].iter().find_map(|begin| line.strip_prefix(begin));
        documentation.unwrap_or(line).trim().to_owned() + "\n"
    };
    text.lines().map(line).collect()
}

#[test]
fn the_rust_of_every_page_is_part_of_a_source_that_is_compiled() -> Result<()> {
    let mut compiled = Vec::new();
    for folder in ["examples", "wasi-examples", "crates/sdk/src", "crates/interface/src"] {
        sources(&workspace().join(folder), &mut compiled)?;
    }
    let mut pages = vec![workspace().join("crates/interface/README.md")];
    for entry in fs::read_dir(workspace().join("docs"))? {
        pages.push(entry?.path());
    }
    let mut found = 0;
    for path in pages {
        let page = fs::read_to_string(&path)?;
        for block in blocks(&page) {
            let block_lines = unindented(block);
            let is_there = compiled.iter().any(|source| source.contains(&block_lines));
            ensure!(is_there, "no source has this of {}:\n{block}", path.display());
            found += 1;
        }
    }
    ensure!(found > 5, "only {found} blocks were found");
    Ok(())
}
