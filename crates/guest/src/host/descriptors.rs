//! The table of descriptors: three standard streams, which a guest may close or renumber.

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The input, descriptor 0 at first.
    Input,
    /// The output, descriptor 1 at first.
    Output,
    /// The log, descriptor 2 at first.
    Log,
}

/// Which stream each open descriptor names.
pub struct Descriptors([Option<Stream>; 3]);

impl Default for Descriptors {
    fn default() -> Self {
        Self([Some(Stream::Input), Some(Stream::Output), Some(Stream::Log)])
    }
}

impl Descriptors {
    /// The stream that `fd` names; `None` when `fd` is not open.
    pub fn get(&self, fd: u32) -> Option<Stream> {
        self.0.get(fd as usize).copied().flatten()
    }

    /// Closes `fd`. `None` when it is not open.
    pub fn close(&mut self, fd: u32) -> Option<Stream> {
        self.0.get_mut(fd as usize)?.take()
    }

    /// Makes `to`, which must be open, name what `from` names, and closes `from`. `None` when one
    /// of them is not open; nothing changes then.
    pub fn renumber(&mut self, from: u32, to: u32) -> Option<Stream> {
        let stream = self.get(from)?;
        self.get(to)?;
        self.close(from)?;
        self.0.get_mut(to as usize)?.replace(stream);
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renumbering_moves_and_closes() {
        let mut table = Descriptors::default();
        assert_eq!(table.renumber(2, 1), Some(Stream::Log));
        assert_eq!((table.get(1), table.get(2)), (Some(Stream::Log), None));
        assert_eq!(table.renumber(1, 2), None);
        assert_eq!(table.renumber(1, 1), Some(Stream::Log));
        assert_eq!(table.get(1), Some(Stream::Log));
        assert_eq!(table.close(0), Some(Stream::Input));
        assert_eq!(table.close(0), None);
        assert_eq!(table.close(u32::MAX), None);
    }
}
