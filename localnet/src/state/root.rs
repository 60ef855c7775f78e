//! The state root: the hash nearcore computes of a trie (`core/store/src/trie/raw_node.rs`).

use super::PathNode;
use super::trie::{Digest, Link, Node, Touched, Value};
use near_primitives::hash::{CryptoHash, hash};
use std::sync::Arc;

/// What a node, a byte of a key and a byte of a value weigh in a subtree's memory usage
/// (`core/store/src/trie/trie_storage_update.rs`, `TRIE_COSTS`).
const NODE_COST: u64 = 50;
const KEY_BYTE_COST: u64 = 2;
const VALUE_BYTE_COST: u64 = 1;

/// Tags of nearcore's `RawTrieNode`.
const LEAF: u8 = 0;
const BRANCH: u8 = 1;
const BRANCH_WITH_VALUE: u8 = 2;
const EXTENSION: u8 = 3;

/// The root of a trie; all zeros when it is empty.
pub(super) fn root(link: &Link) -> CryptoHash {
    link.as_ref().map(digest).unwrap_or_default().hash
}

/// One node on a path.
pub(super) fn path_node(node: Touched<'_>) -> PathNode {
    match node {
        Touched::Outer(node) => {
            let digest = digest(node);
            PathNode { hash: digest.hash, size: digest.sizes.0 }
        }
        Touched::Inner(node) => {
            let digest = digest(node);
            PathNode { hash: digest.inner, size: digest.sizes.1 }
        }
    }
}

fn digest(node: &Arc<Node>) -> Digest {
    if let Some(known) = node.digest.get() {
        return *known;
    }
    if let Some(children) = &node.children {
        for child in children.iter().flatten() {
            digest(child);
        }
    }
    *node.digest.get_or_init(|| compute(node))
}

fn compute(node: &Node) -> Digest {
    let Some(children) = &node.children else {
        let encoded = encode_nibbles(&node.prefix, true);
        let mut raw = vec![LEAF];
        push_bytes(&mut raw, &encoded);
        push_value(&mut raw, &node.value);
        let weight = NODE_COST + key_cost(&encoded) + value_cost(&node.value);
        let (hash, size) = seal(raw, weight);
        return Digest { hash, inner: hash, weight, sizes: (size, size) };
    };
    let mut raw = Vec::new();
    match &node.value {
        None => raw.push(BRANCH),
        value => {
            raw.push(BRANCH_WITH_VALUE);
            push_value(&mut raw, value);
        }
    }
    let mut bitmap = 0u16;
    let mut hashes = Vec::new();
    let mut weight = NODE_COST + value_cost(&node.value);
    for (position, child) in children.iter().enumerate() {
        if let Some(child) = child {
            let below = digest(child);
            bitmap |= 1 << position;
            hashes.push(below.hash);
            weight += below.weight;
        }
    }
    raw.extend(bitmap.to_le_bytes());
    hashes.iter().for_each(|hash| raw.extend(hash.as_bytes()));
    let (inner, inner_size) = seal(raw, weight);
    if node.prefix.is_empty() {
        return Digest { hash: inner, inner, weight, sizes: (inner_size, inner_size) };
    }
    let encoded = encode_nibbles(&node.prefix, false);
    let mut raw = vec![EXTENSION];
    push_bytes(&mut raw, &encoded);
    raw.extend(inner.as_bytes());
    let weight = weight + NODE_COST + key_cost(&encoded);
    let (hash, size) = seal(raw, weight);
    Digest { hash, inner, weight, sizes: (size, inner_size) }
}

/// The hash of a node and its size in bytes.
fn seal(mut raw: Vec<u8>, weight: u64) -> (CryptoHash, u64) {
    raw.extend(weight.to_le_bytes());
    (hash(&raw), u64::from(len_u32(&raw)))
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn push_bytes(raw: &mut Vec<u8>, bytes: &[u8]) {
    raw.extend(len_u32(bytes).to_le_bytes());
    raw.extend(bytes);
}

fn push_value(raw: &mut Vec<u8>, value: &Option<Value>) {
    let bytes = value.as_deref().unwrap_or_default();
    raw.extend(len_u32(bytes).to_le_bytes());
    raw.extend(hash(bytes).as_bytes());
}

fn key_cost(encoded: &[u8]) -> u64 {
    u64::from(len_u32(encoded)) * KEY_BYTE_COST
}

fn value_cost(value: &Option<Value>) -> u64 {
    value.as_ref().map_or(0, |v| u64::from(len_u32(v)) * VALUE_BYTE_COST + NODE_COST)
}

/// Ethereum's hex-prefix coding, which nearcore keeps.
fn encode_nibbles(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let odd = nibbles.len() % 2 == 1;
    let flag = if is_leaf { 0x20 } else { 0 };
    let mut encoded = Vec::with_capacity(nibbles.len() / 2 + 1);
    let rest = match nibbles.split_first() {
        Some((first, rest)) if odd => {
            encoded.push(flag | 0x10 | first);
            rest
        }
        _ => {
            encoded.push(flag);
            nibbles
        }
    };
    encoded.extend(rest.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]));
    encoded
}
