//! What metering adds to a module by name, and no guest may have.

/// The exported global that holds the fuel that is left; below zero when the guest wanted more.
pub const FUEL_EXPORT: &str = "outlayer:fuel";
/// The exported global that holds what is left of the stack; -1 after an overflow.
pub const STACK_EXPORT: &str = "outlayer:stack";
/// The exported global that says why a module has ended that tells so by itself, as
/// [`Why`](super::Why).
pub const WHY_EXPORT: &str = "outlayer:why";
/// The export under which a module's start function is found.
pub const START_EXPORT: &str = "outlayer:start";

/// The module from which the modules of a component import what counts their fuel and their stack:
/// [`FUEL_EXPORT`] and [`STACK_EXPORT`].
pub const METER_MODULE: &str = "outlayer:meter";

/// The maximum of the table with which a module inside of a composition tells that its stack does
/// not suffice, by growing it by one element. It stays empty. Growing it by more is how such a
/// module pays for bytes that it receives from another component.
pub const ALARM_TABLE: usize = 0x5ac_0f10;

/// The maximum of the table with which a component asks how much fuel there is, before any of its
/// modules runs. Each growth by one element asks for one bit, the highest first: the number of bits
/// in [`SUPPLY_LENGTH_BITS`] of them, and then so many. The host answers by letting it grow.
pub const SUPPLY_TABLE: usize = 0x5ac_0f11;
/// How many bits say how many bits the supply has. It is a signed integer that is not below zero.
pub const SUPPLY_LENGTH_BITS: u32 = 6;

/// The function that a component exports to its host alone, which gives what is left of the fuel.
pub const FUEL_LEFT_EXPORT: &str = "outlayer-fuel-left";

/// How the names of a profile begin.
const PAID: &str = "outlayer:paid:";

/// In a profile, the exported global that holds what the function of this index, among those that
/// the module defines, has paid.
pub fn paid_export(function: usize) -> String {
    format!("{PAID}{function}")
}

/// Whether no guest may have this export.
pub(super) fn is_reserved(name: &str) -> bool {
    [FUEL_EXPORT, STACK_EXPORT, WHY_EXPORT, START_EXPORT].contains(&name) || name.starts_with(PAID)
}
