//! What is to be executed.

use outlayer_protocol::{
    ExecutionContext, ExecutionRequest, GuestKind, ResourceLimits, context::is_reserved_variable,
    machine::LiveRequest,
};

use crate::fault::Fault;

/// The first of a WASI guest's arguments, where a program expects its own name. The request's
/// arguments follow it.
pub const PROGRAM_NAME: &str = "guest";

/// One execution's inputs, except for the storage.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The code. The caller has compared its hash with the request's.
    pub code: &'a [u8],
    /// The kind that the code must be of; `None` takes whatever it is.
    pub kind: Option<GuestKind>,
    /// The request's arguments. A WASI guest sees them after [`PROGRAM_NAME`]; for a `near` guest
    /// the first names the method.
    pub args: &'a [String],
    /// The request's own environment variables. A WASI guest sees them after those of the context.
    pub env: &'a [(String, String)],
    /// What the guest reads from its standard input, or through NEAR's `input`.
    pub input: &'a [u8],
    /// What the guest may use.
    pub limits: &'a ResourceLimits,
    /// Where and by whom the execution was requested, as the guest is told.
    pub context: &'a ExecutionContext,
}

impl<'a> Job<'a> {
    /// What `request` asks for, in the context that it has or would have.
    pub fn of_request(
        code: &'a [u8],
        request: &'a ExecutionRequest,
        context: &'a ExecutionContext,
    ) -> Self {
        Self {
            code,
            kind: request.kind,
            args: &request.args,
            env: &request.env,
            input: &request.input,
            limits: &request.limits,
            context,
        }
    }

    /// What a live request asks for. The contract keeps its input apart from it.
    pub fn of_live(code: &'a [u8], request: &'a LiveRequest, input: &'a [u8]) -> Self {
        Self {
            code,
            kind: request.kind,
            args: &request.args,
            env: &request.env,
            input,
            limits: &request.limits,
            context: &request.context,
        }
    }

    /// Turns away what no accepted request contains, so that a NUL byte or a second `TZ` cannot
    /// reach a guest by another way than through the contract.
    ///
    /// # Errors
    /// [`Fault::Job`].
    pub fn check(&self) -> Result<(), Fault> {
        let mut texts =
            self.args.iter().chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        if texts.any(|text| text.contains('\0')) {
            return Err(Fault::Job("an argument or environment variable holds a NUL byte"));
        }
        if self
            .env
            .iter()
            .any(|(name, _)| name.is_empty() || name.contains('=') || is_reserved_variable(name))
        {
            return Err(Fault::Job("an environment variable has a name that no request may set"));
        }
        Ok(())
    }
}
