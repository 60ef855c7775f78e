//! Links WASI preview 1, whose rules are [`outlayer_guest::preview1`].

use outlayer_guest::preview1;
use wasmtime::{Linker, Result};

use crate::{call::functions, state::State};

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    outlayer_guest::preview1_functions!(functions linker,);
    Ok(())
}
