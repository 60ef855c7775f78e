//! As much of WASI preview 1 as the programs need, for a wasmtime without an executor.

use wasmtime::{Caller, Engine, Extern, ExternType, Linker, Memory, Module, Result, Val};

/// What one run has read and written.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) input: Vec<u8>,
    read: usize,
    pub(crate) output: Vec<u8>,
}

impl Files {
    pub(crate) fn new(input: &[u8]) -> Self {
        Self { input: input.to_vec(), ..Self::default() }
    }
}

const NO_SUCH_DESCRIPTOR: i32 = 8;

/// A linker with every function that `module` imports.
pub(crate) fn linker(engine: &Engine, module: &Module) -> Linker<Files> {
    let mut linker = Linker::new(engine);
    // Some modules import a function twice.
    linker.allow_shadowing(true);
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else { panic!("{import:?}") };
        let name = import.name().to_owned();
        let answer = move |caller: Caller<'_, Files>, given: &[Val], results: &mut [Val]| {
            let numbers: Vec<usize> = given.iter().map(number).collect();
            let errno = call(caller, &name, &numbers)?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(errno);
            }
            Ok(())
        };
        linker.func_new(import.module(), import.name(), ty, answer).unwrap();
    }
    linker
}

fn number(value: &Val) -> usize {
    match value {
        Val::I32(number) => number.cast_unsigned() as usize,
        Val::I64(number) => usize::try_from(number.cast_unsigned()).unwrap(),
        _ => panic!("{value:?}"),
    }
}

fn call(mut caller: Caller<'_, Files>, name: &str, given: &[usize]) -> Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { panic!("no memory") };
    match (name, given) {
        ("fd_write", &[_, list, count, written]) => {
            let buffers = buffers(&memory, &caller, list, count);
            let bytes: Vec<u8> = buffers
                .iter()
                .flat_map(|range| memory.data(&caller)[range.clone()].to_vec())
                .collect();
            put(&memory, &mut caller, written, bytes.len());
            caller.data_mut().output.extend(bytes);
        }
        ("fd_read", &[_, list, count, read]) => {
            let mut sum = 0;
            for range in buffers(&memory, &caller, list, count) {
                let (data, files) = memory.data_and_store_mut(&mut caller);
                let left = &files.input[files.read..];
                let bytes = left.len().min(range.len());
                data[range.start..range.start + bytes].copy_from_slice(&left[..bytes]);
                files.read += bytes;
                sum += bytes;
            }
            put(&memory, &mut caller, read, sum);
        }
        ("args_sizes_get" | "environ_sizes_get", &[count, bytes]) => {
            put(&memory, &mut caller, count, 0);
            put(&memory, &mut caller, bytes, 0);
        }
        ("clock_time_get", &[_, _, time]) => {
            memory.data_mut(&mut caller)[time..time + 8].fill(1);
        }
        ("fd_fdstat_get", &[_, stat]) => memory.data_mut(&mut caller)[stat..stat + 24].fill(0),
        ("random_get", &[start, bytes]) => {
            memory.data_mut(&mut caller)[start..start + bytes].fill(7);
        }
        ("fd_prestat_get", _) => return Ok(NO_SUCH_DESCRIPTOR),
        ("proc_exit", &[code]) => wasmtime::bail!("exit {code}"),
        ("finite_wasm_gas_exhausted" | "finite_wasm_stack_exhausted" | "finite_wasm_gas", _) => {
            wasmtime::bail!("{name}")
        }
        _ => {}
    }
    Ok(0)
}

fn buffers(
    memory: &Memory,
    caller: &Caller<'_, Files>,
    list: usize,
    count: usize,
) -> Vec<std::ops::Range<usize>> {
    let data = memory.data(caller);
    let word = |at: usize| {
        usize::try_from(u32::from_le_bytes(data[at..at + 4].try_into().unwrap())).unwrap()
    };
    (0..count)
        .map(|index| word(list + index * 8)..word(list + index * 8) + word(list + index * 8 + 4))
        .collect()
}

fn put(memory: &Memory, caller: &mut Caller<'_, Files>, at: usize, value: usize) {
    let word = u32::try_from(value).unwrap().to_le_bytes();
    memory.data_mut(caller)[at..at + 4].copy_from_slice(&word);
}
