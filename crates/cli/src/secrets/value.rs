//! The value of a secret, which comes from a file or from standard input and is never shown.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::Path,
};

use anyhow::{Context as _, bail};
use outlayer_protocol::secrets::{MAX_SECRET_BYTES, is_value};

/// Reads the value from a file, or from standard input for `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    if path != Path::new("-") {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        return from(file).with_context(|| path.display().to_string());
    }
    let input = io::stdin().lock();
    if input.is_terminal() {
        eprintln!("type the value, which the terminal shows, and end it with Enter and Ctrl-D");
    }
    from(input).context("standard input")
}

/// What `source` holds, without one line end at its end.
fn from(source: impl Read) -> anyhow::Result<String> {
    // Enough to tell that it is too long, whatever is read.
    let most = u64::from(MAX_SECRET_BYTES) + 3;
    let mut bytes = Vec::new();
    source.take(most).read_to_end(&mut bytes)?;
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let value = value.strip_suffix(b"\r").filter(|_| value.len() < bytes.len()).unwrap_or(value);
    // The error of a conversion would hold the bytes.
    match String::from_utf8(value.to_vec()) {
        Ok(value) if is_value(&value) => Ok(value),
        Ok(value) if value.is_empty() => bail!("the value of the secret is empty"),
        Ok(value) if value.contains('\0') => {
            bail!("the value of the secret has a NUL byte, which no environment variable can hold")
        }
        _ if value.len() > MAX_SECRET_BYTES as usize => {
            bail!("the value of the secret has more than {MAX_SECRET_BYTES} bytes")
        }
        _ => bail!("the value of the secret is no UTF-8; encode it as Base64, for one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_left_out_and_what_is_no_value_is_refused_without_being_shown() {
        let most = "v".repeat(MAX_SECRET_BYTES as usize);
        for (bytes, value) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("hunter2\n\n", "hunter2\n"),
            ("hunter2\r", "hunter2\r"),
            (&format!("{most}\r\n"), &most),
        ] {
            assert_eq!(from(bytes.as_bytes()).unwrap(), value);
        }
        for (bytes, part) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"hunter2\0", "a NUL byte"),
            (b"hunter2\xff", "no UTF-8"),
            (format!("hunter2{most}").as_bytes(), "more than 4096 bytes"),
            (format!("{most}v").as_bytes(), "more than 4096 bytes"),
        ] {
            let error = format!("{:?}", from(bytes).unwrap_err());
            assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
        }
    }
}
