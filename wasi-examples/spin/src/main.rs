//! Never ends: the request settles as `OutOfFuel`, and is charged for all of its limit.

use std::hint::black_box;

fn main() {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
