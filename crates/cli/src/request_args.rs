//! The options that describe a request, which several commands have.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use outlayer_protocol::{CodeSource, Compute, ExecutionRequest, GuestKind, ResourceLimits};

use crate::http_args::HttpOptions;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    WasiP1,
    WasiP2,
    Near,
}

impl From<Kind> for GuestKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::WasiP1 => Self::WasiP1,
            Kind::WasiP2 => Self::WasiP2,
            Kind::Near => Self::Near,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RequestOptions {
    /// The guest's input, as text
    #[arg(long, conflicts_with = "input_file")]
    input: Option<String>,
    /// A file that holds the guest's input
    #[arg(long)]
    input_file: Option<PathBuf>,
    /// An argument for the guest; may be given several times
    #[arg(long = "arg", allow_hyphen_values = true)]
    args: Vec<String>,
    /// An environment variable for the guest, NAME=VALUE; may be given several times
    #[arg(long = "env", value_parser = pair)]
    env: Vec<(String, String)>,
    /// The kind of guest that the code must be [default: detected]
    #[arg(long)]
    kind: Option<Kind>,
    /// Fuel limit [default: 100000000]
    #[arg(long, conflicts_with = "gas")]
    fuel: Option<u64>,
    /// Gas limit: meters in NEAR's gas instead of fuel
    #[arg(long)]
    gas: Option<u64>,
    /// Memory limit, bytes
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// Limit on the elements of all tables together [default: 10000]
    #[arg(long)]
    table_elements: Option<u32>,
    /// Limit on the module instances of a component [default: 16]
    #[arg(long)]
    instances: Option<u32>,
    /// Limit on calls of host functions [default: 1000000]
    #[arg(long)]
    host_calls: Option<u64>,
    /// Output limit, bytes [default: 1024]
    #[arg(long)]
    output_bytes: Option<u32>,
    /// Log limit, bytes
    #[arg(long)]
    log_bytes: Option<u32>,
    /// Limit on keys and values written, bytes [default: 0]
    #[arg(long)]
    journal_bytes: Option<u32>,
    /// Limit on the guest's plan, bytes [default: 0]
    #[arg(long)]
    plan_bytes: Option<u32>,
    /// Limit on distinct storage keys read [default: 0]
    #[arg(long)]
    storage_reads: Option<u32>,
    /// Limit on distinct storage keys written [default: 0]
    #[arg(long)]
    storage_writes: Option<u32>,
    /// The most bytes that the code may have, which the request pays for [default: 1048576]
    #[arg(long)]
    pub(crate) max_module_bytes: Option<u32>,
    /// How many workers must agree
    #[arg(long, default_value_t = 1)]
    approvals: u8,
    /// How many more workers than must agree execute the request, where several must
    #[arg(long, default_value_t = 1)]
    spares: u8,
    #[command(flatten)]
    http: HttpOptions,
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, found {text:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl RequestOptions {
    /// The hosts that the guest may reach.
    pub(crate) fn hosts(&self) -> &[String] {
        self.http.hosts()
    }

    /// The request for this code.
    pub(crate) fn into_request(
        self,
        code: impl Into<CodeSource>,
    ) -> anyhow::Result<ExecutionRequest> {
        let input = match (self.input, self.input_file) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(path)) => fs::read(&path).with_context(|| path.display().to_string())?,
            (None, None) => Vec::new(),
        };
        let default = ResourceLimits::default();
        let compute = match (self.fuel, self.gas) {
            (_, Some(gas)) => Compute::Gas(gas),
            (Some(fuel), None) => Compute::Fuel(fuel),
            (None, None) => default.compute,
        };
        Ok(ExecutionRequest {
            kind: self.kind.map(GuestKind::from),
            args: self.args,
            env: self.env,
            approvals: self.approvals,
            spares: self.spares,
            http: self.http.access(),
            limits: ResourceLimits {
                compute,
                memory_bytes: self.memory_bytes.unwrap_or(default.memory_bytes),
                table_elements: self.table_elements.unwrap_or(default.table_elements),
                instances: self.instances.unwrap_or(default.instances),
                host_calls: self.host_calls.unwrap_or(default.host_calls),
                output_bytes: self.output_bytes.unwrap_or(default.output_bytes),
                log_bytes: self.log_bytes.unwrap_or(default.log_bytes),
                journal_bytes: self.journal_bytes.unwrap_or(default.journal_bytes),
                plan_bytes: self.plan_bytes.unwrap_or(default.plan_bytes),
                storage_reads: self.storage_reads.unwrap_or(default.storage_reads),
                storage_writes: self.storage_writes.unwrap_or(default.storage_writes),
                max_module_bytes: self.max_module_bytes.unwrap_or(default.max_module_bytes),
            },
            ..ExecutionRequest::new(code, input)
        })
    }
}

/// The limits besides that of compute which are not the default, by their names.
pub(crate) fn changed_limits(limits: &ResourceLimits) -> Vec<(&'static str, u64)> {
    let default = ResourceLimits::default();
    [
        ("memory_bytes", limits.memory_bytes, default.memory_bytes),
        ("table_elements", limits.table_elements.into(), default.table_elements.into()),
        ("instances", limits.instances.into(), default.instances.into()),
        ("host_calls", limits.host_calls, default.host_calls),
        ("output_bytes", limits.output_bytes.into(), default.output_bytes.into()),
        ("log_bytes", limits.log_bytes.into(), default.log_bytes.into()),
        ("journal_bytes", limits.journal_bytes.into(), default.journal_bytes.into()),
        ("plan_bytes", limits.plan_bytes.into(), default.plan_bytes.into()),
        ("storage_reads", limits.storage_reads.into(), default.storage_reads.into()),
        ("storage_writes", limits.storage_writes.into(), default.storage_writes.into()),
        ("max_module_bytes", limits.max_module_bytes.into(), default.max_module_bytes.into()),
    ]
    .into_iter()
    .filter(|(_, value, default)| value != default)
    .map(|(name, value, _)| (name, value))
    .collect()
}

/// The options that give a request these limits, where they are not the default.
pub(crate) fn limit_options(limits: &ResourceLimits) -> Vec<String> {
    let mut options = Vec::new();
    if limits.compute != ResourceLimits::default().compute {
        options.push(format!("--{} {}", limits.compute.meter(), limits.compute.amount()));
    }
    for (name, value) in changed_limits(limits) {
        options.push(format!("--{} {value}", name.replace('_', "-")));
    }
    options
}

/// A text as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_as_the_options_that_set_them() {
        assert_eq!(limit_options(&ResourceLimits::default()), Vec::<String>::new());
        let limits = ResourceLimits {
            compute: Compute::Gas(7),
            storage_reads: 1,
            host_calls: 9,
            ..ResourceLimits::default()
        };
        assert_eq!(limit_options(&limits), ["--gas 7", "--host-calls 9", "--storage-reads 1"]);
    }

    #[test]
    fn a_word_of_a_shell_is_quoted_where_it_must_be() {
        for (text, expected) in
            [("/a/b-c.d", "/a/b-c.d"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
