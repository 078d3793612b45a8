//! The tree over a log: any root, any proof, and a cache that is never believed.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use common::*;
use renaksi_ledger::merkle::{Frontier, leaf_hash};
use renaksi_ledger::{
    Entry, Error, Hash, Log, LogOptions, LogReader, Tree, verify_consistency, verify_inclusion,
};

fn record(n: u64) -> Entry {
    Entry { leaf: format!("record {n}").into_bytes(), aside: Vec::new() }
}

/// Appends the records up to `size` in commits of these lengths, again and again.
fn fill(log: &mut Log, size: u64, lengths: &[u64]) {
    for length in lengths.iter().cycle() {
        let from = log.head().size + 1;
        if from > size {
            return;
        }
        log.append(&(from..(from + length).min(size + 1)).map(record).collect::<Vec<_>>()).unwrap();
    }
}

fn log_of(dir: &Path, size: u64, lengths: &[u64]) -> Log {
    let options = LogOptions { segment_bytes: 20_000, ..LogOptions::default() };
    let mut log = Log::create_with(dir, OFFICE, 1, options).unwrap();
    fill(&mut log, size, lengths);
    log
}

/// The roots of 0 to `size` records.
fn roots(size: u64) -> Vec<Hash> {
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for n in 1..=size {
        frontier.append(leaf_hash(&record(n).leaf));
        roots.push(frontier.root());
    }
    roots
}

fn cache(dir: &Path) -> PathBuf {
    dir.join("tree")
}

#[track_caller]
fn every_proof_holds(tree: &Tree, roots: &[Hash], sizes: &[u64]) {
    for &size in sizes {
        let root = &roots[size as usize];
        assert_eq!(tree.root(size).unwrap(), *root, "root of {size}");
        for position in [1, 2, 255, 256, 257, 511, 512, 513, size / 2, size].into_iter() {
            if position == 0 || position > size {
                continue;
            }
            let path = tree.inclusion(position, size).unwrap();
            let leaf = leaf_hash(&record(position).leaf);
            assert!(verify_inclusion(&leaf, position, size, &path, root), "{position} in {size}");
        }
        for &old in sizes.iter().filter(|old| **old <= size) {
            let path = tree.consistency(old, size).unwrap();
            assert!(verify_consistency(old, &roots[old as usize], size, root, &path), "{old} before {size}");
        }
    }
}

#[test]
fn every_size_has_its_root_and_proofs_whatever_the_commits() {
    let roots = roots(3_000);
    let sizes = [0, 1, 2, 3, 7, 254, 255, 256, 257, 500, 511, 512, 513, 767, 768, 1_000, 1_024, 2_049, 3_000];
    for lengths in [&[1u64][..], &[3, 50, 1], &[256], &[1_100]] {
        let dir = folder();
        let log = log_of(dir.path(), 3_000, lengths);
        let tree = Tree::open(&log.reader()).unwrap();
        every_proof_holds(&tree, &roots, &sizes);
        for size in (0..=3_000).step_by(61) {
            assert_eq!(tree.root(size).unwrap(), roots[size as usize], "{size}");
        }
    }
}

#[test]
fn a_tree_follows_the_log_and_does_not_need_to() {
    let dir = folder();
    let roots = roots(2_000);
    let mut log = log_of(dir.path(), 600, &[7]);
    let mut tree = Tree::open(&log.reader()).unwrap();
    fill(&mut log, 2_000, &[7]);
    // Not caught up: the tiles since are read from the log.
    every_proof_holds(&tree, &roots, &[599, 600, 1_500, 2_000]);
    tree.catch_up().unwrap();
    every_proof_holds(&tree, &roots, &[599, 600, 1_500, 2_000]);
    assert_eq!(fs::metadata(cache(dir.path())).unwrap().len(), 16 + 7 * 36);
}

#[test]
fn what_is_not_there_cannot_be_proved() {
    let dir = folder();
    let log = log_of(dir.path(), 10, &[3]);
    let tree = Tree::open(&log.reader()).unwrap();
    let not_reached = |asked: Result<Vec<Hash>, Error>| matches!(asked, Err(Error::NotReached { .. }));
    assert!(not_reached(tree.inclusion(0, 10)));
    assert!(not_reached(tree.inclusion(11, 10)));
    assert!(not_reached(tree.inclusion(3, 11)));
    assert!(not_reached(tree.inclusion(3, 2)));
    assert!(not_reached(tree.consistency(3, 2)));
    let error = tree.root(11).unwrap_err().to_string();
    assert_eq!(error, format!("{} holds 10 records and has none to prove at 11", dir.path().display()));
    assert!(tree.inclusion(1, 1).unwrap().is_empty());
}

#[test]
fn a_cache_that_is_short_damaged_or_of_another_history_is_made_again() {
    let roots = roots(2_000);
    let sizes = [256, 700, 1_999, 2_000];
    // Commits that end at no tile's end, and ones that do.
    for lengths in [&[9u64][..], &[256]] {
        let dir = folder();
        let log = log_of(dir.path(), 2_000, lengths);
        let reader = log.reader();
        let path = cache(dir.path());
        drop(Tree::open(&reader).unwrap());
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 16 + 7 * 36);

        let other = folder();
        let mut another = Log::create(other.path(), OFFICE, 1).unwrap();
        another.append(&(0..2_000).map(|n| entry(&format!("other {n}"))).collect::<Vec<_>>()).unwrap();
        drop(Tree::open(&another.reader()).unwrap());

        let mut damages: Vec<Vec<u8>> =
            vec![Vec::new(), fs::read(cache(other.path())).unwrap(), [&whole[..], &[0; 36]].concat()];
        damages.extend((0..whole.len()).step_by(29).map(|cut| whole[..cut].to_vec()));
        damages.extend((0..whole.len()).step_by(11).map(|at| {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            flipped
        }));
        for damaged in damages {
            fs::write(&path, &damaged).unwrap();
            let tree = Tree::open(&reader).unwrap();
            every_proof_holds(&tree, &roots, &sizes);
            assert_eq!(fs::read(&path).unwrap(), whole, "after {} bytes", damaged.len());
        }
    }
}

#[test]
fn a_row_with_a_right_checksum_and_a_wrong_root_is_noticed() {
    let dir = folder();
    let log = log_of(dir.path(), 1_000, &[10]);
    drop(Tree::open(&log.reader()).unwrap());
    let path = cache(dir.path());
    let whole = fs::read(&path).unwrap();
    let mut forged = whole.clone();
    forged[16] ^= 1;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&0u64.to_le_bytes()), &forged[16..48]);
    forged[48..52].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, forged).unwrap();
    let tree = Tree::open(&log.reader()).unwrap();
    every_proof_holds(&tree, &roots(1_000), &[1_000]);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn a_log_that_is_shorter_than_its_cache_keeps_what_it_has() {
    let long = folder();
    drop(Tree::open(&log_of(long.path(), 2_000, &[9]).reader()).unwrap());
    let short = folder();
    let log = log_of(short.path(), 600, &[9]);
    fs::copy(cache(long.path()), cache(short.path())).unwrap();
    let tree = Tree::open(&log.reader()).unwrap();
    every_proof_holds(&tree, &roots(600), &[512, 600]);
    assert_eq!(fs::metadata(cache(short.path())).unwrap().len(), 16 + 2 * 36);
}

/// The cache holds what was; the record that a proof would be about is another.
#[test]
fn a_proof_of_a_record_that_was_changed_is_not_given() {
    let dir = folder();
    let log = log_of(dir.path(), 1_000, &[1]);
    drop(Tree::open(&log.reader()).unwrap());
    drop(log);
    let forged = forge(dir.path(), 300);
    let reader = LogReader::open_read_only(forged.path(), &OFFICE).unwrap();
    fs::copy(cache(dir.path()), cache(forged.path())).unwrap();
    let error = match Tree::open(&reader) {
        Err(error) => error,
        Ok(tree) => tree.inclusion(300, 1_000).unwrap_err(),
    };
    assert!(matches!(error, Error::RootMismatch { .. }), "{error}");
}

/// A copy of the log in which the record at `position` is another, with every checksum and none of the roots put right.
fn forge(dir: &Path, position: u64) -> tempfile::TempDir {
    let to = copy(dir);
    for path in segments(to.path()) {
        let bytes = fs::read(&path).unwrap();
        let text = format!("record {position}");
        let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) else {
            continue;
        };
        let mut bytes = bytes;
        bytes[at] = b'R';
        // The frame: prefix 28 bytes, 16 fixed, one u16 length before the leaf, 40 bytes of tree behind it.
        let leaf_part = at - 18..at + text.len() + 40;
        let crc = crc32c::crc32c(&bytes[leaf_part.clone()]);
        let crc_at = leaf_part.start - 8;
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
    }
    to
}
