//! What is to be executed.

use std::fmt;

use outlayer_protocol::{
    ExecutionContext, ExecutionRequest, GuestKind, Hash32, ResourceLimits,
    context::is_reserved_variable, machine::LiveRequest,
};

use crate::{fault::Fault, fetch::Http};

/// The first of a WASI guest's arguments, where a program expects its own name. The request's
/// arguments follow it.
pub const PROGRAM_NAME: &str = "guest";

/// A guest's bytes with their SHA-256, which is what names them.
///
/// Hashing a module takes longer than running a small guest, so it is done once, by whoever loads
/// the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code<'a> {
    hash: Hash32,
    bytes: &'a [u8],
}

impl<'a> Code<'a> {
    /// Hashes `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { hash: Hash32::of(bytes), bytes }
    }

    /// Bytes that the caller has hashed, and found to have the hash `hash`.
    ///
    /// What was compiled before is looked up by this hash alone. Bytes that have another one are a
    /// [`Fault::Job`] when they have to be compiled.
    pub const fn hashed(hash: Hash32, bytes: &'a [u8]) -> Self {
        Self { hash, bytes }
    }

    /// The SHA-256 of the bytes.
    pub const fn hash(&self) -> Hash32 {
        self.hash
    }

    /// A module or component in the binary format, if the guest's author made no mistake.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Hashes the bytes again, so that nothing wrong is kept under this hash for later executions.
    ///
    /// # Errors
    /// [`Fault::Job`] when [`hashed`](Self::hashed) was given another hash.
    pub fn check(&self) -> Result<(), Fault> {
        if Hash32::of(self.bytes) == self.hash {
            Ok(())
        } else {
            Err(Fault::Job("the code does not have the hash that was given with it"))
        }
    }
}

/// Without the bytes, which may be many.
impl fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}, {} bytes)", self.hash, self.bytes.len())
    }
}

/// One execution's inputs, except for the storage.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The guest. The caller has compared its hash with the request's.
    pub code: Code<'a>,
    /// The kind that the code must be of; `None` takes whatever it is.
    pub kind: Option<GuestKind>,
    /// The request's arguments. A WASI guest sees them after [`PROGRAM_NAME`]; for a `near` guest
    /// the first names the method.
    pub args: &'a [String],
    /// The request's own environment variables. A WASI guest sees them after those of the context.
    pub env: &'a [(String, String)],
    /// Environment variables that nobody else may see. A WASI guest sees them after its request's
    /// own.
    pub secrets: &'a [(String, String)],
    /// What the guest reads from its standard input, or through NEAR's `input`.
    pub input: &'a [u8],
    /// What the guest may use.
    pub limits: &'a ResourceLimits,
    /// Where and by whom the execution was requested, as the guest is told.
    pub context: &'a ExecutionContext,
    /// What the guest may reach over HTTP; `None` for nothing.
    pub http: Option<Http<'a>>,
}

/// Without the values of the secrets.
impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, kind, args, env, secrets, input, limits, context, http } = self;
        let secrets: Vec<&String> = secrets.iter().map(|(name, _)| name).collect();
        f.debug_struct("Job")
            .field("code", code)
            .field("kind", kind)
            .field("args", args)
            .field("env", env)
            .field("secrets", &secrets)
            .field("input", input)
            .field("limits", limits)
            .field("context", context)
            .field("http", http)
            .finish()
    }
}

impl<'a> Job<'a> {
    /// An execution of `code` without arguments, variables, input or network.
    pub const fn new(
        code: Code<'a>,
        limits: &'a ResourceLimits,
        context: &'a ExecutionContext,
    ) -> Self {
        Self {
            code,
            kind: None,
            args: &[],
            env: &[],
            secrets: &[],
            input: &[],
            limits,
            context,
            http: None,
        }
    }

    /// The environment variables of the request, then its secrets.
    pub fn variables(&self) -> impl Iterator<Item = &'a (String, String)> {
        self.env.iter().chain(self.secrets)
    }

    /// What `request` asks for, in the context that it has or would have.
    pub fn of_request(
        code: Code<'a>,
        request: &'a ExecutionRequest,
        context: &'a ExecutionContext,
    ) -> Self {
        Self {
            code,
            kind: request.kind,
            args: &request.args,
            env: &request.env,
            secrets: &[],
            input: &request.input,
            limits: &request.limits,
            context,
            http: Http::of(request.http.as_ref(), request.approvals),
        }
    }

    /// What a live request asks for. The contract keeps its input apart from it.
    pub fn of_live(code: Code<'a>, request: &'a LiveRequest, input: &'a [u8]) -> Self {
        Self {
            code,
            kind: request.kind,
            args: &request.args,
            env: &request.env,
            secrets: &[],
            input,
            limits: &request.limits,
            context: &request.context,
            http: Http::of(request.http.as_ref(), request.approvals()),
        }
    }

    /// Turns away what no accepted request contains, so that a NUL byte or a second `TZ` cannot
    /// reach a guest by another way than through the contract.
    ///
    /// # Errors
    /// [`Fault::Job`].
    pub fn check(&self) -> Result<(), Fault> {
        let mut texts =
            self.args.iter().chain(self.variables().flat_map(|(name, value)| [name, value]));
        if texts.any(|text| text.contains('\0')) {
            return Err(Fault::Job("an argument or environment variable holds a NUL byte"));
        }
        if self
            .variables()
            .any(|(name, _)| name.is_empty() || name.contains('=') || is_reserved_variable(name))
        {
            return Err(Fault::Job("an environment variable has a name that no request may set"));
        }
        Ok(())
    }
}
