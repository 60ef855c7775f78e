//! `outlayer completions` and `outlayer man`: what a shell and `man` know of this command.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::print;

/// Print what completes this command in a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads them
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the completions of `command`.
    pub(crate) fn execute(self, mut command: Command) -> anyhow::Result<bool> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print::raw(String::from_utf8(script).context("the completions")?);
        Ok(true)
    }
}

/// Write the manual pages
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to, such as ~/.local/share/man/man1
    folder: PathBuf,
}

impl ManArgs {
    /// Writes a page for `command` and for each command in it.
    pub(crate) fn execute(self, command: Command) -> anyhow::Result<bool> {
        let folder = self.folder;
        fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder))
            .with_context(|| format!("{} cannot be written", folder.display()))?;
        print::line("written to", folder.display());
        Ok(true)
    }
}
