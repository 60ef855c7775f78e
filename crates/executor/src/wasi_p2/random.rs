//! `wasi:random`: the one random stream, by three names.

use wasmtime::{Result, component::Linker};

use super::{Store, interface, state};
use crate::{
    host::{State, Work, charge, enter},
    verdict::Stop,
};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    for (name, bytes, word) in [
        ("random/random", "get-random-bytes", "get-random-u64"),
        ("random/insecure", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ] {
        let mut random = interface(linker, name)?;
        random.func_wrap(bytes, |mut store: Store<'_>, (length,): (u64,)| {
            enter(&mut store)?;
            charge(&mut store, Work::Random(length))?;
            // They are to lie in the guest's memory.
            state(&mut store).bounds.admit(length)?;
            Ok((draw(&mut store, length)?,))
        })?;
        random.func_wrap(word, |mut store: Store<'_>, (): ()| {
            enter(&mut store)?;
            charge(&mut store, Work::Random(8))?;
            Ok((draw_word(&mut store),))
        })?;
    }
    interface(linker, "random/insecure-seed")?.func_wrap(
        "insecure-seed",
        |mut store: Store<'_>, (): ()| {
            enter(&mut store)?;
            charge(&mut store, Work::Random(16))?;
            let low = draw_word(&mut store);
            Ok(((low, draw_word(&mut store)),))
        },
    )?;
    Ok(())
}

fn draw(store: &mut Store<'_>, length: u64) -> Result<Vec<u8>, Stop> {
    let length = usize::try_from(length)
        .map_err(|_| Stop::Trap("more random bytes than can be addressed"))?;
    let mut bytes = vec![0; length];
    state(store).random.fill(&mut bytes);
    Ok(bytes)
}

fn draw_word(store: &mut Store<'_>) -> u64 {
    let mut bytes = [0; 8];
    state(store).random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
