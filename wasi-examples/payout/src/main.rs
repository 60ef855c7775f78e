//! Plans how a pot is divided among accounts: to each its part by points, and what the division
//! leaves to the first.
//!
//! The input is JSON, `{"pot": "1000", "members": [["alice.near", 2], ["bob.near", 1]]}`, with the
//! pot in yoctoNEAR. The guest pays nothing: the contract that asked carries the plan out.

use std::error::Error;

use outlayer_sdk::{input, output, plan};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pot: String,
    /// Accounts with their points.
    members: Vec<(String, u32)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Input { pot, members } = serde_json::from_str(&input::text()?)?;
    let points: Vec<_> = members.iter().map(|(_, points)| *points).collect();
    let parts =
        divide(pot.parse()?, &points).ok_or("the pot is too large, or nobody has points")?;
    for ((account, _), part) in members.iter().zip(parts) {
        if part > 0 {
            plan::promise(account).transfer(part);
        }
    }
    output::write(format!("divided among {}", members.len()));
    Ok(())
}

/// The part of each, by points. `None` when nobody has points, or a product does not fit.
fn divide(pot: u128, points: &[u32]) -> Option<Vec<u128>> {
    let all: u128 = points.iter().map(|points| u128::from(*points)).sum();
    let part = |points: &u32| pot.checked_mul((*points).into())?.checked_div(all);
    let mut parts = points.iter().map(part).collect::<Option<Vec<_>>>()?;
    let rest = pot - parts.iter().sum::<u128>();
    *parts.first_mut()? += rest;
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_pot() {
        assert_eq!(divide(10, &[2, 1]), Some(vec![7, 3]));
        assert_eq!(divide(11, &[1, 1, 1]), Some(vec![5, 3, 3]));
        assert_eq!(divide(5, &[0, 1]), Some(vec![0, 5]));
        assert_eq!((divide(5, &[0, 0]), divide(5, &[])), (None, None));
        assert_eq!(divide(u128::MAX, &[2]), None);
    }
}
