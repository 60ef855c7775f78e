//! The dashboard, the alert rules and the operators' page name metrics that exist, and the page
//! names all of them.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use outlayer_telemetry::Metrics;
use serde_json::Value;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The names in a text that begin as a metric of ours does.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("outlayer_")).map(str::to_owned).collect()
}

fn published() -> BTreeSet<String> {
    let names = Metrics::names();
    assert!(names.len() > 20, "{names:?}");
    names
}

#[test]
fn the_alerts_name_metrics_that_exist() {
    let (text, published) = (read("deploy/alerts.yml"), published());
    let rules = text.lines().filter(|line| line.trim_start().starts_with("- alert:"));
    let rules: Vec<_> = rules.map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert!(rules.len() > 8, "{rules:?}");
    for name in named(&text) {
        assert!(published.contains(&name), "{name} is not published");
    }
    // And the page says what to do about each.
    let page = read("docs/operators.md");
    for rule in rules {
        assert!(page.contains(rule), "docs/operators.md says nothing of {rule}");
    }
}

#[test]
fn the_dashboard_names_metrics_that_exist_and_shows_all_of_them() {
    let (text, published) = (read("deploy/dashboard.json"), published());
    let board: Value = serde_json::from_str(&text).unwrap();
    let mut expressions = String::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            expressions.push_str(target["expr"].as_str().unwrap());
            expressions.push('\n');
        }
    }
    let shown = named(&expressions);
    for name in named(&text).iter().filter(|name| *name != "outlayer_") {
        assert!(published.contains(name), "{name} is not published");
    }
    for name in published {
        let whole = name.trim_end_matches("_sum").trim_end_matches("_count").to_owned();
        let bucket = format!("{whole}_bucket");
        assert!(shown.contains(&name) || shown.contains(&bucket), "{name} is not shown");
    }
}

#[test]
fn the_operators_page_explains_every_metric() {
    let page = named(&read("docs/operators.md"));
    let published = published();
    for name in &published {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = histogram.unwrap_or(name);
        assert!(page.contains(name), "docs/operators.md says nothing of {name}");
    }
    for name in page {
        let is_histogram = published.contains(&format!("{name}_bucket"));
        assert!(published.contains(&name) || is_histogram, "{name} is not published");
    }
}
