//! What the tests of the log share.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use renaksi_ledger::{Commit, Disk, Entry, Log, LogId, LogKind, LogOptions, LogReader};
use tempfile::TempDir;
use uuid::Uuid;

pub const OFFICE: LogId = LogId { office: Uuid::from_u128(0x1234), kind: LogKind::Office };

/// In memory where there is such a folder: these tests sync thousands of times.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn entry(text: &str) -> Entry {
    Entry { leaf: text.as_bytes().to_vec(), aside: Vec::new() }
}

/// `count` entries that differ from one another and from those of another `seed`; every second one has a text aside.
pub fn entries(seed: u32, count: u32) -> Vec<Entry> {
    let one = |n| {
        let aside = if n % 2 == 0 { format!("note {seed}-{n}").into_bytes() } else { Vec::new() };
        Entry { leaf: format!("record {seed}-{n} ").repeat(1 + n as usize % 3).into_bytes(), aside }
    };
    (0..count).map(one).collect()
}

/// A log of three commits of 2, 1 and 3 records.
pub fn small(dir: &Path, segment_bytes: u64) -> Log {
    let options = LogOptions { segment_bytes, disk: Disk::default() };
    let mut log = Log::create_with(dir, OFFICE, 1, options).unwrap();
    for (seed, count) in [(1, 2), (2, 1), (3, 3)] {
        log.append(&entries(seed, count)).unwrap();
    }
    log
}

pub fn all(reader: &LogReader) -> Vec<Commit> {
    reader.iter(1).map(Result::unwrap).collect()
}

pub fn files(dir: &Path, beginning: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(beginning));
    found.sort();
    found
}

pub fn segments(dir: &Path) -> Vec<PathBuf> {
    files(dir, "segment-")
}

/// Copies the files of a folder into a new one.
pub fn copy(dir: &Path) -> TempDir {
    let to = folder();
    for path in files(dir, "") {
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}
