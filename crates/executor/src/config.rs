//! How an executor uses its machine.

use std::{path::PathBuf, time::Duration};

/// How an executor uses its host. Nothing here changes a verdict, an output or an amount of fuel.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// A guest that runs longer than this is given up without a verdict. It is a safety net: the
    /// meter's limit should always be reached first. A `near` guest has only its gas.
    pub deadline: Duration,
    /// Compiled modules are kept in memory up to this many bytes of compiled code, which is about
    /// five times as large as its source: as much for components, for core modules under each of
    /// the two meters, and for NEAR contracts.
    pub cache_bytes: usize,
    /// The folder in which compiled modules are kept between runs; several processes may share it.
    /// It is made when it is missing, for this process's user alone. When others can write in it,
    /// or it cannot be used for another reason, a warning says so and nothing is kept. `None` keeps
    /// compiled modules in memory only.
    pub cache_dir: Option<PathBuf>,
    /// The most bytes that the folder holds. What was used longest ago is deleted first.
    pub cache_dir_bytes: u64,
    /// The folder in which the executor makes a temporary folder for NEAR contracts that it loads.
    /// It is best in memory, and must exist. `None` takes `/dev/shm` where that can be written, or
    /// else the system's folder for temporary files. When no folder can be made, a warning says so
    /// and contracts are loaded again for each call.
    pub scratch_dir: Option<PathBuf>,
    /// With a number, instances, memories and stacks come from pools with this many places under
    /// each meter, made together with the executor. More executions than that at once are faults.
    /// With `None`, each execution allocates its own.
    ///
    /// A place reserves about 16 TiB of address space, which is not memory; x86-64 has 128 TiB.
    /// Half of it is for the transform of an HTTP exchange. Where the host refuses that much, there
    /// are no pools. NEAR contracts have pools of their own, see [`near`](crate::near), and
    /// compositions have none.
    pub pool: Option<u32>,
    /// Whether a core module can be ended at the deadline. It takes about an eighth of its speed.
    /// Without, whoever started the process ends it, as the sandbox does with its children.
    /// A composition can always be ended.
    pub interruptible: bool,
    /// Whether the compiler optimises. Unoptimised code compiles faster and runs slower.
    pub optimize: bool,
    /// Whether one module is compiled on all cores.
    pub parallel_compilation: bool,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            // The yield's window on mainnet. What the contract accepts ends within 60% of it.
            deadline: Duration::from_secs(120),
            cache_bytes: 128 << 20,
            cache_dir: None,
            cache_dir_bytes: 1 << 30,
            scratch_dir: None,
            pool: None,
            interruptible: true,
            optimize: true,
            parallel_compilation: true,
        }
    }
}
