//! The kernel `maps-and-strings` as a module of its own.

/// Runs it, and traps when it is wrong.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn _start() {
    assert_eq!(calibration_kernels::maps_and_strings(), calibration_kernels::MAPS_AND_STRINGS);
}
