//! Adds up amounts by name. The folders beside this one have the same guest in other languages.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    amount: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: Vec<Row> = serde_json::from_reader(io::stdin().lock())?;
    let mut sums = BTreeMap::<String, i64>::new();
    for Row { name, amount } in rows {
        *sums.entry(name).or_default() += amount;
    }
    let mut output = serde_json::to_string(&sums)?;
    output.push('\n');
    io::stdout().write_all(output.as_bytes())?;
    Ok(())
}
