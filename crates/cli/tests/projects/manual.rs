//! Completions and manual pages.

use super::{run, said};

/// Commands in the help, but for those that are hidden.
fn commands(help: &str) -> Vec<String> {
    let section = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_command_is_completed_and_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands(&said(&run(folder.path(), &["--help"], 0)));
    assert!(commands.len() > 10, "{commands:?}");
    run(folder.path(), &["man", "pages"], 0);
    let bash = said(&run(folder.path(), &["completions", "bash"], 0));
    for name in commands.iter().filter(|name| *name != "help") {
        assert!(bash.contains(&format!("outlayer,{name})")), "{name} is not completed");
        let page = folder.path().join("pages").join(format!("outlayer-{name}.1"));
        assert!(page.is_file(), "{}", page.display());
    }
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        assert!(said(&run(folder.path(), &["completions", shell], 0)).contains("outlayer"));
    }
    let main = std::fs::read_to_string(folder.path().join("pages/outlayer.1")).unwrap();
    assert!(main.contains("Exit codes"), "{main}");
}
