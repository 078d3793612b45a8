//! The index and the snapshots: stale, foreign and damaged ones are recognised.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use renaksi_ledger::{
    Error, Hash, Index, IndexBatch, IndexError, IndexOpened, LogId, LogKind, NewSnapshot, Snapshot,
    Snapshots, merkle,
};
use uuid::Uuid;

const ROOT: Hash = [7; 32];
const OTHER: LogId = LogId { office: Uuid::from_u128(5), kind: LogKind::Office };

fn filled(dir: &Path) -> Index {
    let (index, opened) = Index::open(dir, &OFFICE).unwrap();
    assert_eq!(opened, IndexOpened::default());
    let mut batch = IndexBatch::new(40, ROOT);
    for n in [10u64, 20, 30] {
        batch.put(1, &n.to_be_bytes(), format!("run {n}").as_bytes());
        batch.put(2, format!("ab{n}").as_bytes(), b"");
    }
    batch.put(2, b"b", b"other prefix");
    index.write(batch).unwrap();
    index
}

#[test]
fn rows_are_found_by_key_prefix_and_run() {
    let dir = folder();
    let index = filled(dir.path());
    assert_eq!(index.covered().unwrap(), 40);
    assert_eq!(index.get(1, &20u64.to_be_bytes()).unwrap().unwrap(), b"run 20");
    assert_eq!(index.get(2, b"ab10").unwrap().unwrap(), b"");
    assert_eq!(index.get(2, b"ab").unwrap(), None);
    let keys = |table, prefix: &[u8]| -> Vec<Vec<u8>> {
        index.range(table, prefix).map(|row| row.unwrap().0).collect()
    };
    assert_eq!(keys(2, b"ab"), [b"ab10", b"ab20", b"ab30"]);
    assert_eq!(keys(2, b"").len(), 4);
    assert_eq!(keys(3, b"").len(), 0);
    let run = |n: u64| index.last_at_or_before(1, &n.to_be_bytes()).unwrap().map(|(_, value)| value);
    assert_eq!(run(9), None);
    assert_eq!(run(10).unwrap(), b"run 10");
    assert_eq!(run(29).unwrap(), b"run 20");
    assert_eq!(run(u64::MAX).unwrap(), b"run 30");
    let mut batch = IndexBatch::new(41, ROOT);
    batch.remove(1, &20u64.to_be_bytes());
    index.write(batch).unwrap();
    assert_eq!(run(29).unwrap(), b"run 10");
    assert_eq!(index.covered().unwrap(), 41);
}

#[test]
fn an_index_stays_and_says_which_history_it_is_of() {
    let dir = folder();
    let index = filled(dir.path());
    index.flush().unwrap();
    drop(index);
    let (index, opened) = Index::open(dir.path(), &OFFICE).unwrap();
    assert_eq!((index.covered().unwrap(), opened.set_aside), (40, None));
    assert!(index.check(&ROOT).unwrap());
    assert!(!index.check(&[8; 32]).unwrap());
    let index = index.clear().unwrap();
    assert_eq!(index.covered().unwrap(), 0);
    assert!(index.check(&merkle::empty_root()).unwrap());
    assert_eq!(index.range(2, b"").count(), 0);
    drop(index);
    let (index, opened) = Index::open(dir.path(), &OFFICE).unwrap();
    assert_eq!((index.covered().unwrap(), opened.set_aside), (0, None));
}

/// sled on the index's own files. A handle that was just dropped lets go of its lock a moment later.
fn sled_of(path: &std::path::Path) -> sled::Db {
    let config = sled::Config::default().path(path).segment_size(64 << 10);
    for _ in 0..500 {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the dropped index never let go of {}", path.display());
}

#[test]
fn an_index_knows_how_many_rows_it_should_have() {
    let dir = folder();
    let index = filled(dir.path());
    index.verify().unwrap();
    let mut batch = IndexBatch::new(41, ROOT);
    batch.put(1, &20u64.to_be_bytes(), b"replaced");
    batch.put(1, &20u64.to_be_bytes(), b"replaced twice");
    batch.put(1, &21u64.to_be_bytes(), b"new");
    batch.remove(1, &30u64.to_be_bytes());
    batch.remove(1, &31u64.to_be_bytes());
    index.write(batch).unwrap();
    index.verify().unwrap();
    index.flush().unwrap();
    drop(index);

    // A row that goes behind its back, as damage to sled's pages can make it.
    let db = sled_of(&dir.path().join("index"));
    db.remove([&[1], &20u64.to_be_bytes()[..]].concat()).unwrap().unwrap();
    db.flush().unwrap();
    drop(db);
    let (index, opened) = Index::open(dir.path(), &OFFICE).unwrap();
    assert_eq!((opened.set_aside, index.covered().unwrap()), (None, 41));
    let error = index.verify().unwrap_err();
    assert!(error.to_string().contains("it has 6 rows where 7 were written"), "{error}");
    index.clear().unwrap().verify().unwrap();
}

#[test]
fn an_index_in_use_is_left_alone() {
    let dir = folder();
    let index = filled(dir.path());
    let error = Index::open(dir.path(), &OFFICE).unwrap_err();
    assert!(matches!(error, IndexError::Folder(Error::Locked { .. })), "{error}");
    assert_eq!(index.covered().unwrap(), 40);
}

#[test]
fn a_foreign_index_is_set_aside_and_only_the_latest_is_kept() {
    let dir = folder();
    drop(filled(dir.path()));
    for (n, id) in [(1, OTHER), (2, OFFICE)] {
        let (index, opened) = Index::open(dir.path(), &id).unwrap();
        let aside = opened.set_aside.unwrap();
        assert_eq!(aside.cause, "it belongs to another log");
        assert_eq!(aside.to, dir.path().join(format!("index-set-aside-{n}")));
        assert_eq!(index.covered().unwrap(), 0);
        assert_eq!(files(dir.path(), "index-set-aside-"), [aside.to]);
    }
}

#[test]
fn a_damaged_index_never_panics_and_never_answers_wrongly() {
    let dir = folder();
    let index = filled(dir.path());
    index.flush().unwrap();
    drop(index);
    let kept = folder();
    copy_all(&dir.path().join("index"), kept.path());
    let mut outcomes = [0; 3];
    for (name, at, mask) in damages(kept.path()) {
        let dir = folder();
        let path = dir.path().join("index");
        copy_all(kept.path(), &path);
        let mut bytes = fs::read(path.join(&name)).unwrap();
        if mask == 0 {
            bytes.truncate(at)
        } else {
            bytes[at] ^= mask
        }
        fs::write(path.join(&name), bytes).unwrap();
        let (index, opened) = Index::open(dir.path(), &OFFICE).unwrap();
        if opened.set_aside.is_some() {
            outcomes[0] += 1;
            assert_eq!(index.covered().unwrap(), 0);
            continue;
        }
        match (index.covered(), index.get(1, &20u64.to_be_bytes())) {
            (Ok(40), Ok(value)) => assert_eq!(value.unwrap(), b"run 20", "{name} {at}: a row is gone unseen"),
            // sled went back to before the batch; the caller indexes again from there.
            (Ok(covered), Ok(value)) => {
                assert_eq!((covered, value), (0, None), "{name} {at}");
                outcomes[1] += 1;
            }
            (Err(_), _) | (_, Err(_)) => outcomes[2] += 1,
        }
        // Rebuilding always works.
        let index = index.clear().unwrap();
        assert_eq!(index.covered().unwrap(), 0);
    }
    println!("set aside {}, gone back {}, errors {}", outcomes[0], outcomes[1], outcomes[2]);
    assert!(outcomes[0] > 0);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from, "") {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_all(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
    }
}

/// Some places of each file of an index: (name, offset, mask); mask 0 cuts there.
fn damages(dir: &Path) -> Vec<(String, usize, u8)> {
    let mut damages = Vec::new();
    for path in files(dir, "").into_iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let step = (used.len() / 400).max(1);
        damages.extend(used.iter().step_by(step).map(|at| (name.clone(), *at, 0x55)));
        damages.push((name, bytes.len() / 2, 0));
    }
    damages
}

#[test]
fn something_that_is_no_index_is_set_aside() {
    let dir = folder();
    let path = dir.path().join("index");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("conf"), b"not sled").unwrap();
    fs::write(path.join("db"), [0xAA; 5_000]).unwrap();
    let (index, opened) = Index::open(dir.path(), &OFFICE).unwrap();
    assert!(opened.set_aside.is_some());
    assert_eq!(index.covered().unwrap(), 0);
}

fn snapshots(dir: &Path) -> Snapshots {
    let snapshots = Snapshots::open(&dir.join("snapshots"), OFFICE).unwrap();
    for position in [10, 20, 30] {
        snapshots.put(snapshot(position, format!("state at {position}").as_bytes())).unwrap();
    }
    snapshots
}

fn snapshot(position: u64, payload: &[u8]) -> NewSnapshot<'_> {
    NewSnapshot { position, root: [position as u8; 32], fold_version: 4, state_hash: [9; 32], payload }
}

fn root_at(position: u64) -> Option<Hash> {
    Some([position as u8; 32])
}

#[test]
fn the_newest_snapshot_not_after_a_position_is_found() {
    let dir = folder();
    let snapshots = snapshots(dir.path());
    let at = |position| snapshots.latest(position, 4, root_at).unwrap().map(|found| found.position);
    assert_eq!([at(9), at(10), at(29), at(u64::MAX)], [None, Some(10), Some(20), Some(30)]);
    let found = snapshots.latest(20, 4, root_at).unwrap().unwrap();
    assert_eq!(found, Snapshot { position: 20, state_hash: [9; 32], payload: b"state at 20".to_vec() });
    snapshots.put(snapshot(20, b"")).unwrap();
    assert_eq!(snapshots.latest(20, 4, root_at).unwrap().unwrap().payload, b"");
    snapshots.keep(2).unwrap();
    assert_eq!(snapshots.positions().unwrap(), [20, 30]);
}

#[test]
fn any_byte_of_a_snapshot_flipped_or_cut_is_seen_and_the_one_before_used() {
    let dir = folder();
    let snapshots = snapshots(dir.path());
    let path = files(&dir.path().join("snapshots"), "")[2].clone();
    let bytes = fs::read(&path).unwrap();
    let flipped = (0..bytes.len()).map(|at| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        flipped
    });
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    for (n, wrong) in flipped.chain(cut).enumerate() {
        fs::write(&path, wrong).unwrap();
        let found = snapshots.latest(u64::MAX, 4, root_at).unwrap().unwrap();
        assert_eq!(found.position, 20, "case {n}");
        assert!(!path.exists(), "case {n}");
    }
}

#[test]
fn snapshots_of_other_code_another_log_or_another_history_are_removed() {
    let dir = folder();
    assert_eq!(snapshots(dir.path()).latest(40, 5, root_at).unwrap(), None);
    assert_eq!(snapshots(dir.path()).positions().unwrap().len(), 3);

    let other = Snapshots::open(&dir.path().join("snapshots"), OTHER).unwrap();
    assert_eq!(other.latest(40, 4, root_at).unwrap(), None);
    assert_eq!(other.positions().unwrap(), []);

    let snapshots = snapshots(dir.path());
    let history = |position| Some(if position == 30 { [0; 32] } else { [position as u8; 32] });
    assert_eq!(snapshots.latest(40, 4, history).unwrap().unwrap().position, 20);
    assert_eq!(snapshots.positions().unwrap(), [10, 20]);

    // A renamed file does not pass for another position.
    let files = files(&dir.path().join("snapshots"), "");
    fs::rename(&files[1], dir.path().join("snapshots/00000000000000000025.snap")).unwrap();
    assert_eq!(snapshots.latest(40, 4, root_at).unwrap().unwrap().position, 10);

    // Where the log cannot tell, nothing is used and nothing is lost.
    assert_eq!(snapshots.latest(40, 4, |_| None).unwrap(), None);
    assert_eq!(snapshots.positions().unwrap(), [10]);
}

#[test]
fn an_interrupted_put_leaves_nothing() {
    let dir = folder();
    snapshots(dir.path());
    let left = dir.path().join("snapshots/00000000000000000040.snap.new");
    fs::write(&left, b"half").unwrap();
    let snapshots = Snapshots::open(&dir.path().join("snapshots"), OFFICE).unwrap();
    assert!(!left.exists());
    assert_eq!(snapshots.positions().unwrap(), [10, 20, 30]);
}
