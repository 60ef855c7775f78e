//! Searches a text of about 600 KB with a regular expression that captures.

use std::fmt::Write as _;

use measured_programs::{fold, numbers};
use regex::Regex;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    for number in numbers().take(20_000) {
        let (name, host) = (number % 9_973, number >> 32 & 0xff);
        writeln!(text, "{number:x} user{name}@host{host}.example.org -")?;
    }
    let pattern = Regex::new(r"(?-u)([a-z]+[0-9]*)@([a-z0-9]+)\.example\.(org|com)")?;
    let sum = pattern.captures_iter(&text).fold(0, |sum, found| {
        let length = |group| found.get(group).map_or(0, |group| group.len() as u64);
        fold(sum, length(1) << 8 | length(2))
    });
    println!("{sum:x}");
    Ok(())
}
