//! Runs commands on the caller's storage, in order, and answers with one result for each command.
//!
//! The input is a JSON list; keys and values are text:
//!
//! ```json
//! [{"op": "set", "key": "name", "value": "Ada"},
//!  {"op": "get", "key": "name"},
//!  {"op": "increment", "key": "visits"},
//!  {"op": "remove", "key": "name"}]
//! ```
//!
//! The answer to this is `[null,"Ada",1,true]`. `set` returns null, `get` the value or null,
//! `increment` the new number, and `remove` whether the key was there.

use std::error::Error;

use outlayer_sdk::{input, output, storage};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Command {
    Get {
        key: String,
    },
    Set {
        key: String,
        value: String,
    },
    Remove {
        key: String,
    },
    /// Reads a number, adds `by`, and writes the sum: an update that must not be lost.
    Increment {
        key: String,
        #[serde(default = "one")]
        by: u64,
    },
}

fn one() -> u64 {
    1
}

fn main() -> Result<(), Box<dyn Error>> {
    let commands: Vec<Command> = serde_json::from_slice(&input::bytes()?)?;
    let results = commands.into_iter().map(run).collect::<Result<Vec<_>, _>>()?;
    output::write(serde_json::to_vec(&results)?);
    Ok(())
}

fn run(command: Command) -> Result<Value, Box<dyn Error>> {
    match command {
        Command::Get { key } => Ok(json!(read_text(&key)?)),
        Command::Set { key, value } => {
            storage::write(key.as_bytes(), value.as_bytes());
            Ok(Value::Null)
        }
        Command::Remove { key } => Ok(json!(storage::remove(key.as_bytes()))),
        Command::Increment { key, by } => {
            let number = read_text(&key)?.map_or(Ok(0), |text| text.parse::<u64>())?;
            let sum = number.checked_add(by).ok_or("the number does not fit into 64 bits")?;
            storage::write(key.as_bytes(), sum.to_string().as_bytes());
            Ok(json!(sum))
        }
    }
}

fn read_text(key: &str) -> Result<Option<String>, Box<dyn Error>> {
    Ok(storage::read(key.as_bytes()).map(String::from_utf8).transpose()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn results(commands: Value) -> Result<Vec<Value>, Box<dyn Error>> {
        serde_json::from_value::<Vec<Command>>(commands).unwrap().into_iter().map(run).collect()
    }

    #[test]
    fn each_command_sees_what_the_ones_before_it_did() {
        let commands = json!([
            {"op": "get", "key": "k"},
            {"op": "set", "key": "k", "value": "v"},
            {"op": "get", "key": "k"},
            {"op": "increment", "key": "n"},
            {"op": "increment", "key": "n", "by": 41},
            {"op": "remove", "key": "k"},
            {"op": "remove", "key": "k"},
        ]);
        let expected =
            [json!(null), json!(null), json!("v"), json!(1), json!(42), json!(true), json!(false)];
        assert_eq!(results(commands).unwrap(), expected);
    }

    #[test]
    fn what_is_no_number_is_not_incremented() {
        let commands = json!([
            {"op": "set", "key": "k", "value": "v"},
            {"op": "increment", "key": "k"},
        ]);
        assert!(results(commands).is_err());
        assert_eq!(storage::read(b"k"), Some(b"v".to_vec()));
    }

    #[test]
    fn the_largest_number_is_not_incremented() {
        storage::write(b"n", u64::MAX.to_string().as_bytes());
        assert!(results(json!([{"op": "increment", "key": "n"}])).is_err());
    }
}
