//! The code in the README is code that is compiled and tested.

use anyhow::{Context, Result};
use outlayer_integration_tests::artifacts::workspace;

/// The README's fenced Rust blocks.
fn blocks(readme: &str) -> Vec<&str> {
    readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_contract_in_the_readme_is_the_example() -> Result<()> {
    let read =
        |path: &str| std::fs::read_to_string(workspace().join(path)).context(path.to_owned());
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
