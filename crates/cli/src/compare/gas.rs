//! What the gas of a call was burned for, there and here, as far as the two can be compared.
//!
//! The node's figure has the fees for the receipt and for its action in it, which a guest does not
//! pay. The rest is near-vm-runner's, there and here: loading the contract, its instructions, and
//! the functions of the host. One of those is measured otherwise here: a node charges a write or a
//! removal for the nodes of its trie on the way to the key, and a guest for a fixed number.

use outlayer_client::{CallReceipt, CryptoHash, ProfileEntry};
use outlayer_executor::gas::{CallFees, has_the_gas_of, trie_nodes};
use serde::Serialize;

use super::{Asked, here::Here, there::There};

/// The node's names for what its trie costs.
const TRIE: [&str; 2] = ["TOUCHING_TRIE_NODE", "READ_CACHED_TRIE_NODE"];
const LOADING: [&str; 2] = ["CONTRACT_LOADING_BASE", "CONTRACT_LOADING_BYTES"];
const INSTRUCTIONS: &str = "WASM_INSTRUCTION";

/// Units of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gas {
    /// Whether the network's fees are those of this engine.
    pub(super) same_fees: bool,
    pub(super) there: GasThere,
    pub(super) here: GasHere,
}

/// What the receipt burned on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct GasThere {
    /// In all.
    pub(super) receipt: u64,
    /// The fees for the receipt and its action, by NEAR's table.
    pub(super) fees: u64,
    /// By the node's profile, as everything that follows.
    pub(super) loading: u64,
    pub(super) instructions: u64,
    pub(super) host_functions: u64,
    /// For the nodes of the trie.
    pub(super) trie: u64,
    /// The fees of receipts that the contract made.
    pub(super) receipts_made: u64,
    /// What table and profile together leave over: none, unless the node has no profile, or its
    /// network has fees that this build does not know.
    pub(super) unexplained: i64,
    /// What is compared: what the contract burned, without the trie.
    pub(super) compared: u64,
}

/// What the execution used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct GasHere {
    /// In all.
    pub(super) used: u64,
    /// Loading the contract, which is part of it.
    pub(super) loading: u64,
    /// What writes and removals cost in place of a trie's nodes. They are as many as there.
    pub(super) trie: u64,
    /// What is compared.
    pub(super) compared: u64,
}

/// The parts of both figures.
pub(super) fn parts(
    asked: &Asked,
    there: &There,
    (_, receipt): &(CryptoHash, CallReceipt),
    here: &Here,
) -> Gas {
    let fees = CallFees::of(there.protocol_version);
    let named = |names: &[&str]| sum(&receipt.profile, |one| names.contains(&one.cost.as_str()));
    let loading = named(&LOADING);
    let (instructions, trie) = (named(&[INSTRUCTIONS]), named(&TRIE));
    let receipts_made = sum(&receipt.profile, |one| one.is_action);
    let executed = sum(&receipt.profile, |one| !one.is_action);
    let apart = loading.saturating_add(instructions).saturating_add(trie);
    let of_receipt = fees.receipt(&asked.method, &asked.args);
    let explained = i128::from(of_receipt) + i128::from(executed) + i128::from(receipts_made);
    let changes =
        fees.storage_changes(named(&["STORAGE_WRITE_BASE"]), named(&["STORAGE_REMOVE_BASE"]));
    let trie_here = trie_nodes(changes);
    Gas {
        same_fees: has_the_gas_of(there.protocol_version),
        there: GasThere {
            receipt: receipt.gas_burnt,
            fees: of_receipt,
            loading,
            instructions,
            host_functions: executed.saturating_sub(apart),
            trie,
            receipts_made,
            unexplained: i64::try_from(i128::from(receipt.gas_burnt) - explained)
                .unwrap_or(i64::MAX),
            compared: executed.saturating_sub(trie),
        },
        here: GasHere {
            used: here.gas,
            // A method that is not there is found out before that, and costs nothing.
            loading: CallFees::of(outlayer_guest::NEAR_CONFIG_VERSION)
                .loading(asked.code.len())
                .min(here.gas),
            trie: trie_here,
            compared: here.gas.saturating_sub(trie_here),
        },
    }
}

fn sum(profile: &[ProfileEntry], wanted: impl Fn(&ProfileEntry) -> bool) -> u64 {
    profile.iter().filter(|one| wanted(one)).fold(0, |sum, one| sum.saturating_add(one.gas))
}
