//! What JavaScript calls. There is one execution at a time.
//!
//! 1. `task` makes room for a [`Task`], which JavaScript writes there, and `begin` reads it. Where
//!    that answers 1, there is a module to be run, in the output; else the output is the answer.
//! 2. For each call of the guest, JavaScript copies the guest's memory to where `guest_memory` says
//!    and its arguments to `arguments`, and calls `call`, which answers 1 when the guest goes on.
//!    Then `fuel` and `result` say what is left and what the call gave.
//! 3. `text` makes room for what the engine says of the guest's end, and `end` leaves the answer in
//!    the output.

use std::cell::RefCell;

use borsh::BorshDeserialize;
use wasmparser::ValType;

use crate::{
    ended::{Counters, How},
    running::{Begun, Running, begin as begin_task},
    wire::{Answer, Task},
};

/// No import has as many parameters.
const MOST_ARGUMENTS: usize = 16;

#[derive(Default)]
struct State {
    input: Vec<u8>,
    output: Vec<u8>,
    arguments: [u64; MOST_ARGUMENTS],
    running: Option<Box<Running>>,
    result: u64,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<T>(answer: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(answer)
}

impl State {
    fn room(&mut self, bytes: usize) -> *mut u8 {
        self.input.clear();
        self.input.resize(bytes, 0);
        self.input.as_mut_ptr()
    }

    fn answer(&mut self, answer: &Answer) {
        self.output = borsh::to_vec(answer).unwrap_or_default();
    }

    fn begin(&mut self) -> bool {
        self.running = None;
        let begun = match Task::try_from_slice(&self.input) {
            Ok(task) => begin_task(task),
            Err(error) => Begun::Ended(Answer::CannotDecide(format!("no task: {error}"))),
        };
        match begun {
            Begun::Run(running, module) => {
                self.running = Some(running);
                self.output = module;
                true
            }
            Begun::Ended(answer) => {
                self.answer(&answer);
                false
            }
        }
    }

    fn call(&mut self, import: usize, fuel: i64) -> bool {
        let Some(running) = &mut self.running else { return false };
        running.fuel = fuel;
        match running.call(import, &self.arguments) {
            Some(result) => {
                self.result = result;
                true
            }
            None => false,
        }
    }

    fn end(&mut self, how: How, counters: Counters) {
        let Some(running) = self.running.take() else { return };
        let text = String::from_utf8_lossy(&self.input).into_owned();
        let answer = running.end(how, &text, counters);
        self.answer(&answer);
    }
}

/// Room for a task of this many bytes.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn task(bytes: usize) -> *mut u8 {
    with(|state| state.room(bytes))
}

/// Begins with the task. 1 when there is a module to be run.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn begin() -> u32 {
    with(|state| state.begin().into())
}

/// Where the output lies.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn output() -> *const u8 {
    with(|state| state.output.as_ptr())
}

/// How many bytes the output has.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn output_bytes() -> usize {
    with(|state| state.output.len())
}

/// What the guest is given to count down.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn supply() -> i64 {
    with(|state| state.running.as_ref().map_or(0, |running| running.supply))
}

/// The bits of the result of an import: 32, 64, or 0 for none.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn result_bits(import: usize) -> u32 {
    with(|state| {
        let function = state.running.as_ref().and_then(|running| running.imports.get(import));
        match function.and_then(|function| function.result) {
            Some(ValType::I64) => 64,
            Some(_) => 32,
            None => 0,
        }
    })
}

/// Where the guest's memory of this many bytes is to be copied.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn guest_memory(bytes: usize) -> *mut u8 {
    with(|state| match &mut state.running {
        Some(running) => {
            running.memory.resize(bytes, 0);
            running.memory.as_mut_ptr()
        }
        None => std::ptr::null_mut(),
    })
}

/// Where the arguments of a call lie, each in 64 bits.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn arguments() -> *mut u64 {
    with(|state| state.arguments.as_mut_ptr())
}

/// Answers a call of the import with this number. 1 when the guest goes on.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn call(import: usize, fuel: i64) -> u32 {
    with(|state| state.call(import, fuel).into())
}

/// What is left of the fuel after a call.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn fuel() -> i64 {
    with(|state| state.running.as_ref().map_or(-1, |running| running.fuel))
}

/// What a call gave.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn result() -> u64 {
    with(|state| state.result)
}

/// Room for a text of this many bytes.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn text(bytes: usize) -> *mut u8 {
    with(|state| state.room(bytes))
}

/// Leaves in the output that there is no verdict, because of the text.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn cannot_decide() {
    with(|state| {
        let why = String::from_utf8_lossy(&state.input).into_owned();
        state.answer(&Answer::CannotDecide(why));
    });
}

/// The guest has returned (0), was stopped by the host (1), trapped (2), or ended otherwise.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn end(how: u32, fuel: i64, stack: i64, why: i64) {
    let how = match how {
        0 => How::Returned,
        1 => How::Stopped,
        2 => How::Trapped,
        _ => How::Otherwise,
    };
    with(|state| state.end(how, Counters { fuel, stack, why }));
}
