//! A second executor for core WASI guests, on wasmi. It shares no code with the first, and does
//! only what is documented: three streams, a virtual clock that moves 1,000 ns with each reading
//! and by sleeping, one random stream, no directories. It limits nothing. It meters a guest that
//! has been instrumented, and counts what its own functions cost by what is documented.

use std::collections::BTreeMap;

use outlayer_executor::{
    fuel,
    prepare::{
        self,
        meter::{FUEL_EXPORT, STACK_EXPORT, START_EXPORT},
    },
};
use wasmi::{
    AsContextMut as _, Caller, Config, Engine, Error, Extern, Global, Linker, Module, Store,
    TrapCode, Val,
};

use super::chacha::ChaCha;
use crate::common::Run;

const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOTDIR: i32 = 54;
const NOTSOCK: i32 = 57;
const SPIPE: i32 = 70;

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    Input,
    Output,
    Log,
}

/// What a guest did.
#[derive(Debug, PartialEq)]
pub(crate) struct Ended {
    /// `completed`, `exited: CODE`, or `trapped: REASON`.
    pub(crate) status: String,
    pub(crate) output: Vec<u8>,
    pub(crate) logs: Vec<u8>,
    /// The keys that were read, with their values.
    pub(crate) reads: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The keys that were written, with their new values; `None` for those that were removed.
    pub(crate) journal: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

struct World {
    streams: [Option<Stream>; 3],
    input: Vec<u8>,
    ended: Ended,
    args: Vec<Vec<u8>>,
    environ: Vec<Vec<u8>>,
    context: Vec<u8>,
    timestamp: u64,
    elapsed: u64,
    random: ChaCha,
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
}

type Call<'a> = Caller<'a, World>;
type Answer<T> = Result<T, Error>;

impl World {
    fn new(run: &Run) -> Self {
        let terminated = |text: String| [text.as_bytes(), &[0]].concat();
        let pair = |(name, value): &(String, String)| terminated(format!("{name}={value}"));
        Self {
            streams: [Some(Stream::Input), Some(Stream::Output), Some(Stream::Log)],
            input: run.input.clone(),
            ended: Ended {
                status: String::new(),
                output: Vec::new(),
                logs: Vec::new(),
                reads: BTreeMap::new(),
                journal: BTreeMap::new(),
            },
            args: ["guest".to_owned()]
                .into_iter()
                .chain(run.args.clone())
                .map(terminated)
                .collect(),
            environ: run.context.env().iter().chain(&run.env).map(pair).collect(),
            context: borsh::to_vec(&run.context).unwrap(),
            timestamp: run.context.block_timestamp,
            elapsed: 0,
            random: ChaCha::new(run.context.random_seed.0),
            storage: run.storage.values.clone(),
        }
    }

    fn stream(&self, fd: i32) -> Option<Stream> {
        usize::try_from(fd).ok().and_then(|fd| *self.streams.get(fd)?)
    }

    fn read_clock(&mut self, id: i32) -> Option<u64> {
        let base = match id {
            0 => self.timestamp,
            1..=3 => 0,
            _ => return None,
        };
        let now = base.saturating_add(self.elapsed);
        self.elapsed += 1_000;
        Some(now)
    }

    fn value(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(written) = self.ended.journal.get(key) {
            return written.clone();
        }
        let value = self.storage.get(key).cloned();
        self.ended.reads.insert(key.to_vec(), value.clone());
        value
    }
}

/// Takes fuel from a guest that counts it, for a call and for the bytes that it moves.
fn pay(call: &mut Call<'_>, units: u64) -> Answer<()> {
    let Some(counter) = call.get_export(FUEL_EXPORT).and_then(Extern::into_global) else {
        return Ok(());
    };
    let Val::I64(left) = counter.get(call.as_context_mut()) else { panic!("a counter of 64 bits") };
    let left = left - i64::try_from(units).unwrap();
    counter.set(call.as_context_mut(), Val::I64(left)).unwrap();
    if left < 0 { Err(Error::new("out of fuel")) } else { Ok(()) }
}

fn memory<'a>(call: &'a mut Call<'_>) -> (&'a mut [u8], &'a mut World) {
    let memory = call.get_export("memory").and_then(Extern::into_memory).unwrap();
    memory.data_and_store_mut(call.as_context_mut())
}

fn range(memory: &mut [u8], at: i32, length: usize) -> Answer<&mut [u8]> {
    let at = at.cast_unsigned() as usize;
    memory.get_mut(at..at + length).ok_or(Error::from(TrapCode::MemoryOutOfBounds))
}

fn put(call: &mut Call<'_>, at: i32, bytes: &[u8]) -> Answer<()> {
    range(memory(call).0, at, bytes.len())?.copy_from_slice(bytes);
    Ok(())
}

fn take(call: &mut Call<'_>, at: i32, length: i32) -> Answer<Vec<u8>> {
    Ok(range(memory(call).0, at, length.cast_unsigned() as usize)?.to_vec())
}

fn word(call: &mut Call<'_>, at: i32) -> Answer<i32> {
    Ok(i32::from_le_bytes(take(call, at, 4)?.try_into().unwrap()))
}

fn double(call: &mut Call<'_>, at: i32) -> Answer<u64> {
    Ok(u64::from_le_bytes(take(call, at, 8)?.try_into().unwrap()))
}

/// The buffers of a scattered read or write.
fn buffers(call: &mut Call<'_>, list: i32, count: i32) -> Answer<Vec<(i32, i32)>> {
    (0..count)
        .map(|index| {
            let entry = list.cast_unsigned().checked_add(8 * index.cast_unsigned());
            let entry = entry.ok_or(Error::from(TrapCode::MemoryOutOfBounds))?.cast_signed();
            Ok((word(call, entry)?, word(call, entry.wrapping_add(4))?))
        })
        .collect()
}

/// The answer to a call that no stream supports: `errno`, if there is such a stream.
fn refuse(mut call: Call<'_>, fd: i32, errno: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    Ok(if call.data().stream(fd).is_some() { errno } else { BADF })
}

#[expect(clippy::too_many_arguments)]
fn path_open(
    call: Call<'_>,
    fd: i32,
    _: i32,
    _: i32,
    _: i32,
    _: i32,
    _: i64,
    _: i64,
    _: i32,
    _: i32,
) -> Answer<i32> {
    refuse(call, fd, NOTDIR)
}

fn too_many(count: i32) -> bool {
    count.cast_unsigned() > 1_024
}

fn fd_write(mut call: Call<'_>, fd: i32, list: i32, count: i32, written: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    let log = match call.data().stream(fd) {
        Some(Stream::Output) => false,
        Some(Stream::Log) => true,
        _ => return Ok(BADF),
    };
    if too_many(count) {
        return Ok(INVAL);
    }
    pay(&mut call, 8 * u64::from(count.cast_unsigned()))?;
    let buffers = buffers(&mut call, list, count)?;
    let total: u64 = buffers.iter().map(|buffer| u64::from(buffer.1.cast_unsigned())).sum();
    let Ok(total) = u32::try_from(total) else { return Ok(INVAL) };
    pay(&mut call, total.into())?;
    for (at, length) in buffers {
        let bytes = take(&mut call, at, length)?;
        let ended = &mut call.data_mut().ended;
        if log { &mut ended.logs } else { &mut ended.output }.extend_from_slice(&bytes);
    }
    put(&mut call, written, &total.to_le_bytes())?;
    Ok(0)
}

fn fd_read(mut call: Call<'_>, fd: i32, list: i32, count: i32, read: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    if call.data().stream(fd) != Some(Stream::Input) {
        return Ok(BADF);
    }
    if too_many(count) {
        return Ok(INVAL);
    }
    pay(&mut call, 8 * u64::from(count.cast_unsigned()))?;
    let mut done = 0u32;
    let buffers = buffers(&mut call, list, count)?;
    let room: u64 = buffers.iter().map(|buffer| u64::from(buffer.1.cast_unsigned())).sum();
    let unread = call.data().input.len() as u64;
    pay(&mut call, room.min(unread))?;
    for (at, length) in buffers {
        let (bytes, world) = memory(&mut call);
        let buffer = range(bytes, at, length.cast_unsigned() as usize)?;
        let length = buffer.len().min(world.input.len());
        let rest = world.input.split_off(length);
        buffer[..length].copy_from_slice(&std::mem::replace(&mut world.input, rest));
        done += u32::try_from(length).unwrap();
    }
    put(&mut call, read, &done.to_le_bytes())?;
    Ok(0)
}

fn fd_close(mut call: Call<'_>, fd: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    Ok(match call.data().stream(fd) {
        Some(_) => {
            call.data_mut().streams[fd.cast_unsigned() as usize] = None;
            0
        }
        None => BADF,
    })
}

fn fd_renumber(mut call: Call<'_>, from: i32, to: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    let streams = (call.data().stream(from), call.data().stream(to));
    let (Some(stream), Some(_)) = streams else { return Ok(BADF) };
    let world = call.data_mut();
    world.streams[from.cast_unsigned() as usize] = None;
    world.streams[to.cast_unsigned() as usize] = Some(stream);
    Ok(0)
}

fn fd_fdstat_get(mut call: Call<'_>, fd: i32, at: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    let Some(stream) = call.data().stream(fd) else { return Ok(BADF) };
    let direction = if stream == Stream::Input { 1u64 << 1 } else { 1 << 6 };
    let mut stat = [0; 24];
    stat[8..16].copy_from_slice(&(direction | 1 << 21 | 1 << 27).to_le_bytes());
    put(&mut call, at, &stat)?;
    Ok(0)
}

fn fd_filestat_get(mut call: Call<'_>, fd: i32, at: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    if call.data().stream(fd).is_none() {
        return Ok(BADF);
    }
    put(&mut call, at, &[0; 64])?;
    Ok(0)
}

fn sizes(call: &mut Call<'_>, texts: fn(&World) -> &Vec<Vec<u8>>, at: [i32; 2]) -> Answer<i32> {
    pay(call, fuel::HOST_CALL)?;
    let texts = texts(call.data());
    let found = [texts.len(), texts.iter().map(Vec::len).sum::<usize>()];
    for (at, number) in at.into_iter().zip(found) {
        put(call, at, &u32::try_from(number).unwrap().to_le_bytes())?;
    }
    Ok(0)
}

fn texts(
    call: &mut Call<'_>,
    texts: fn(&World) -> &Vec<Vec<u8>>,
    [mut pointer, mut at]: [i32; 2],
) -> Answer<i32> {
    let texts = texts(call.data()).clone();
    let bytes: usize = texts.iter().map(|text| 4 + text.len()).sum();
    pay(call, fuel::HOST_CALL + bytes as u64)?;
    for text in texts {
        put(call, pointer, &at.to_le_bytes())?;
        put(call, at, &text)?;
        pointer += 4;
        at += i32::try_from(text.len()).unwrap();
    }
    Ok(0)
}

fn clock_time_get(mut call: Call<'_>, id: i32, _precision: i64, at: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    let Some(now) = call.data_mut().read_clock(id) else { return Ok(INVAL) };
    put(&mut call, at, &now.to_le_bytes())?;
    Ok(0)
}

fn clock_res_get(mut call: Call<'_>, id: i32, at: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    if !(0..4).contains(&id) {
        return Ok(INVAL);
    }
    put(&mut call, at, &1_000u64.to_le_bytes())?;
    Ok(0)
}

fn random(mut call: Call<'_>, at: i32, length: i32) -> Answer<()> {
    pay(&mut call, fuel::HOST_CALL + u64::from(length.cast_unsigned()))?;
    let (bytes, world) = memory(&mut call);
    let buffer = range(bytes, at, length.cast_unsigned() as usize)?;
    buffer.iter_mut().for_each(|byte| *byte = world.random.next());
    Ok(())
}

fn poll_oneoff(mut call: Call<'_>, list: i32, events: i32, count: i32, ready: i32) -> Answer<i32> {
    pay(&mut call, fuel::HOST_CALL)?;
    if count == 0 {
        return Ok(INVAL);
    }
    pay(&mut call, (48 + 32) * u64::from(count.cast_unsigned()))?;
    // For each subscription: the time that it waits for, if any, and the rest of its event.
    let mut waits = Vec::new();
    for index in 0..count {
        let at = list + 48 * index;
        let (userdata, kind) = (double(&mut call, at)?, take(&mut call, at + 8, 1)?[0]);
        let (subject, timeout) = (word(&mut call, at + 16)?, double(&mut call, at + 24)?);
        let flags = word(&mut call, at + 40)? & 0xffff;
        let world = call.data();
        let (mut until, mut errno, mut bytes, mut hangup) = (None, 0u16, 0u64, 0u16);
        match kind {
            0 if !(0..4).contains(&subject) || flags > 1 => errno = 28,
            0 if flags == 0 => until = Some(world.elapsed.saturating_add(timeout)),
            0 if subject == 0 => until = Some(timeout.saturating_sub(world.timestamp)),
            0 => until = Some(timeout),
            1 if world.stream(subject) == Some(Stream::Input) => {
                bytes = world.input.len() as u64;
                hangup = u16::from(bytes == 0);
            }
            2 if matches!(world.stream(subject), Some(Stream::Output | Stream::Log)) => {}
            1 | 2 => errno = 8,
            _ => errno = 28,
        }
        let mut event = [0; 32];
        event[..8].copy_from_slice(&userdata.to_le_bytes());
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = kind;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        event[24..26].copy_from_slice(&hangup.to_le_bytes());
        waits.push((until, event));
    }
    let world = call.data_mut();
    let earliest = waits.iter().map(|wait| wait.0.unwrap_or(0)).min().unwrap();
    world.elapsed = world.elapsed.max(earliest);
    let now = world.elapsed;
    let mut reported = 0;
    for (_, event) in waits.iter().filter(|wait| wait.0.unwrap_or(0) <= now) {
        put(&mut call, events + 32 * reported, event)?;
        reported += 1;
    }
    put(&mut call, ready, &reported.to_le_bytes())?;
    Ok(0)
}

/// Pays for a storage function and for its key, and reads the key.
fn storage_key(call: &mut Call<'_>, key: i32, length: i32) -> Answer<Vec<u8>> {
    let bytes = u64::from(length.cast_unsigned());
    pay(call, fuel::HOST_CALL + fuel::STORAGE_CALL + bytes)?;
    take(call, key, length)
}

/// The value of a key. The first time, it has to be fetched, which costs.
fn value(call: &mut Call<'_>, key: &[u8]) -> Answer<Option<Vec<u8>>> {
    let ended = &call.data().ended;
    let is_known = ended.journal.contains_key(key) || ended.reads.contains_key(key);
    if !is_known {
        pay(call, fuel::STORAGE_FETCH)?;
    }
    let value = call.data_mut().value(key);
    if !is_known {
        let bytes = value.as_ref().map_or(0, Vec::len) as u64;
        pay(call, fuel::STORAGE_FETCH_BYTE * bytes)?;
    }
    Ok(value)
}

fn storage_read(mut call: Call<'_>, key: i32, length: i32, at: i32, room: i32) -> Answer<i64> {
    let key = storage_key(&mut call, key, length)?;
    let Some(value) = value(&mut call, &key)? else { return Ok(-1) };
    let fits = value.len().min(room.cast_unsigned() as usize);
    pay(&mut call, fits as u64)?;
    put(&mut call, at, &value[..fits])?;
    Ok(i64::try_from(value.len()).unwrap())
}

fn storage_write(mut call: Call<'_>, key: i32, length: i32, at: i32, bytes: i32) -> Answer<()> {
    let key = storage_key(&mut call, key, length)?;
    pay(&mut call, u64::from(bytes.cast_unsigned()))?;
    let value = take(&mut call, at, bytes)?;
    call.data_mut().ended.journal.insert(key, Some(value));
    Ok(())
}

fn storage_remove(mut call: Call<'_>, key: i32, length: i32) -> Answer<i32> {
    let key = storage_key(&mut call, key, length)?;
    let found = value(&mut call, &key)?.is_some();
    call.data_mut().ended.journal.insert(key, None);
    Ok(found.into())
}

fn context_read(mut call: Call<'_>, at: i32, room: i32) -> Answer<i32> {
    let context = call.data().context.clone();
    let fits = context.len().min(room.cast_unsigned() as usize);
    pay(&mut call, fuel::HOST_CALL + fits as u64)?;
    put(&mut call, at, &context[..fits])?;
    Ok(i32::try_from(context.len()).unwrap())
}

fn log(mut call: Call<'_>, at: i32, length: i32) -> Answer<()> {
    pay(&mut call, fuel::HOST_CALL + u64::from(length.cast_unsigned()))?;
    let line = take(&mut call, at, length)?;
    call.data_mut().ended.logs.extend(line.iter().chain(b"\n"));
    Ok(())
}

fn linker(engine: &Engine) -> Result<Linker<World>, Error> {
    const WASI: &str = "wasi_snapshot_preview1";
    let args: fn(&World) -> &Vec<Vec<u8>> = |world| &world.args;
    let environ: fn(&World) -> &Vec<Vec<u8>> = |world| &world.environ;
    let mut linker = Linker::new(engine);
    linker
        .func_wrap(WASI, "fd_write", fd_write)?
        .func_wrap(WASI, "fd_read", fd_read)?
        .func_wrap(WASI, "fd_close", fd_close)?
        .func_wrap(WASI, "fd_renumber", fd_renumber)?
        .func_wrap(WASI, "fd_fdstat_get", fd_fdstat_get)?
        .func_wrap(WASI, "fd_filestat_get", fd_filestat_get)?
        .func_wrap(WASI, "fd_prestat_get", |call: Call<'_>, fd: i32, _: i32| {
            refuse(call, fd, BADF)
        })?
        .func_wrap(WASI, "fd_prestat_dir_name", |call: Call<'_>, fd: i32, _: i32, _: i32| {
            refuse(call, fd, BADF)
        })?
        .func_wrap(WASI, "fd_seek", |call: Call<'_>, fd: i32, _: i64, _: i32, _: i32| {
            refuse(call, fd, SPIPE)
        })?
        .func_wrap(
            WASI,
            "fd_readdir",
            |call: Call<'_>, fd: i32, _: i32, _: i32, _: i64, _: i32| refuse(call, fd, NOTDIR),
        )?
        .func_wrap(WASI, "path_open", path_open)?
        .func_wrap(WASI, "path_unlink_file", |call: Call<'_>, fd: i32, _: i32, _: i32| {
            refuse(call, fd, NOTDIR)
        })?
        .func_wrap(WASI, "sock_shutdown", |call: Call<'_>, fd: i32, _: i32| {
            refuse(call, fd, NOTSOCK)
        })?
        .func_wrap(WASI, "args_sizes_get", move |mut call: Call<'_>, a: i32, b: i32| {
            sizes(&mut call, args, [a, b])
        })?
        .func_wrap(WASI, "args_get", move |mut call: Call<'_>, a: i32, b: i32| {
            texts(&mut call, args, [a, b])
        })?
        .func_wrap(WASI, "environ_sizes_get", move |mut call: Call<'_>, a: i32, b: i32| {
            sizes(&mut call, environ, [a, b])
        })?
        .func_wrap(WASI, "environ_get", move |mut call: Call<'_>, a: i32, b: i32| {
            texts(&mut call, environ, [a, b])
        })?
        .func_wrap(WASI, "clock_time_get", clock_time_get)?
        .func_wrap(WASI, "clock_res_get", clock_res_get)?
        .func_wrap(WASI, "random_get", |call: Call<'_>, at: i32, length: i32| {
            random(call, at, length).map(|()| 0)
        })?
        .func_wrap(WASI, "poll_oneoff", poll_oneoff)?
        .func_wrap(WASI, "proc_exit", |mut call: Call<'_>, code: i32| {
            pay(&mut call, fuel::HOST_CALL)?;
            Err::<(), _>(Error::i32_exit(code))
        })?
        .func_wrap(WASI, "sched_yield", |mut call: Call<'_>| -> Answer<i32> {
            pay(&mut call, fuel::HOST_CALL)?;
            Ok(0)
        })?
        .func_wrap("outlayer", "storage_read", storage_read)?
        .func_wrap("outlayer", "storage_write", storage_write)?
        .func_wrap("outlayer", "storage_remove", storage_remove)?
        .func_wrap("outlayer", "context_read", context_read)?
        .func_wrap("outlayer", "log", log)?
        .func_wrap("outlayer", "random_fill", random)?;
    Ok(linker)
}

/// The executor's words for a trap.
fn trap(code: TrapCode) -> &'static str {
    match code {
        TrapCode::UnreachableCodeReached => "unreachable",
        TrapCode::MemoryOutOfBounds => "memory out of bounds",
        TrapCode::TableOutOfBounds => "table out of bounds",
        TrapCode::IndirectCallToNull => "indirect call to null",
        TrapCode::BadSignature => "indirect call type mismatch",
        TrapCode::IntegerOverflow => "integer overflow",
        TrapCode::IntegerDivisionByZero => "integer division by zero",
        TrapCode::BadConversionToInteger => "invalid conversion to integer",
        _ => "another trap",
    }
}

/// Runs a guest as it is, without a meter. `None` when it recurses deeper than the interpreter can.
pub(crate) fn run(run: &Run) -> Option<Ended> {
    execute(run, &run.code, None).map(|(ended, _)| ended)
}

/// Runs a guest that counts its fuel and its stack itself, and says how much it has used of
/// `limit`. `None` when it recurses deeper than the interpreter can.
pub(crate) fn metered(run: &Run, limit: i64) -> Option<(Ended, u64)> {
    execute(run, &prepare::core_module(&run.code).unwrap(), Some(limit))
}

/// As [`metered`], for a guest that has been instrumented in another way.
pub(crate) fn counted(run: &Run, code: &[u8], limit: i64) -> Option<(Ended, u64)> {
    execute(run, code, Some(limit))
}

fn execute(run: &Run, code: &[u8], limit: Option<i64>) -> Option<(Ended, u64)> {
    let mut config = Config::default();
    config.set_max_recursion_depth(100_000).set_max_stack_height(64 << 20);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, code).unwrap();
    let mut store = Store::new(&engine, World::new(run));
    let instance = linker(&engine).unwrap().instantiate_and_start(&mut store, &module);
    let counters = match (&instance, limit) {
        (Ok(instance), Some(limit)) => {
            let global = |name| instance.get_global(&store, name).unwrap();
            let (fuel, stack) = (global(FUEL_EXPORT), global(STACK_EXPORT));
            fuel.set(&mut store, Val::I64(limit)).unwrap();
            Some((fuel, stack))
        }
        _ => None,
    };
    let ended = instance.and_then(|instance| {
        for export in [START_EXPORT, "_start"] {
            if let Ok(function) = instance.get_typed_func::<(), ()>(&store, export) {
                function.call(&mut store, ())?;
            }
        }
        Ok(())
    });
    let number = |global: Global| match global.get(&store) {
        Val::I64(number) => number,
        other => panic!("{other:?}"),
    };
    let (left, stack) = counters.map_or((0, 0), |(fuel, stack)| (number(fuel), number(stack)));
    let status = match ended {
        _ if left < 0 => "out_of_fuel".to_owned(),
        Ok(()) => "completed".to_owned(),
        Err(error) => match (error.i32_exit_status(), error.as_trap_code()) {
            (Some(0), _) => "completed".to_owned(),
            (Some(code), _) => format!("exited: {code}"),
            (_, Some(TrapCode::StackOverflow)) => return None,
            (_, Some(TrapCode::UnreachableCodeReached)) if stack == -1 => {
                "stack_overflow".to_owned()
            }
            (_, Some(code)) => format!("trapped: {}", trap(code)),
            (None, None) => panic!("{error}"),
        },
    };
    // What could not be instantiated has used nothing.
    let given = if counters.is_some() { limit.unwrap_or_default() } else { 0 };
    let used = given.abs_diff(left.max(0));
    let mut ended = store.into_data().ended;
    // The executor gives neither for a guest that did not complete.
    if status != "completed" {
        ended.output.clear();
        ended.journal.clear();
    }
    Some((Ended { status, ..ended }, used))
}
