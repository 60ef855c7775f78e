//! What can go wrong.

/// Why there is no measurement or no report of it.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A kernel did not do what every kernel does: import nothing, run to its end.
    #[error("kernel {kernel}: {reason}")]
    Kernel {
        /// Its name.
        kernel: String,
        /// What happened instead.
        reason: String,
    },
    /// One of the engines could not be set up.
    #[error("setting up {engine}: {reason}")]
    Engine {
        /// Which.
        engine: &'static str,
        /// Why.
        reason: String,
    },
    /// The report could not be made.
    #[error("the {part} of the report: {reason}")]
    Report {
        /// Which part.
        part: &'static str,
        /// Why.
        reason: String,
    },
}

impl CalibrationError {
    pub(crate) fn kernel(kernel: &str, reason: impl ToString) -> Self {
        Self::Kernel { kernel: kernel.to_owned(), reason: reason.to_string() }
    }
}
