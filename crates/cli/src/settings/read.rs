//! Gives values their types.

use std::{fmt::Display, io, ops::RangeInclusive, path::PathBuf, str::FromStr};

use outlayer_client::{Node, NodeConfig};

use super::{Found, Setting, Settings, Shown, Source};
use crate::networks;

/// A setting that cannot be used. The messages name its key, what was found, where, and what is
/// expected; they never show what may be secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("the configuration file {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}:{line}: this is no TOML: {reason}", path.display())]
    Toml { path: PathBuf, line: usize, reason: String },
    #[error("{key} (from {place}) is no setting; {}", meant(*nearest))]
    UnknownKey { key: String, place: Source, nearest: Option<&'static str> },
    #[error("{key} (from {place}): found {}, expected {expected}", with_article(found))]
    Type { key: &'static str, found: &'static str, place: Source, expected: &'static str },
    #[error(
        "{key} (from {place}): a configuration file is no place for a key; use key_file, or the \
         environment variable OUTLAYER_SECRET_KEY"
    )]
    KeyInFile { key: &'static str, place: Source },
    #[error(
        "--secret-key is not taken: every user of this machine can read the arguments of a \
         program. Put the key into a file that only you can read and give --key-file, or set the \
         environment variable OUTLAYER_SECRET_KEY; and since this key was an argument, replace it"
    )]
    KeyInArguments,
    #[error("{key} (from {place}): the value is not UTF-8")]
    Unreadable { key: &'static str, place: Source },
    #[error("{key} (from {place}): found {found}, expected {expected}")]
    Value { key: &'static str, found: String, place: Source, expected: String },
    #[error(
        "{key} is missing, expected {expected}; give the flag --{flag}, the environment variable \
         {variable}, or {key} in the file that --config names"
    )]
    Missing { key: &'static str, flag: String, variable: &'static str, expected: &'static str },
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("did you mean {key}?"),
        None => "the list is in `outlayer worker run --help`".to_owned(),
    }
}

fn with_article(what: &str) -> String {
    let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {what}")
}

impl<const ALL: bool> Settings<ALL> {
    /// The value and its place, when anybody has set it or it has a default.
    pub(super) fn found(&self, key: &str) -> Option<&Found> {
        self.found.get(key).filter(|found| !found.texts.is_empty())
    }

    /// Every value of a setting.
    pub(crate) fn texts(&self, key: &str) -> &[String] {
        self.found(key).map(|found| found.texts.as_slice()).unwrap_or_default()
    }

    /// A value, or `None` when nobody has set it.
    pub(crate) fn value<T: FromStr>(
        &self,
        key: &'static str,
        expected: impl Display,
    ) -> Result<Option<T>, SettingError> {
        self.value_if(key, expected, |text| text.parse().ok())
    }

    /// A value that `parse` understands, or `None` when nobody has set it.
    pub(crate) fn value_if<T>(
        &self,
        key: &'static str,
        expected: impl Display,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        let Some(text) = self.texts(key).first() else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, text, expected.to_string());
        parse(text).map(Some).ok_or_else(wrong)
    }

    /// A value that must be there.
    pub(crate) fn required<T: FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<T, SettingError> {
        self.value(key, expected)?.ok_or_else(|| self.missing(key, expected))
    }

    pub(crate) fn missing(&self, key: &'static str, expected: &'static str) -> SettingError {
        let (flag, variable) = Setting::named(key)
            .map(|setting| (setting.flag(), setting.variable))
            .unwrap_or_default();
        SettingError::Missing { key, flag, variable, expected }
    }

    /// A whole number within a range; `None` when nobody has set it and there is no default.
    pub(crate) fn number(
        &self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, SettingError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value_if(key, expected, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// Whether a switch is on.
    pub(crate) fn switch(&self, key: &'static str) -> Result<bool, SettingError> {
        Ok(self.value(key, "true or false")?.unwrap_or(false))
    }

    /// The error for a value that is not as `expected`.
    pub(crate) fn wrong(
        &self,
        key: &'static str,
        text: &str,
        expected: impl Into<String>,
    ) -> SettingError {
        let place = self.found(key).map_or(Source::Default, |found| found.source.clone());
        let shown = Setting::named(key).map_or(Shown::Hidden, |setting| setting.shown);
        SettingError::Value { key, found: show(shown, text), place, expected: expected.into() }
    }
}

/// A value as it may be shown, in quotes.
pub(super) fn show(shown: Shown, text: &str) -> String {
    match shown {
        Shown::Whole => format!("{text:?}"),
        Shown::Network if networks::is_named(text) => format!("{text:?}"),
        Shown::UrlOrigin | Shown::Network => format!("{:?}", origin(text)),
        Shown::Hidden => "a value that is not shown".to_owned(),
    }
}

/// The scheme, host and port of a URL, without all that may have an API key in it.
pub(super) fn origin(url: &str) -> String {
    match Node::new(&NodeConfig::new(url)) {
        Ok(node) if node.shown_url() == url.trim_end_matches('/') => url.to_owned(),
        Ok(node) => format!("{}/…", node.shown_url()),
        Err(_) => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("http://127.0.0.1:3030", "http://127.0.0.1:3030"),
            ("http://127.0.0.1:3030/", "http://127.0.0.1:3030/"),
            ("https://u:KEY@rpc.example.com/", "https://rpc.example.com/…"),
            ("https://rpc.example.com/v1/KEY", "https://rpc.example.com/…"),
            ("https://rpc.example.com?apikey=KEY", "https://rpc.example.com/…"),
            ("KEY", "…"),
            ("http://KEY KEY", "…"),
        ] {
            assert_eq!(origin(url), shown, "{url}");
        }
    }
}
