//! What a program finds when it starts: arguments, environment, input, descriptors.

use std::sync::OnceLock;

use outlayer_protocol::ExecutionContext;

use super::descriptors::Descriptors;
use crate::job::{Job, PROGRAM_NAME};

/// The surroundings of a WASI program.
pub struct Program {
    /// The arguments, the program's name first.
    pub args: Vec<String>,
    /// Which stream each descriptor of preview 1 names.
    pub descriptors: Descriptors,
    /// The request's own environment variables.
    variables: Vec<(String, String)>,
    /// Whether the program has those of the context as well.
    has_context: bool,
    /// All of them, once the program has asked: most never do.
    environment: OnceLock<Vec<(String, String)>>,
    input: Vec<u8>,
    /// How much of the input has been read.
    position: usize,
}

impl Program {
    /// What `job` gives its program.
    pub fn new(job: &Job<'_>) -> Self {
        let name = std::iter::once(PROGRAM_NAME.to_owned());
        Self {
            args: name.chain(job.args.iter().cloned()).collect(),
            descriptors: Descriptors::default(),
            variables: job.variables().cloned().collect(),
            has_context: true,
            environment: OnceLock::new(),
            input: job.input.to_vec(),
            position: 0,
        }
    }

    /// Names and values of the environment variables: those of the context, which is the one of the
    /// program's job, then the request's own.
    pub(super) fn environment(&self, context: &ExecutionContext) -> &[(String, String)] {
        self.environment.get_or_init(|| {
            let context = if self.has_context { context.env() } else { Vec::new() };
            context.into_iter().chain(self.variables.iter().cloned()).collect()
        })
    }

    /// Leaves the variables of the context out of the environment. No request is executed so.
    pub fn leave_out_context(&mut self) {
        self.has_context = false;
    }

    /// What is left of the input.
    pub fn unread(&self) -> &[u8] {
        self.input.get(self.position..).unwrap_or_default()
    }

    /// Reads the next bytes of the input into `buffer`, as many as there are and fit. Returns how
    /// many.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let unread = self.unread();
        let length = buffer.len().min(unread.len());
        if let (Some(buffer), Some(unread)) = (buffer.get_mut(..length), unread.get(..length)) {
            buffer.copy_from_slice(unread);
        }
        self.position += length;
        length
    }

    /// Takes the next `length` bytes of the input, which has at least that many left.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.unread().get(..length).unwrap_or_default().to_vec();
        self.position += taken.len();
        taken
    }
}
