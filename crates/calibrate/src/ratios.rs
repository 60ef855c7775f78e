//! The ratios that a measurement is about: gas, fuel and operators, one for another.

use crate::Measurement;

/// `whole / part`, or 0 when `part` is 0.
#[allow(clippy::cast_precision_loss)]
fn ratio(whole: u64, part: u64) -> f64 {
    if part == 0 { 0.0 } else { whole as f64 / part as f64 }
}

/// Gas for each unit of fuel. The gas for loading the module is left out: it grows with the
/// module's bytes, and fuel has nothing like it.
pub fn gas_per_fuel(measurement: &Measurement) -> f64 {
    ratio(measurement.execution_gas(), measurement.fuel)
}

/// Gas for each operator executed, without the gas for loading the module.
pub fn gas_per_operator(measurement: &Measurement) -> f64 {
    ratio(measurement.execution_gas(), measurement.operators)
}

/// Fuel for each operator executed.
pub fn fuel_per_operator(measurement: &Measurement) -> f64 {
    ratio(measurement.fuel, measurement.operators)
}
