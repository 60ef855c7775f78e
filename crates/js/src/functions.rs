//! The functions that a guest may import.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use outlayer_guest::{Fault, Stop, outlayer::module, preview0, preview1};
use wasmparser::ValType;

use crate::call::Call;

/// A function of the host, with its signature in WebAssembly.
pub(crate) struct Function {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [ValType],
    pub(crate) result: Option<ValType>,
    /// Takes the arguments, each in the low bits of a word.
    pub(crate) answer: fn(&mut Call<'_>, &[u64]) -> Result<u64, Stop>,
}

/// The function that an import names.
pub(crate) fn find(module: &str, name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .flat_map(|functions| functions.iter())
        .find(|function| (function.module, function.name) == (module, name))
}

const FUNCTIONS: [&[Function]; 4] = [
    outlayer_guest::preview1_functions!(functions),
    outlayer_guest::preview0_functions!(functions),
    outlayer_guest::module_functions!(functions),
    WAITING,
];

/// Those that may have to wait. Here they do not.
const WAITING: &[Function] = &[
    Function {
        module: module::MODULE,
        name: "storage_read",
        parameters: &[ValType::I32; 4],
        result: Some(ValType::I64),
        answer: |call, arguments| {
            let argument = |at| u32::argument(arguments, at);
            let (key, length, buffer, capacity) =
                (argument(0), argument(1), argument(2), argument(3));
            Ok(at_once(module::storage_read(call, key, length, buffer, capacity))??.word())
        },
    },
    Function {
        module: module::MODULE,
        name: "storage_remove",
        parameters: &[ValType::I32; 2],
        result: Some(ValType::I32),
        answer: |call, arguments| {
            let (key, length) = (u32::argument(arguments, 0), u32::argument(arguments, 1));
            Ok(at_once(module::storage_remove(call, key, length))??.word())
        },
    },
    Function {
        module: module::MODULE,
        name: "http_fetch",
        parameters: &[ValType::I32; 2],
        result: Some(ValType::I64),
        answer: |call, arguments| {
            let (request, length) = (u32::argument(arguments, 0), u32::argument(arguments, 1));
            Ok(at_once(module::http_fetch(call, request, length))??.word())
        },
    },
];

/// What a future gives that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Stop> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(Fault::engine("a snapshot in memory had to be waited for").into()),
    }
}

/// Makes a [`Function`] of each function of an import module.
macro_rules! functions {
    ($rules:ident:
        $($name:ident($($parameter:tt: $ty:ty),*) -> $result:ty => ($($argument:ident),*);)*
    ) => {
        &[$(Function {
            module: $rules::MODULE,
            name: stringify!($name),
            parameters: &[$(<$ty as Word>::TYPE),*],
            result: <$result as Output>::TYPE,
            #[allow(unused_variables, unused_assignments, unused_mut)]
            answer: |call, arguments| {
                let mut at = 0;
                $(
                    let $parameter = <$ty as Word>::argument(arguments, at);
                    at += 1;
                )*
                Ok($rules::$name(call, $($argument),*)?.word())
            },
        }),*]
    };
}
use functions;

/// A type of arguments.
trait Word {
    const TYPE: ValType;

    fn argument(arguments: &[u64], at: usize) -> Self;
}

impl Word for u32 {
    const TYPE: ValType = ValType::I32;

    fn argument(arguments: &[u64], at: usize) -> Self {
        let [a, b, c, d, ..] = u64::argument(arguments, at).to_le_bytes();
        Self::from_le_bytes([a, b, c, d])
    }
}

impl Word for u64 {
    const TYPE: ValType = ValType::I64;

    fn argument(arguments: &[u64], at: usize) -> Self {
        arguments.get(at).copied().unwrap_or_default()
    }
}

/// A type of results.
trait Output {
    const TYPE: Option<ValType>;

    fn word(self) -> u64;
}

impl Output for () {
    const TYPE: Option<ValType> = None;

    fn word(self) -> u64 {
        0
    }
}

impl Output for u32 {
    const TYPE: Option<ValType> = Some(ValType::I32);

    fn word(self) -> u64 {
        self.into()
    }
}

impl Output for i64 {
    const TYPE: Option<ValType> = Some(ValType::I64);

    fn word(self) -> u64 {
        self.cast_unsigned()
    }
}
