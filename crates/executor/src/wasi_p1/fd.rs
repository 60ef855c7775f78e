//! Calls on descriptors.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE,
    descriptors::Stream,
    errno::{BADF, Errno, INVAL, NOTDIR, NOTSUP, SPIPE, SUCCESS},
};
use crate::{
    host::{State, Work, charge, enter, memory},
    verdict::Stop,
};

/// A call with more buffers than this is refused, like Linux's `IOV_MAX`.
const MAX_BUFFERS: u32 = 1_024;

/// Rights, as `fd_fdstat_get` shows them.
mod rights {
    pub(super) const FD_READ: u64 = 1 << 1;
    pub(super) const FD_WRITE: u64 = 1 << 6;
    pub(super) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(super) const POLL_FD_READWRITE: u64 = 1 << 27;
}

type Call<'a> = Caller<'a, State>;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "fd_read", fd_read)?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "fd_close", fd_close)?;
    linker.func_wrap(MODULE, "fd_renumber", fd_renumber)?;
    linker.func_wrap(MODULE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", fd_fdstat_set_flags)?;
    linker.func_wrap(MODULE, "fd_filestat_get", fd_filestat_get)?;

    // No descriptor is a preopened directory: this ends a guest's search for them.
    linker.func_wrap(MODULE, "fd_prestat_get", |call: Call<'_>, _fd: u32, _: u32| {
        answer(call, BADF)
    })?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_dir_name",
        |call: Call<'_>, _fd: u32, _: u32, _: u32| answer(call, BADF),
    )?;

    // A stream has no position, no size and no directory entries.
    linker.func_wrap(MODULE, "fd_seek", |call: Call<'_>, fd: u32, _: u64, _: u32, _: u32| {
        refuse(call, fd, SPIPE)
    })?;
    linker
        .func_wrap(MODULE, "fd_tell", |call: Call<'_>, fd: u32, _: u32| refuse(call, fd, SPIPE))?;
    linker.func_wrap(MODULE, "fd_advise", |call: Call<'_>, fd: u32, _: u64, _: u64, _: u32| {
        refuse(call, fd, SPIPE)
    })?;
    linker.func_wrap(MODULE, "fd_allocate", |call: Call<'_>, fd: u32, _: u64, _: u64| {
        refuse(call, fd, SPIPE)
    })?;
    linker.func_wrap(
        MODULE,
        "fd_pread",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u64, _: u32| refuse(call, fd, SPIPE),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_pwrite",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u64, _: u32| refuse(call, fd, SPIPE),
    )?;
    linker.func_wrap(MODULE, "fd_datasync", |call: Call<'_>, fd: u32| refuse(call, fd, INVAL))?;
    linker.func_wrap(MODULE, "fd_sync", |call: Call<'_>, fd: u32| refuse(call, fd, INVAL))?;
    linker.func_wrap(MODULE, "fd_filestat_set_size", |call: Call<'_>, fd: u32, _: u64| {
        refuse(call, fd, INVAL)
    })?;
    linker.func_wrap(
        MODULE,
        "fd_filestat_set_times",
        |call: Call<'_>, fd: u32, _: u64, _: u64, _: u32| refuse(call, fd, NOTSUP),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_set_rights",
        |call: Call<'_>, fd: u32, _: u64, _: u64| refuse(call, fd, NOTSUP),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_readdir",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u64, _: u32| refuse(call, fd, NOTDIR),
    )?;
    Ok(())
}

fn answer(mut call: Call<'_>, errno: Errno) -> Result<Errno> {
    enter(&mut call)?;
    Ok(errno)
}

/// `EBADF` where `fd` is not open, else `errno`.
fn refuse(call: Call<'_>, fd: u32, errno: Errno) -> Result<Errno> {
    let errno = call.data().wasi.descriptors.get(fd).map_or_else(|errno| errno, |_| errno);
    answer(call, errno)
}

/// The buffers of a scattered read or write, and their length in all. Charges for reading the list.
fn buffers(call: &mut Call<'_>, list: u32, count: u32) -> Result<(Vec<(u32, u32)>, u64), Stop> {
    charge(call, Work::Read(u64::from(count) * 8))?;
    let (bytes, _) = memory::split(call)?;
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

fn fd_read(mut call: Call<'_>, fd: u32, list: u32, count: u32, read: u32) -> Result<Errno> {
    enter(&mut call)?;
    match call.data().wasi.descriptors.get(fd) {
        Ok(Stream::Input) if count <= MAX_BUFFERS => {}
        Ok(Stream::Input) => return Ok(INVAL),
        Ok(_) => return Ok(BADF),
        Err(errno) => return Ok(errno),
    }
    let (buffers, total) = buffers(&mut call, list, count)?;
    let unread = call.data().wasi.unread().len() as u64;
    charge(&mut call, Work::Write(total.min(unread)))?;
    let (bytes, state) = memory::split(&mut call)?;
    let mut done = 0u32;
    for (pointer, length) in buffers {
        let buffer = memory::bytes_mut(bytes, pointer, length)?;
        let unread = state.wasi.unread();
        let length = buffer.len().min(unread.len());
        if let (Some(buffer), Some(unread)) = (buffer.get_mut(..length), unread.get(..length)) {
            buffer.copy_from_slice(unread);
        }
        state.wasi.position += length;
        done = done.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
    }
    memory::write(bytes, read, &done.to_le_bytes())?;
    Ok(SUCCESS)
}

fn fd_write(mut call: Call<'_>, fd: u32, list: u32, count: u32, written: u32) -> Result<Errno> {
    enter(&mut call)?;
    let stream = match call.data().wasi.descriptors.get(fd) {
        Ok(Stream::Input) => return Ok(BADF),
        Ok(_) if count > MAX_BUFFERS => return Ok(INVAL),
        Ok(stream) => stream,
        Err(errno) => return Ok(errno),
    };
    let (buffers, total) = buffers(&mut call, list, count)?;
    let Ok(total_length) = u32::try_from(total) else {
        return Ok(INVAL);
    };
    charge(&mut call, Work::Read(total))?;
    if stream == Stream::Log {
        charge(&mut call, Work::Log(total))?;
    }
    let (bytes, state) = memory::split(&mut call)?;
    let sink = if stream == Stream::Output { &mut state.output } else { &mut state.logs };
    for (pointer, length) in buffers {
        sink.write(memory::bytes(bytes, pointer, length)?)?;
    }
    memory::write(bytes, written, &total_length.to_le_bytes())?;
    Ok(SUCCESS)
}

fn fd_close(mut call: Call<'_>, fd: u32) -> Result<Errno> {
    enter(&mut call)?;
    Ok(call.data_mut().wasi.descriptors.close(fd).err().unwrap_or(SUCCESS))
}

fn fd_renumber(mut call: Call<'_>, from: u32, to: u32) -> Result<Errno> {
    enter(&mut call)?;
    Ok(call.data_mut().wasi.descriptors.renumber(from, to).err().unwrap_or(SUCCESS))
}

/// A stream of unknown type, without flags: no terminal, whoever runs the guest.
fn fd_fdstat_get(mut call: Call<'_>, fd: u32, stat: u32) -> Result<Errno> {
    enter(&mut call)?;
    let direction = match call.data().wasi.descriptors.get(fd) {
        Ok(Stream::Input) => rights::FD_READ,
        Ok(_) => rights::FD_WRITE,
        Err(errno) => return Ok(errno),
    };
    let mut fdstat = [0u8; 24];
    let rights = direction | rights::FD_FILESTAT_GET | rights::POLL_FD_READWRITE;
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    memory::write(memory::split(&mut call)?.0, stat, &fdstat)?;
    Ok(SUCCESS)
}

/// No flag can be set; setting none succeeds.
fn fd_fdstat_set_flags(call: Call<'_>, fd: u32, flags: u32) -> Result<Errno> {
    refuse(call, fd, if flags == 0 { SUCCESS } else { INVAL })
}

/// Everything is zero: device, inode, type (unknown), links, size and times.
fn fd_filestat_get(mut call: Call<'_>, fd: u32, stat: u32) -> Result<Errno> {
    enter(&mut call)?;
    if let Err(errno) = call.data().wasi.descriptors.get(fd) {
        return Ok(errno);
    }
    memory::write(memory::split(&mut call)?.0, stat, &[0; 64])?;
    Ok(SUCCESS)
}
