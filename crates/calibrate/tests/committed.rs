//! The files in `results/` say what is measured, in all but the times; and gas here is gas on a
//! node.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --workspace --test committed` writes the files anew, and measures
//! the times again only if anything else has moved.
#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path, sync::LazyLock};

use outlayer_calibrate::{
    Calibration, DEFAULT_RUNS, Measurement,
    report::{self, JSON_FILE, PLOT_FILE, TABLE_FILE},
};
use outlayer_kernels::corpus;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

static MEASURED: LazyLock<Vec<Measurement>> = LazyLock::new(|| measure(1));

static COMMITTED: LazyLock<Vec<Measurement>> = LazyLock::new(|| {
    if env::var_os("UPDATE_SNAPSHOTS").is_none() {
        return serde_json::from_str(&committed(JSON_FILE)).unwrap();
    }
    let text = fs::read_to_string(Path::new(RESULTS).join(JSON_FILE)).unwrap_or_default();
    let committed: Vec<Measurement> = serde_json::from_str(&text).unwrap_or_default();
    let measurements = if without_times(&committed) == without_times(&MEASURED) {
        committed
    } else {
        measure(DEFAULT_RUNS)
    };
    report::write(&measurements, Path::new(RESULTS)).unwrap();
    measurements
});

fn measure(runs: u32) -> Vec<Measurement> {
    let calibration = Calibration::new().unwrap();
    let kernels = corpus().unwrap();
    kernels.iter().map(|kernel| calibration.measure(kernel, runs).unwrap()).collect()
}

fn without_times(measurements: &[Measurement]) -> Vec<Measurement> {
    measurements.iter().map(Measurement::without_times).collect()
}

fn committed(name: &str) -> String {
    let path = Path::new(RESULTS).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn gas_here_is_gas_on_a_node_to_the_unit_and_the_committed_table_is_what_is_measured() {
    for measurement in MEASURED.iter() {
        assert_eq!(measurement.gas_here, measurement.gas_on_a_node, "{}", measurement.kernel);
    }
    assert_eq!(
        without_times(&MEASURED),
        without_times(&COMMITTED),
        "crates/calibrate/results is not what is measured; UPDATE_SNAPSHOTS=1 writes it anew"
    );
}

#[test]
fn the_committed_files_are_one_report() {
    for (name, content) in report::files(&COMMITTED).unwrap() {
        assert!([TABLE_FILE, JSON_FILE, PLOT_FILE].contains(&name));
        assert_eq!(committed(name), content, "{name}");
    }
}

/// The page quotes the lines of the summary, which it may wrap.
#[test]
fn the_page_says_what_the_table_shows() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in report::summary(&COMMITTED).lines() {
        assert!(page.contains(line), "the page lacks: {line}");
    }
}
