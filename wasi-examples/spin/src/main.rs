//! Never ends. Its request settles as `OutOfFuel`, and is charged for its whole limit.

use std::hint::black_box;

fn main() {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
