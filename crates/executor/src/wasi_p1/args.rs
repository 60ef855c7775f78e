//! Arguments and environment.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE, Wasi,
    errno::{Errno, SUCCESS},
};
use crate::{
    host::{State, Work, charge, enter, memory},
    verdict::Stop,
};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "args_get",
        |mut caller: Caller<'_, State>, pointers: u32, texts: u32| {
            write(&mut caller, |wasi| &wasi.args, pointers, texts)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "args_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, bytes: u32| {
            write_sizes(&mut caller, |wasi| &wasi.args, count, bytes)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_get",
        |mut caller: Caller<'_, State>, pointers: u32, texts: u32| {
            write(&mut caller, |wasi| &wasi.environ, pointers, texts)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, bytes: u32| {
            write_sizes(&mut caller, |wasi| &wasi.environ, count, bytes)
        },
    )?;
    Ok(())
}

type Texts = fn(&Wasi) -> &Vec<Vec<u8>>;

fn sizes(texts: &[Vec<u8>]) -> Result<(u32, u32), Stop> {
    let too_many = |_| Stop::Trap("arguments too large");
    let count = u32::try_from(texts.len()).map_err(too_many)?;
    let bytes = u32::try_from(texts.iter().map(Vec::len).sum::<usize>()).map_err(too_many)?;
    Ok((count, bytes))
}

fn write_sizes(
    caller: &mut Caller<'_, State>,
    texts: Texts,
    count: u32,
    bytes: u32,
) -> Result<Errno> {
    enter(caller)?;
    let (memory, state) = memory::split(caller)?;
    let (number, length) = sizes(texts(&state.wasi))?;
    memory::write(memory, count, &number.to_le_bytes())?;
    memory::write(memory, bytes, &length.to_le_bytes())?;
    Ok(SUCCESS)
}

fn write(
    caller: &mut Caller<'_, State>,
    texts: Texts,
    pointers: u32,
    buffer: u32,
) -> Result<Errno> {
    let (count, bytes) = sizes(texts(&caller.data().wasi))?;
    enter(caller)?;
    charge(caller, Work::Write(u64::from(count) * 4 + u64::from(bytes)))?;
    let (memory, state) = memory::split(caller)?;
    let (mut pointer, mut text_at) = (pointers, buffer);
    for text in texts(&state.wasi) {
        memory::write(memory, pointer, &text_at.to_le_bytes())?;
        memory::write(memory, text_at, text)?;
        pointer = memory::offset(pointer, 4)?;
        text_at = memory::offset(text_at, u32::try_from(text.len()).unwrap_or(u32::MAX))?;
    }
    Ok(SUCCESS)
}
