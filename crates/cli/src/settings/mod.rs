//! The settings of a worker, from flags, the environment, a file, and defaults, in this order.
//!
//! Every value keeps the place where it was found, so that an error names it and `--print-config`
//! shows it. `table` lists the settings, `file` reads a configuration file, `read` gives values
//! their types, and `print` shows them.

mod file;
mod print;
mod read;
mod table;

use std::{collections::BTreeMap, env, fmt, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};

pub(crate) use read::SettingError;
pub(crate) use table::{Kind, SETTINGS, Setting, Shown};

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line.
    Flag(String),
    /// In the environment variable of this name.
    Variable(&'static str),
    /// In a configuration file.
    File {
        /// The file's path as it was given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Nobody has set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "the flag {flag}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A setting's value as it was written: one text, or for a list any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) texts: Vec<String>,
    pub(crate) source: Source,
}

/// The settings of a command, each from the first place that has it. With `ALL`, it takes every
/// setting of the table; otherwise only those with which a command finds the worker's account and
/// contract on a node.
#[derive(Clone, Default)]
pub(crate) struct Settings<const ALL: bool> {
    found: BTreeMap<&'static str, Found>,
}

impl<const ALL: bool> fmt::Debug for Settings<ALL> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret.
        f.debug_set().entries(self.found.keys()).finish()
    }
}

/// The environment variable that names the configuration file.
const CONFIG_VARIABLE: &str = "OUTLAYER_CONFIG";

fn is_taken<const ALL: bool>(setting: &Setting) -> bool {
    ALL || setting.finds_worker
}

impl<const ALL: bool> clap::Args for Settings<ALL> {
    fn augment_args(command: Command) -> Command {
        let mut command = command
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help(format!(
                        "A TOML file with settings; flags and the environment go before it \
                         [env: {CONFIG_VARIABLE}]"
                    )),
            )
            // It was an option once. Taken here so that the key does not become part of a message
            // about an unknown argument.
            .arg(
                Arg::new("secret-key")
                    .long("secret-key")
                    .num_args(0..=1)
                    .hide(true)
                    .value_parser(clap::value_parser!(std::ffi::OsString)),
            );
        for setting in SETTINGS.iter().filter(|setting| is_taken::<ALL>(setting)) {
            if setting.kind == Kind::Secret {
                continue;
            }
            let arg = Arg::new(setting.key).long(setting.flag()).help(setting.option_help());
            command = command.arg(match setting.kind {
                Kind::Switch => arg
                    .value_name("true|false")
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .action(ArgAction::Set),
                Kind::List => arg.value_name(setting.value_name).action(ArgAction::Append),
                _ => arg.value_name(setting.value_name).action(ArgAction::Set),
            });
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const ALL: bool> clap::FromArgMatches for Settings<ALL> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let stop = |error: SettingError| {
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{error}\n"))
        };
        if matches.value_source("secret-key").is_some() {
            return Err(stop(SettingError::KeyInArguments));
        }
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let path = matches
            .get_one::<PathBuf>("config")
            .cloned()
            .or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
        let mut in_file = match path {
            Some(path) => file::read(&path).map_err(stop)?,
            None => BTreeMap::new(),
        };
        let mut found = BTreeMap::new();
        for setting in SETTINGS.iter().filter(|setting| is_taken::<ALL>(setting)) {
            let given = setting.kind != Kind::Secret
                && matches.value_source(setting.key) == Some(ValueSource::CommandLine);
            let one = if given {
                let values = matches.get_many::<String>(setting.key);
                let texts = values.into_iter().flatten().cloned().collect();
                Found { texts, source: Source::Flag(format!("--{}", setting.flag())) }
            } else if let Some(value) = variable(setting.variable) {
                let source = Source::Variable(setting.variable);
                let text = value.into_string().map_err(|_| {
                    stop(SettingError::Unreadable { key: setting.key, place: source.clone() })
                })?;
                Found { texts: setting.split(&text), source }
            } else if let Some(found) = in_file.remove(setting.key) {
                found
            } else {
                let texts = setting.default.into_iter().map(str::to_owned).collect();
                Found { texts, source: Source::Default }
            };
            found.insert(setting.key, one);
        }
        Ok(Self { found })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
