//! The command's logs.

use std::io::{self, IsTerminal as _};

use outlayer_telemetry::JsonLog;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Crates below this one that log what they send and receive, and so API keys, when somebody asks
/// for all there is.
const QUIET: [&str; 4] = ["h2=info", "hyper=info", "hyper_util=info", "reqwest=info"];

/// Sends logs to stderr, filtered by `RUST_LOG`, or by `default` (such as `info`) when it is not
/// set.
pub(crate) fn init(default: &str) {
    let filter = std::env::var("RUST_LOG").ok().filter(|text| is_filter(text));
    init_with(filter.as_deref().unwrap_or(default), LogFormat::Text);
}

/// Whether a text says what is to be logged.
pub(crate) fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// Sends logs to stderr in this form, filtered by `filter`.
pub(crate) fn init_with(filter: &str, format: LogFormat) {
    let mut filter = EnvFilter::new(filter);
    for quiet in QUIET {
        if let Ok(directive) = quiet.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let all = tracing_subscriber::registry().with(filter);
    // A program that calls this library may have set up logging already. Then that stays.
    let _ = match format {
        LogFormat::Json => all.with(JsonLog::new(io::stderr())).try_init(),
        LogFormat::Text => {
            // In a log that a program reads, colours would stand between a field's name and its
            // value.
            let colours = io::stderr().is_terminal();
            let text = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(io::stderr);
            all.with(text).try_init()
        }
    };
}
