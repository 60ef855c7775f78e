//! `wasi:io/streams` and `wasi:io/error`: input, output and log. They are always ready and never
//! fail; the input closes at its end.

use outlayer_guest::{
    HostCall, Stop, Work,
    verdict::reason::{NO_ERROR, WRITE_TOO_LARGE},
};
use wasmtime::{
    Result,
    component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType},
};

use super::{
    poll::Pollable,
    resources::{Store, destroy, interface},
};
use crate::{call::ComponentCall, state::State};

/// The standard input. Every handle continues where the last read ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input;

/// Where an output stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The execution's output.
    Output,
    /// Its log.
    Log,
}

/// The error of a stream, of which there are none.
pub(super) enum IoError {}

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Answer<T> = Result<T, StreamError>;

/// A guest may write this many bytes at once.
const PERMITTED: u64 = 64 << 10;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut error = interface(linker, "io/error")?;
    error.resource("error", ResourceType::host::<IoError>(), |_, _| Ok(()))?;
    error
        .func_new("[method]error.to-debug-string", |_, _, _, _| Err(Stop::Trap(NO_ERROR).into()))?;

    let mut streams = interface(linker, "io/streams")?;
    streams.resource("input-stream", ResourceType::host::<Input>(), destroy::<Input>)?;
    streams.resource("output-stream", ResourceType::host::<Output>(), destroy::<Output>)?;
    for name in ["read", "blocking-read"] {
        streams.func_wrap(
            &format!("[method]input-stream.{name}"),
            |store: Store<'_>, (_, length): (Resource<Input>, u64)| {
                let mut call = ComponentCall(store);
                call.enter()?;
                let bytes = take(&mut call, length)?;
                Ok((bytes,))
            },
        )?;
    }
    for name in ["skip", "blocking-skip"] {
        streams.func_wrap(
            &format!("[method]input-stream.{name}"),
            |store: Store<'_>, (_, length): (Resource<Input>, u64)| {
                let mut call = ComponentCall(store);
                call.enter()?;
                let skipped = take(&mut call, length)?.map(|bytes| bytes.len() as u64);
                Ok((skipped,))
            },
        )?;
    }
    streams.func_wrap(
        "[method]input-stream.subscribe",
        |store: Store<'_>, (_,): (Resource<Input>,)| subscribe(store),
    )?;
    streams.func_wrap(
        "[method]output-stream.subscribe",
        |store: Store<'_>, (_,): (Resource<Output>,)| subscribe(store),
    )?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |store: Store<'_>, (_,): (Resource<Output>,)| {
            ComponentCall(store).enter()?;
            Ok((Answer::Ok(PERMITTED),))
        },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |store: Store<'_>, (stream, bytes): (Resource<Output>, Vec<u8>)| {
                let mut call = ComponentCall(store);
                call.enter()?;
                call.charge(Work::Read(bytes.len() as u64))?;
                put(&mut call, &stream, &bytes)?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |store: Store<'_>, (_,): (Resource<Output>,)| {
                ComponentCall(store).enter()?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |store: Store<'_>, (stream, length): (Resource<Output>, u64)| {
                let mut call = ComponentCall(store);
                call.enter()?;
                call.charge(Work::Read(length))?;
                if length > PERMITTED {
                    return Err(TOO_MUCH.into());
                }
                let zeroes = vec![0; usize::try_from(length)?];
                put(&mut call, &stream, &zeroes)?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["splice", "blocking-splice"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |store: Store<'_>, (stream, _, length): (Resource<Output>, Resource<Input>, u64)| {
                let mut call = ComponentCall(store);
                call.enter()?;
                let spliced = match take(&mut call, length.min(PERMITTED))? {
                    Ok(bytes) => {
                        put(&mut call, &stream, &bytes)?;
                        Ok(bytes.len() as u64)
                    }
                    Err(closed) => Err(closed),
                };
                Ok((spliced,))
            },
        )?;
    }
    Ok(())
}

const TOO_MUCH: Stop = Stop::Trap(WRITE_TOO_LARGE);

fn subscribe(store: Store<'_>) -> Result<(Resource<Pollable>,)> {
    let mut call = ComponentCall(store);
    call.enter()?;
    Ok((call.push(Pollable::Ready)?,))
}

/// The next bytes of the input, at most `length`.
fn take(call: &mut ComponentCall<'_>, length: u64) -> Result<Answer<Vec<u8>>, Stop> {
    let unread = call.host().program.unread().len();
    if unread == 0 {
        return Ok(Err(StreamError::Closed));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(unread);
    call.charge(Work::Write(length as u64))?;
    Ok(Ok(call.host().program.take(length)))
}

fn put(call: &mut ComponentCall<'_>, stream: &Resource<Output>, bytes: &[u8]) -> Result<(), Stop> {
    if bytes.len() as u64 > PERMITTED {
        return Err(TOO_MUCH);
    }
    match call.get(stream)? {
        Output::Output => call.host().output.write(bytes),
        Output::Log => {
            call.charge(Work::Log(bytes.len() as u64))?;
            call.host().logs.write(bytes)
        }
    }
}
