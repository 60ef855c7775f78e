//! What one contract on one shard can carry, computed from `gas.txt`, from the limits of a node
//! with the latest protocol version, and from how often workers ask. `CAPACITY.md` has the result.
//!
//! When this fails, `UPDATE_SNAPSHOTS=1 cargo test --workspace --test capacity` writes the tables
//! anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::version::PROTOCOL_VERSION;
use outlayer_protocol::{
    CodeRef, Compute, Config, EngineVersion, ExecutionRequest, Hash32, ResponseFormat,
    capacity::{MAX_OUTPUT_BYTES, proof_bytes},
    pricing::{Asked, answer_gas},
    reserve::{MOST_ID_BYTES, reserved_bytes},
};

/// What a chunk may burn and compute: `gas_limit` in the genesis of mainnet and testnet.
const CHUNK_GAS: u64 = 1_000_000_000_000_000;
/// What NEAR burns where the contract is for a call's receipt, before the contract runs:
/// executing a receipt and a function call.
const RECEIPT_GAS: u64 = 108_059_500_000 + 780_000_000_000;
/// What a call burns where it is signed: sending a receipt and a function call.
const SEND_GAS: u64 = answer_gas::CALL - RECEIPT_GAS;
/// Workers cut a body that does not fit into one call into parts of so many bytes.
const PART_BYTES: u64 = 1 << 20;
/// What one more answer burns in `resolve_many`; contract/README.md has the number.
const ONE_OF_MANY_GAS: u64 = 1_600_000_000_000;
/// Bytes of state that a call of a request or of a worker reads at most, with the nodes on the
/// paths, besides what the settlement reads: sixteen entries of 1 KiB.
const CALL_PROOF_BYTES: u64 = 16 * 1_024;
/// How many entries of the index fit into one view. `tests/gas` holds it.
const INDEX_PAGE: u64 = 2_000;
/// The most live requests that a worker looks at.
const MOST_PENDING: u64 = 10_000;
/// Bytes of an entry of the index in borsh, for a payer whose id has 20 bytes.
const ENTRY_BYTES: u64 = 8 + 8 + 8 + 4 + 4 + 1 + 1 + 1 + 9 + (4 + 20) + 1;
/// The gas that a node lets a view burn: `max_gas_burnt_view`.
const VIEW_GAS: u64 = 300 * TERA;
const TERA: u64 = 1_000_000_000_000;
const GIGA: u64 = 1_000_000_000;

/// The numbers of a row of `gas.txt`, in gas: request, answer, settlement.
fn row(text: &str, name: &str) -> [u64; 3] {
    let [ask, answer, settle, _] = whole_row(text, name);
    [ask, answer, settle]
}

/// The same, and what all of the contract's calls compute.
fn whole_row(text: &str, name: &str) -> [u64; 4] {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
    let numbers: Vec<u64> =
        line[name.len()..].split_whitespace().map(|word| word.parse().unwrap()).collect();
    [0, 1, 2, 4].map(|column| numbers[column] * GIGA)
}

fn config() -> Config {
    let mut config = Config::new(EngineVersion(1), 84);
    config.bounds.approvals = 7;
    config
}

/// A request for published code with an output of this length, in borsh.
fn asked(output_bytes: u32, change: impl FnOnce(&mut ExecutionRequest)) -> ExecutionRequest {
    let code = CodeRef { hash: Hash32::of(b"code"), url: None };
    let mut request = ExecutionRequest::new(code, "");
    request.limits.output_bytes = output_bytes;
    request.response_format = ResponseFormat::Borsh;
    change(&mut request);
    request
}

/// What one request takes of a shard.
struct Load {
    what: &'static str,
    approvals: u8,
    /// Gas burned on the contract's shard.
    gas: u64,
    /// What it computes there, in the units by which a chunk is filled.
    compute: u64,
    /// Bytes of state that its calls read.
    proof: u64,
    /// Bytes that come to the contract, or that go out of it, whichever are more.
    moved: u64,
}

/// The load of a request whose gas is in the row `name`.
fn load(text: &str, name: &str, what: &'static str, request: &ExecutionRequest) -> Load {
    let asked = Asked::of(&config(), request);
    let [ask, answer, settle] = row(text, name);
    let data = u64::from(request.limits.output_bytes);
    let modelled = answer_gas::submit(&asked, data) + answer_gas::PER_BYTE * data;
    // A body in parts comes in several calls, of which the row has the last.
    let is_small = data <= 1_024;
    let answer = if is_small { RECEIPT_GAS + answer } else { modelled - SEND_GAS };
    let seats = if request.approvals < 2 { 0 } else { u64::from(request.seats()) };
    let agree = answer_gas::agree(&asked).saturating_sub(2 * SEND_GAS) * seats;
    let claim = answer_gas::claim(&asked).saturating_sub(SEND_GAS);
    let calls = 2 + 2 * seats + u64::from(asked.takes_claims);
    let more_parts = data / PART_BYTES;
    let [.., computed] = whole_row(text, name);
    Load {
        what,
        approvals: request.approvals,
        gas: RECEIPT_GAS + ask + answer + agree + claim + RECEIPT_GAS + settle,
        compute: (calls + more_parts + 1) * RECEIPT_GAS + computed,
        proof: proof_bytes(request) + calls * CALL_PROOF_BYTES,
        moved: (request.input.len() as u64 + data).max(1_024),
    }
}

fn loads(text: &str) -> Vec<Load> {
    let quick = asked(1_024, |_| ());
    let many = {
        let one = load(text, "nothing", "the same, answered many at a time", &quick);
        let [_, answer, _] = row(text, "nothing");
        let less = RECEIPT_GAS + answer - ONE_OF_MANY_GAS;
        Load { gas: one.gas - less, compute: one.compute - less, ..one }
    };
    let long = asked(1_024, |request| request.limits.compute = Compute::Fuel(3 * GIGA));
    let claimed = {
        // The row has three claims, of which two are missed.
        let name = "3 claims, 2 missed";
        let all = load(text, name, "3 x 10⁹ units of fuel, claimed", &long);
        let more = whole_row(text, name)[3] - whole_row(text, "nothing")[3];
        Load { compute: all.compute - more / 3 * 2, ..all }
    };
    let large = |bytes| asked(bytes, |_| ());
    let agreed = |approvals, spares| {
        asked(1_024, |request| (request.approvals, request.spares) = (approvals, spares))
    };
    let agreeing = |what, request: &ExecutionRequest| {
        // The row has 7 workers. What each of them adds to request and settlement is a seventh of
        // the difference.
        let [ask, _, settle, computed] = whole_row(text, "nothing");
        let [ask_7, answer_7, settle_7, computed_7] = whole_row(text, "7 workers agree");
        let seats = u64::from(request.seats());
        let part = |one: u64, seven: u64| one + (seven - one) / 7 * seats;
        let own = load(text, "7 workers agree", what, request);
        let measured = ask_7 + answer_7 + settle_7;
        let scaled = part(ask, ask_7) + answer_7 + part(settle, settle_7);
        let compute = own.compute - computed_7 + part(computed, computed_7);
        Load { gas: own.gas - measured + scaled, compute, ..own }
    };
    vec![
        load(text, "nothing", "1 KiB of output", &quick),
        many,
        claimed,
        load(text, "256 KiB of output in borsh", "256 KiB of output", &large(256 << 10)),
        load(
            text,
            "largest output in borsh",
            "3,940,000 bytes of output",
            &large(MAX_OUTPUT_BYTES),
        ),
        agreeing("1 KiB of output, 3 workers", &agreed(2, 1)),
        agreeing("1 KiB of output, 5 workers", &agreed(3, 2)),
        agreeing("1 KiB of output, 7 workers", &agreed(4, 3)),
    ]
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Tenths as a decimal number.
fn decimal(tenths: u64) -> String {
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

fn table_of_loads(text: &str, node: &RuntimeConfig) -> String {
    let block_nanos = u64::from(config().window.block_nanos);
    let proof_limit = node.witness_config.main_storage_proof_size_soft_limit;
    let bandwidth = node.bandwidth_scheduler_config.max_shard_bandwidth;
    let mut table = String::from(
        "| a request | k | Tgas | computes | a block by that | by state read | by bytes moved | an \
         hour, at least | at most |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for load in loads(text) {
        // In tenths, as some requests fit into a block less than once.
        let by = |limit: u64, each: u64| limit.saturating_mul(10) / each;
        let [compute, proof, moved] =
            [by(CHUNK_GAS, load.compute), by(proof_limit, load.proof), by(bandwidth, load.moved)];
        // What is read is an upper bound, so it says what fits in any case.
        let most = compute.min(moved);
        let an_hour = |tenths: u64| {
            let nanos = u128::from(tenths) * 3_600 * u128::from(GIGA) / 10;
            grouped(u64::try_from(nanos / u128::from(block_nanos)).unwrap())
        };
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            load.what,
            load.approvals,
            decimal(load.gas * 10 / TERA),
            decimal(load.compute * 10 / TERA),
            decimal(compute),
            decimal(proof),
            decimal(moved),
            an_hour(most.min(proof)),
            an_hour(most),
        );
    }
    table
}

/// Where else it ends.
fn table_of_ends(text: &str, node: &RuntimeConfig) -> String {
    let timeout = node.wasm_config.limit_config.yield_timeout_length_in_blocks;
    let quick = asked(1_024, |_| ());
    let one = load(text, "nothing", "", &quick);
    let a_block = CHUNK_GAS / one.compute;
    let live = a_block * timeout;
    let bytes = reserved_bytes(&quick, MOST_ID_BYTES, false);
    let pages = MOST_PENDING.div_ceil(INDEX_PAGE);
    format!(
        "| what | at | what then |\n\
         |---|--:|---|\n\
         | live requests while nobody answers, if {} a block keep coming | {} | each times out \
         after {timeout} blocks and gets everything back; NEAR handles timeouts after all other \
         receipts of a block, so they may be late, and `sweep_expired` waits for them |\n\
         | live requests that one worker looks at | {} | it serves those, and sees the others when \
         some are settled |\n\
         | bytes of state that those requests take | {} | their payers' reserves pay for them |\n\
         | requests in one view of the index | {} | {pages} views at one block for the most that a \
         worker looks at; each burns at most {} Tgas, which a node bounds |\n\
         | bytes of such a view | {} | |\n",
        grouped(a_block),
        grouped(live),
        grouped(MOST_PENDING),
        grouped(MOST_PENDING * bytes),
        grouped(INDEX_PAGE),
        VIEW_GAS / TERA,
        grouped(INDEX_PAGE * ENTRY_BYTES),
    )
}

/// How many questions a worker asks in a block while there is work: for the newest block when three
/// quarters of a block's time have passed since the last one, again until it is there, which is
/// twice more at the most where blocks keep their time, and for the index after it.
const QUESTIONS: u64 = 4;

/// What workers ask of nodes.
fn table_of_polls() -> String {
    let block_nanos = u64::from(config().window.block_nanos);
    let mut table = String::from(
        "| workers | questions a second | bytes a second, 100 live requests | 2,000 live \
         requests |\n\
         |--:|--:|--:|--:|\n",
    );
    for workers in [1u64, 10, 100, 1_000] {
        let a_second = |each: u64| {
            let bytes = u128::from(workers) * u128::from(each) * u128::from(GIGA);
            grouped(u64::try_from(bytes / u128::from(block_nanos)).unwrap())
        };
        table += &format!(
            "| {} | {} | {} | {} |\n",
            grouped(workers),
            a_second(QUESTIONS),
            a_second(100 * ENTRY_BYTES),
            a_second(2_000 * ENTRY_BYTES),
        );
    }
    table
}

#[test]
fn the_page_has_what_follows_from_gas_and_limits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(folder.join("gas.txt")).unwrap();
    let configs = RuntimeConfigStore::new(None);
    let node = configs.get_config(PROTOCOL_VERSION);
    let file = folder.join("CAPACITY.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let mut updated = page.clone();
    let tables = [
        ("loads", table_of_loads(&text, node)),
        ("ends", table_of_ends(&text, node)),
        ("polls", table_of_polls()),
    ];
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let start = updated.find(&begin).expect(name) + begin.len();
        let stop = updated.find(&end).expect(name);
        updated.replace_range(start..stop, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, updated).unwrap();
        return;
    }
    assert!(page == updated, "CAPACITY.md is out of date; the tables are now:\n{updated}");
}
