//! `wasi:io/streams` and `wasi:io/error`: input, output and log. They are always ready and never fail; the input closes at its
//! end.

use wasmtime::{
    Result,
    component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType},
};

use super::{Store, destroy, handle, interface, poll::Pollable, state, table};
use crate::{
    host::{State, Work, charge, enter},
    verdict::Stop,
};

/// The standard input. Every handle reads on where the last read ended.
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

/// What a stream's error would tell; there are none.
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

/// A guest may write so many bytes at once.
const PERMITTED: u64 = 64 << 10;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut error = interface(linker, "io/error")?;
    error.resource("error", ResourceType::host::<IoError>(), |_, _| Ok(()))?;
    error.func_new("[method]error.to-debug-string", |_, _, _, _| {
        Err(Stop::Trap("there is no error").into())
    })?;

    let mut streams = interface(linker, "io/streams")?;
    streams.resource("input-stream", ResourceType::host::<Input>(), destroy::<Input>)?;
    streams.resource("output-stream", ResourceType::host::<Output>(), destroy::<Output>)?;
    for name in ["read", "blocking-read"] {
        streams.func_wrap(
            &format!("[method]input-stream.{name}"),
            |mut store: Store<'_>, (_, length): (Resource<Input>, u64)| {
                enter(&mut store)?;
                let bytes = take(&mut store, length)?;
                Ok((bytes,))
            },
        )?;
    }
    for name in ["skip", "blocking-skip"] {
        streams.func_wrap(
            &format!("[method]input-stream.{name}"),
            |mut store: Store<'_>, (_, length): (Resource<Input>, u64)| {
                enter(&mut store)?;
                let skipped = take(&mut store, length)?.map(|bytes| bytes.len() as u64);
                Ok((skipped,))
            },
        )?;
    }
    streams.func_wrap(
        "[method]input-stream.subscribe",
        |mut store: Store<'_>, (_,): (Resource<Input>,)| subscribe(&mut store),
    )?;
    streams.func_wrap(
        "[method]output-stream.subscribe",
        |mut store: Store<'_>, (_,): (Resource<Output>,)| subscribe(&mut store),
    )?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |mut store: Store<'_>, (_,): (Resource<Output>,)| {
            enter(&mut store)?;
            Ok((Answer::Ok(PERMITTED),))
        },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>, (stream, bytes): (Resource<Output>, Vec<u8>)| {
                enter(&mut store)?;
                charge(&mut store, Work::Read(bytes.len() as u64))?;
                put(&mut store, &stream, &bytes)?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>, (_,): (Resource<Output>,)| {
                enter(&mut store)?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>, (stream, length): (Resource<Output>, u64)| {
                enter(&mut store)?;
                charge(&mut store, Work::Read(length))?;
                if length > PERMITTED {
                    return Err(TOO_MUCH.into());
                }
                let zeroes = vec![0; usize::try_from(length)?];
                put(&mut store, &stream, &zeroes)?;
                Ok((Answer::Ok(()),))
            },
        )?;
    }
    for name in ["splice", "blocking-splice"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>,
             (stream, _, length): (Resource<Output>, Resource<Input>, u64)| {
                enter(&mut store)?;
                let spliced = match take(&mut store, length.min(PERMITTED))? {
                    Ok(bytes) => {
                        put(&mut store, &stream, &bytes)?;
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

const TOO_MUCH: Stop = Stop::Trap("a write of more than the stream permits");

fn subscribe(store: &mut Store<'_>) -> Result<(Resource<Pollable>,)> {
    enter(store)?;
    Ok((table(store).push(Pollable::Ready).map_err(handle)?,))
}

/// The next bytes of the input, at most `length`.
fn take(store: &mut Store<'_>, length: u64) -> Result<Answer<Vec<u8>>, Stop> {
    let unread = state(store).wasi.unread();
    if unread.is_empty() {
        return Ok(Err(StreamError::Closed));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(unread.len());
    charge(store, Work::Write(length as u64))?;
    Ok(Ok(state(store).wasi.take(length)))
}

fn put(store: &mut Store<'_>, stream: &Resource<Output>, bytes: &[u8]) -> Result<(), Stop> {
    if bytes.len() as u64 > PERMITTED {
        return Err(TOO_MUCH);
    }
    match *table(store).get(stream).map_err(handle)? {
        Output::Output => state(store).output.write(bytes),
        Output::Log => {
            charge(store, Work::Log(bytes.len() as u64))?;
            state(store).logs.write(bytes)
        }
    }
}
