//! The engine that commands use: guests run in child processes of this program.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::{ENGINE_VERSION, Engine, EngineId, Engines};
use outlayer_protocol::EngineVersion;
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
        Ok(Profiler::new(self.executor()?))
    }

    /// An engine in this process.
    pub(crate) fn executor(&self) -> anyhow::Result<Executor> {
        Ok(Executor::new(in_process(settings(self.cache_dir.clone())?))?)
    }

    /// The engine for one execution at a time.
    pub(crate) fn engine(&self) -> anyhow::Result<Arc<dyn Engine>> {
        self.engine_of(1)
    }

    /// The engine for so many executions at once.
    pub(crate) fn engine_of(&self, processes: usize) -> anyhow::Result<Arc<dyn Engine>> {
        if self.in_process {
            return Ok(Arc::new(self.executor()?));
        }
        Ok(of_worker(self.cache_dir.clone(), processes, None)?)
    }

    /// The same with engines of other programs, which always run in child processes.
    pub(crate) fn engines_of(
        &self,
        processes: usize,
        others: &[OtherEngine],
    ) -> anyhow::Result<Engines> {
        let (own, beside): (Arc<dyn Engine>, _) = if self.in_process {
            (self.engine_of(processes)?, None)
        } else {
            let own = of_worker(self.cache_dir.clone(), processes, None)?;
            (Arc::<Sandbox>::clone(&own), Some(own))
        };
        let mut engines = Engines::own(own);
        let mut beside = beside;
        for other in others {
            let sandbox = other.start(beside.as_deref(), self.cache_dir.as_deref(), processes)?;
            engines = engines.with(sandbox.engine(), Arc::<Sandbox>::clone(&sandbox));
            beside.get_or_insert(sandbox);
        }
        Ok(engines)
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

/// An engine of another version, which another program has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherEngine {
    /// Its version.
    pub(crate) version: EngineVersion,
    /// An `outlayer` of a release that has this engine.
    pub(crate) program: PathBuf,
}

/// What an engine of another program may be named as.
pub(crate) const OTHER_ENGINE: &str =
    "VERSION=PROGRAM, each version once, and not this program's own, such as 1=/opt/outlayer-1";

impl OtherEngine {
    /// Reads engines as they are named; `Err` has the text that names none.
    pub(crate) fn read_all(texts: &[String]) -> Result<Vec<Self>, &str> {
        let mut engines: Vec<Self> = Vec::new();
        for text in texts {
            let engine = Self::read(text).ok_or(text.as_str())?;
            if engines.iter().any(|one| one.version == engine.version) {
                return Err(text);
            }
            engines.push(engine);
        }
        Ok(engines)
    }

    fn read(text: &str) -> Option<Self> {
        let (version, program) = text.split_once('=')?;
        let version = EngineVersion(version.trim().parse().ok()?);
        // A child has another current folder.
        let program = std::path::absolute(program.trim()).ok()?;
        (version != ENGINE_VERSION).then_some(Self { version, program })
    }

    /// Starts its program as a sandbox's child, within the bounds of the sandbox `beside`. What it
    /// compiles has a folder of its own, so that neither program reads what the other has written.
    pub(crate) fn start(
        &self,
        beside: Option<&Sandbox>,
        cache_dir: Option<&Path>,
        processes: usize,
    ) -> anyhow::Result<Arc<Sandbox>> {
        let cache_dir = cache_dir.map(|folder| folder.join(format!("engine-{}", self.version.0)));
        let mut config = SandboxConfig::new(&self.program, [SANDBOX_CHILD.into()]);
        config.engine_version = self.version;
        config.processes = processes;
        config.engine = settings(cache_dir)?;
        let sandbox = match beside {
            Some(own) => own.beside(config),
            None => Sandbox::start(config),
        };
        Ok(Arc::new(sandbox.with_context(|| format!("{}", self.version))?))
    }
}

// The engines of other programs that a replay may need. A doc comment would become help.
#[derive(Debug, Args)]
pub(crate) struct OtherEngineArgs {
    /// An engine of another version, as VERSION=PROGRAM: an `outlayer` of a release that has it.
    /// May be repeated
    #[arg(
        long = "engine",
        value_name = "VERSION=PROGRAM",
        env = "OUTLAYER_ENGINE",
        value_delimiter = ','
    )]
    engines: Vec<String>,
}

impl OtherEngineArgs {
    /// The engines that were named.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<OtherEngine>> {
        OtherEngine::read_all(&self.engines)
            .map_err(|found| anyhow!("--engine: found {found}, expected {OTHER_ENGINE}"))
    }
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
    serve(EngineId::OWN, |settings, scratch_dir| {
        Executor::new(child(settings, Some(scratch_dir))).map_err(|error| error.to_string())
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_engines_are_named_once_and_never_the_own_one() {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let read =
            OtherEngine::read_all(&texts(&["7=/lib/outlayer-7", " 9 = outlayer=9"])).unwrap();
        assert_eq!(read.iter().map(|one| one.version.0).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(read[0].program, Path::new("/lib/outlayer-7"));
        assert!(read[1].program.is_absolute() && read[1].program.ends_with("outlayer=9"));
        let own = format!("{}=/x", ENGINE_VERSION.0);
        for wrong in ["7", "=x", "7=", "x=/x", "-1=/x", &own] {
            assert_eq!(OtherEngine::read_all(&texts(&["9=/x", wrong])), Err(wrong));
        }
        assert_eq!(OtherEngine::read_all(&texts(&["7=/x", "7=/y"])), Err("7=/y"));
    }

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
