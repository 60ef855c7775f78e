//! Why a measurement or its report failed.

use std::error::Error;

/// The error below another one.
type Source = Box<dyn Error + Send + Sync>;

/// Why there is no measurement, or no report of it.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A kernel imports something, or did not run to its end.
    #[error("kernel {kernel}")]
    Kernel {
        /// The kernel's name.
        kernel: String,
        /// What happened instead.
        source: Source,
    },
    /// Two runs of a kernel under the same meter counted different amounts.
    #[error("kernel {kernel}: one run counted {first}, another {again}")]
    Unstable {
        /// The kernel's name.
        kernel: String,
        /// What the first run counted, in gas or fuel.
        first: u64,
        /// What a later run counted, in the same unit.
        again: u64,
    },
    /// near-vm-runner or the executor could not be set up.
    #[error("setting up {engine}")]
    Engine {
        /// Which of the two.
        engine: &'static str,
        /// What it needs and did not get.
        source: Source,
    },
    /// A part of the report could not be made or written.
    #[error("the report: {part}")]
    Report {
        /// "JSON", "plot", or the path of a file or folder.
        part: String,
        /// Why not.
        source: Source,
    },
}

impl CalibrationError {
    pub(crate) fn kernel(kernel: &str, source: impl Into<Source>) -> Self {
        Self::Kernel { kernel: kernel.to_owned(), source: source.into() }
    }

    pub(crate) fn engine(engine: &'static str, source: impl Into<Source>) -> Self {
        Self::Engine { engine, source: source.into() }
    }

    pub(crate) fn report(part: impl ToString, source: impl Into<Source>) -> Self {
        Self::Report { part: part.to_string(), source: source.into() }
    }
}
