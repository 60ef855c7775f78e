//! The engine that commands use: guests run in child processes of this program.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::Engine;
use outlayer_sandbox::{EngineSettings, Sandbox, SandboxConfig, serve};

use crate::{cache::compiled_dir, profile::Profiler};

/// The command with which this program starts itself as a child of a sandbox. It is no command for
/// people.
pub const SANDBOX_CHILD: &str = "sandbox-child";

// How a command runs guests. A doc comment would become the help of every command that has these.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Where code, and what it compiles to, is kept between runs [default: in memory only]
    #[arg(long, env = "OUTLAYER_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Run the guest in this process, and not in a confined child process
    #[arg(long, env = "OUTLAYER_IN_PROCESS")]
    in_process: bool,
}

impl EngineArgs {
    /// An engine in this process that says what each function of a guest paid.
    pub(crate) fn profiler(&self) -> anyhow::Result<Profiler> {
        let settings = settings(self.cache_dir.clone())?;
        Ok(Profiler::new(Executor::new(in_process(settings))?))
    }

    /// The engine for one execution at a time.
    pub(crate) fn engine(&self) -> anyhow::Result<Arc<dyn Engine>> {
        self.engine_of(1)
    }

    /// The engine for so many executions at once.
    pub(crate) fn engine_of(&self, processes: usize) -> anyhow::Result<Arc<dyn Engine>> {
        let settings = settings(self.cache_dir.clone())?;
        if self.in_process {
            return Ok(Arc::new(Executor::new(in_process(settings))?));
        }
        let config = SandboxConfig { processes, engine: settings, ..sandbox()? };
        Ok(Arc::new(Sandbox::start(config)?))
    }
}

/// The sandbox of a worker that executes `processes` requests at once, with `memory_bytes` for all
/// of them; `None` is the sandbox's own default.
pub(crate) fn of_worker(
    cache_dir: Option<PathBuf>,
    processes: usize,
    memory_bytes: Option<u64>,
) -> anyhow::Result<Arc<Sandbox>> {
    let mut config = SandboxConfig { processes, engine: settings(cache_dir)?, ..sandbox()? };
    config.memory_bytes = memory_bytes.unwrap_or(config.memory_bytes);
    Ok(Arc::new(Sandbox::start(config)?))
}

/// This program as its own child. On Linux the name leads to the program that is running, even when
/// its file has been replaced since.
fn sandbox() -> anyhow::Result<SandboxConfig> {
    let program = if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().context("the path of this program")?
    };
    Ok(SandboxConfig::new(program, [SANDBOX_CHILD.into()]))
}

fn settings(cache_dir: Option<PathBuf>) -> anyhow::Result<EngineSettings> {
    let cache_dir = cache_dir
        .map(|folder| {
            // A child has another current folder.
            let folder = std::path::absolute(compiled_dir(&folder))?;
            anyhow::Ok(folder.to_str().context("the cache folder's name is not UTF-8")?.to_owned())
        })
        .transpose()
        .context("the cache folder")?;
    Ok(EngineSettings { cache_dir, ..EngineSettings::default() })
}

/// The configuration of this process, which ends its guests at the deadline by itself.
fn in_process(settings: EngineSettings) -> ExecutorConfig {
    ExecutorConfig { interruptible: true, ..child(settings, None) }
}

/// The configuration of a child, which its parent ends at the deadline.
fn child(settings: EngineSettings, scratch_dir: Option<PathBuf>) -> ExecutorConfig {
    ExecutorConfig {
        deadline: settings.deadline(),
        cache_bytes: usize::try_from(settings.cache_bytes).unwrap_or(usize::MAX),
        cache_dir: settings.cache_dir.map(PathBuf::from),
        cache_dir_bytes: settings.cache_dir_bytes,
        optimize: settings.optimize,
        parallel_compilation: settings.parallel_compilation,
        pool: Some(1),
        interruptible: false,
        scratch_dir,
    }
}

/// Serves as a child, until the parent has no more requests.
pub(crate) fn serve_as_child() -> anyhow::Result<bool> {
    serve(|settings, scratch_dir| {
        Executor::new(child(settings, Some(scratch_dir))).map_err(|error| error.to_string())
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_the_defaults_of_an_executor() {
        let child = child(EngineSettings::default(), None);
        let ExecutorConfig {
            deadline,
            cache_bytes,
            cache_dir,
            cache_dir_bytes,
            scratch_dir,
            pool: _,
            interruptible,
            optimize,
            parallel_compilation,
        } = ExecutorConfig::default();
        assert_eq!((child.deadline, child.cache_bytes), (deadline, cache_bytes));
        assert_eq!((child.cache_dir, child.cache_dir_bytes), (cache_dir, cache_dir_bytes));
        assert_eq!(child.scratch_dir, scratch_dir);
        assert_eq!((child.optimize, child.parallel_compilation), (optimize, parallel_compilation));
        assert_eq!((child.interruptible, interruptible), (false, true));
        assert!(in_process(EngineSettings::default()).interruptible);
    }
}
