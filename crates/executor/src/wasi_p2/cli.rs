//! `wasi:cli`: arguments, environment, exit, the standard streams, no terminals.

use outlayer_guest::{HostCall, Stop, Work};
use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};

use super::{
    resources::{Store, interface},
    streams::{Input, Output},
};
use crate::{call::ComponentCall, state::State};

/// A terminal, of which there are none.
enum Terminal {}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut environment = interface(linker, "cli/environment")?;
    environment.func_wrap("get-environment", |store: Store<'_>, (): ()| {
        let mut call = ComponentCall(store);
        call.enter()?;
        let variables = call.host().environment().to_vec();
        let bytes = variables.iter().map(|(name, value)| name.len() + value.len());
        call.charge(Work::Write(bytes.sum::<usize>() as u64))?;
        Ok((variables,))
    })?;
    environment.func_wrap("get-arguments", |store: Store<'_>, (): ()| {
        let mut call = ComponentCall(store);
        call.enter()?;
        let args = call.host().program.args.clone();
        let bytes = args.iter().map(String::len).sum::<usize>();
        call.charge(Work::Write(bytes as u64))?;
        Ok((args,))
    })?;
    environment.func_wrap("initial-cwd", |store: Store<'_>, (): ()| {
        ComponentCall(store).enter()?;
        Ok((None::<String>,))
    })?;

    let mut exit = interface(linker, "cli/exit")?;
    exit.func_wrap("exit", |store: Store<'_>, (status,): (Result<(), ()>,)| -> Result<()> {
        ComponentCall(store).enter()?;
        Err(Stop::Exit(u32::from(status.is_err())).into())
    })?;
    exit.func_wrap("exit-with-code", |store: Store<'_>, (code,): (u8,)| -> Result<()> {
        ComponentCall(store).enter()?;
        Err(Stop::Exit(code.into()).into())
    })?;

    interface(linker, "cli/stdin")?.func_wrap("get-stdin", |store: Store<'_>, (): ()| {
        let mut call = ComponentCall(store);
        call.enter()?;
        Ok((call.push(Input)?,))
    })?;
    for (name, function, stream) in
        [("cli/stdout", "get-stdout", Output::Output), ("cli/stderr", "get-stderr", Output::Log)]
    {
        interface(linker, name)?.func_wrap(function, move |store: Store<'_>, (): ()| {
            let mut call = ComponentCall(store);
            call.enter()?;
            Ok((call.push(stream)?,))
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
            |store: Store<'_>, (): ()| {
                ComponentCall(store).enter()?;
                Ok((None::<Resource<Terminal>>,))
            },
        )?;
    }
    Ok(())
}
