//! `wasi:cli`: arguments, environment, exit, the standard streams, no terminals.

use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};

use super::{
    Store, handle, interface, state,
    streams::{Input, Output},
    table,
};
use crate::{
    host::{State, Work, charge, enter},
    verdict::Stop,
};

/// A terminal, of which there are none.
enum Terminal {}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut environment = interface(linker, "cli/environment")?;
    environment.func_wrap("get-environment", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        let variables = state(&mut store).p2.environment.clone();
        let bytes = variables.iter().map(|(name, value)| name.len() + value.len());
        charge(&mut store, Work::Write(bytes.sum::<usize>() as u64))?;
        Ok((variables,))
    })?;
    environment.func_wrap("get-arguments", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        let args = state(&mut store).p2.args.clone();
        let bytes = args.iter().map(String::len).sum::<usize>();
        charge(&mut store, Work::Write(bytes as u64))?;
        Ok((args,))
    })?;
    environment.func_wrap("initial-cwd", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        Ok((None::<String>,))
    })?;

    let mut exit = interface(linker, "cli/exit")?;
    exit.func_wrap("exit", |mut store: Store<'_>, (status,): (Result<(), ()>,)| -> Result<()> {
        enter(&mut store)?;
        Err(Stop::Exit(u32::from(status.is_err())).into())
    })?;
    exit.func_wrap("exit-with-code", |mut store: Store<'_>, (code,): (u8,)| -> Result<()> {
        enter(&mut store)?;
        Err(Stop::Exit(code.into()).into())
    })?;

    interface(linker, "cli/stdin")?.func_wrap("get-stdin", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        Ok((table(&mut store).push(Input).map_err(handle)?,))
    })?;
    for (name, function, stream) in
        [("cli/stdout", "get-stdout", Output::Output), ("cli/stderr", "get-stderr", Output::Log)]
    {
        interface(linker, name)?.func_wrap(function, move |mut store: Store<'_>, (): ()| {
            enter(&mut store)?;
            Ok((table(&mut store).push(stream).map_err(handle)?,))
        })?;
    }

    for name in ["terminal-input", "terminal-output"] {
        interface(linker, &format!("cli/{name}"))?.resource(
            name,
            ResourceType::host::<Terminal>(),
            |_, _| Ok(()),
        )?;
    }
    for name in ["terminal-stdin", "terminal-stdout", "terminal-stderr"] {
        interface(linker, &format!("cli/{name}"))?.func_wrap(
            &format!("get-{name}"),
            |mut store: Store<'_>, (): ()| {
                enter(&mut store)?;
                Ok((None::<Resource<Terminal>>,))
            },
        )?;
    }
    Ok(())
}
