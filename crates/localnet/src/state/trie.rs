//! A persistent radix-16 trie with the shape of nearcore's (`core/store/src/trie`).
//!
//! Every change makes new nodes along one path and shares the rest, so a snapshot is a clone of the
//! root. A node here stands for up to two of nearcore's: a prefix before a branch is a node of its
//! own there (an extension), which matters to the fee for touched nodes.

use near_primitives::hash::CryptoHash;
use std::sync::{Arc, OnceLock};

/// A value of the trie.
pub type Value = Arc<[u8]>;

pub(super) type Link = Option<Arc<Node>>;

/// What nearcore knows of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Digest {
    /// The hash of the topmost node that this one stands for.
    pub(super) hash: CryptoHash,
    /// The hash of the branch behind the prefix; the same as `hash` when there is no extension.
    pub(super) inner: CryptoHash,
    /// The memory usage of the subtree, which is part of what is hashed.
    pub(super) weight: u64,
    /// Bytes of the topmost node and of the branch behind the prefix, encoded.
    pub(super) sizes: (u64, u64),
}

/// A leaf when it has no children, otherwise a branch behind its prefix.
#[derive(Debug)]
pub(super) struct Node {
    /// Nibbles between the parent's child slot and this node.
    pub(super) prefix: Box<[u8]>,
    pub(super) value: Option<Value>,
    pub(super) children: Option<Box<[Link; 16]>>,
    /// The subtree's digest, once asked for.
    pub(super) digest: OnceLock<Digest>,
}

impl Drop for Node {
    /// Takes a deep trie apart without going deep on the stack.
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

/// The nibbles of a key, high half first.
pub(super) fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

fn bytes(nibbles: &[u8]) -> Vec<u8> {
    nibbles.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0)).collect()
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// One of nearcore's nodes on a path.
#[derive(Clone, Copy)]
pub(super) enum Touched<'a> {
    /// A leaf, an extension, or a branch without one.
    Outer(&'a Arc<Node>),
    /// The branch behind an extension.
    Inner(&'a Arc<Node>),
}

/// Looks a key up, and tells `visit` each node that nearcore reads on the way, the one that ends the
/// search included and the value's own not.
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

/// Parts `node` at `shared` nibbles of its prefix, to make room for a key that leaves it there.
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
        Removal::Now(link) => link,
    }
}

enum Removal {
    /// The key is not there: nothing changes.
    Absent,
    /// The node as it is now.
    Now(Link),
}

fn remove_at(node: &Arc<Node>, key: &[u8]) -> Removal {
    let Some(rest) = key.strip_prefix(&*node.prefix) else {
        return Removal::Absent;
    };
    let Some((first, rest)) = rest.split_first() else {
        if node.value.is_none() {
            return Removal::Absent;
        }
        return Removal::Now(match &node.children {
            None => None,
            Some(children) => squash(&node.prefix, None, children.clone()),
        });
    };
    let Some(child) = node.child(*first) else {
        return Removal::Absent;
    };
    let Removal::Now(link) = remove_at(child, rest) else {
        return Removal::Absent;
    };
    let mut children = node.children.clone().unwrap_or_default();
    children[usize::from(*first)] = link;
    Removal::Now(squash(&node.prefix, node.value.clone(), children))
}

/// A branch in its canonical form: one without children is a leaf, one with a single child and no
/// value is that child behind a longer prefix.
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

/// Pairs whose key starts with a prefix, in the order of their keys.
pub(super) struct Iter {
    /// Subtrees still to visit, the next one last, each with the nibbles above it.
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
