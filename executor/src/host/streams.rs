//! Standard output and the log.

use outlayer_protocol::Limit;

use crate::verdict::Stop;

/// Bytes that a guest has written, up to a limit.
pub(crate) struct Sink {
    bytes: Vec<u8>,
    which: Limit,
    limit: u32,
}

impl Sink {
    pub(crate) fn new(which: Limit, limit: u32) -> Self {
        Self { bytes: Vec::new(), which, limit }
    }

    /// How many bytes more it takes.
    pub(crate) fn room(&self) -> usize {
        (self.limit as usize).saturating_sub(self.bytes.len())
    }

    /// Appends `bytes`. What fits is kept even where not all of it does.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let room = self.room();
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if bytes.len() > room { Err(Stop::limit(self.which, self.limit)) } else { Ok(()) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
