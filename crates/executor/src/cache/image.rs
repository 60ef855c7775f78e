//! The copy of an artifact that is verified and then loaded, out of everybody else's reach.

use std::io::{self, Write};
#[cfg(target_os = "linux")]
use std::{fs::File, os::fd::OwnedFd};

#[cfg(target_os = "linux")]
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// An artifact of at least this many bytes is mapped from an anonymous file. That saves the time to
/// copy it once more, and costs a file descriptor for as long as it is in memory.
#[cfg(target_os = "linux")]
const MAPPED_BYTES: usize = 1 << 20;

/// Takes up the content of a file of the folder, from first to last byte.
pub(crate) trait Image: Write + Sized {
    /// An empty image, which will have `bytes` bytes.
    fn empty(bytes: usize) -> Self;

    /// The image when it is complete: from now on nobody changes it.
    fn complete(self) -> io::Result<Self>;
}

/// An image in this process's memory.
impl Image for Vec<u8> {
    fn empty(bytes: usize) -> Self {
        Self::with_capacity(bytes)
    }

    fn complete(self) -> io::Result<Self> {
        Ok(self)
    }
}

/// An image that wasmtime maps where it can, and copies otherwise.
pub(crate) enum Mappable {
    /// An anonymous file that this process alone has open.
    #[cfg(target_os = "linux")]
    File(File),
    /// Small images, and any where there are no anonymous files.
    Memory(Vec<u8>),
}

impl Image for Mappable {
    fn empty(bytes: usize) -> Self {
        #[cfg(target_os = "linux")]
        if bytes >= MAPPED_BYTES
            && let Ok(file) = anonymous()
        {
            return Self::File(file.into());
        }
        Self::Memory(Vec::empty(bytes))
    }

    fn complete(self) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Self::File(file) = &self {
            // Whoever finds a way to this file later cannot change it either.
            let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            fcntl_add_seals(file, all)?;
        }
        Ok(self)
    }
}

#[cfg(target_os = "linux")]
fn anonymous() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("outlayer-compiled", flags)?)
}

impl Write for Mappable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(file) => file.write(bytes),
            Self::Memory(memory) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_holds_what_was_written() {
        let mut image = Mappable::empty(7);
        image.write_all(b"content").unwrap();
        let image = image.complete().unwrap();
        assert!(matches!(image, Mappable::Memory(bytes) if bytes == b"content"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_holds_what_was_written_and_nobody_can_change_it() {
        use std::{io::Read as _, os::unix::fs::FileExt as _};

        let content: Vec<u8> = (0..=250).cycle().take(MAPPED_BYTES).collect();
        let mut image = Mappable::empty(content.len());
        for part in content.chunks(100_000) {
            image.write_all(part).unwrap();
        }
        let Mappable::File(file) = image.complete().unwrap() else { panic!("in memory") };
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.write_at(b"x", content.len() as u64).is_err());
        assert!(file.set_len(1).is_err());
        // Neither by the path that it has in this process.
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let again = File::options().read(true).write(true).open(path);
        assert!(again.is_err() || again.is_ok_and(|file| file.write_at(b"x", 0).is_err()));
        let mut found = Vec::new();
        (&file).take(u64::MAX).read_to_end(&mut found).unwrap();
        assert!(found.is_empty(), "written to its end");
        found.resize(content.len(), 0);
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == content);
    }
}
