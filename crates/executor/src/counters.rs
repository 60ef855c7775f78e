//! What the modules of a component have counted.
//!
//! They count in an instance inside of the component, and wasmtime hands out no such instances. A
//! component that has returned is asked through a function that it exports. One that has ended
//! otherwise cannot be called any more. But a core dump names all instances, so one is made on
//! purpose, by a module whose start function fails.

use outlayer_guest::prepare::meter::{FUEL_EXPORT, STACK_EXPORT};
use wasmtime::{
    Engine, Error, Instance, InstancePre, Linker, Module, Result, Store, Val, WasmCoreDump,
};

use crate::state::State;

/// A module that starts with a function that calls the function it imports, which fails.
const FAILING: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01h\x01f\0\0\x03\x02\x01\0\x08\x01\x01\
    \x0a\x06\x01\x04\0\x10\0\x0b";

/// What is left in the counters of a component.
pub(crate) struct Left {
    /// Fuel. Below zero, the modules wanted more than there was.
    pub(crate) fuel: i64,
    /// Bytes of the stack; -1 after an overflow.
    pub(crate) stack: i64,
}

/// Reads the counters of components that have not returned.
pub(crate) struct Reader(InstancePre<State>);

impl Reader {
    /// For stores of this engine, which makes core dumps.
    ///
    /// # Errors
    /// When wasmtime does not compile a few bytes.
    pub(crate) fn new(engine: &Engine) -> Result<Self> {
        let mut linker = Linker::new(engine);
        linker.func_wrap("h", "f", || -> Result<()> { Err(Error::msg("made to fail")) })?;
        Ok(Self(linker.instantiate_pre(&Module::new(engine, FAILING)?)?))
    }

    /// What is left in this store, whose guest has ended with an error. `None` when it has not come
    /// to its counters.
    ///
    /// # Errors
    /// When wasmtime makes no core dump.
    pub(crate) async fn read(&self, store: &mut Store<State>) -> Result<Option<Left>> {
        store.data_mut().reads_counters = true;
        // wasmtime asks how many instances there may be when it is given a limiter.
        store.limiter(|state| state);
        let error = match self.0.instantiate_async(&mut *store).await {
            Ok(_) => Error::msg("a function that fails has not failed"),
            Err(error) => error,
        };
        let Some(dump) = error.downcast_ref::<WasmCoreDump>() else {
            return Err(error.context("a failure without a core dump"));
        };
        for instance in dump.instances() {
            if let Some(fuel) = counter(store, *instance, FUEL_EXPORT) {
                let stack = counter(store, *instance, STACK_EXPORT).unwrap_or_default();
                return Ok(Some(Left { fuel, stack }));
            }
        }
        Ok(None)
    }
}

fn counter(store: &mut Store<State>, instance: Instance, export: &str) -> Option<i64> {
    match instance.get_global(&mut *store, export)?.get(&mut *store) {
        Val::I64(left) => Some(left),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_what_its_text_says() {
        let text = r#"(module (import "h" "f" (func)) (func call 0) (start 1))"#;
        assert_eq!(wat::parse_str(text).unwrap(), FAILING);
    }
}
