//! What `results/` says is what is measured, in all but the times; and gas here is gas on a node.
#![allow(clippy::unwrap_used)]

use outlayer_calibrate::{
    Calibration, Measurement, corpus,
    report::{self, JSON_FILE, PLOT_FILE, TABLE_FILE},
};

fn committed(name: &str) -> String {
    let path = format!("{}/results/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn committed_measurements() -> Vec<Measurement> {
    serde_json::from_str(&committed(JSON_FILE)).unwrap()
}

#[test]
fn gas_here_is_gas_on_a_node_to_the_unit_and_the_committed_table_is_what_is_measured() {
    let calibration = Calibration::new().unwrap();
    let mut measured = Vec::new();
    for kernel in corpus().unwrap() {
        let measurement = calibration.measure(&kernel, 1).unwrap();
        assert_eq!(measurement.gas_here, measurement.gas_on_a_node, "{}", kernel.name);
        measured.push(measurement.without_times());
    }
    let committed: Vec<_> =
        committed_measurements().iter().map(Measurement::without_times).collect();
    assert_eq!(
        measured, committed,
        "crates/calibrate/results is not what is measured; write it anew: outlayer calibrate --write crates/calibrate/results"
    );
}

#[test]
fn the_committed_files_are_one_report() {
    for (name, content) in report::files(&committed_measurements()).unwrap() {
        assert!([TABLE_FILE, JSON_FILE, PLOT_FILE].contains(&name));
        assert_eq!(committed(name), content, "{name}");
    }
}

/// The page cites the summary's lines.
#[test]
fn the_page_says_what_the_table_shows() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let measurements = committed_measurements();
    for line in report::summary(&measurements).lines() {
        assert!(page.contains(line), "the page lacks: {line}");
    }
}
