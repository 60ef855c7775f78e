//! Growth is paid for where it succeeds.

use outlayer_executor::fuel;
use outlayer_protocol::Compute;

use super::used;
use crate::common::Run;

/// A guest that grows its table by so many, which is given in two ways.
fn grows(by: &str) -> Run {
    Run::module(&format!(
        r#"(table 1 funcref) (global $by (mut i32) (i32.const {by}))
        (func (export "_start")
            (call $emit (i64.extend_i32_s (table.grow (ref.null func) {}))))"#,
        if by.starts_with('-') {
            "(global.get $by)".to_owned()
        } else {
            format!("(i32.const {by})")
        },
    ))
    .limits(|limits| limits.table_elements = 1_000)
}

#[test]
fn a_table_that_does_not_grow_costs_a_constant() {
    let nothing = used(&grows("0"));
    assert_eq!(used(&grows("1000")), nothing);
    assert_eq!(used(&grows("2147483647")), nothing);
    assert_eq!(grows("1000").words(), [u64::MAX]);
    // One operand more, as a global's value costs what a constant costs.
    assert_eq!(used(&grows("-1")), nothing);
    for by in [1, 128, 999] {
        assert_eq!(used(&grows(&by.to_string())), nothing + by);
        assert_eq!(grows(&by.to_string()).words(), [1]);
    }
    assert!(nothing > fuel::TABLE_GROW);
}

#[test]
fn a_table_grows_by_nothing_without_fuel() {
    let needs = used(&grows("900"));
    let execution = grows("900").fuel(needs - 1).run();
    assert_eq!(execution.used, Compute::Fuel(needs - 1));
    assert_eq!(execution.status, outlayer_protocol::Status::OutOfFuel);
}
