//! `wasi:io/streams`: input, output and log. They are always ready and never fail; the input closes
//! at its end.

use outlayer_guest::{HostCall, Stop, Work, verdict::reason::WRITE_TOO_LARGE};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynInputStream, DynOutputStream, DynPollable, Pollable, StreamError, StreamResult,
        bindings::sync::io::streams,
    },
};

use crate::state::State;

/// The standard input. Every handle continues where the last read ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input;

/// Where an output stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The execution's output.
    Output,
    /// Its log.
    Log,
    /// Nowhere: it is closed. The body of an HTTP request, which is never sent.
    Closed,
}

/// What is always ready.
struct Always;

#[async_trait]
impl Pollable for Always {
    async fn ready(&mut self) {}
}

/// A guest may write this many bytes at once.
const PERMITTED: u64 = 64 << 10;

const TOO_MUCH: Stop = Stop::Trap(WRITE_TOO_LARGE);

impl streams::Host for State {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<streams::StreamError> {
        streams::Host::convert_stream_error(&mut self.resources, error)
    }
}

impl streams::HostInputStream for State {
    fn read(&mut self, _: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        self.take(length)
    }

    fn blocking_read(&mut self, _: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        self.take(length)
    }

    fn skip(&mut self, _: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        self.take(length).map(|bytes| bytes.len() as u64)
    }

    fn blocking_skip(&mut self, _: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        self.take(length).map(|bytes| bytes.len() as u64)
    }

    fn subscribe(&mut self, _: Resource<DynInputStream>) -> Result<Resource<DynPollable>> {
        self.enter()?;
        self.subscribe_to(Always)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> Result<()> {
        Ok(self.remove(Resource::<Input>::new_own(stream.rep()))?)
    }
}

impl streams::HostOutputStream for State {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.open(&stream)?;
        Ok(PERMITTED)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let output = self.open(&stream)?;
        self.put(output, &bytes).map_err(stopped)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.write(stream, bytes)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.open(&stream).map(|_| ())
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.flush(stream)
    }

    fn subscribe(&mut self, _: Resource<DynOutputStream>) -> Result<Resource<DynPollable>> {
        self.enter()?;
        self.subscribe_to(Always)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        let output = self.open(&stream)?;
        self.put_zeroes(output, length).map_err(stopped)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        self.write_zeroes(stream, length)
    }

    fn splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        _: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        let output = self.open(&stream)?;
        let bytes = self.next_input(length.min(PERMITTED))?;
        self.append(output, &bytes).map_err(stopped)?;
        Ok(bytes.len() as u64)
    }

    fn blocking_splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        input: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        self.splice(stream, input, length)
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> Result<()> {
        Ok(self.remove(Resource::<Target>::new_own(stream.rep()))?)
    }
}

/// The call ends the execution.
fn stopped(stop: Stop) -> StreamError {
    StreamError::Trap(stop.into())
}

impl State {
    /// A call that reads the input.
    fn take(&mut self, length: u64) -> StreamResult<Vec<u8>> {
        self.enter().map_err(stopped)?;
        self.next_input(length)
    }

    /// The next bytes of the input, at most `length`.
    fn next_input(&mut self, length: u64) -> StreamResult<Vec<u8>> {
        let unread = self.host.program.unread().len();
        if unread == 0 {
            return Err(StreamError::Closed);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(unread);
        self.charge(Work::Write(length as u64)).map_err(stopped)?;
        Ok(self.host.program.take(length))
    }

    /// A call on an output stream, which has to be open.
    fn open(&mut self, stream: &Resource<DynOutputStream>) -> StreamResult<Target> {
        self.enter().map_err(stopped)?;
        match self.entry(stream).map_err(stopped)? {
            Target::Closed => Err(StreamError::Closed),
            output => Ok(output),
        }
    }

    fn put(&mut self, output: Target, bytes: &[u8]) -> Result<(), Stop> {
        self.charge(Work::Read(bytes.len() as u64))?;
        self.append(output, bytes)
    }

    fn put_zeroes(&mut self, output: Target, length: u64) -> Result<(), Stop> {
        self.charge(Work::Read(length))?;
        if length > PERMITTED {
            return Err(TOO_MUCH);
        }
        self.append(output, &vec![0; usize::try_from(length).map_err(|_| TOO_MUCH)?])
    }

    fn append(&mut self, output: Target, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.len() as u64 > PERMITTED {
            return Err(TOO_MUCH);
        }
        match output {
            Target::Output => self.host.output.write(bytes),
            Target::Log => {
                self.charge(Work::Log(bytes.len() as u64))?;
                self.host.logs.write(bytes)
            }
            Target::Closed => Ok(()),
        }
    }
}
