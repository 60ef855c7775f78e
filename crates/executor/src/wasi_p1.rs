//! Links WASI's previews 1 and 0, whose rules are [`outlayer_guest::preview1`] and
//! [`outlayer_guest::preview0`].

use outlayer_guest::{preview0, preview1};
use wasmtime::{Linker, Result};

use crate::{call::functions, state::State};

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    outlayer_guest::preview1_functions!(functions linker,);
    outlayer_guest::preview0_functions!(functions linker,);
    Ok(())
}
