//! A persistent radix-16 trie with the shape of nearcore's (`core/store/src/trie`).
//!
//! Every change makes new nodes along one path and shares all others, so a clone of the root is a
//! snapshot. A node here stands for up to two nodes of nearcore's trie, where the prefix before a
//! branch is a node of its own (an extension). The fee for touched nodes counts it.

use std::sync::{Arc, OnceLock};

use near_primitives::hash::CryptoHash;

/// A value of the trie, as bytes that snapshots share.
pub type Value = Arc<[u8]>;

pub(super) type Link = Option<Arc<Node>>;

/// The hashes and sizes that nearcore computes for a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Digest {
    /// The hash of the upper one of nearcore's nodes that this node stands for.
    pub(super) hash: CryptoHash,
    /// The hash of the branch below the extension. Without an extension it is the same as `hash`.
    pub(super) inner: CryptoHash,
    /// The memory usage of the subtree, which the hash covers.
    pub(super) weight: u64,
    /// The encoded sizes of the two nodes, the upper one first, in bytes.
    pub(super) sizes: (u64, u64),
}

/// A node without children is a leaf. Any other is a branch with a prefix before it.
#[derive(Debug)]
pub(super) struct Node {
    /// The nibbles of the key between the parent's child slot and this node.
    pub(super) prefix: Box<[u8]>,
    pub(super) value: Option<Value>,
    pub(super) children: Option<Box<[Link; 16]>>,
    /// The subtree's digest, computed when it is first needed.
    pub(super) digest: OnceLock<Digest>,
}

impl Drop for Node {
    /// Drops the nodes of a deep trie one by one, because recursion could overflow the stack.
    fn drop(&mut self) {
        let Some(children) = self.children.take() else {
            return;
        };
        let mut stack: Vec<Arc<Node>> = children.into_iter().flatten().collect();
        while let Some(node) = stack.pop() {
            if let Some(mut node) = Arc::into_inner(node)
                && let Some(children) = node.children.take()
            {
                stack.extend(children.into_iter().flatten());
            }
        }
    }
}

impl Node {
    fn new(prefix: &[u8], value: Option<Value>, children: Option<Box<[Link; 16]>>) -> Arc<Self> {
        Arc::new(Self { prefix: prefix.into(), value, children, digest: OnceLock::new() })
    }

    fn child(&self, nibble: u8) -> Option<&Arc<Node>> {
        self.children.as_ref()?.get(usize::from(nibble))?.as_ref()
    }
}

/// The nibbles of a key. The high half of each byte comes first.
pub(super) fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

fn bytes(nibbles: &[u8]) -> Vec<u8> {
    nibbles.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0)).collect()
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// One of nearcore's nodes on the path to a key.
#[derive(Clone, Copy)]
pub(super) enum Touched<'a> {
    /// A leaf, an extension, or a branch without an extension.
    Outer(&'a Arc<Node>),
    /// The branch below an extension.
    Inner(&'a Arc<Node>),
}

/// Looks up a key, and calls `visit` with each node that nearcore reads on the path. The node at
/// which the search ends is among them; the node of the value itself is not.
pub(super) fn lookup<'a>(
    root: &'a Link,
    key: &[u8],
    mut visit: impl FnMut(Touched<'a>),
) -> Option<&'a Value> {
    let key = nibbles(key);
    let mut rest = key.as_slice();
    let mut at = root.as_ref();
    while let Some(node) = at {
        visit(Touched::Outer(node));
        if node.children.is_none() {
            return if *rest == *node.prefix { node.value.as_ref() } else { None };
        }
        if !node.prefix.is_empty() {
            rest = rest.strip_prefix(&*node.prefix)?;
            visit(Touched::Inner(node));
        }
        let Some((first, after)) = rest.split_first() else {
            return node.value.as_ref();
        };
        at = node.child(*first);
        rest = after;
    }
    None
}

/// The trie with `key` set to `value`.
pub(super) fn insert(root: &Link, key: &[u8], value: Value) -> Link {
    Some(insert_at(root.as_ref(), &nibbles(key), value))
}

fn insert_at(node: Option<&Arc<Node>>, key: &[u8], value: Value) -> Arc<Node> {
    let Some(node) = node else {
        return Node::new(key, Some(value), None);
    };
    let shared = common_prefix(&node.prefix, key);
    if shared < node.prefix.len() {
        return split(node, key, shared, value);
    }
    let Some((first, rest)) = key[shared..].split_first() else {
        return Node::new(&node.prefix, Some(value), node.children.clone());
    };
    let mut children = node.children.clone().unwrap_or_default();
    let slot = &mut children[usize::from(*first)];
    *slot = Some(insert_at(slot.as_ref(), rest, value));
    Node::new(&node.prefix, node.value.clone(), Some(children))
}

/// Splits `node` after `shared` nibbles of its prefix, where `key` branches off or ends.
fn split(node: &Arc<Node>, key: &[u8], shared: usize, value: Value) -> Arc<Node> {
    let mut children: Box<[Link; 16]> = Box::default();
    let (lower, tail) = (node.prefix[shared], &node.prefix[shared + 1..]);
    children[usize::from(lower)] = Some(Node::new(tail, node.value.clone(), node.children.clone()));
    let own = match key[shared..].split_first() {
        None => Some(value),
        Some((first, rest)) => {
            children[usize::from(*first)] = Some(Node::new(rest, Some(value), None));
            None
        }
    };
    Node::new(&key[..shared], own, Some(children))
}

/// The trie without `key`.
pub(super) fn remove(root: &Link, key: &[u8]) -> Link {
    let Some(node) = root else { return None };
    match remove_at(node, &nibbles(key)) {
        Removal::Absent => root.clone(),
        Removal::Replaced(link) => link,
    }
}

enum Removal {
    /// The key has no value, so nothing changes.
    Absent,
    /// What takes the node's place.
    Replaced(Link),
}

fn remove_at(node: &Arc<Node>, key: &[u8]) -> Removal {
    let Some(rest) = key.strip_prefix(&*node.prefix) else {
        return Removal::Absent;
    };
    let Some((first, rest)) = rest.split_first() else {
        if node.value.is_none() {
            return Removal::Absent;
        }
        return Removal::Replaced(match &node.children {
            None => None,
            Some(children) => squash(&node.prefix, None, children.clone()),
        });
    };
    let Some(child) = node.child(*first) else {
        return Removal::Absent;
    };
    let Removal::Replaced(link) = remove_at(child, rest) else {
        return Removal::Absent;
    };
    let mut children = node.children.clone().unwrap_or_default();
    children[usize::from(*first)] = link;
    Removal::Replaced(squash(&node.prefix, node.value.clone(), children))
}

/// Brings a branch into its canonical form. Without children it becomes a leaf. With a single child
/// and no value, it becomes that child with a longer prefix.
fn squash(prefix: &[u8], value: Option<Value>, children: Box<[Link; 16]>) -> Link {
    let mut present = (0u8..).zip(children.iter()).filter_map(|(n, c)| Some((n, c.as_ref()?)));
    let first = present.next();
    let more = present.next().is_some();
    match (first, more, value) {
        (None, _, None) => None,
        (None, _, value) => Some(Node::new(prefix, value, None)),
        (Some((nibble, child)), false, None) => {
            let mut joined = prefix.to_vec();
            joined.push(nibble);
            joined.extend_from_slice(&child.prefix);
            Some(Node::new(&joined, child.value.clone(), child.children.clone()))
        }
        (_, _, value) => Some(Node::new(prefix, value, Some(children))),
    }
}

/// Iterates over the keys that start with a prefix, in ascending order, with their values.
pub(super) struct Iter {
    /// The subtrees to visit, the next one last, each with the nibbles above it.
    stack: Vec<(Vec<u8>, Arc<Node>)>,
}

impl Iter {
    pub(super) fn new(root: &Link, prefix: &[u8]) -> Self {
        let wanted = nibbles(prefix);
        let mut above = Vec::new();
        let mut at = root.as_ref();
        while let Some(node) = at {
            let rest = &wanted[above.len()..];
            let shared = common_prefix(&node.prefix, rest);
            if shared == rest.len() {
                return Self { stack: vec![(above, node.clone())] };
            }
            if shared < node.prefix.len() {
                break;
            }
            above.extend_from_slice(&node.prefix);
            above.push(rest[shared]);
            at = node.child(rest[shared]);
        }
        Self { stack: Vec::new() }
    }
}

impl Iterator for Iter {
    type Item = (Vec<u8>, Value);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((mut key, node)) = self.stack.pop() {
            key.extend_from_slice(&node.prefix);
            if let Some(children) = &node.children {
                for (nibble, child) in (0u8..16).zip(children.iter()).rev() {
                    if let Some(child) = child {
                        let mut above = key.clone();
                        above.push(nibble);
                        self.stack.push((above, child.clone()));
                    }
                }
            }
            if let Some(value) = &node.value {
                return Some((bytes(&key), value.clone()));
            }
        }
        None
    }
}
