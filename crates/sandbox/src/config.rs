//! How a sandbox is configured.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_guest::ENGINE_VERSION;
use outlayer_protocol::EngineVersion;

use crate::machine_memory;

/// What this machine is taken to have where the system does not say, bytes.
const ASSUMED_MEMORY: u64 = 4 << 30;

/// How the children of a sandbox are started, and what they may use.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The program that is started as a child: one that calls [`serve`](crate::serve), such as the
    /// installed `outlayer`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The version of the engine that it must have: [`ENGINE_VERSION`], unless the program is of
    /// another release than the one that starts it.
    pub engine_version: EngineVersion,
    /// The most children at once, and so the most executions. At least one.
    pub processes: usize,
    /// What all executions together may take of the host's memory, bytes. One that does not fit
    /// beside the others waits.
    pub memory_bytes: u64,
    /// How long a child may keep silent before it is given up, in addition to the engine's own
    /// deadline. It covers a cold compilation.
    pub patience: Duration,
    /// What the child's engine is told.
    pub engine: EngineSettings,
}

impl SandboxConfig {
    /// Children that `program` runs when it is given `args`, two at once, with half of the
    /// memory that there is for this process ([`machine_memory`]).
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().collect(),
            engine_version: ENGINE_VERSION,
            processes: 2,
            memory_bytes: machine_memory().unwrap_or(ASSUMED_MEMORY) / 2,
            patience: Duration::from_secs(60),
            engine: EngineSettings::default(),
        }
    }
}

/// What a child's engine is told. Nothing here changes a verdict, an output or an amount of fuel.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EngineSettings {
    /// A guest that runs for longer than so many milliseconds is given up without a verdict.
    pub deadline_millis: u64,
    /// How much compiled code each child keeps in memory, bytes.
    pub cache_bytes: u64,
    /// The folder in which compiled code is kept between runs; children may write there. It is made
    /// when it is missing, for this process's user alone.
    pub cache_dir: Option<String>,
    /// The most bytes that this folder holds.
    pub cache_dir_bytes: u64,
    /// Whether the compiler optimises.
    pub optimize: bool,
    /// Whether one module is compiled on all cores.
    pub parallel_compilation: bool,
}

impl EngineSettings {
    /// The engine's own deadline.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_millis)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            deadline_millis: 120_000,
            cache_bytes: 128 << 20,
            cache_dir: None,
            cache_dir_bytes: 1 << 30,
            optimize: true,
            parallel_compilation: true,
        }
    }
}
