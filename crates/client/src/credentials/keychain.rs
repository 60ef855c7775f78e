//! The system's keychain, as near-cli-rs fills it.
//!
//! near-cli-rs saves a key through the crate `keyring` under the service `near-NETWORK-ACCOUNT` and
//! the user `ACCOUNT:PUBLIC_KEY`; the secret is the JSON of a key file. That crate stores it in the
//! Secret Service on Linux, with the attributes `service` and `username`, and in the Keychain on
//! macOS. Both systems have a program that reads an entry, so no D-Bus library is linked.

use std::{
    ffi::OsString,
    io,
    process::{Command, Stdio},
};

use near_crypto::SecretKey;
use outlayer_protocol::AccountId;

use crate::{KeyFile, KeyFileError};

/// Why the keychain gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// The program that reads the keychain is not there, or cannot be run.
    #[error(
        "the system's keychain cannot be read: {program}: {source}; near-cli-rs may have put the \
         key there (on Debian, apt install libsecret-tools)"
    )]
    Program {
        /// The program.
        program: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The entry is there and is no key.
    #[error("the keychain's entry {service} is no key of near-cli-rs: {source}")]
    Content {
        /// The name of the entry.
        service: String,
        /// What is wrong with it.
        source: KeyFileError,
    },
}

/// The system's keychain.
#[derive(Clone, Debug)]
pub struct Keychain {
    program: &'static str,
}

impl Default for Keychain {
    fn default() -> Self {
        Self { program: if cfg!(target_os = "macos") { "security" } else { "secret-tool" } }
    }
}

impl Keychain {
    /// The key of `account_id` with this public part, or `None` when the keychain has none.
    ///
    /// # Errors
    /// [`KeychainError`].
    pub fn key(
        &self,
        network: &str,
        account_id: &AccountId,
        public_key: &str,
    ) -> Result<Option<SecretKey>, KeychainError> {
        let service = format!("near-{network}-{account_id}");
        let user = format!("{account_id}:{public_key}");
        // Neither argument is secret.
        let arguments: [&str; 6] = match self.program {
            "security" => ["find-generic-password", "-w", "-s", &service, "-a", &user],
            _ => ["lookup", "service", &service, "username", &user, ""],
        };
        let mut command = Command::new(self.program);
        command.args(arguments.iter().filter(|one| !one.is_empty()).map(OsString::from));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let output = command
            .output()
            .map_err(|source| KeychainError::Program { program: self.program, source })?;
        if !output.status.success() || output.stdout.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let read = KeyFile::of_text(&service, text.trim());
        let key = read.map_err(|source| KeychainError::Content { service, source })?.secret_key;
        Ok((key.public_key().to_string() == public_key).then_some(key))
    }
}
