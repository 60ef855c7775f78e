#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use near_primitives::hash::hash;

use super::*;

/// A generator of pseudo-random numbers, so that the test does the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }

    fn key(&mut self) -> Vec<u8> {
        let len = self.next(5);
        (0..len)
            .map(|_| [0x00, 0x01, 0x10, 0x11, 0xff][usize::try_from(self.next(5)).unwrap()])
            .collect()
    }
}

#[test]
fn behaves_like_an_ordered_map_and_its_root_depends_on_content_only() {
    let mut numbers = Numbers(7);
    let mut state = State::new();
    let mut model = BTreeMap::new();
    for step in 0..3000u64 {
        let key = numbers.key();
        if numbers.next(3) == 0 {
            state.remove_raw(&key);
            model.remove(&key);
        } else {
            let value = step.to_le_bytes().to_vec();
            state.set_raw(&key, value.clone());
            model.insert(key, value);
        }
        if step % 100 == 0 {
            let mut rebuilt = State::new();
            for (key, value) in &model {
                rebuilt.set_raw(key, value.clone());
            }
            assert_eq!(rebuilt.root(), state.root());
        }
        let prefix = numbers.key();
        let found: Vec<_> =
            state.iter_prefix(&prefix).map(|(key, value)| (key, value.to_vec())).collect();
        let expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(state.get_raw(&prefix).map(|v| v.to_vec()), model.get(&prefix).cloned());
    }
    for key in model.keys() {
        state.remove_raw(key);
    }
    assert_eq!(state.root(), CryptoHash::default());
}

#[test]
fn a_snapshot_keeps_its_content() {
    let mut state = State::new();
    state.set_raw(b"key", b"old".to_vec());
    let snapshot = state.clone();
    state.set_raw(b"key", b"new".to_vec());
    assert_eq!(&*snapshot.get_raw(b"key").unwrap(), b"old");
}

fn touched(state: &State, key: &[u8]) -> usize {
    state.get_with_path(key).1.len()
}

#[test]
fn nodes_are_counted_as_extension_branch_and_leaf() {
    let mut state = State::new();
    assert_eq!(touched(&state, b"a"), 0);
    state.set_raw(b"ab", b"1".to_vec());
    // One leaf, whether it has the key or not.
    assert_eq!(touched(&state, b"ab"), 1);
    assert_eq!(touched(&state, b"zz"), 1);
    state.set_raw(b"ac", b"2".to_vec());
    // An extension, a branch and a leaf.
    assert_eq!(touched(&state, b"ab"), 3);
    // For "zz", the extension already shows that the key has no value. For "ad", the branch shows
    // it, because it has no such child.
    assert_eq!(touched(&state, b"zz"), 1);
    assert_eq!(touched(&state, b"ad"), 2);
    state.set_raw(b"a", b"3".to_vec());
    // The value stands in the branch, so an extension and a branch are read.
    assert_eq!(touched(&state, b"a"), 2);
}

#[test]
fn the_root_of_a_single_leaf_is_nearcores() {
    // RawTrieNodeWithSize { Leaf(hex-prefix, ValueRef { length, hash }), memory_usage }
    // (core/store/src/trie/raw_node.rs), byte by byte.
    let mut state = State::new();
    state.set_raw(&[0xab], b"xyz".to_vec());
    let mut raw = vec![0, 2, 0, 0, 0, 0x20, 0xab, 3, 0, 0, 0];
    raw.extend(hash(b"xyz").as_bytes());
    raw.extend((50u64 + 2 * 2 + 3 + 50).to_le_bytes());
    assert_eq!(state.root(), hash(&raw));
}

#[test]
fn a_chain_of_keys_that_each_prolong_the_last_fits_on_a_small_stack() {
    // The longest key of a contract's storage has 2,048 bytes.
    let work = || {
        let mut state = State::new();
        let key = vec![b'a'; 2_200];
        for len in 1..=key.len() {
            state.set_raw(&key[..len], vec![1]);
        }
        let snapshot = state.clone();
        assert_ne!(state.root(), CryptoHash::default());
        assert_eq!(state.iter_prefix(b"").count(), key.len());
        for len in (1..=key.len()).rev() {
            state.remove_raw(&key[..len]);
        }
        assert_eq!(state.root(), CryptoHash::default());
        drop(snapshot);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_proof_leads_from_the_root_to_everything_under_a_prefix() {
    let mut state = State::new();
    for key in ["a", "ab1", "ab2", "ab2x", "b", "c9"] {
        state.set_raw(key.as_bytes(), key.as_bytes().to_vec());
    }
    let proof = state.proof(b"ab");
    let hashes: Vec<CryptoHash> = proof.iter().map(|node| hash(node)).collect();
    assert_eq!(hashes[0], state.root());
    // The hash of each node stands in a node before it.
    for (n, id) in hashes.iter().enumerate().skip(1) {
        let named = |node: &Vec<u8>| node.windows(32).any(|part| part == id.as_bytes());
        assert!(proof[..n].iter().any(named), "node {n}");
    }
    let holds = |key: &str| {
        let value = hash(key.as_bytes());
        proof.iter().any(|node| node.windows(32).any(|part| part == value.as_bytes()))
    };
    assert!(["ab1", "ab2", "ab2x"].into_iter().all(holds));
    assert!(!["b", "c9"].into_iter().any(holds));
    // The absence of a prefix has a proof as well. An empty state has no nodes and so no proof.
    assert!(!state.proof(b"zz").is_empty());
    assert!(State::new().proof(b"").is_empty());
}
