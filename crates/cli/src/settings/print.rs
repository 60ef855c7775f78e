//! `--print-config`: the settings that hold, each with the place it comes from.

use serde_json::{Map, Value, json};

use super::{
    Found, Kind, SETTINGS, Setting, Settings, Shown, Source, is_taken,
    read::{origin, show},
};
use crate::{networks, print};

impl<const ALL: bool> Settings<ALL> {
    /// Prints every setting, for people or as JSON. What may be secret is not shown.
    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return print::json(&self.to_json());
        }
        print::raw(self.to_text());
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = (&'static Setting, Option<&Found>)> {
        let taken = SETTINGS.iter().filter(|setting| is_taken::<ALL>(setting));
        taken.map(|setting| (setting, self.found(setting.key)))
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (setting, found) in self.each() {
            let (value, place) = match found {
                None => ("not set".to_owned(), Source::Default),
                Some(found) => {
                    let shown = found.texts.iter().map(|text| match setting.kind {
                        Kind::Number | Kind::Switch => text.clone(),
                        Kind::Secret => "set, not shown".to_owned(),
                        Kind::Text | Kind::List => show(setting.shown, text),
                    });
                    (shown.collect::<Vec<_>>().join(", "), found.source.clone())
                }
            };
            let line = format!("{:<20} {value:<32} {place}\n", setting.key);
            text.push_str(&line);
        }
        text
    }

    fn to_json(&self) -> Value {
        let mut all = Map::new();
        for (setting, found) in self.each() {
            let (value, source) = match found {
                None => (Value::Null, &Source::Default),
                Some(found) => (json_value(setting, &found.texts), &found.source),
            };
            let source = match source {
                Source::Flag(flag) => json!({ "kind": "flag", "flag": flag }),
                Source::Variable(name) => json!({ "kind": "environment", "variable": name }),
                Source::File { path, line } => {
                    json!({ "kind": "file", "path": path.display().to_string(), "line": line })
                }
                Source::Default => json!({ "kind": "default" }),
            };
            all.insert(setting.key.into(), json!({ "value": value, "source": source }));
        }
        Value::Object(all)
    }
}

/// A value as JSON. What does not have its kind stays a string.
fn json_value(setting: &Setting, texts: &[String]) -> Value {
    let one = |text: &String| match (setting.kind, setting.shown) {
        (Kind::Secret, _) | (_, Shown::Hidden) => json!("(not shown)"),
        (_, Shown::Network) if networks::is_named(text) => json!(text),
        (_, Shown::UrlOrigin | Shown::Network) => json!(origin(text)),
        (Kind::Number, _) => text.parse::<u64>().map_or_else(|_| json!(text), |n| json!(n)),
        (Kind::Switch, _) => text.parse::<bool>().map_or_else(|_| json!(text), |on| json!(on)),
        (Kind::Text | Kind::List, _) => json!(text),
    };
    match setting.kind {
        Kind::List | Kind::Secret => texts.iter().map(one).collect(),
        _ => texts.first().map_or(Value::Null, one),
    }
}
