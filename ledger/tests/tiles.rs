//! The export as C2SP tlog-tiles. That other programs read it is shown in the crate `tests`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use ed25519_dalek::SigningKey;
use renaksi_ledger::merkle::leaf_hash;
use renaksi_ledger::{Error, Log, Signer, export_tiles};

fn names(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in files(&folder, "") {
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_log_is_written_as_tiles() {
    for (size, expected) in [
        (0, &["checkpoint"][..]),
        (3, &["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"]),
        (256, &["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"]),
        (
            600,
            &[
                "checkpoint",
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/88",
                "tile/1/000.p/2",
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/88",
            ],
        ),
    ] {
        let (dir, to) = (folder(), folder());
        let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
        if size > 0 {
            log.append(&entries(1, size)).unwrap();
        }
        let mut signer =
            Signer::open(&log.reader(), OFFICE.office, SigningKey::from_bytes(&[9; 32])).unwrap();
        let signed = signer.sign().unwrap().clone();
        // What came after the checkpoint is not in it.
        log.append(&entries(2, 5)).unwrap();
        let to = to.path().join("new");
        export_tiles(&log.reader(), &signed, &to).unwrap();
        assert_eq!(names(&to), expected);
        assert_eq!(fs::read_to_string(to.join("checkpoint")).unwrap(), signed.note());
        if size == 600 {
            let (bundle, hashes) = (
                fs::read(to.join("tile/entries/002.p/88")).unwrap(),
                fs::read(to.join("tile/0/002.p/88")).unwrap(),
            );
            let first = log.reader().record(513).unwrap().unwrap().leaf;
            assert_eq!(bundle[..2], (first.len() as u16).to_be_bytes());
            assert_eq!(bundle[2..2 + first.len()], first);
            assert_eq!(hashes.len(), 88 * 32);
            assert_eq!(hashes[..32], leaf_hash(&first));
        }
        let error = export_tiles(&log.reader(), &signed, &to).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not empty; name a new folder", to.display()));
    }
}

#[test]
fn a_log_that_is_not_the_signed_one_is_not_exported() {
    let (dir, other, to) = (folder(), folder(), folder());
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 10)).unwrap();
    let mut signer = Signer::open(&log.reader(), OFFICE.office, SigningKey::from_bytes(&[9; 32])).unwrap();
    let signed = signer.sign().unwrap();
    let mut another = Log::create(other.path(), OFFICE, 1).unwrap();
    another.append(&entries(2, 9)).unwrap();
    let short = export_tiles(&another.reader(), signed, to.path()).unwrap_err();
    assert!(matches!(short, Error::NotReached { size: 9, asked: 10, .. }), "{short}");
    another.append(&entries(3, 9)).unwrap();
    let changed = export_tiles(&another.reader(), signed, to.path()).unwrap_err();
    assert!(matches!(changed, Error::OtherCheckpoint { size: 10, .. }), "{changed}");
    assert!(!to.path().join("checkpoint").exists());
}
