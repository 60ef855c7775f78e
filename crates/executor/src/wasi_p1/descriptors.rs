//! The table of descriptors: three standard streams, which a guest may close or renumber.

use super::errno::{BADF, Errno};

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Input,
    Output,
    Log,
}

/// Which stream each descriptor names.
pub(super) struct Descriptors([Option<Stream>; 3]);

impl Default for Descriptors {
    fn default() -> Self {
        Self([Some(Stream::Input), Some(Stream::Output), Some(Stream::Log)])
    }
}

impl Descriptors {
    pub(super) fn get(&self, fd: u32) -> Result<Stream, Errno> {
        self.0.get(fd as usize).copied().flatten().ok_or(BADF)
    }

    /// Takes the descriptor out of the table.
    pub(super) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.get(fd)?;
        if let Some(slot) = self.0.get_mut(fd as usize) {
            *slot = None;
        }
        Ok(())
    }

    /// Makes `to`, which must be open, name what `from` names, and closes `from`.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        let stream = self.get(from)?;
        self.get(to)?;
        self.close(from)?;
        if let Some(slot) = self.0.get_mut(to as usize) {
            *slot = Some(stream);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renumbering_moves_and_closes() {
        let mut table = Descriptors::default();
        assert_eq!(table.renumber(2, 1), Ok(()));
        assert_eq!((table.get(1), table.get(2)), (Ok(Stream::Log), Err(BADF)));
        assert_eq!(table.renumber(1, 2), Err(BADF));
        assert_eq!(table.renumber(1, 1), Ok(()));
        assert_eq!(table.get(1), Ok(Stream::Log));
        assert_eq!(table.close(0), Ok(()));
        assert_eq!(table.close(0), Err(BADF));
        assert_eq!(table.close(u32::MAX), Err(BADF));
    }
}
