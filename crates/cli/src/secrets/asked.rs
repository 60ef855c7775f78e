//! The option that names the secrets of a request.

use anyhow::bail;
use clap::Args;
use outlayer_protocol::{AccountId, SecretRef};

use super::{Hidden, check_name};

#[derive(Clone, Debug, Args)]
pub(crate) struct SecretOptions {
    /// A secret that the guest is given as an environment variable: NAME for one of the account
    /// that asks, OWNER/NAME for one of another account; may be given several times
    #[arg(long = "secret", value_name = "[OWNER/]NAME")]
    secrets: Vec<Hidden>,
}

impl SecretOptions {
    /// The secrets that the request asks for.
    pub(crate) fn refs(&self) -> anyhow::Result<Vec<SecretRef>> {
        self.secrets.iter().map(|Hidden(text)| read(text)).collect()
    }
}

/// Somebody may have given a value as well, so no error shows the text.
fn read(text: &str) -> anyhow::Result<SecretRef> {
    let (owner_id, name) = match text.split_once('/') {
        Some((owner, name)) => (Some(owner.parse::<AccountId>().ok()), name),
        None => (None, text),
    };
    if name.contains('=') || owner_id == Some(None) {
        bail!(
            "--secret: expected [OWNER/]NAME, of a secret that its owner has stored with \
             `outlayer secrets put`; a request has no values of secrets"
        );
    }
    check_name(name)?;
    Ok(SecretRef { owner_id: owner_id.flatten(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_with_or_without_its_owner() {
        let named = |owner: Option<&str>, name: &str| SecretRef {
            owner_id: owner.map(|owner| owner.parse().unwrap()),
            name: name.to_owned(),
        };
        assert_eq!(read("API_KEY").unwrap(), named(None, "API_KEY"));
        assert_eq!(read("keys.near/API_KEY").unwrap(), named(Some("keys.near"), "API_KEY"));
        for wrong in ["", "keys.near/", "No Account/K", "K=hunter2", "keys.near/K=hunter2", "TZ"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
