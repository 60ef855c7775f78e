//! `wasi:io/streams`: input, output, log, and the bodies of HTTP. They are always ready and never
//! fail. An input closes at its end, and the body of a request when it is too long.

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

/// Where an input stream comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The standard input. Every handle continues where the last read ended.
    Input,
    /// The body of an HTTP response.
    Body {
        /// All of it.
        bytes: Vec<u8>,
        /// How much of it was read.
        read: usize,
    },
}

/// Where an output stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The execution's output.
    Output,
    /// Its log.
    Log,
    /// The body of an HTTP request, by its place in the table. The stream is dropped before it.
    Body(u32),
}

/// What is always ready.
pub(super) struct Always;

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
    fn read(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        self.take(&stream, length)
    }

    fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<Vec<u8>> {
        self.take(&stream, length)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        self.take(&stream, length).map(|bytes| bytes.len() as u64)
    }

    fn blocking_skip(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        self.take(&stream, length).map(|bytes| bytes.len() as u64)
    }

    fn subscribe(&mut self, _: Resource<DynInputStream>) -> Result<Resource<DynPollable>> {
        self.enter()?;
        self.subscribe_to(Always)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> Result<()> {
        Ok(self.remove(Resource::<Source>::new_own(stream.rep()))?)
    }
}

impl streams::HostOutputStream for State {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.open(&stream)?;
        Ok(PERMITTED)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let output = self.open(&stream)?;
        self.put(output, &bytes)
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
        self.put_zeroes(output, length)
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
        input: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        let output = self.open(&stream)?;
        let bytes = self.next_input(&input, length.min(PERMITTED))?;
        self.append(output, &bytes)?;
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
    /// A call that reads from an input stream.
    fn take(&mut self, stream: &Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        self.enter().map_err(stopped)?;
        self.next_input(stream, length)
    }

    /// The next bytes of an input stream, at most `length`.
    fn next_input(
        &mut self,
        stream: &Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<Vec<u8>> {
        let unread = match self.kept::<Source, _>(stream).map_err(stopped)? {
            Source::Input => self.host.program.unread().len(),
            Source::Body { bytes, read } => bytes.len().saturating_sub(*read),
        };
        if unread == 0 {
            return Err(StreamError::Closed);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(unread);
        self.charge(Work::Write(length as u64)).map_err(stopped)?;
        match self.kept_mut::<Source, _>(stream).map_err(stopped)? {
            Source::Input => Ok(self.host.program.take(length)),
            Source::Body { bytes, read } => {
                let next = bytes.iter().skip(*read).take(length).copied().collect();
                *read += length;
                Ok(next)
            }
        }
    }

    /// A call on an output stream.
    fn open(&mut self, stream: &Resource<DynOutputStream>) -> StreamResult<Target> {
        self.enter().map_err(stopped)?;
        self.entry(stream).map_err(stopped)
    }

    fn put(&mut self, output: Target, bytes: &[u8]) -> StreamResult<()> {
        self.charge(Work::Read(bytes.len() as u64)).map_err(stopped)?;
        self.append(output, bytes)
    }

    fn put_zeroes(&mut self, output: Target, length: u64) -> StreamResult<()> {
        self.charge(Work::Read(length)).map_err(stopped)?;
        if length > PERMITTED {
            return Err(stopped(TOO_MUCH));
        }
        let length = usize::try_from(length).map_err(|_| stopped(TOO_MUCH))?;
        self.append(output, &vec![0; length])
    }

    fn append(&mut self, output: Target, bytes: &[u8]) -> StreamResult<()> {
        if bytes.len() as u64 > PERMITTED {
            return Err(stopped(TOO_MUCH));
        }
        match output {
            Target::Output => self.host.output.write(bytes).map_err(stopped),
            Target::Log => {
                self.charge(Work::Log(bytes.len() as u64)).map_err(stopped)?;
                self.host.logs.write(bytes).map_err(stopped)
            }
            Target::Body(body) => self.write_body(body, bytes),
        }
    }
}
