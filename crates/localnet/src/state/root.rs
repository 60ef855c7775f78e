//! The hashes of trie nodes, up to the state root, as nearcore computes them
//! (`core/store/src/trie/raw_node.rs`).

use std::sync::Arc;

use near_primitives::hash::{CryptoHash, hash};

use super::trie::{Digest, Link, Node, Touched, Value, nibbles};

/// What a node, a byte of a key and a byte of a value add to a subtree's memory usage (`TRIE_COSTS`
/// in `core/store/src/trie/trie_storage_update.rs`).
const NODE_COST: u64 = 50;
const KEY_BYTE_COST: u64 = 2;
const VALUE_BYTE_COST: u64 = 1;

/// The tags of nearcore's `RawTrieNode`.
const LEAF: u8 = 0;
const BRANCH: u8 = 1;
const BRANCH_WITH_VALUE: u8 = 2;
const EXTENSION: u8 = 3;

/// A trie node that is read on the path to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathNode {
    /// The hash of the node, by which nearcore stores it.
    pub hash: CryptoHash,
    /// The size of the node in bytes, as nearcore encodes it.
    pub size: u64,
}

/// The hash of a trie's root. It is all zeros if the trie is empty.
pub(super) fn root(link: &Link) -> CryptoHash {
    link.as_ref().map(digest).unwrap_or_default().hash
}

/// The hash and the size of a node on a path.
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
    let Encoded { inner, inner_hash, outer, weight } = encode(node);
    let size = |raw: &[u8]| u64::from(len_u32(raw));
    match outer {
        None => {
            let sizes = (size(&inner), size(&inner));
            Digest { hash: inner_hash, inner: inner_hash, weight, sizes }
        }
        Some(outer) => {
            let sizes = (size(&outer), size(&inner));
            Digest { hash: hash(&outer), inner: inner_hash, weight, sizes }
        }
    }
}

/// A node of this trie as nearcore encodes it, which takes one or two of nearcore's nodes.
struct Encoded {
    /// The leaf or the branch.
    inner: Vec<u8>,
    inner_hash: CryptoHash,
    /// The extension above the branch, if there is one.
    outer: Option<Vec<u8>>,
    /// The memory usage of the subtree.
    weight: u64,
}

fn encode(node: &Node) -> Encoded {
    let Some(children) = &node.children else {
        let encoded = encode_nibbles(&node.prefix, true);
        let mut raw = vec![LEAF];
        push_bytes(&mut raw, &encoded);
        push_value(&mut raw, &node.value);
        let weight = NODE_COST + key_cost(&encoded) + value_cost(&node.value);
        let inner = seal(raw, weight);
        return Encoded { inner_hash: hash(&inner), inner, outer: None, weight };
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
    let inner = seal(raw, weight);
    let inner_hash = hash(&inner);
    if node.prefix.is_empty() {
        return Encoded { inner, inner_hash, outer: None, weight };
    }
    let encoded = encode_nibbles(&node.prefix, false);
    let mut raw = vec![EXTENSION];
    push_bytes(&mut raw, &encoded);
    raw.extend(inner_hash.as_bytes());
    let weight = weight + NODE_COST + key_cost(&encoded);
    Encoded { inner, inner_hash, outer: Some(seal(raw, weight)), weight }
}

/// Appends the subtree's memory usage to a node. The hash covers both.
fn seal(mut raw: Vec<u8>, weight: u64) -> Vec<u8> {
    raw.extend(weight.to_le_bytes());
    raw
}

/// The nodes that prove what stands under a prefix: those on the path to it, and all below it. They
/// come in the order in which nearcore's iterator visits them (`core/store/src/trie/ops/iter.rs`).
pub(super) fn proof(link: &Link, prefix: &[u8]) -> Vec<Vec<u8>> {
    let prefix = nibbles(prefix);
    let mut proof = Vec::new();
    // The nodes to visit, the next one last, each with the rest of the prefix below it.
    let mut stack: Vec<(&Arc<Node>, &[u8])> = link.iter().map(|node| (node, &*prefix)).collect();
    while let Some((node, mut rest)) = stack.pop() {
        let Encoded { inner, outer, .. } = encode(node);
        if let Some(outer) = outer {
            proof.push(outer);
            match rest.strip_prefix(&*node.prefix) {
                Some(after) => rest = after,
                None if node.prefix.starts_with(rest) => rest = &[],
                None => continue,
            }
        }
        proof.push(inner);
        let children = node.children.iter().flat_map(|children| children.iter());
        match rest.split_first() {
            None => stack.extend(children.rev().flatten().map(|child| (child, rest))),
            Some((first, after)) => {
                let child = node.children.as_ref().and_then(|c| c.get(usize::from(*first)));
                stack.extend(child.into_iter().flatten().map(|child| (child, after)));
            }
        }
    }
    proof
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

/// Encodes nibbles in Ethereum's hex-prefix encoding, as nearcore does.
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
