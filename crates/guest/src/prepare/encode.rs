//! The parts of WebAssembly's binary format that a rewritten module needs: integers in LEB128,
//! sections, lists.

const MORE: u8 = 0x80;

/// The seven low bits.
fn low(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low & !MORE
}

/// Appends an unsigned integer.
pub fn unsigned(out: &mut Vec<u8>, value: usize) {
    let mut value = value as u64;
    loop {
        let byte = low(value);
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | MORE);
    }
}

/// Appends a signed integer.
pub fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = low(value.cast_unsigned());
        value >>= 7;
        let negative = byte & 0x40 != 0;
        if (value == 0 && !negative) || (value == -1 && negative) {
            return out.push(byte);
        }
        out.push(byte | MORE);
    }
}

/// Appends an operator that names a local, a global, a function or another item by its index.
pub fn indexed(out: &mut Vec<u8>, operator: u8, index: u32) {
    out.push(operator);
    unsigned(out, index as usize);
}

/// Appends an operator on vectors, by its number.
pub fn vector(out: &mut Vec<u8>, operator: usize) {
    out.push(super::op::VECTOR);
    unsigned(out, operator);
}

/// Appends a name: its length and its bytes.
pub fn name(out: &mut Vec<u8>, name: &str) {
    unsigned(out, name.len());
    out.extend_from_slice(name.as_bytes());
}

/// Appends a section.
pub fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    unsigned(out, content.len());
    out.extend_from_slice(content);
}

/// The content of a section that is a list, with `count` more items at its end. The content has
/// been validated.
pub fn extended(content: &[u8], count: usize, items: &[u8]) -> Vec<u8> {
    let (before, rest) = split_count(content);
    let mut out = Vec::with_capacity(content.len() + items.len() + 5);
    unsigned(&mut out, before + count);
    out.extend_from_slice(rest);
    out.extend_from_slice(items);
    out
}

/// Splits content that starts with an unsigned count into the count and the rest. The content has
/// been validated.
fn split_count(content: &[u8]) -> (usize, &[u8]) {
    split_count_checked(content).unwrap_or((0, &[]))
}

/// As [`split_count`], for bytes that nobody has validated. `None` when they do not begin with a
/// count of 32 bits.
pub(super) fn split_count_checked(content: &[u8]) -> Option<(usize, &[u8])> {
    // Five bytes hold 35 bits, so the count is gathered in 64, whatever the width of an address.
    let mut count = 0u64;
    for (index, byte) in content.iter().take(5).enumerate() {
        count |= u64::from(byte & !MORE) << (7 * index);
        if byte & MORE == 0 {
            let count = u32::try_from(count).ok()? as usize;
            return Some((count, content.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}

/// Where a module's branches are that are hardly ever taken.
///
/// A compiler that reads them moves what is behind such a branch out of the way. Nothing else
/// depends on them.
#[derive(Debug, Default)]
pub struct ColdBranches {
    functions: usize,
    content: Vec<u8>,
}

impl ColdBranches {
    /// The custom section of WebAssembly's proposal for branch hints.
    const NAME: &str = "metadata.code.branch_hint";
    /// Follows the offset of a branch: the length of a hint, and "not taken".
    const NOT_TAKEN: [u8; 2] = [1, 0];

    /// Adds the `if` and `br_if` of the function with this index that stand at `offsets` of its
    /// body, which begins with its locals. Functions and offsets come in ascending order.
    pub fn push(&mut self, function: usize, offsets: &[usize]) {
        if offsets.is_empty() {
            return;
        }
        self.functions += 1;
        unsigned(&mut self.content, function);
        unsigned(&mut self.content, offsets.len());
        for offset in offsets {
            unsigned(&mut self.content, *offset);
            self.content.extend(Self::NOT_TAKEN);
        }
    }

    /// Appends the section. It stands before the code.
    pub fn write(self, out: &mut Vec<u8>) {
        if self.functions == 0 {
            return;
        }
        let mut content = Vec::with_capacity(self.content.len() + Self::NAME.len() + 6);
        name(&mut content, Self::NAME);
        unsigned(&mut content, self.functions);
        content.extend(self.content);
        section(out, 0, &content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_as_they_were_written() {
        for value in [0, 1, 63, 64, 127, 128, 16_383, 16_384, u32::MAX as usize] {
            let mut bytes = Vec::new();
            unsigned(&mut bytes, value);
            assert_eq!(
                wasmparser::BinaryReader::new(&bytes, 0).read_var_u32().unwrap() as usize,
                value
            );
            bytes.push(9);
            assert_eq!(split_count(&bytes), (value, &[9][..]));
        }
        for value in [
            0,
            1,
            -1,
            63,
            64,
            -64,
            -65,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ] {
            let mut bytes = Vec::new();
            signed(&mut bytes, value);
            assert_eq!(wasmparser::BinaryReader::new(&bytes, 0).read_var_i64().unwrap(), value);
        }
    }

    #[test]
    fn a_padded_count_is_read_too() {
        assert_eq!(split_count(&[0x83, 0x80, 0x00, 7]), (3, &[7][..]));
    }

    #[test]
    fn a_count_of_more_than_32_bits_is_none() {
        let count = |bytes: &[u8]| split_count_checked(bytes).map(|(count, _)| count);
        assert_eq!(count(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(u32::MAX as usize));
        for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80; 5], &[0x80], &[]] {
            assert_eq!(count(bytes), None, "{bytes:?}");
        }
    }
}
