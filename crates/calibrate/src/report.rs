//! The report: the table, the lines that sum it up, and the files that hold them.

use std::{fs, path::Path};

use crate::{
    CalibrationError, Measurement, plot,
    ratios::{fuel_per_operator, gas_per_fuel, gas_per_operator},
};

/// The file with the table and its summary.
pub const TABLE_FILE: &str = "table.md";
/// The file with the measurements, for programs.
pub const JSON_FILE: &str = "table.json";
/// The file with the plot of gas for each unit of fuel.
pub const PLOT_FILE: &str = "gas-per-fuel.svg";

/// The number in decimal, its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn microseconds(nanos: u64) -> String {
    format!("{}.{}", grouped(nanos / 1_000), nanos % 1_000 / 100)
}

/// A ratio that is shown as a whole number, such as gas for each operator.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(ratio: f64) -> String {
    grouped(ratio.round() as u64)
}

/// A ratio that is shown with three decimals, such as fuel for each operator.
fn thousandths(ratio: f64) -> String {
    format!("{ratio:.3}")
}

/// The table in Markdown. Times are in microseconds.
pub fn table(measurements: &[Measurement]) -> String {
    let mut out = String::from(
        "| kernel | operators | gas on a node | gas here | fuel | gas / fuel \
         | µs on a node | µs by gas | µs by fuel |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for measurement in measurements {
        let cells = [
            measurement.kernel.clone(),
            grouped(measurement.operators),
            grouped(measurement.gas_on_a_node),
            grouped(measurement.gas_here),
            grouped(measurement.fuel),
            whole(gas_per_fuel(measurement)),
            microseconds(measurement.nanos_on_a_node),
            microseconds(measurement.nanos_by_gas),
            microseconds(measurement.nanos_by_fuel),
        ];
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

/// The kernels with the smallest and the largest ratio, of those that execute any operator; `None`
/// when there are no such kernels.
fn extremes(
    measurements: &[Measurement],
    of: fn(&Measurement) -> f64,
) -> Option<[(&Measurement, f64); 2]> {
    let ratios =
        || measurements.iter().filter(|found| found.operators > 0).map(|found| (found, of(found)));
    let by_ratio = |a: &(&Measurement, f64), b: &(&Measurement, f64)| a.1.total_cmp(&b.1);
    Some([ratios().min_by(by_ratio)?, ratios().max_by(by_ratio)?])
}

/// What the table shows, in a Markdown list: one item for the range of each ratio, and one that
/// says whether gas here is gas on a node.
pub fn summary(measurements: &[Measurement]) -> String {
    let mut out = String::new();
    type Ratio = (&'static str, fn(&Measurement) -> f64, fn(f64) -> String);
    let ratios: [Ratio; 3] = [
        ("gas for each operator", gas_per_operator, whole),
        ("fuel for each operator", fuel_per_operator, thousandths),
        ("gas for each unit of fuel", gas_per_fuel, whole),
    ];
    for (what, of, text) in ratios {
        if let Some([(least, low), (most, high)]) = extremes(measurements, of) {
            out.push_str(&format!(
                "* {what}: from {} ({}) to {} ({}), {:.2} times as much\n",
                text(low),
                least.kernel,
                text(high),
                most.kernel,
                high / low
            ));
        }
    }
    let differing = measurements.iter().filter(|found| found.gas_here != found.gas_on_a_node);
    match differing.count() {
        0 => out.push_str("* gas here is gas on a node, to the unit, on every kernel\n"),
        count => {
            out.push_str(&format!("* gas here DIFFERS from gas on a node on {count} kernels\n"))
        }
    }
    out
}

/// The measurements as JSON.
///
/// # Errors
/// [`CalibrationError::Report`] when they cannot be serialized, which does not happen.
pub fn json(measurements: &[Measurement]) -> Result<String, CalibrationError> {
    serde_json::to_string_pretty(measurements)
        .map(|text| text + "\n")
        .map_err(|error| CalibrationError::report("JSON", error))
}

/// The files of the report, each with its name and its content.
///
/// # Errors
/// [`CalibrationError::Report`] when the plot cannot be drawn.
pub fn files(
    measurements: &[Measurement],
) -> Result<[(&'static str, String); 3], CalibrationError> {
    let table = format!("{}\n{}", table(measurements), summary(measurements));
    Ok([
        (TABLE_FILE, table),
        (JSON_FILE, json(measurements)?),
        (PLOT_FILE, plot::gas_per_fuel(measurements)?),
    ])
}

/// Writes the files of the report into `folder`, and makes the folder if it is missing.
///
/// # Errors
/// [`CalibrationError::Report`] when a file cannot be written.
pub fn write(measurements: &[Measurement], folder: &Path) -> Result<(), CalibrationError> {
    let failed = |path: &Path, error| CalibrationError::report(path.display(), error);
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, content) in files(measurements)? {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(kernel: &str, operators: u64, gas: u64, fuel: u64) -> Measurement {
        Measurement {
            kernel: kernel.to_owned(),
            bytes: 10,
            operators,
            gas_on_a_node: gas + 1_000,
            gas_here: gas + 1_000,
            loading_gas: 1_000,
            fuel,
            nanos_on_a_node: 1_234_567,
            nanos_by_gas: 1_500,
            nanos_by_fuel: 99,
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(microseconds(1_234_567), "1,234.5");
        assert_eq!(microseconds(99), "0.0");
    }

    #[test]
    fn a_row_has_all_columns() {
        let table = table(&[measurement("a", 1_000, 2_000_000, 1_600)]);
        assert_eq!(
            table.lines().last(),
            Some("| a | 1,000 | 2,001,000 | 2,001,000 | 1,600 | 1,250 | 1,234.5 | 1.5 | 0.0 |")
        );
    }

    #[test]
    fn the_summary_names_extremes_and_differences() {
        let mut all = [
            measurement("a", 10, 1_000, 10),
            measurement("b", 10, 3_000, 20),
            measurement("c", 0, 9, 1),
        ];
        let text = summary(&all);
        assert!(
            text.contains("gas for each operator: from 100 (a) to 300 (b), 3.00 times"),
            "{text}"
        );
        assert!(
            text.contains("gas for each unit of fuel: from 100 (a) to 150 (b), 1.50"),
            "{text}"
        );
        assert!(text.contains("to the unit, on every kernel"), "{text}");
        all[1].gas_here += 1;
        assert!(summary(&all).contains("DIFFERS from gas on a node on 1 kernels"));
    }
}
