//! What each function of a guest paid.

use outlayer_guest::prepare::meter::paid_export;
use outlayer_protocol::{GuestKind, Meter, Status};
use wasmtime::{Instance, Store, Val};

use crate::state::State;

/// What the fuel of an execution was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The functions that paid anything, those that paid most first. A function pays for its own
    /// operators, and not for those of the functions that it calls.
    pub functions: Vec<FunctionFuel>,
    /// What host functions and pages of memory cost, units of fuel.
    pub host: u64,
}

/// What one function paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionFuel {
    /// Its name, from the module's `name` section, or `function N`.
    pub function: String,
    /// Units of fuel.
    pub fuel: u64,
}

/// Why a guest has no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProfile {
    /// Only core modules count their fuel by function.
    #[error(
        "a {0} guest under {1} has no profile: \
         it is core modules (wasi-p1) under fuel that count by function"
    )]
    Kind(GuestKind, Meter),
    /// The guest does not run at all.
    #[error("the guest is not run: {0:?}")]
    Rejected(Status),
}

/// What the functions of an instance have paid.
pub(crate) fn paid(
    store: &mut Store<State>,
    instance: Instance,
    functions: Vec<String>,
) -> Vec<FunctionFuel> {
    let mut paid = Vec::new();
    for (index, function) in functions.into_iter().enumerate() {
        let global = instance.get_global(&mut *store, &paid_export(index));
        if let Some(Val::I64(fuel @ 1..)) = global.map(|global| global.get(&mut *store)) {
            paid.push(FunctionFuel { function, fuel: fuel.unsigned_abs() });
        }
    }
    paid.sort_by(|a, b| b.fuel.cmp(&a.fuel).then_with(|| a.function.cmp(&b.function)));
    paid
}
