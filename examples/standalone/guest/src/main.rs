//! Reads a number as text, and answers with its prime factors, smallest first.

use std::process::ExitCode;

use outlayer_sdk::{input, output};

fn main() -> ExitCode {
    let number = match input::text() {
        Ok(text) => text.trim().parse::<u64>(),
        Err(error) => {
            output::log(format!("no input: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match number {
        Ok(number) if number > 1 => {
            output::log(format!("factoring {number}"));
            let factors: Vec<_> = factors(number).iter().map(u64::to_string).collect();
            output::write(factors.join(" "));
            ExitCode::SUCCESS
        }
        other => {
            output::log(format!("expected a number from 2 on, found {other:?}"));
            ExitCode::FAILURE
        }
    }
}

fn factors(mut number: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    let mut candidate = 2;
    while candidate <= number / candidate {
        if number.is_multiple_of(candidate) {
            number /= candidate;
            factors.push(candidate);
        } else {
            candidate += 1;
        }
    }
    factors.push(number);
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_multiply_to_the_number() {
        for number in (2..2_000).chain([1 << 20, 65_537, 477_961_341]) {
            let factors = factors(number);
            assert_eq!(factors.iter().product::<u64>(), number);
            assert!(factors.is_sorted());
        }
        assert_eq!(factors(12), [2, 2, 3]);
    }
}
