//! `outlayer secrets`: values that are sealed to workers. `put` seals and stores one, `list` shows
//! the terms of all, and `remove` ends one. `value` reads a value where nobody sees it,
//! `recipients` finds the workers' keys, `asked` names the secrets of a request, and `opening`
//! keeps and reads what a replay needs.

mod asked;
mod list;
mod opening;
mod put;
mod recipients;
mod remove;
mod value;

use clap::Subcommand;
use outlayer_protocol::{context::is_reserved_variable, limits::MAX_KEY_BYTES, secrets::entry_key};

use crate::network::block_on;

pub(crate) use asked::SecretOptions;
pub(crate) use opening::OpeningOptions;

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    Put(Box<put::PutArgs>),
    List(list::ListArgs),
    Remove(Box<remove::RemoveArgs>),
}

impl SecretsCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Put(args) => block_on(args.run()),
            Self::List(args) => block_on(args.run()),
            Self::Remove(args) => block_on(args.run()),
        }
    }
}

/// Checks the name of a secret, which is that of an environment variable. A text that is none may
/// be a value that was put into the wrong place, so no error shows it.
fn check_name(name: &str) -> anyhow::Result<()> {
    if name.is_empty() {
        anyhow::bail!("the secret has no name; expected that of an environment variable");
    }
    if name.contains(['=', '\0']) {
        anyhow::bail!(
            "the name of a secret is that of an environment variable, and has no '=' and no NUL; \
             its value is given with --value-file or on standard input"
        );
    }
    if is_reserved_variable(name) {
        anyhow::bail!("{name} is a variable that the system sets itself; choose another name");
    }
    let (found, most) = (entry_key(name).len(), MAX_KEY_BYTES as usize);
    if found > most {
        let spent = entry_key("").len();
        anyhow::bail!(
            "the name of the secret has {} bytes, expected at most {}",
            found - spent,
            most - spent
        );
    }
    Ok(())
}

/// A text of the command line that may be a secret, or hold one. It is shown nowhere.
#[derive(Clone)]
struct Hidden(String);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_variable_and_a_value_in_its_place_is_not_shown() {
        let most = MAX_KEY_BYTES as usize - entry_key("").len();
        for name in ["API_KEY", "key.of-mine", &"n".repeat(most)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "API_KEY=hunter2", "a\0hunter2", "TZ", "OUTLAYER_X", &"n".repeat(most + 1)]
        {
            let error = check_name(name).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", Hidden("hunter2".to_owned())).contains("hunter2"));
    }
}
