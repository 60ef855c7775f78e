//! What metering costs whole programs, against the same bytes on a wasmtime that counts nothing:
//! `cargo bench --workspace --profile dev --bench programs`. BENCHMARKS.md has the figures.
//!
//! The programs are those of `crates/kernels/programs`, which are built first, and those of the
//! folder that the variable `PROGRAMS` names, where it is set. `FILTER` runs those whose name
//! contains it, and `ROUNDS` says how often each program runs in each way.
//!
//! This does not use criterion, which measures one thing after the other: on a machine that does
//! other work too, what is compared must run in turns. A ratio is the median over all rounds of
//! what the two took in the same round. The time is the thread's own time on the processor.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../executor/guests.rs"]
#[allow(dead_code)]
mod guests;
mod host;
mod programs;
mod ways;

use std::time::Duration;

use self::ways::{Executors, Way, ways};

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
    };
    let rounds = number("ROUNDS", 15);
    let filter = std::env::var("FILTER").unwrap_or_default();
    let executors = Executors::new();
    let mut table = Vec::new();
    for program in programs::all() {
        if !program.name.contains(&filter) {
            continue;
        }
        let ways = ways(&program, &executors);
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..rounds {
            for (way, times) in ways.iter().zip(&mut times) {
                times.push(way.run());
            }
        }
        table.push(row(&program.name, &ways, &times));
    }
    report(&table);
}

/// A program's least time without a meter, and by the name of each other way its ratio to that.
struct Row {
    name: String,
    plain: Duration,
    ratios: Vec<(&'static str, f64)>,
}

fn row(name: &str, ways: &[Way], times: &[Vec<Duration>]) -> Row {
    let plain = &times[0];
    let ratios = ways.iter().zip(times).skip(1).map(|(way, times)| {
        let mut ratios: Vec<f64> = times
            .iter()
            .zip(plain)
            .map(|(time, plain)| time.as_secs_f64() / plain.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        (way.name, ratios[ratios.len() / 2])
    });
    let row = Row {
        name: name.to_owned(),
        plain: plain.iter().copied().min().unwrap(),
        ratios: ratios.collect(),
    };
    let shown = row.ratios.iter().map(|(way, ratio)| format!(", {way} {ratio:.2}"));
    println!("{name}: plain {:.1?}{}", row.plain, shown.collect::<String>());
    row
}

/// The table of BENCHMARKS.md. A program that one of the meters does not accept counts for the
/// others.
fn report(table: &[Row]) {
    println!("\n| program | plain |{}", ways::NAMES.map(|name| format!(" {name} |")).concat());
    println!("|---|--:|{}", ways::NAMES.map(|_| "--:|").concat());
    for row in table {
        let ratio = |name: &str| row.ratios.iter().find(|(way, _)| *way == name);
        let cells = ways::NAMES
            .map(|name| ratio(name).map_or(" |".to_owned(), |(_, ratio)| format!(" {ratio:.2} |")));
        println!("| {} | {:.0?} |{}", row.name, row.plain, cells.concat());
    }
    let means = ways::NAMES.map(|name| {
        let ratios = table.iter().flat_map(|row| &row.ratios).filter(|(way, _)| *way == name);
        let logarithms: Vec<f64> = ratios.map(|(_, ratio)| ratio.ln()).collect();
        if logarithms.is_empty() {
            return " |".to_owned();
        }
        let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
        format!(" {:.2} |", mean.exp())
    });
    println!("| geometric mean | |{}", means.concat());
}
