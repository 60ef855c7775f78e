//! Writes a JSON document of about 100 KB, and parses and writes it 30 times.

use std::fmt::Write as _;

use measured_programs::{fold, numbers};
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::from("[null");
    for number in numbers().take(1_000) {
        write!(
            text,
            concat!(
                r#",{{"id": {}, "share": {}.{:03}e-3, "#,
                r#""name": "caf\u00e9 \"{:x}\"", "tags": [true, null, -{}]}}"#
            ),
            number,
            number % 90,
            number % 1_000,
            number % 4_096,
            number % 77
        )?;
    }
    text.push(']');
    let mut sum = 0;
    for _ in 0..30 {
        let document: Value = serde_json::from_str(&text)?;
        sum = document.to_string().bytes().fold(sum, |sum, byte| fold(sum, byte.into()));
    }
    println!("{sum:x}");
    Ok(())
}
