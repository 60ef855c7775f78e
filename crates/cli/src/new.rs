//! `outlayer new`: a project that builds, tests and runs at once.
//!
//! The files are in `templates/`. Their manifests end in `.template`, because cargo leaves folders
//! that have a manifest out of a package.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::print;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Project {
    /// A program that a contract asks for
    Guest,
    /// A contract that asks for programs
    Dapp,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Rust,
}

/// Make a project: a guest, or a dApp's contract
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What is made
    what: Project,
    /// The new folder, which gives the project its name
    folder: PathBuf,
    /// The language that it is written in
    #[arg(long, default_value = "rust")]
    lang: Language,
    /// A folder with OutLayer's sources to depend on [default: those that this command was built
    /// in, or else the published packages]
    #[arg(long, value_name = "FOLDER", env = "OUTLAYER_SOURCES")]
    outlayer: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The name of a file, and its content.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($to:literal = $from:literal,)+) => {
        &[$(($to, include_str!(concat!("../templates/", $folder, "/", $from)))),+]
    };
}

const GUEST: &[File] = files! { "guest-rust":
    "Cargo.toml" = "Cargo.toml.template",
    "README.md" = "README.md",
    ".gitignore" = "gitignore",
    "src/main.rs" = "src/main.rs",
    "cases/first-visit/input" = "cases/first-visit/input",
    "cases/first-visit/expected" = "cases/first-visit/expected",
    "cases/second-visit/input" = "cases/second-visit/input",
    "cases/second-visit/case.json" = "cases/second-visit/case.json",
    "cases/second-visit/expected" = "cases/second-visit/expected",
    "cases/second-visit/expected.storage.json" = "cases/second-visit/expected.storage.json",
};

const DAPP: &[File] = files! { "dapp-rust":
    "Cargo.toml" = "Cargo.toml.template",
    "README.md" = "README.md",
    ".gitignore" = "gitignore",
    "src/lib.rs" = "src/lib.rs",
    "tests/money.rs" = "tests/money.rs",
};

/// Where packages of OutLayer come from.
enum Source {
    Folder(PathBuf),
    Published,
}

impl NewArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let Language::Rust = self.lang;
        let (files, next) = match self.what {
            Project::Guest => (GUEST, "outlayer build && outlayer test"),
            Project::Dapp => (DAPP, "cargo test && outlayer build"),
        };
        let folder = std::path::absolute(&self.folder)?;
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        check_name(name)?;
        let source = Source::find(self.outlayer)?;
        create(&folder)?;
        for (file, content) in files {
            let path = folder.join(file);
            let parent = path.parent().unwrap_or(&folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, filled(content, name, &source)))
                .with_context(|| path.display().to_string())?;
        }
        let uses = match &source {
            Source::Folder(folder) => folder.display().to_string(),
            Source::Published => format!("version {}", env!("CARGO_PKG_VERSION")),
        };
        if self.json {
            let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
            print::json(&json!({
                "folder": folder, "name": name, "outlayer": uses, "files": names,
            }))?;
        } else {
            print::line("made", folder.display());
            print::line("with OutLayer", uses);
            let to = self.folder.display();
            print::raw(format_args!("\nNow:\n\n    cd {to} && {next}\n"));
        }
        Ok(true)
    }
}

impl Source {
    fn find(given: Option<PathBuf>) -> anyhow::Result<Self> {
        let has_sources = |folder: &Path| folder.join("crates/sdk/Cargo.toml").is_file();
        if let Some(given) = given {
            let folder = given.canonicalize().with_context(|| given.display().to_string())?;
            ensure!(
                has_sources(&folder),
                "{} has no crates/sdk, expected the folder of OutLayer's sources",
                folder.display()
            );
            return Ok(Self::Folder(folder));
        }
        let program = std::env::current_exe().context("the path of this program")?;
        let program = program.canonicalize().unwrap_or(program);
        // From target/debug, or from target/debug/deps.
        let built_in = program.ancestors().skip(1).find(|folder| has_sources(folder));
        Ok(built_in.map_or(Self::Published, |folder| Self::Folder(folder.to_owned())))
    }

    /// The value of a dependency in a manifest.
    fn dependency(&self, folder: &str) -> String {
        match self {
            // A JSON text is a TOML text.
            Self::Folder(sources) => {
                format!("{{ path = {} }}", json!(sources.join("crates").join(folder)))
            }
            Self::Published => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Source {
    /// The test kit, with what tests a contract without a node.
    fn test_kit(&self) -> String {
        const UNIT: &str = "features = [\"unit\"]";
        match self {
            Self::Folder(sources) => {
                format!("{{ path = {}, {UNIT} }}", json!(sources.join("crates/testkit")))
            }
            Self::Published => {
                format!("{{ version = \"{}\", {UNIT} }}", env!("CARGO_PKG_VERSION"))
            }
        }
    }
}

/// A template with its places filled in.
fn filled(template: &str, name: &str, source: &Source) -> String {
    template
        .replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{outlayer-sdk}}", &source.dependency("sdk"))
        .replace("{{outlayer-interface}}", &source.dependency("interface"))
        .replace("{{outlayer-testkit}}", &source.test_kit())
}

/// What cargo, Rust and the contract all take as a name.
fn check_name(name: &str) -> anyhow::Result<()> {
    let mut letters = name.bytes();
    let begins = letters.next().is_some_and(|first| first.is_ascii_lowercase());
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    ensure!(
        begins && letters.all(allowed) && name.len() <= 64,
        "{name:?} cannot be the project's name; expected at most 64 of a-z, 0-9, '-' and '_', \
         beginning with a letter"
    );
    const TAKEN: [&str; 8] =
        ["alloc", "build", "core", "deps", "examples", "proc-macro", "std", "test"];
    if TAKEN.contains(&name) || is_keyword(name) {
        bail!("{name:?} cannot be the project's name, because it has another meaning in Rust");
    }
    Ok(())
}

fn is_keyword(name: &str) -> bool {
    const KEYWORDS: &str = " abstract as async await become box break const continue crate do dyn \
        else enum extern false final fn for gen if impl in let loop macro match mod move mut \
        override priv pub ref return self static struct super trait true try type typeof unsafe \
        unsized use virtual where while yield ";
    KEYWORDS.contains(&format!(" {name} "))
}

/// Makes the folder. One that has something in it is left alone.
fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let empty =
        fs::read_dir(folder).with_context(|| folder.display().to_string())?.next().is_none();
    ensure!(empty, "{} is not empty; name another folder", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dapp_is_the_example_of_the_readme() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ask");
        for name in ["src/lib.rs", "tests/money.rs"] {
            let expected = fs::read_to_string(example.join(name)).unwrap();
            let (_, content) = DAPP.iter().find(|(file, _)| *file == name).unwrap();
            assert_eq!(filled(content, "example-ask", &Source::Published), expected, "{name}");
        }
    }

    #[test]
    fn names_that_cargo_or_the_contract_refuse_are_refused_before_anything_is_written() {
        for name in ["median", "a", "my-guest_2"] {
            check_name(name).unwrap();
        }
        for name in ["", "Median", "2nd", "-x", "a.b", "a b", "é", "test", "fn", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn no_place_of_a_template_is_left_open() {
        let sources = [Source::Published, Source::Folder("/a \"folder\"".into())];
        for (file, content) in GUEST.iter().chain(DAPP) {
            for source in &sources {
                let filled = filled(content, "my-guest", source);
                assert!(!filled.contains("{{"), "{file}: {filled}");
                if file.ends_with(".toml") {
                    filled.parse::<toml_edit::Document<String>>().unwrap();
                }
            }
        }
    }
}
