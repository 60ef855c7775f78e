//! WASI preview 1: every one of its functions, with an answer that is the same everywhere.
//!
//! There are three descriptors: 0 is the input, 1 the output, 2 the log. There is no directory and no socket, so
//! every `path_*` and `sock_*` call fails, with the error number that fits the descriptor it names. A pointer
//! outside of the guest's memory is a trap.

mod args;
mod clocks;
mod descriptors;
mod errno;
mod fd;
mod path;
mod poll;
mod process;
mod sock;

use wasmtime::{Linker, Result};

use crate::{
    host::State,
    job::{Job, PROGRAM_NAME},
};

use descriptors::Descriptors;

/// The import module's name.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// What preview 1 keeps for one execution.
pub(crate) struct Wasi {
    /// Each with its terminating NUL.
    args: Vec<Vec<u8>>,
    /// `NAME=value`, each with its terminating NUL.
    environ: Vec<Vec<u8>>,
    input: Vec<u8>,
    /// How much of the input has been read.
    position: usize,
    descriptors: Descriptors,
}

impl Wasi {
    pub(crate) fn new(job: &Job<'_>) -> Self {
        let terminated = |text: &str| [text.as_bytes(), &[0]].concat();
        let variable = |(name, value): &(String, String)| terminated(&format!("{name}={value}"));
        Self {
            args: std::iter::once(PROGRAM_NAME)
                .chain(job.args.iter().map(String::as_str))
                .map(terminated)
                .collect(),
            environ: job.context.env().iter().chain(job.env).map(variable).collect(),
            input: job.input.to_vec(),
            position: 0,
            descriptors: Descriptors::default(),
        }
    }

    /// What is left of the input.
    pub(crate) fn unread(&self) -> &[u8] {
        self.input.get(self.position..).unwrap_or_default()
    }

    /// Takes the next `length` bytes of the input, which must be there.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.unread().get(..length).unwrap_or_default().to_vec();
        self.position += taken.len();
        taken
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    args::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    fd::add_to_linker(linker)?;
    path::add_to_linker(linker)?;
    poll::add_to_linker(linker)?;
    process::add_to_linker(linker)?;
    sock::add_to_linker(linker)
}
