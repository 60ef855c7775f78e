//! Holds `ARCHITECTURE.md` against the tree: the files that it names exist, and the crates import
//! each other as its tables say.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

type Names = BTreeSet<String>;

fn page() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The rows of the table under this heading, each as its cells.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<Vec<String>> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "no table under {heading}");
    rows
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn names(cell: &str) -> Names {
    quoted(cell).into_iter().map(str::to_owned).collect()
}

/// The packages of the build for this machine, from `cargo metadata`.
struct Packages {
    /// Names of the workspace's packages, and the folder of each.
    members: BTreeMap<String, String>,
    /// What each package depends on when it is built for use, without its tests and build script.
    normal: BTreeMap<String, Names>,
}

impl Packages {
    fn read() -> Self {
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let answer = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        Self::parse(&serde_json::from_slice(&answer.stdout).unwrap())
    }

    fn parse(metadata: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let members: BTreeSet<String> =
            list(&metadata["workspace_members"]).iter().map(text).collect();
        let mut name_of = BTreeMap::new();
        let mut folders = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if members.contains(&id) {
                let manifest = text(&package["manifest_path"]);
                let folder = Path::new(&manifest).parent().unwrap().strip_prefix(root()).unwrap();
                folders.insert(name.clone(), folder.to_str().unwrap().to_owned());
            }
            name_of.insert(id, name);
        }
        let mut normal: BTreeMap<String, Names> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let used = list(&node["deps"])
                .into_iter()
                .filter(|one| list(&one["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                .map(|one| name_of[&text(&one["pkg"])].clone());
            // Packages of one name and several versions count as one: every rule is about names.
            normal.entry(name_of[&text(&node["id"])].clone()).or_default().extend(used);
        }
        Self { members: folders, normal }
    }

    /// Everything that a package reaches.
    fn reached(&self, package: &str) -> Names {
        let mut reached = Names::new();
        let mut ahead = vec![package.to_owned()];
        while let Some(next) = ahead.pop() {
            for one in &self.normal[&next] {
                if reached.insert(one.clone()) {
                    ahead.push(one.clone());
                }
            }
        }
        reached
    }
}

#[test]
fn every_file_that_the_page_names_exists() {
    let page = page();
    let mut checked = 0;
    for name in quoted(&page) {
        let is_path = name.contains('/') && !name.contains([' ', '*', '<', ':', '(']);
        if is_path {
            assert!(
                root().join(name).exists(),
                "ARCHITECTURE.md names {name}, which does not exist"
            );
            checked += 1;
        }
    }
    for (_, rest) in page.match_indices("](").map(|(at, _)| page.split_at(at + 2)) {
        let target = rest.split([')', '#']).next().unwrap();
        if !target.is_empty() && !target.contains("://") {
            assert!(root().join(target).exists(), "ARCHITECTURE.md links to {target}");
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} paths were found");
}

#[test]
fn every_crate_imports_what_the_map_says_and_nothing_else() {
    let packages = Packages::read();
    let rows = table(&page(), "## The rooms");
    let mut rooms = Names::new();
    for row in &rows {
        let [room, package, imports, ..] = row.as_slice() else { panic!("{row:?}") };
        let (room, package) = (quoted(room)[0], quoted(package)[0]);
        assert_eq!(packages.members[package], room.trim_end_matches('/'), "{package}");
        let found: Names = packages.normal[package]
            .iter()
            .filter(|one| packages.members.contains_key(*one))
            .cloned()
            .collect();
        assert_eq!(found, names(imports), "what {package} imports of the workspace");
        rooms.insert(package.to_owned());
    }
    // Guests, dApps and what only tests need are rooms of many packages, described as one.
    let many = ["examples/", "wasi-examples/", "integration-tests/fixtures/", "crates/kernels/"];
    for (package, folder) in &packages.members {
        let described = many.iter().any(|room| folder.starts_with(room));
        assert!(described || rooms.contains(package), "ARCHITECTURE.md has no row for {package}");
    }
}

#[test]
fn no_crate_reaches_what_it_must_not() {
    let packages = Packages::read();
    for row in table(&page(), "## What must not be reached") {
        let [package, forbidden, ..] = row.as_slice() else { panic!("{row:?}") };
        let package = quoted(package)[0];
        let reached = packages.reached(package);
        for one in quoted(forbidden) {
            let known = packages.normal.contains_key(one);
            assert!(known, "the rule for {package} names {one}, which no package uses");
            assert!(!reached.contains(one), "{package} reaches {one}");
        }
    }
}

#[test]
fn only_the_crates_named_import_an_engine_or_a_node() {
    let packages = Packages::read();
    for row in table(&page(), "## Who may import what") {
        let [library, allowed, ..] = row.as_slice() else { panic!("{row:?}") };
        for library in quoted(library) {
            let found: Names = packages
                .members
                .keys()
                .filter(|member| packages.normal[*member].contains(library))
                .cloned()
                .collect();
            assert_eq!(found, names(allowed), "who imports {library}");
        }
    }
}
