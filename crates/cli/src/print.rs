//! The output of the commands: lines with a name and a value for people, JSON for programs.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    process,
};

use outlayer_protocol::{NearToken, Status};
use serde::Serialize;

/// Prints a text as it is. When it cannot be printed, the command ends, because nobody would learn
/// the answer. It ends silently when the reader has closed the pipe, as `head` does.
pub(crate) fn raw(text: impl Display) {
    let mut out = io::stdout().lock();
    written(write!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Ends the command when its answer could not be printed, because nobody would learn it.
fn written(result: io::Result<()>) {
    if let Err(error) = result {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("outlayer: standard output: {error}");
        }
        process::exit(2);
    }
}

/// The functions that a guest was in when it trapped, each with what is said of it.
pub(crate) fn frames(functions: &[String]) -> impl Iterator<Item = (&'static str, &str)> {
    let how = ["trapped in"].into_iter().chain(std::iter::repeat("called from"));
    how.zip(functions.iter().map(String::as_str))
}

/// A colour of the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
}

/// A text in this colour when the output is a terminal that its user lets have colours.
pub(crate) fn paint(colour: Colour, text: impl Display) -> String {
    let code = match colour {
        _ if !colours() => return text.to_string(),
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Whether the output may have colours: <https://no-color.org> says how a user forbids them.
fn colours() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !forbidden && !dumb && io::stdout().is_terminal()
}

/// Prints `value` as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    raw(format_args!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

/// Prints a name and a value.
pub(crate) fn line(name: &str, value: impl Display) {
    raw(format_args!("{name:<16} {value}\n"));
}

/// An amount for people: NEAR to the yocto, without zeros at the end.
pub(crate) fn near(amount: NearToken) -> String {
    const YOCTO: u128 = 10u128.pow(24);
    let (whole, rest) = (amount.as_yoctonear() / YOCTO, amount.as_yoctonear() % YOCTO);
    let digits = format!("{rest:024}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { format!("{whole} NEAR") } else { format!("{whole}.{digits} NEAR") }
}

/// Bytes for people: text as it is, anything else in hexadecimal. Control characters are escaped,
/// all but line ends and tabs, so that a guest cannot steer the terminal.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().map(shown).collect(),
        Err(_) => {
            format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// A verdict for people.
pub(crate) fn status(status: &Status) -> String {
    match status {
        Status::Exited { code } => format!("exited with {code}"),
        Status::Trapped { reason } | Status::InvalidModule { reason } => {
            format!("{}: {}", status.name(), text(reason.as_bytes()))
        }
        Status::LimitExceeded { which, limit } => {
            format!("limit exceeded: {which} is at most {limit}")
        }
        Status::Completed | Status::OutOfFuel | Status::OutOfGas | Status::StackOverflow => {
            status.name().to_owned()
        }
    }
}

fn shown(letter: char) -> String {
    if letter.is_control() && !matches!(letter, '\n' | '\t') {
        letter.escape_default().to_string()
    } else {
        letter.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_short() {
        let cases = [(0, "0 NEAR"), (10u128.pow(24), "1 NEAR"), (5 * 10u128.pow(21), "0.005 NEAR")];
        for (yocto, expected) in cases {
            assert_eq!(near(NearToken::from_yoctonear(yocto)), expected);
        }
        assert_eq!(near(NearToken::from_yoctonear(1)), "0.000000000000000000000001 NEAR");
    }

    #[test]
    fn a_guests_output_cannot_steer_the_terminal() {
        assert_eq!(text(b"a\n\x1b[2J\xc2\x9b"), "a\n\\u{1b}[2J\\u{9b}");
        assert_eq!(text(&[0xff, 0x00]), "0xff00");
    }
}
