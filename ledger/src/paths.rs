//! Inclusion and consistency proofs: which hashes they are made of (RFC 6962, section 2.1) and how they are checked
//! (RFC 9162, sections 2.1.3.2 and 2.1.4.2). In here leaves count from 0, as they do there.

use std::ops::Range;

use crate::merkle::{Hash, empty_root, node_hash};

/// A complete subtree: the leaves from `index << level` on, 2^`level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) level: u32,
    pub(crate) index: u64,
}

/// The tree hash over `leaves`. Their first is where a subtree of that size can begin, as it is all over this file.
pub(crate) fn root<E>(leaves: Range<u64>, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let count = leaves.end - leaves.start;
    if count == 0 {
        return Ok(empty_root());
    }
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return node(Node { level, index: leaves.start >> level });
    }
    let middle = split(&leaves);
    let left = root(leaves.start..middle, node)?;
    Ok(node_hash(&left, &root(middle..leaves.end, node)?))
}

/// The hashes beside the way from the leaf `index` up to the root of a tree of `size` leaves.
pub(crate) fn inclusion<E>(
    index: u64,
    size: u64,
    node: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut leaves, mut path) = (0..size, Vec::new());
    while leaves.end - leaves.start > 1 {
        let middle = split(&leaves);
        if index < middle {
            path.push(root(middle..leaves.end, node)?);
            leaves.end = middle;
        } else {
            path.push(root(leaves.start..middle, node)?);
            leaves.start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// What shows that a tree of `new` leaves begins with the tree of its first `old` leaves.
pub(crate) fn consistency<E>(
    old: u64,
    new: u64,
    node: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut leaves, mut path) = (0..new, Vec::new());
    if old == 0 {
        return Ok(path);
    }
    // Down to the subtree that ends where the old tree ended.
    while old != leaves.end {
        let middle = split(&leaves);
        if old <= middle {
            path.push(root(middle..leaves.end, node)?);
            leaves.end = middle;
        } else {
            path.push(root(leaves.start..middle, node)?);
            leaves.start = middle;
        }
    }
    // The whole old tree's root is known to whoever asks.
    if leaves.start > 0 {
        path.push(root(leaves, node)?);
    }
    path.reverse();
    Ok(path)
}

/// Where the right subtree begins: the left one has the largest power of 2 below the count, which is above 1.
fn split(leaves: &Range<u64>) -> u64 {
    leaves.start + (1 << (leaves.end - leaves.start - 1).ilog2())
}

/// Whether `path` leads from the record at `position` (from 1), with this [`crate::merkle::leaf_hash`], to the `root` of
/// `size` records.
#[must_use = "a proof that does not hold proves nothing"]
pub fn verify_inclusion(leaf: &Hash, position: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if position == 0 || position > size {
        return false;
    }
    let (mut at, mut last, mut hash) = (position - 1, size - 1, *leaf);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            skip_levels_without_sibling(&mut at, &mut last);
        } else {
            hash = node_hash(&hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that the log of `new` records with `new_root` begins with the `old` records of `old_root`.
#[must_use = "a proof that does not hold proves nothing"]
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, path: &[Hash]) -> bool {
    if old == 0 {
        return path.is_empty() && *old_root == empty_root();
    }
    if old >= new {
        return path.is_empty() && old == new && old_root == new_root;
    }
    // A complete old tree is a node of the new one, and its root is not in the path.
    let (seed, rest) = match (old.is_power_of_two(), path) {
        (true, path) => (old_root, path),
        (false, [first, rest @ ..]) => (first, rest),
        (false, []) => return false,
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for beside in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(beside, &old_hash);
            new_hash = node_hash(beside, &new_hash);
            skip_levels_without_sibling(&mut at, &mut last);
        } else {
            new_hash = node_hash(&new_hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// At the right edge a node has no sibling until it is a right child itself.
fn skip_levels_without_sibling(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        (*at, *last) = (*at >> 1, *last >> 1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// MTH, PATH and SUBPROOF of RFC 6962, word for word; D[start:end] is a range, and each is hashed once.
    struct Definition {
        leaves: Vec<Hash>,
        known: RefCell<HashMap<Range<usize>, Hash>>,
    }

    impl Definition {
        fn of(count: u64) -> Definition {
            Definition { leaves: leaves(count), known: RefCell::default() }
        }

        fn mth(&self, d: Range<usize>) -> Hash {
            if let Some(known) = self.known.borrow().get(&d) {
                return *known;
            }
            let hash = match d.len() {
                0 => empty_root(),
                1 => self.leaves[d.start],
                n => {
                    let k = d.start + n.next_power_of_two() / 2;
                    node_hash(&self.mth(d.start..k), &self.mth(k..d.end))
                }
            };
            self.known.borrow_mut().insert(d, hash);
            hash
        }

        fn path(&self, m: usize, d: Range<usize>) -> Vec<Hash> {
            if d.len() <= 1 {
                return Vec::new();
            }
            let k = d.len().next_power_of_two() / 2;
            let (left, right) = (d.start..d.start + k, d.start + k..d.end);
            let (mut below, beside) = match m < k {
                true => (self.path(m, left), self.mth(right)),
                false => (self.path(m - k, right), self.mth(left)),
            };
            below.push(beside);
            below
        }

        fn subproof(&self, m: usize, d: Range<usize>, whole: bool) -> Vec<Hash> {
            if m == d.len() {
                return if whole { Vec::new() } else { vec![self.mth(d)] };
            }
            let k = d.len().next_power_of_two() / 2;
            let (left, right) = (d.start..d.start + k, d.start + k..d.end);
            let (mut below, beside) = match m <= k {
                true => (self.subproof(m, left, whole), self.mth(right)),
                false => (self.subproof(m - k, right, false), self.mth(left)),
            };
            below.push(beside);
            below
        }
    }

    /// Complete subtrees of `d`, each hashed once.
    fn nodes(d: &[Hash]) -> impl FnMut(Node) -> Result<Hash, Infallible> {
        let mut levels = vec![d.to_vec()];
        while levels[levels.len() - 1].len() > 1 {
            let below = &levels[levels.len() - 1];
            levels.push(below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        move |Node { level, index }| Ok(levels[level as usize][index as usize])
    }

    #[test]
    fn every_root_and_proof_up_to_300_is_the_definition_s() {
        let by = Definition::of(300);
        let mut node = nodes(&by.leaves);
        for size in 0..=300 {
            let (d, all) = (by.mth(0..size), size as u64);
            assert_eq!(root(0..all, &mut node).unwrap(), d, "root of {size}");
            for m in 0..size {
                let proof = inclusion(m as u64, all, &mut node).unwrap();
                assert_eq!(proof, by.path(m, 0..size), "leaf {m} in {size}");
                assert!(verify_inclusion(&by.leaves[m], m as u64 + 1, all, &proof, &d), "{m} in {size}");
            }
            for old in 0..=size {
                let proof = consistency(old as u64, all, &mut node).unwrap();
                if old > 0 {
                    assert_eq!(proof, by.subproof(old, 0..size, true), "{old} in {size}");
                }
                assert!(verify_consistency(old as u64, &by.mth(0..old), all, &d, &proof), "{old} in {size}");
            }
        }
    }

    #[test]
    fn proofs_of_what_is_not_there_do_not_hold() {
        let by = Definition::of(9);
        let (nine, eight) = (by.mth(0..9), by.mth(0..8));
        assert!(!verify_inclusion(&by.leaves[0], 0, 9, &by.path(0, 0..9), &nine));
        assert!(!verify_inclusion(&by.leaves[8], 10, 9, &by.path(8, 0..9), &nine));
        assert!(!verify_consistency(9, &nine, 8, &eight, &[]));
        assert!(!verify_consistency(8, &eight, 8, &nine, &[]));
        assert!(!verify_consistency(8, &eight, 9, &nine, &[]));
        assert!(!verify_consistency(7, &by.mth(0..7), 9, &nine, &[]));
        assert!(!verify_consistency(0, &eight, 9, &nine, &[]));
    }

    proptest! {
        /// One bit, one hash more or less, or the neighbouring position or size: none of it holds.
        #[test]
        fn a_proof_that_was_touched_does_not_hold(size in 2u64..400, pick in any::<u64>(), bit in 0usize..256) {
            let by = Definition::of(size);
            let (mut node, whole) = (nodes(&by.leaves), by.mth(0..size as usize));
            let m = pick % size;
            let leaf = by.leaves[m as usize];
            let proof = inclusion(m, size, &mut node).unwrap();
            let mut flipped = proof.clone();
            let at = pick as usize % proof.len();
            flipped[at][bit / 8] ^= 1 << (bit % 8);
            let longer = [proof.clone(), vec![whole]].concat();
            prop_assert!(!verify_inclusion(&leaf, m + 1, size, &flipped, &whole));
            prop_assert!(!verify_inclusion(&leaf, m + 1, size, &longer, &whole));
            prop_assert!(!verify_inclusion(&leaf, m + 1, size, &proof[1..], &whole));
            prop_assert!(!verify_inclusion(&leaf, (m + 1) % size + 1, size, &proof, &whole));

            let old = 1 + pick % (size - 1);
            let before = by.mth(0..old as usize);
            let proof = consistency(old, size, &mut node).unwrap();
            let at = pick as usize % proof.len();
            let mut flipped = proof.clone();
            flipped[at][bit / 8] ^= 1 << (bit % 8);
            let longer = [proof.clone(), vec![whole]].concat();
            prop_assert!(!verify_consistency(old, &before, size, &whole, &flipped));
            prop_assert!(!verify_consistency(old, &before, size, &whole, &longer));
            prop_assert!(!verify_consistency(old, &before, size, &whole, &proof[1..]));
            prop_assert!(!verify_consistency(old, &whole, size, &whole, &proof));
            prop_assert!(!verify_consistency(old, &before, size, &before, &proof));
        }
    }
}
