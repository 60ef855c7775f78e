//! The kernel `maps-and-strings`, as a module of its own.

/// Runs the kernel, and traps when its number is wrong.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn _start() {
    assert_eq!(calibration_kernels::maps_and_strings(), calibration_kernels::MAPS_AND_STRINGS);
}
