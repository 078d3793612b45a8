//! The stored formats never change: files of format 1 are read, and written byte for byte the same.
//!
//! `RENAKSI_GOLDEN=write cargo test` makes files that are missing; it never replaces one.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use ed25519_dalek::SigningKey;
use renaksi_ledger::{
    Log, LogProof, LogReader, NewSnapshot, SignedCheckpoint, Signer, Snapshots, check_signed, verify,
};

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

#[test]
fn checkpoints_and_proofs() {
    let dir = folder();
    let log = small(dir.path(), u64::MAX);
    let key = SigningKey::from_bytes(&[9; 32]);
    let (office, public) = (OFFICE.office, key.verifying_key());
    let mut signer = Signer::open(&log.reader(), office, key).unwrap();
    let signed = signer.sign().unwrap().clone();
    check("checkpoint", &dir.path().join("checkpoint"));
    let leaf = log.reader().record(4).unwrap().map(|entry| entry.leaf);
    let path = signer.tree().inclusion(4, 6).unwrap();
    let proof = LogProof { position: 4, leaf, path, checkpoint: signed.note().to_owned() };
    let written = dir.path().join("record-4.tlog-proof");
    fs::write(&written, proof.to_string()).unwrap();
    check("record-4.tlog-proof", &written);

    let stored = fs::read_to_string(golden("checkpoint")).unwrap();
    assert_eq!(SignedCheckpoint::open(&stored, office, &public).unwrap(), signed);
    fs::copy(golden("checkpoint"), dir.path().join("checkpoint")).unwrap();
    assert_eq!(check_signed(&log.reader(), office, &public).unwrap(), Some(signed.checkpoint()));
    let stored = fs::read_to_string(golden("record-4.tlog-proof")).unwrap();
    assert_eq!(LogProof::parse(&stored).unwrap().verify(None, office, &public).unwrap().size, 6);
}
