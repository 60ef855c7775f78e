//! The opening of a secret: the value, and the salt that hides it. Its owner keeps it in a file,
//! and gives it to whoever is to replay executions with the secret.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use outlayer_protocol::{
    Hash32,
    secrets::{Opening, is_value},
};
use outlayer_replay::Openings;
use outlayer_secrets::write_private;
use serde::{Deserialize, Serialize};

use super::Hidden;

/// The content of the file. It has no `Debug`, because it has the value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    salt: Hash32,
    value: String,
    commitment: Hash32,
}

/// Writes an opening to a new file that only its owner may read.
pub(super) fn keep(path: &Path, name: &str, opening: &Opening) -> anyhow::Result<()> {
    let kept = Kept {
        name: name.to_owned(),
        salt: Hash32(opening.salt),
        value: opening.value.clone(),
        commitment: opening.commitment(),
    };
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    write_private(path, &text)
        .with_context(|| format!("{}: expected a file that can be made anew", path.display()))
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OpeningOptions {
    /// The opening of a secret that the request pins: NAME=@FILE for a file that `outlayer secrets
    /// put --keep` wrote, or NAME=SALT:VALUE with the salt in hexadecimal, which other users of
    /// this machine may see; may be given several times
    #[arg(long = "secret", value_name = "NAME=@FILE", allow_hyphen_values = true)]
    openings: Vec<Hidden>,
}

impl OpeningOptions {
    /// Whether none was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.openings.is_empty()
    }

    /// Reads all of them.
    pub(crate) fn read(&self) -> anyhow::Result<Openings> {
        self.openings.iter().map(|Hidden(text)| read(text)).collect()
    }
}

/// Reads one option. No error shows more of it than its name and its file.
fn read(text: &str) -> anyhow::Result<(String, Opening)> {
    const EXPECTED: &str = "--secret: expected NAME=@FILE or NAME=SALT:VALUE";
    let (name, rest) = text.split_once('=').context(EXPECTED)?;
    if let Some(path) = rest.strip_prefix('@') {
        return Ok((name.to_owned(), read_file(Path::new(path), name)?));
    }
    let (salt, value) = rest.split_once(':').context(EXPECTED)?;
    let salt: Hash32 = salt
        .parse()
        .ok()
        .with_context(|| format!("--secret {name}: expected a salt of 64 hex digits"))?;
    ensure!(is_value(value), "--secret {name}: expected a value of 1 to 4096 bytes");
    Ok((name.to_owned(), Opening { salt: salt.0, value: value.to_owned() }))
}

fn read_file(path: &Path, name: &str) -> anyhow::Result<Opening> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| shown.to_string())?;
    let kept: Kept = match serde_json::from_str(&text) {
        Ok(kept) => kept,
        // The words of the error may have the value in them.
        Err(error) => bail!(
            "{shown} is no opening of a secret, as `outlayer secrets put --keep` writes one: line \
             {}, column {}",
            error.line(),
            error.column()
        ),
    };
    ensure!(kept.name == name, "{shown} is the opening of {}, not of {name}", kept.name);
    let opening = Opening { salt: kept.salt.0, value: kept.value };
    ensure!(
        is_value(&opening.value) && opening.commitment() == kept.commitment,
        "{shown} contradicts itself: its salt and value have the commitment {}, it says {}",
        opening.commitment(),
        kept.commitment
    );
    Ok(opening)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_opening_is_kept_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("opening.json");
        let opening = Opening { salt: [7; 32], value: "hunter2".to_owned() };
        keep(&path, "API_KEY", &opening).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keep(&path, "API_KEY", &opening).is_err(), "it is not overwritten");
        let file = format!("@{}", path.display());
        let inline = format!("{}:hunter2", Hash32([7; 32]));
        for given in [file.clone(), inline] {
            let (name, found) = read(&format!("API_KEY={given}")).unwrap();
            assert!(name == "API_KEY" && found == opening);
        }
        let changed = fs::read_to_string(&path).unwrap();
        for (from, to, part) in [
            ("hunter2", "hunter3", "contradicts itself"),
            ("API_KEY", "OTHER", "is the opening of OTHER, not of API_KEY"),
            (r#""hunter2""#, r#"["hunter2"]"#, "is no opening of a secret"),
        ] {
            fs::write(&path, changed.replace(from, to)).unwrap();
            let error = format!("{:?}", read(&format!("API_KEY={file}")).unwrap_err());
            assert!(error.contains(part) && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn what_is_no_opening_is_not_shown() {
        for wrong in ["hunter2", "API_KEY=hunter2", "API_KEY=abc:hunter2"] {
            let error = format!("{:?}", read(wrong).unwrap_err());
            assert!(error.contains("--secret") && !error.contains("hunter2"), "{error}");
        }
        let options = OpeningOptions { openings: vec![Hidden("API_KEY=0:hunter2".to_owned())] };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
