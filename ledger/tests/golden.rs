//! The stored formats never change: files of format 1 are read, and written byte for byte the same.
//!
//! `RENAKSI_GOLDEN=write cargo test` makes files that are missing; it never replaces one.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use renaksi_ledger::{Log, LogReader, NewSnapshot, Snapshots, verify};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[track_caller]
fn check(name: &str, written: &Path) {
    let path = golden(name);
    if !path.exists() && std::env::var_os("RENAKSI_GOLDEN").is_some() {
        fs::create_dir_all(golden("")).unwrap();
        fs::copy(written, &path).unwrap();
    }
    assert!(
        fs::read(&path).unwrap() == fs::read(written).unwrap(),
        "{name} is written otherwise than before"
    );
}

#[test]
fn segments_of_format_1() {
    let dir = folder();
    let mut log = small(dir.path(), u64::MAX);
    log.begin_epoch(2).unwrap();
    log.append(&entries(4, 2)).unwrap();
    let (head, commits) = (log.head(), all(&log.reader()));
    log.close().unwrap();
    let stored = folder();
    for path in segments(dir.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        check(name, &path);
        fs::copy(golden(name), stored.path().join(name)).unwrap();
    }
    let reader = LogReader::open_read_only(stored.path(), &OFFICE).unwrap();
    assert_eq!(verify(&reader).unwrap().root, head.root);
    assert_eq!(all(&reader), commits);
    assert_eq!(Log::open(stored.path(), OFFICE).unwrap().0.head(), head);
}

#[test]
fn snapshots_of_format_1() {
    let dir = folder();
    let snapshots = Snapshots::open(dir.path(), OFFICE).unwrap();
    let payload = b"a state";
    snapshots
        .put(NewSnapshot { position: 77, root: [1; 32], fold_version: 2, state_hash: [3; 32], payload })
        .unwrap();
    let name = "00000000000000000077.snap";
    check(name, &dir.path().join(name));
    fs::copy(golden(name), dir.path().join(name)).unwrap();
    assert_eq!(snapshots.latest(77, 2, |_| Some([1; 32])).unwrap().unwrap().payload, payload);
}
