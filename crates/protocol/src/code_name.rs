//! Names of code: `alice.near/median@3` is the third version of the code that alice.near calls
//! `median`. What a version stands for never changes.

use std::fmt;

use near_account_id::AccountId;
use outlayer_json::Quoted;

/// The longest name within an owner's account, bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest URL that a version may have, bytes. It is part of the record of every request that
/// names the version, and of what such a request reserves.
pub const MAX_NAMED_URL_BYTES: u32 = 256;
/// Bytes that the code of a request which names it can take in the request's record, besides the
/// hash: the longest URL, and the full name with its length.
pub(crate) const MAX_NAMED_BYTES: u64 = MAX_NAMED_URL_BYTES as u64 + 4 + MAX_FULL_NAME_BYTES as u64;
/// The longest full name, bytes: the longest account id and name, and a version of 32 bits.
pub const MAX_FULL_NAME_BYTES: usize = 64 + 1 + MAX_NAME_BYTES + 1 + 10;

/// The name of a version of code, or of whatever version is the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeName<'a> {
    /// The account under which the name stands.
    pub owner_id: AccountId,
    /// The name within the account.
    pub name: &'a str,
    /// The version, from 1; `None` for the latest.
    pub version: Option<u32>,
}

/// A text that does not name code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected owner/name or owner/name@version: an account id, 1 to {MAX_NAME_BYTES} of a-z, 0-9, \
     '-', '_' and '.', and a version from 1; found {}",
    Quoted(.found)
)]
pub struct MalformedName {
    /// The start of the text, at most 80 characters.
    pub found: String,
}

impl MalformedName {
    fn new(found: &str) -> Self {
        Self { found: found.chars().take(80).collect() }
    }
}

/// Checks a name without its owner and version.
///
/// # Errors
/// [`MalformedName`].
pub fn check_name(name: &str) -> Result<(), MalformedName> {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
        return Err(MalformedName::new(name));
    }
    Ok(())
}

impl<'a> CodeName<'a> {
    /// Reads `owner/name` or `owner/name@version`. A version is written without leading zeros, so
    /// that there is one text for it.
    ///
    /// # Errors
    /// [`MalformedName`].
    pub fn parse(text: &'a str) -> Result<Self, MalformedName> {
        Self::parts(text).ok_or_else(|| MalformedName::new(text))
    }

    fn parts(text: &'a str) -> Option<Self> {
        let (owner, rest) = text.split_once('/')?;
        let (name, version) = match rest.split_once('@') {
            Some((name, digits)) => {
                // `parse` would take a sign and leading zeros.
                let first = digits.bytes().next()?;
                (name, Some(digits.parse().ok().filter(|_| matches!(first, b'1'..=b'9'))?))
            }
            None => (rest, None),
        };
        check_name(name).ok()?;
        Some(Self { owner_id: owner.parse().ok()?, name, version })
    }
}

impl fmt::Display for CodeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner_id, self.name)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_written_in_one_way() {
        let longest = format!("{}/{}@4294967295", "a".repeat(64), "-".repeat(MAX_NAME_BYTES));
        assert_eq!(longest.len(), MAX_FULL_NAME_BYTES);
        for (text, version) in [
            ("alice.near/median", None),
            ("alice.near/median@3", Some(3)),
            ("a_b-c.near/x.y_z-0@10", Some(10)),
            (&longest, Some(u32::MAX)),
        ] {
            let name = CodeName::parse(text).unwrap();
            assert_eq!((name.to_string().as_str(), name.version), (text, version));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_was_found() {
        let long = format!("a.near/{}", "n".repeat(MAX_NAME_BYTES + 1));
        for text in [
            "",
            "median",
            "/median",
            "alice.near/",
            "Alice.near/median",
            "alice.near/Median",
            "alice.near/a/b",
            "alice.near/median@",
            "alice.near/median@0",
            "alice.near/median@03",
            "alice.near/median@+3",
            "alice.near/median@-1",
            "alice.near/median@3@3",
            "alice.near/median@4294967296",
            "alice.near/@3",
            "alice.near/m e",
            "alice.near/é",
            &long,
        ] {
            let error = CodeName::parse(text).unwrap_err();
            assert!(error.to_string().ends_with(&format!("found {text:?}")), "{error}");
        }
        let error = CodeName::parse(&"x".repeat(1_000)).unwrap_err();
        assert_eq!(error.found.len(), 80);
    }
}
