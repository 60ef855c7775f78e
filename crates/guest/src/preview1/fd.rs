//! Calls on descriptors.

use super::errno::{BADF, Errno, INVAL, NOTDIR, NOTSUP, SPIPE, SUCCESS};
use crate::{
    call::{HostCall, MemoryCall},
    host::Stream,
    memory,
    stop::Stop,
    work::Work,
};

/// A call with more buffers than this fails, like Linux's `IOV_MAX`.
const MAX_BUFFERS: u32 = 1_024;

/// Rights, as `fd_fdstat_get` shows them.
mod rights {
    pub(super) const FD_READ: u64 = 1 << 1;
    pub(super) const FD_WRITE: u64 = 1 << 6;
    pub(super) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(super) const POLL_FD_READWRITE: u64 = 1 << 27;
}

/// The stream that an open descriptor names.
pub(super) fn stream(call: &mut impl HostCall, fd: u32) -> Result<Stream, Errno> {
    call.host().program.descriptors.get(fd).ok_or(BADF)
}

fn answer(call: &mut impl HostCall, errno: Errno) -> Result<Errno, Stop> {
    call.enter()?;
    Ok(errno)
}

/// Answers `EBADF` where `fd` is not open, else `errno`.
pub(super) fn fail(call: &mut impl HostCall, fd: u32, errno: Errno) -> Result<Errno, Stop> {
    let errno = stream(call, fd).map_or_else(|errno| errno, |_| errno);
    answer(call, errno)
}

macro_rules! failing {
    ($($name:ident: $errno:expr, $why:literal;)*) => {$(
        #[doc = concat!("Fails: ", $why)]
        ///
        /// # Errors
        /// A [`Stop`] for an exceeded limit.
        pub fn $name(call: &mut impl HostCall, fd: u32) -> Result<Errno, Stop> {
            fail(call, fd, $errno)
        }
    )*};
}

failing! {
    fd_seek: SPIPE, "a stream has no position.";
    fd_tell: SPIPE, "a stream has no position.";
    fd_advise: SPIPE, "a stream has no position.";
    fd_allocate: SPIPE, "a stream has no size.";
    fd_pread: SPIPE, "a stream has no position.";
    fd_pwrite: SPIPE, "a stream has no position.";
    fd_datasync: INVAL, "a stream is not stored.";
    fd_sync: INVAL, "a stream is not stored.";
    fd_filestat_set_size: INVAL, "a stream has no size.";
    fd_filestat_set_times: NOTSUP, "a stream has no times.";
    fd_fdstat_set_rights: NOTSUP, "the rights of a stream are fixed.";
    fd_readdir: NOTDIR, "a stream is not a directory.";
}

/// Fails: no descriptor is a preopened directory. This ends a guest's search for them.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn fd_prestat_get(call: &mut impl HostCall) -> Result<Errno, Stop> {
    answer(call, BADF)
}

/// Fails, as [`fd_prestat_get`] does.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn fd_prestat_dir_name(call: &mut impl HostCall) -> Result<Errno, Stop> {
    answer(call, BADF)
}

/// The buffers of a scattered read or write, and their length in all. Charges for reading the list.
fn buffers(
    call: &mut impl MemoryCall,
    list: u32,
    count: u32,
) -> Result<(Vec<(u32, u32)>, u64), Stop> {
    call.charge(Work::Read(u64::from(count) * 8))?;
    let (bytes, _) = call.memory()?;
    let mut buffers = Vec::with_capacity(count as usize);
    let mut total = 0u64;
    for index in 0..count {
        let entry = memory::offset(list, index * 8)?;
        let (pointer, length) =
            (memory::read_u32(bytes, entry)?, memory::read_u32(bytes, memory::offset(entry, 4)?)?);
        total += u64::from(length);
        buffers.push((pointer, length));
    }
    Ok((buffers, total))
}

/// Reads from the input into `count` buffers, which are listed at `list`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn fd_read(
    call: &mut impl MemoryCall,
    fd: u32,
    list: u32,
    count: u32,
    read: u32,
) -> Result<Errno, Stop> {
    call.enter()?;
    match stream(call, fd) {
        Ok(Stream::Input) if count <= MAX_BUFFERS => {}
        Ok(Stream::Input) => return Ok(INVAL),
        Ok(_) => return Ok(BADF),
        Err(errno) => return Ok(errno),
    }
    let (buffers, total) = buffers(call, list, count)?;
    let unread = call.host().program.unread().len() as u64;
    call.charge(Work::Write(total.min(unread)))?;
    let (bytes, host) = call.memory()?;
    let mut done = 0u32;
    for (pointer, length) in buffers {
        let length = host.program.read(memory::bytes_mut(bytes, pointer, length)?);
        done = done.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
    }
    memory::write(bytes, read, &done.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Writes `count` buffers, which are listed at `list`, to the output or the log.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn fd_write(
    call: &mut impl MemoryCall,
    fd: u32,
    list: u32,
    count: u32,
    written: u32,
) -> Result<Errno, Stop> {
    call.enter()?;
    let stream = match stream(call, fd) {
        Ok(Stream::Input) => return Ok(BADF),
        Ok(_) if count > MAX_BUFFERS => return Ok(INVAL),
        Ok(stream) => stream,
        Err(errno) => return Ok(errno),
    };
    let (buffers, total) = buffers(call, list, count)?;
    let Ok(total_length) = u32::try_from(total) else {
        return Ok(INVAL);
    };
    call.charge(Work::Read(total))?;
    if stream == Stream::Log {
        call.charge(Work::Log(total))?;
    }
    let (bytes, host) = call.memory()?;
    let sink = if stream == Stream::Output { &mut host.output } else { &mut host.logs };
    for (pointer, length) in buffers {
        sink.write(memory::bytes(bytes, pointer, length)?)?;
    }
    memory::write(bytes, written, &total_length.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Closes a descriptor.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn fd_close(call: &mut impl HostCall, fd: u32) -> Result<Errno, Stop> {
    call.enter()?;
    Ok(call.host().program.descriptors.close(fd).map_or(BADF, |_| SUCCESS))
}

/// Moves the stream of descriptor `from` to descriptor `to`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn fd_renumber(call: &mut impl HostCall, from: u32, to: u32) -> Result<Errno, Stop> {
    call.enter()?;
    Ok(call.host().program.descriptors.renumber(from, to).map_or(BADF, |_| SUCCESS))
}

/// Writes what a descriptor is: a stream of unknown type, without flags. It is no terminal, whoever
/// runs the guest.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn fd_fdstat_get(call: &mut impl MemoryCall, fd: u32, stat: u32) -> Result<Errno, Stop> {
    call.enter()?;
    let direction = match stream(call, fd) {
        Ok(Stream::Input) => rights::FD_READ,
        Ok(_) => rights::FD_WRITE,
        Err(errno) => return Ok(errno),
    };
    let mut fdstat = [0u8; 24];
    let rights = direction | rights::FD_FILESTAT_GET | rights::POLL_FD_READWRITE;
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    memory::write(call.memory()?.0, stat, &fdstat)?;
    Ok(SUCCESS)
}

/// No flag can be set. Setting none succeeds.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn fd_fdstat_set_flags(call: &mut impl HostCall, fd: u32, flags: u32) -> Result<Errno, Stop> {
    fail(call, fd, if flags == 0 { SUCCESS } else { INVAL })
}

/// Writes the attributes of a descriptor, which are all zero: device, inode, type (unknown), links,
/// size and times.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn fd_filestat_get(call: &mut impl MemoryCall, fd: u32, stat: u32) -> Result<Errno, Stop> {
    filestat(call, fd, stat, &[0; 64])
}

/// As [`fd_filestat_get`], where what is told of a stream has this form.
pub(crate) fn filestat(
    call: &mut impl MemoryCall,
    fd: u32,
    stat: u32,
    told: &[u8],
) -> Result<Errno, Stop> {
    call.enter()?;
    if let Err(errno) = stream(call, fd) {
        return Ok(errno);
    }
    memory::write(call.memory()?.0, stat, told)?;
    Ok(SUCCESS)
}
