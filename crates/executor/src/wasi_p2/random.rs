//! `wasi:random`: the one random stream, by three names.

use outlayer_guest::{HostCall, Stop, Work, verdict::reason::TOO_MANY_RANDOM_BYTES};
use wasmtime::{Result, component::Linker};

use super::resources::{Store, interface};
use crate::{call::ComponentCall, state::State};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    for (name, bytes, word) in [
        ("random/random", "get-random-bytes", "get-random-u64"),
        ("random/insecure", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ] {
        let mut random = interface(linker, name)?;
        random.func_wrap(bytes, |store: Store<'_>, (length,): (u64,)| {
            let mut call = ComponentCall(store);
            call.enter()?;
            call.charge(Work::Random(length))?;
            // The bytes have to fit into the guest's memory.
            call.host().bounds.admit(length)?;
            Ok((draw(&mut call, length)?,))
        })?;
        random.func_wrap(word, |store: Store<'_>, (): ()| {
            let mut call = ComponentCall(store);
            call.enter()?;
            call.charge(Work::Random(8))?;
            Ok((draw_word(&mut call),))
        })?;
    }
    interface(linker, "random/insecure-seed")?.func_wrap(
        "insecure-seed",
        |store: Store<'_>, (): ()| {
            let mut call = ComponentCall(store);
            call.enter()?;
            call.charge(Work::Random(16))?;
            let low = draw_word(&mut call);
            Ok(((low, draw_word(&mut call)),))
        },
    )?;
    Ok(())
}

fn draw(call: &mut ComponentCall<'_>, length: u64) -> Result<Vec<u8>, Stop> {
    let length = usize::try_from(length).map_err(|_| Stop::Trap(TOO_MANY_RANDOM_BYTES))?;
    let mut bytes = vec![0; length];
    call.host().random.fill(&mut bytes);
    Ok(bytes)
}

fn draw_word(call: &mut ComponentCall<'_>) -> u64 {
    let mut bytes = [0; 8];
    call.host().random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
