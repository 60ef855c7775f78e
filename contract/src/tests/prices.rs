//! What requests cost under the configuration of a new deployment, as the README says it.

use std::path::Path;

use outlayer_protocol::{
    Bytes, Compute, ExecutionRequest, NearToken, ResponseFormat,
    capacity::MAX_OUTPUT_BYTES,
    pricing::{Asked, fee, quote},
    request::CodeRef,
};

use super::world::*;

/// Lengths of the account ids of contract, requester, signer and payer: 20 bytes each.
const ID_BYTES: u64 = 4 * 20;
/// NEAR's price of a byte of storage, yoctoNEAR.
const BYTE_COST: NearToken = NearToken::from_yoctonear(10_000_000_000_000_000_000);

/// A request for code of up to 1 MiB at a URL of 60 bytes.
fn asked(change: impl FnOnce(&mut ExecutionRequest)) -> ExecutionRequest {
    let url = format!("https://{}", "u".repeat(52));
    let code = CodeRef { hash: Default::default(), url: Some(url) };
    let mut request = ExecutionRequest::new(code, Bytes::default());
    change(&mut request);
    request
}

/// An amount in NEAR to five decimals, rounded up.
fn near(amount: NearToken) -> String {
    let units = amount.as_yoctonear().div_ceil(10u128.pow(19));
    format!("{}.{:05}", units / 100_000, units % 100_000)
}

/// A row of the table: what a request is, the fee when it uses this much, and what it attaches.
fn row(what: &str, request: &ExecutionRequest, used: u64, data_bytes: u64) -> String {
    let config = config();
    let used = Compute::Fuel(used);
    let asked = Asked { new_payer: false, ..Asked::of(&config, request) };
    let paid = fee(&config.prices, &asked, used, data_bytes).unwrap().total();
    let quote = quote(&config, request, Some(&id("dapp.near")), ID_BYTES, BYTE_COST).unwrap();
    let (reserve, total) = (near(quote.storage_reserve), near(quote.total));
    format!("\n| {what} | {} | {reserve} | {total} |", near(paid))
}

/// When this fails, `UPDATE_SNAPSHOTS=1 cargo test --workspace --lib -- prices` writes the table
/// anew.
#[test]
fn the_readme_has_the_table_of_prices() {
    const BILLION: u64 = 1_000_000_000;
    const HEAD: &str = "| a request | its fee | reserve | attached |\n|---|--:|--:|--:|";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let start = readme.find(HEAD.lines().next().unwrap()).unwrap();
    let end = readme[start..].find("\n\n").map_or(readme.len(), |length| start + length);
    let nothing = asked(|_| ());
    let billion = asked(|request| request.limits.compute = Compute::Fuel(BILLION));
    let storage = asked(|request| request.limits = request.limits.with_storage(1, 1, 100));
    let largest = asked(|request| {
        request.limits.output_bytes = MAX_OUTPUT_BYTES;
        request.response_format = ResponseFormat::Borsh;
    });
    let agreed = asked(|request| request.approvals = 2);
    let rows = [
        row("nothing, with the default limits", &nothing, 0, 0),
        row("10⁹ units of fuel", &billion, BILLION, 0),
        row("1 KiB of output", &nothing, 0, 1 << 10),
        row("one key read and one written, 100 bytes", &storage, 0, 100),
        row("the largest output, 3,940,000 bytes", &largest, 0, MAX_OUTPUT_BYTES.into()),
        row("nothing, two approvals of three workers", &agreed, 0, 0),
    ];
    let expected = HEAD.to_owned() + &rows.concat();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let updated = [&readme[..start], &expected, &readme[end..]].concat();
        std::fs::write(&file, updated).unwrap();
        return;
    }
    assert_eq!(&readme[start..end], expected);
}
