//! Strings: where they contain something that JSON writes in another way, and how errors show them.

use std::fmt::{self, Display, Write as _};

/// A byte in each byte of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte that is zero is set, and perhaps those of bytes above a zero byte.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

/// How many bytes come before the first quotation mark, backslash or control character.
///
/// Most strings contain none of these, and the longest are megabytes of base64. So eight bytes are
/// looked at together.
#[inline(never)]
pub(crate) fn plain(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let plain = |word: &&[u8; 8]| {
        let word = u64::from_le_bytes(**word);
        let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
        control | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')) == 0
    };
    let start = words.iter().take_while(plain).count() * 8;
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    start + end.unwrap_or(rest.len())
}

/// A text as errors show it: between quotation marks, with nothing in it that a terminal takes for
/// more than text.
///
/// `{:?}` shows texts in the same way. But it knows which of all characters can be printed, which
/// is 7 KB of a contract's Wasm.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => {
                    f.write_char('\\')?;
                    f.write_char(character)?;
                }
                // Control characters, and what sets the direction of text or has no width.
                '\0'..' '
                | '\u{7f}'..='\u{9f}'
                | '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}' => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
