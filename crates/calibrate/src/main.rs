//! `outlayer-calibrate`: measures how gas and fuel relate, and reports it.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::{self, ExitCode},
};

use clap::Parser;
use outlayer_calibrate::{Calibration, DEFAULT_RUNS, report};
use outlayer_kernels::corpus;

/// Measure how NEAR's gas and fuel relate, on a corpus of kernels
#[derive(Debug, Parser)]
#[command(name = "outlayer-calibrate", version)]
struct Arguments {
    /// Print the measurements as JSON
    #[arg(long)]
    json: bool,
    /// Also write the table, the measurements and the plot into this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// How many times to run each kernel to measure its time; the median is shown
    #[arg(long, default_value_t = DEFAULT_RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Exits with 0 when gas here is gas on a node on every kernel, with 1 when it is not, and with 2
/// when it could not be measured.
fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("outlayer-calibrate: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Measures and reports. True when gas here is gas on a node, on every kernel.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let kernels = corpus()?;
    let calibration = Calibration::new()?;
    let mut measurements = Vec::with_capacity(kernels.len());
    for (index, kernel) in kernels.iter().enumerate() {
        eprintln!("{:>3}/{} {}", index + 1, kernels.len(), kernel.name);
        measurements.push(calibration.measure(kernel, arguments.runs)?);
    }
    print(&if arguments.json {
        report::json(&measurements)?
    } else {
        format!("{}\n{}", report::table(&measurements), report::summary(&measurements))
    });
    if let Some(folder) = arguments.write {
        report::write(&measurements, &folder)?;
        eprintln!("written to {}", folder.display());
    }
    Ok(measurements.iter().all(|found| found.gas_here == found.gas_on_a_node))
}

/// Prints to standard output. When that fails the command ends, and says nothing if the reader has
/// gone away, as the reader of `| head` does.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("outlayer-calibrate: standard output: {error}");
        }
        process::exit(2);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
