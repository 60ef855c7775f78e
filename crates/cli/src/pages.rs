//! The pages that people read name commands, options and files that exist, and requests that are
//! requests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory as _;
use outlayer_protocol::ExecutionRequest;

use crate::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All pages, each with its path: in this folder and below it, but what builds have left.
fn pages() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, pages: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_str().unwrap();
            // A release note says what was true of its release.
            if name.starts_with('.') || ["target", "node_modules", "CHANGELOG.md"].contains(&name) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                collect(&path, pages);
            } else if name.ends_with(".md") {
                pages.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut pages = Vec::new();
    collect(&root(), &mut pages);
    assert!(pages.len() > 20, "{}", pages.len());
    pages
}

/// The fenced blocks of a page in this language.
fn fences<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// What a page shows as code: lines of blocks, of which a backslash joins two, and what stands
/// between backticks.
fn code(page: &str) -> Vec<String> {
    let (mut found, mut fenced, mut text) = (Vec::new(), false, String::new());
    let mut joined = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            match line.trim().strip_suffix('\\') {
                Some(begin) => joined += begin,
                None => found.push(std::mem::take(&mut joined) + line.trim()),
            }
        } else {
            // A span may go on in the next line.
            text += line;
            text.push(' ');
        }
    }
    found.extend(text.split('`').skip(1).step_by(2).map(str::to_owned));
    found
}

/// What is wrong with a command line, if it calls this command.
fn wrong(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_call = |at: usize| {
        let named = words[at] == "outlayer" || words[at].ends_with("/outlayer");
        // The name of a user or of a package.
        named && (at == 0 || !words[at - 1].starts_with('-'))
    };
    let at = (0..words.len()).rfind(|&at| is_call(at))?;
    let mut command = &Cli::command();
    let mut built = command.clone();
    built.build();
    command = &built;
    let mut is_name = true;
    for word in &words[at + 1..] {
        let word = word.trim_matches(['"', '\'', ')', ',', ';']);
        if ["|", ">", "<", "&&", "&", "||"].contains(&word) {
            break;
        }
        if let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) {
            let option = option.split('=').next().unwrap();
            let known = command.get_arguments().any(|one| one.get_long() == Some(option));
            if !known && !["help", "version"].contains(&option) {
                return Some(format!("`{line}`: {} has no --{option}", command.get_name()));
            }
            is_name = false;
        } else if is_name {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                // What follows is an argument, unless a command was to be named here.
                None => {
                    let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase());
                    if command.has_subcommands() && is_word && !word.is_empty() {
                        return Some(format!("`{line}`: there is no command {word:?}"));
                    }
                    is_name = false;
                }
            }
        }
    }
    None
}

#[test]
fn every_command_on_a_page_has_the_options_that_are_shown() {
    let mut calls = 0;
    for (path, page) in pages() {
        for line in code(&page) {
            calls += usize::from(line.contains("outlayer "));
            if let Some(wrong) = wrong(&line) {
                panic!("{}: {wrong}", path.display());
            }
        }
    }
    assert!(calls > 100, "{calls}");
    assert!(wrong("sudo -u outlayer target/outlayer worker runn").unwrap().contains("\"runn\""));
    assert!(wrong("outlayer status 7 --jsn").unwrap().contains("--jsn"));
    assert_eq!(wrong("install -o outlayer KEY.json"), None);
}

/// Files of this tree that a page names as code.
#[test]
fn every_file_of_this_tree_that_a_page_names_is_there() {
    let mut files = 0;
    for (path, page) in pages() {
        for line in code(&page) {
            for word in
                line.split(|letter: char| letter.is_whitespace() || "=,'\"".contains(letter))
            {
                let word = word.trim_matches(['(', ')', ';', ':', '.']).trim_end_matches('/');
                let ours =
                    ["deploy/", "scripts/", "docs/"].iter().any(|begin| word.starts_with(begin));
                if !ours || word.contains(['*', '<', '…', '{', '[']) {
                    continue;
                }
                let file = word.split(['#', ':']).next().unwrap();
                let beside = path.parent().unwrap().join(file);
                assert!(
                    root().join(file).exists() || beside.exists(),
                    "{} names {word}, which does not exist",
                    path.display()
                );
                files += 1;
            }
        }
    }
    assert!(files > 50, "{files}");
}

#[test]
fn the_json_of_the_pages_is_a_request_and_the_toml_is_toml() {
    let (mut requests, mut manifests) = (0, 0);
    for (path, page) in pages() {
        let shown = path.display();
        for json in fences(&page, "json") {
            // The hash of some code.
            let json = json.replace("\"…\"", &format!("\"{}\"", "7".repeat(64)));
            let request: serde_json::Value = serde_json::from_str(&json).unwrap();
            if request.get("code").is_some() {
                serde_json::from_value::<ExecutionRequest>(request)
                    .unwrap_or_else(|error| panic!("{shown}: {error}: {json}"));
                requests += 1;
            }
        }
        for toml in fences(&page, "toml") {
            toml.parse::<toml_edit::Document<String>>()
                .unwrap_or_else(|error| panic!("{shown}: {error}"));
            manifests += 1;
        }
    }
    assert!(requests > 1 && manifests > 0, "{requests} {manifests}");
}
