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
use outlayer_protocol::{Compute, ResourceLimits};
use serde_json::{Map, json};

use crate::{cargo::Package, print, request_args::changed_limits};

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
    /// in, where they are on this machine, or else the published packages]
    #[arg(long, value_name = "FOLDER", env = "OUTLAYER_SOURCES")]
    outlayer: Option<PathBuf>,
    /// For a dApp: the folder of the guest that it asks for, whose limits its requests get
    #[arg(long, value_name = "FOLDER")]
    guest: Option<PathBuf>,
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

/// What to do where cargo does not find the packages.
const UNPUBLISHED: &str = concat!(
    "\nIts Cargo.toml asks crates.io for OutLayer's packages of version ",
    env!("CARGO_PKG_VERSION"),
    ". Where cargo finds none there, this\nversion is not published: get the sources from ",
    env!("CARGO_PKG_REPOSITORY"),
    ", and name their\nfolder with --outlayer.\n"
);

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
        let limits = match (self.what, &self.guest) {
            (_, None) => ResourceLimits::default(),
            (Project::Dapp, Some(guest)) => Package::read(guest)?.limits(&Map::new())?,
            (Project::Guest, Some(_)) => {
                bail!("--guest names the guest that a dApp asks for; it is of no use to a guest")
            }
        };
        create(&folder)?;
        for (file, content) in files {
            let path = folder.join(file);
            let parent = path.parent().unwrap_or(&folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, filled(content, name, &source, &limits)))
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
            if let Source::Published = source {
                print::raw(UNPUBLISHED);
            }
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
        let built_in = built_in.map(Path::to_owned);
        let folder = built_in.or_else(|| installed_from(&program).filter(|path| has_sources(path)));
        Ok(folder.map_or(Self::Published, Self::Folder))
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

/// The folder of OutLayer's sources that `cargo install --path` has installed this program from, as
/// cargo has noted it beside the folder of the program.
fn installed_from(program: &Path) -> Option<PathBuf> {
    let notes = program.parent()?.parent()?.join(".crates.toml");
    package_path(&fs::read_to_string(notes).ok()?)?.ancestors().nth(2).map(Path::to_owned)
}

/// The folder of this package in cargo's notes of what is installed.
fn package_path(notes: &str) -> Option<PathBuf> {
    let name = concat!("\"", env!("CARGO_PKG_NAME"), " ");
    let line = notes.lines().find(|line| line.starts_with(name))?;
    let (_, path) = line.split_once("(path+file://")?;
    Some(path.split_once(')')?.0.into())
}

/// A template with its places filled in.
fn filled(template: &str, name: &str, source: &Source, limits: &ResourceLimits) -> String {
    let (imports, setting, used) = limits_in_rust(limits);
    template
        .replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{outlayer-sdk}}", &source.dependency("sdk"))
        .replace("{{outlayer-interface}}", &source.dependency("interface"))
        .replace("{{outlayer-testkit}}", &source.test_kit())
        .replace("{{imports}}", &imports)
        .replace("{{limits}}", &setting)
        .replace("{{with-limits}}", used)
}

/// What a dApp's source has for requests with these limits: the end of its imports, the limits, and
/// where the request gets them.
fn limits_in_rust(limits: &ResourceLimits) -> (String, String, &'static str) {
    const IMPORTS: &str = "ext_outlayer, request_for, settlement,";
    let mut fields: Vec<String> = changed_limits(limits)
        .into_iter()
        .map(|(name, value)| format!("            {name}: {value},\n"))
        .collect();
    let mut compute = "";
    if limits.compute != ResourceLimits::default().compute {
        let (meter, amount) = match limits.compute {
            Compute::Fuel(amount) => ("Fuel", amount),
            Compute::Gas(amount) => ("Gas", amount),
        };
        fields.insert(0, format!("            compute: Compute::{meter}({amount}),\n"));
        compute = "Compute, ";
    }
    if fields.is_empty() {
        return (IMPORTS.to_owned(), String::new(), "");
    }
    let setting = format!(
        "        let limits = ResourceLimits {{\n{}            ..request.limits\n        }};\n",
        fields.concat()
    );
    (
        format!("ResourceLimits, {compute}ext_outlayer,\n    request_for, settlement,"),
        setting,
        "limits, ",
    )
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
            let filled =
                filled(content, "example-ask", &Source::Published, &ResourceLimits::default());
            assert_eq!(filled, expected, "{name}");
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
                let limits = ResourceLimits { output_bytes: 7, ..ResourceLimits::default() };
                let filled = filled(content, "my-guest", source, &limits);
                assert!(!filled.contains("{{"), "{file}: {filled}");
                if file.ends_with(".toml") {
                    filled.parse::<toml_edit::Document<String>>().unwrap();
                }
            }
        }
    }

    #[test]
    fn a_dapp_asks_for_what_its_guest_needs() {
        let (_, template) = DAPP.iter().find(|(file, _)| *file == "src/lib.rs").unwrap();
        let compute = Compute::Gas(7);
        let limits = ResourceLimits { compute, storage_reads: 1, ..ResourceLimits::default() };
        let source = filled(template, "asker", &Source::Published, &limits);
        for part in [
            "ResourceLimits, Compute, ext_outlayer,",
            "            compute: Compute::Gas(7),\n            storage_reads: 1,\n",
            "            ..request.limits\n        };\n",
            "cancel_by: CancelBy::Payer, limits, ..request }",
        ] {
            assert!(source.contains(part), "{source}");
        }
    }

    #[test]
    fn the_sources_are_found_from_which_cargo_has_installed_the_command() {
        let notes = "[v1]\n\"outlayer-x 1.0.0 (path+file:///other)\" = [\"x\"]\n\
                     \"outlayer 0.1.0 (path+file:///src/crates/cli)\" = [\"outlayer\"]\n";
        assert_eq!(package_path(notes), Some("/src/crates/cli".into()));
        let registry = "\"outlayer 0.1.0 (registry+https://x)\" = [\"outlayer\"]\n";
        assert_eq!(package_path(registry), None);
    }
}
