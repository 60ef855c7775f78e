//! Shows everything that a guest knows about its request, as JSON.
//!
//! The context comes in two ways, through the `outlayer` import and as environment variables. This
//! guest reads both, and exits with an error when they disagree. Integers are printed as text,
//! because not every JSON reader keeps 64 bits.

use std::{
    env,
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

use outlayer_sdk::{
    context::{self, Context},
    output,
};
use serde_json::{Map, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let mut answer = Map::new();
    for (field, imported) in fields(&context::current()) {
        let variable = format!("OUTLAYER_{}", field.to_uppercase());
        let found = env::var(&variable).map_err(|error| format!("{variable}: {error}"))?;
        if found != imported {
            return Err(format!("{variable} is {found:?}, the import says {imported:?}").into());
        }
        answer.insert(field.to_owned(), Value::String(imported));
    }
    for variable in ["TZ", "LANG"] {
        answer.insert(variable.to_lowercase(), env::var(variable)?.into());
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    answer.insert("clock".to_owned(), clock.to_string().into());
    output::write(serde_json::to_vec(&answer)?);
    Ok(())
}

/// The fields of a context, each with its name and with its value as the environment has it.
fn fields(context: &Context) -> [(&'static str, String); 9] {
    [
        ("request_id", context.request_id.to_string()),
        ("contract_id", context.contract_id.clone()),
        ("block_height", context.block_height.to_string()),
        ("block_timestamp", context.block_timestamp.to_string()),
        ("epoch_height", context.epoch_height.to_string()),
        ("random_seed", context.random_seed_hex()),
        ("signer_id", context.signer_id.clone()),
        ("predecessor_id", context.predecessor_id.clone()),
        ("attached_deposit", context.attached_deposit.to_string()),
    ]
}
