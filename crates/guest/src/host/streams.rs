//! Standard output and the log.

use outlayer_protocol::Limit;

use crate::stop::Stop;

/// Bytes that a guest has written, up to a limit.
pub struct Sink {
    bytes: Vec<u8>,
    which: Limit,
    limit: u32,
}

impl Sink {
    /// An empty sink that takes at most `limit` bytes; `which` names the limit.
    pub fn new(which: Limit, limit: u32) -> Self {
        Self { bytes: Vec::new(), which, limit }
    }

    /// How many more bytes it takes.
    fn room(&self) -> usize {
        (self.limit as usize).saturating_sub(self.bytes.len())
    }

    /// Appends `bytes`. Where not all of it fits, the part that fits is kept, without a UTF-8
    /// character that would be cut.
    ///
    /// # Errors
    /// [`Stop::Limit`] when not all of it fits.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let room = self.room();
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if bytes.len() <= room {
            return Ok(());
        }
        self.bytes.truncate(self.bytes.len() - unfinished(&self.bytes));
        Err(Stop::limit(self.which, self.limit))
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// How many bytes at the end are the begin of a UTF-8 sequence that the end cuts off.
fn unfinished(bytes: &[u8]) -> usize {
    let length = |first: u8| match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 0,
    };
    let begin = bytes.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    let Some(after) = begin else {
        return 0;
    };
    let first = bytes.iter().rev().nth(after).copied().unwrap_or_default();
    if length(first) > after + 1 { after + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        for text in ["жжж", "aжжж", "a€€", "ab€€", "abc€€", "a𝄞𝄞", "ab𝄞𝄞", "abc𝄞𝄞", "abcd𝄞𝄞"]
        {
            for step in 1..=text.len() {
                for limit in 0..6 {
                    let mut sink = Sink::new(Limit::LogBytes, limit);
                    let written =
                        text.as_bytes().chunks(step).try_for_each(|part| sink.write(part));
                    assert!(written.is_err());
                    let kept = sink.into_bytes();
                    assert!(
                        text.starts_with(std::str::from_utf8(&kept).unwrap()),
                        "{text} {limit}"
                    );
                    assert!(kept.len() + 4 > limit as usize, "{text} {limit}");
                }
            }
        }
        // Bytes that are no text are kept as they fit.
        let mut sink = Sink::new(Limit::LogBytes, 5);
        assert!(sink.write(&[0x80; 9]).is_err());
        assert_eq!(sink.into_bytes(), [0x80; 5]);
    }

    #[test]
    fn what_fits_is_kept() {
        let mut sink = Sink::new(Limit::LogBytes, 5);
        assert_eq!(sink.write(b"abc"), Ok(()));
        assert_eq!(sink.write(b"de"), Ok(()));
        assert_eq!(sink.write(b""), Ok(()));
        assert_eq!(sink.write(b"f"), Err(Stop::Limit { which: Limit::LogBytes, limit: 5 }));
        assert_eq!(sink.into_bytes(), b"abcde");
    }
}
