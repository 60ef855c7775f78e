//! Where a guest was when it trapped.

use std::fmt;

/// The most functions that are kept.
const MAX_FRAMES: usize = 32;
/// The most bytes of a function's name that are kept.
const MAX_NAME_BYTES: usize = 200;
/// Stands for what is left out.
const MORE: &str = "…";

/// The functions that a guest was in when it trapped or its stack ended, innermost first. It is for
/// people, in logs: no response, record or digest has anything of it.
///
/// The names are the guest's own, so they may be anything. Whatever a terminal does not simply
/// show is escaped, and long names and long lists are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backtrace(Vec<String>);

impl Backtrace {
    /// How many functions it is of use to give; the last of so many is only known to be there.
    pub const MOST: usize = MAX_FRAMES + 1;

    /// A backtrace of functions by their names, innermost first.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut names = names.into_iter();
        let mut frames: Vec<String> =
            names.by_ref().take(MAX_FRAMES).map(|name| shown(name.as_ref())).collect();
        if names.next().is_some() {
            frames.push(MORE.to_owned());
        }
        Self(frames)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The functions, innermost first, as they may be shown.
    pub fn frames(&self) -> &[String] {
        &self.0
    }
}

/// On one line: the function that trapped, the one that had called it, and so on.
impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" < "))
    }
}

/// A name as it may be shown. What has been through this once stays as it is.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for character in name.chars().take(MAX_NAME_BYTES + 1) {
        match character {
            '\\' | '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if shown.len() <= MAX_NAME_BYTES {
        return shown;
    }
    let cut = shown.floor_char_boundary(MAX_NAME_BYTES - MORE.len());
    shown.truncate(cut);
    shown + MORE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_do_anything_to_a_terminal() {
        let names =
            ["\u{1b}[2J\u{7}", "a\nb\tc", "\u{202e}gpj.exe\u{200b}", "a::<'b, \"é\">\\", ""];
        let backtrace = Backtrace::new(names);
        let expected =
            [r"\u{1b}[2J\u{7}", r"a\nb\tc", r"\u{202e}gpj.exe\u{200b}", "a::<'b, \"é\">\\", ""];
        assert_eq!(backtrace.frames(), expected);
        assert_eq!(Backtrace::new(backtrace.frames()), backtrace);
        assert_eq!(Backtrace::new(["a", "b"]).to_string(), "a < b");
    }

    #[test]
    fn long_names_and_lists_are_cut_once() {
        let long = ["é".repeat(1 << 20), "\u{1b}".repeat(199), "x".repeat(MAX_NAME_BYTES)];
        let backtrace = Backtrace::new(&long);
        assert!(backtrace.frames().iter().all(|name| name.len() <= MAX_NAME_BYTES));
        assert!(backtrace.frames()[..2].iter().all(|name| name.ends_with('…')));
        assert_eq!(backtrace.frames()[2], long[2]);
        assert_eq!(Backtrace::new(backtrace.frames()), backtrace);

        let names: Vec<_> = (0..MAX_FRAMES + 5).map(|number| number.to_string()).collect();
        let whole = Backtrace::new(&names[..MAX_FRAMES]);
        assert_eq!(whole.frames(), &names[..MAX_FRAMES]);
        let cut = Backtrace::new(&names);
        assert_eq!(cut.frames().len(), MAX_FRAMES + 1);
        assert_eq!(cut.frames().last().unwrap(), MORE);
        assert_eq!(Backtrace::new(&names[..Backtrace::MOST]), cut);
        assert_eq!(Backtrace::new(cut.frames()), cut);
        assert!(Backtrace::default().is_empty());
    }
}
