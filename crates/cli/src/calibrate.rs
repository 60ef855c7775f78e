//! `outlayer calibrate`: how gas and fuel relate, measured.

use std::path::PathBuf;

use clap::Args;
use outlayer_calibrate::{Calibration, corpus, report};

use crate::print;

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Print the measurements as JSON
    #[arg(long)]
    json: bool,
    /// Also write the table, the measurements and the plot into this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// How many times each kernel runs for the clock; the median is shown
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

impl CalibrateArgs {
    /// True when gas here is gas on a node, on every kernel.
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let kernels = corpus()?;
        let calibration = Calibration::new()?;
        let mut measurements = Vec::with_capacity(kernels.len());
        for (index, kernel) in kernels.iter().enumerate() {
            eprintln!("{:>3}/{} {}", index + 1, kernels.len(), kernel.name);
            measurements.push(calibration.measure(kernel, self.runs)?);
        }
        if self.json {
            print::raw(report::json(&measurements)?);
        } else {
            print::raw(format_args!(
                "{}\n{}",
                report::table(&measurements),
                report::summary(&measurements)
            ));
        }
        if let Some(folder) = self.write {
            report::write(&measurements, &folder)?;
            eprintln!("written to {}", folder.display());
        }
        Ok(measurements.iter().all(|found| found.gas_here == found.gas_on_a_node))
    }
}
