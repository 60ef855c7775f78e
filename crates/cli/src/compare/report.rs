//! Both side by side, for people and for programs.

use outlayer_protocol::Bytes;
use serde_json::{Value, json};

use super::{
    Asked,
    gas::Gas,
    here::Here,
    there::There,
    verdict::{Kind, Verdict, in_lines},
};
use crate::print::{self, Colour};

/// The width of a column, characters.
const WIDTH: usize = 32;

/// Prints what was compared, and the verdict.
pub(super) fn show(
    asked: &Asked,
    there: &There,
    here: &Here,
    gas: Option<&Gas>,
    verdict: &Verdict,
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        return print::json(&document(asked, there, here, gas, verdict)?);
    }
    print::line("contract", format!("{} on {}", asked.contract_id, there.network));
    print::line("code", asked.code_hash);
    print::line("method", print::text(asked.method.as_bytes()));
    print::line("block", format!("{} ({})", there.block.height, there.block.hash));
    if let Some(transaction) = &asked.deployed {
        print::line("deployed with", transaction);
    }
    if let Some((transaction, _)) = &there.receipt {
        print::line("transaction", transaction);
    }
    print::raw("\n");
    row("", "network", "here");
    let status = match &there.result {
        Ok(_) => "completed".to_owned(),
        Err(reason) => print::text(reason.as_bytes()),
    };
    row("status", &status, &print::status(&here.status));
    let output = there.result.as_deref().map(print::text).unwrap_or_default();
    row("output", &output, &print::text(&here.output));
    let logs = match &there.logs {
        Some(lines) => print::text(&in_lines(lines)),
        None => "(not given)".to_owned(),
    };
    row("logs", logs.trim_end(), print::text(&here.logs).trim_end());
    match gas {
        Some(gas) => rows_of(gas),
        None => row("gas", "(not given)", &here.gas.to_string()),
    }
    print::raw("\n");
    let (colour, word) = match verdict.verdict {
        Kind::Same => (Colour::Green, "the same"),
        Kind::Differs => (Colour::Red, "differs"),
        Kind::Incomparable => (Colour::Yellow, "cannot be compared"),
    };
    print::line("verdict", print::paint(colour, word));
    for found in &verdict.found {
        print::line("", print::text(found.as_bytes()));
    }
    for note in &verdict.notes {
        print::line("note", note);
    }
    Ok(())
}

fn rows_of(gas: &Gas) {
    let (there, here) = (&gas.there, &gas.here);
    row("gas compared", &there.compared.to_string(), &here.compared.to_string());
    row("  of it loading", &there.loading.to_string(), &here.loading.to_string());
    row("  instructions", &there.instructions.to_string(), "");
    row("  host functions", &there.host_functions.to_string(), "");
    row("gas for trie", &there.trie.to_string(), &here.trie.to_string());
    row("receipt's fees", &there.fees.to_string(), "0");
    if there.receipts_made > 0 {
        row("receipts made", &there.receipts_made.to_string(), "0");
    }
    row("gas in all", &there.receipt.to_string(), &here.used.to_string());
}

/// A row of three columns. What is longer than a column goes below.
fn row(name: &str, there: &str, here: &str) {
    let is_short = |text: &str| text.chars().count() <= WIDTH && !text.contains('\n');
    if is_short(there) && is_short(here) {
        let line = format!("{name:<16} {there:<WIDTH$} {here}");
        print::raw(format_args!("{}\n", line.trim_end()));
        return;
    }
    for (column, text) in [("network", there), ("here", here)] {
        let text = text.replace('\n', &format!("\n{:17}", ""));
        print::raw(format_args!("{name:<16} {column}: {text}\n"));
    }
}

fn document(
    asked: &Asked,
    there: &There,
    here: &Here,
    gas: Option<&Gas>,
    verdict: &Verdict,
) -> anyhow::Result<Value> {
    let (output, error) = match &there.result {
        Ok(output) => (Some(Bytes(output.clone())), None),
        Err(reason) => (None, Some(reason)),
    };
    let mut document = json!({
        "contract_id": asked.contract_id,
        "code_hash": asked.code_hash,
        "method": asked.method,
        "network": there.network,
        "protocol_version": there.protocol_version,
        "near_config_version": outlayer_guest::NEAR_CONFIG_VERSION,
        "engine_version": outlayer_guest::ENGINE_VERSION,
        "block": { "height": there.block.height, "hash": there.block.hash.to_string() },
        "deployed": asked.deployed,
        "transaction": there.receipt.as_ref().map(|(hash, _)| hash.to_string()),
        "there": { "output": output, "error": error, "logs": there.logs },
        "here": {
            "status": here.status,
            "output": Bytes(here.output.clone()),
            "logs": Bytes(here.logs.clone()),
            "gas": here.gas,
        },
        "gas": gas,
    });
    if let (Some(fields), Value::Object(more)) =
        (document.as_object_mut(), serde_json::to_value(verdict)?)
    {
        fields.extend(more);
    }
    Ok(document)
}
