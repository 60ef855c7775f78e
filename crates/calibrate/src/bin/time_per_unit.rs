//! `outlayer-time-per-unit`: how long a unit of fuel takes at most.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use outlayer_calibrate::time::{Stopwatch, Timing};
use outlayer_kernels::worst::{PIECES, Worst, chasing, of_pieces, worst};

/// Time guests that take as long as they can for each unit of fuel
#[derive(Debug, Parser)]
#[command(name = "outlayer-time-per-unit", version)]
struct Arguments {
    /// Repeat less and run shorter
    #[arg(long)]
    short: bool,
    /// Only guests whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// The sizes of memory, MiB, for guests whose time depends on it
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256])]
    memory: Vec<u64>,
    /// Also put together this many guests at random, and keep what is slow
    #[arg(long, default_value_t = 0)]
    search: u32,
    /// What the search begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlayer-time-per-unit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const MIB: u64 = 1 << 20;
/// Strings between components are so long that they do not fit into the nearer caches.
const CHARACTERS: u32 = 2_000_000;

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let timing = if arguments.short {
        Timing { at_least: Duration::from_millis(5), runs: 3 }
    } else {
        Timing { at_least: Duration::from_millis(20), runs: 7 }
    };
    let stopwatch = Stopwatch::new(timing)?;
    let time = |guest: &Worst, memory_bytes: u64, setup: u64| -> anyhow::Result<f64> {
        let slope = stopwatch.slope(guest, memory_bytes, setup)?;
        println!(
            "| {} | {} | {:.2} | {} | {:?} |",
            guest.name,
            memory_bytes / MIB,
            slope.nanos,
            slope.fuel,
            slope.status
        );
        Ok(slope.nanos)
    };
    println!("| guest | MiB | ns a unit | fuel | status |\n|---|--:|--:|--:|---|");
    let wanted = |guest: &Worst| guest.name.contains(&arguments.filter);
    for mebibytes in &arguments.memory {
        let memory_bytes = mebibytes * MIB;
        // Each line of the memory is written once, in a loop of fewer operators than this.
        let setup = memory_bytes / 64 * 24;
        for guest in chasing(memory_bytes)?.iter().filter(|guest| wanted(guest)) {
            time(guest, memory_bytes, setup)?;
        }
    }
    let small = MIB;
    let chases = chasing(small)?.len();
    for guest in worst(small, CHARACTERS)?.iter().skip(chases).filter(|guest| wanted(guest)) {
        time(guest, small, 0)?;
    }
    search(arguments, &time)
}

/// Puts guests together at random and changes the slowest, one piece at a time.
fn search(
    arguments: &Arguments,
    time: &impl Fn(&Worst, u64, u64) -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    let mut random = arguments.seed;
    let mut draw = |most: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap_or(0) % most.max(1)
    };
    let mut best: Option<(f64, Vec<&str>)> = None;
    for round in 0..arguments.search {
        let mut pieces = match &best {
            Some((_, pieces)) if draw(4) > 0 => pieces.clone(),
            _ => (0..=draw(12)).map(|_| PIECES[draw(PIECES.len())]).collect(),
        };
        let at = draw(pieces.len());
        match draw(3) {
            0 => pieces[at] = PIECES[draw(PIECES.len())],
            1 if pieces.len() > 1 => drop(pieces.remove(at)),
            _ => pieces.insert(at, PIECES[draw(PIECES.len())]),
        }
        let guest = of_pieces(&format!("search {round}: {}", pieces.concat()), &pieces)?;
        let nanos = time(&guest, MIB, 0)?;
        if best.as_ref().is_none_or(|(most, _)| nanos > *most) {
            best = Some((nanos, pieces));
        }
    }
    Ok(())
}
