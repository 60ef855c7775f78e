//! Strings: where they contain something that JSON writes in another way.

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
