//! FAULTS L2, of a log in several segments: cut, changed, exchanged, doubled, missing, of another office, history or epoch.
//! Opening names what it is, or it was redundant; nothing is changed, and nothing that is whole is out of reach.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::*;
use renaksi_ledger::{
    Commit, Disk, Error, Found, Log, LogId, LogKind, LogOptions, LogReader, salvage, verify,
};
use tempfile::TempDir;
use uuid::Uuid;

const FRAMES_AT: usize = 12_288;
const SLOTS: std::ops::Range<usize> = 4_096..12_288;

/// A cleanly closed log whose three commits are a segment each.
fn closed() -> (TempDir, Vec<Commit>) {
    of(OFFICE, 1, 1)
}

/// The same, of another log, another history, or another epoch. The commits are as long.
fn of(id: LogId, seed: u32, epoch: u32) -> (TempDir, Vec<Commit>) {
    let dir = folder();
    let options = LogOptions { segment_bytes: 1, disk: Disk::default() };
    let mut log = Log::create_with(dir.path(), id, epoch, options).unwrap();
    for (seed, count) in [(seed, 2), (seed + 1, 1), (seed + 2, 3)] {
        log.append(&entries(seed, count)).unwrap();
    }
    let commits = all(&log.reader());
    log.close().unwrap();
    (dir, commits)
}

/// Every file but the lock, with its bytes.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files(dir, "").into_iter().filter(|path| !path.ends_with("lock"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The whole commits that a repair tool finds.
fn found(dir: &Path) -> Vec<Commit> {
    let mut commits = Vec::new();
    let each = |found| {
        if let Found::Commit(commit) = found {
            commits.push(commit)
        }
    };
    salvage(dir, &OFFICE, each).unwrap();
    commits
}

/// Opening refuses, and so does looking; both say the same, which names `file` and what mends it, and change nothing.
#[track_caller]
fn refused(dir: &Path, file: &str, context: &str) -> Error {
    let before = contents(dir);
    let error = Log::open(dir, OFFICE).unwrap_err();
    let told = error.to_string();
    assert_eq!(LogReader::open_read_only(dir, &OFFICE).unwrap_err().to_string(), told, "{context}");
    assert!(told.contains(file), "{context}: {told}");
    assert!(told.contains("restore") || told.contains("put the right folder back"), "{context}: {told}");
    assert!(contents(dir) == before, "{context}: a refused log was changed");
    error
}

#[test]
fn l2_any_byte_of_the_last_of_several_segments_flipped_is_named_or_was_redundant() {
    let (dir, commits) = closed();
    let path = segments(dir.path())[2].clone();
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= if at % 2 == 0 { 0xFF } else { 1 << (at / 2 % 8) };
        fs::write(&path, &flipped).unwrap();
        let context = format!("byte {at}");
        if SLOTS.contains(&at) {
            let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
            assert_eq!(
                (opened.damaged_slots.len(), opened.kept_commits, opened.cut),
                (1, 0, None),
                "{context}"
            );
            assert_eq!(all(&log.reader()), commits, "{context}");
            continue;
        }
        match refused(dir.path(), name, &context) {
            Error::Damaged { offset, position: 4, .. } if at >= FRAMES_AT => {
                assert_eq!(
                    (offset, found(dir.path())),
                    (FRAMES_AT as u64, commits[..2].to_vec()),
                    "{context}"
                );
            }
            Error::Damaged { position: 4, .. } if at < SLOTS.start => {
                assert_eq!(found(dir.path()), commits, "{context}");
            }
            error => panic!("{context}: {error}"),
        }
    }
}

#[test]
fn l2_any_of_several_segments_cut_anywhere_is_named_and_the_others_are_read() {
    let (dir, commits) = closed();
    for (number, path) in segments(dir.path()).into_iter().enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let context = format!("segment {number} cut to {length} bytes");
            match refused(dir.path(), name, &context) {
                Error::Damaged { file, offset, position, .. } => {
                    assert_eq!(file, path, "{context}");
                    assert!(offset <= length as u64, "{context}: offset {offset}");
                    // Where the header is whole, what is missing comes after the records that it ends with.
                    let first = commits[number].first;
                    let missing = if length < FRAMES_AT { first } else { commits[number].size_after + 1 };
                    assert!(position == first || position == missing, "{context}: position {position}");
                }
                Error::ShorterThanHead { size: 3, head_size: 6, .. } => {
                    assert!(number == 2 && length >= FRAMES_AT, "{context}");
                }
                error => panic!("{context}: {error}"),
            }
            let others = commits.iter().enumerate().filter(|(other, _)| *other != number);
            assert!(found(dir.path()).iter().eq(others.map(|(_, commit)| commit)), "{context}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((opened.cut, all(&log.reader())), (None, commits));
}

#[test]
fn l2_segments_that_changed_places_are_named() {
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let (dir, commits) = closed();
        let paths = segments(dir.path());
        let bytes = [one, other].map(|number| fs::read(&paths[number]).unwrap());
        fs::write(&paths[one], &bytes[1]).unwrap();
        fs::write(&paths[other], &bytes[0]).unwrap();
        let name = paths[one].file_name().unwrap().to_str().unwrap();
        let error = refused(dir.path(), name, &format!("{one} and {other}"));
        let first = commits[one].first;
        assert!(matches!(error, Error::Damaged { offset: 40, position, .. } if position == first), "{error}");
        // Put right again, nothing was lost.
        fs::write(&paths[one], &bytes[0]).unwrap();
        fs::write(&paths[other], &bytes[1]).unwrap();
        assert_eq!(all(&Log::open(dir.path(), OFFICE).unwrap().0.reader()), commits);
    }
}

#[test]
fn l2_a_segment_that_is_there_twice_is_named() {
    for number in 0..3 {
        // Between the others, and behind all of them.
        for first in [2, 5, 7, 1_000] {
            let (dir, commits) = closed();
            let double = format!("segment-{first:020}.log");
            fs::copy(&segments(dir.path())[number], dir.path().join(&double)).unwrap();
            let error = refused(dir.path(), &double, &format!("{number} as {first}"));
            assert!(
                matches!(error, Error::Damaged { offset: 40, position, .. } if position == first),
                "{number} as {first}: {error}"
            );
            let whole = found(dir.path());
            assert!(commits.iter().all(|commit| whole.contains(commit)), "{number} as {first}");
            fs::remove_file(dir.path().join(&double)).unwrap();
            assert_eq!(all(&Log::open(dir.path(), OFFICE).unwrap().0.reader()), commits);
        }
    }
}

/// Puts a segment of another log in the place of one of ours.
fn replaced(number: usize, other: &Path) -> (TempDir, Vec<Commit>, String) {
    let (dir, commits) = closed();
    let path = segments(dir.path())[number].clone();
    fs::copy(&segments(other)[number], &path).unwrap();
    (dir, commits, path.file_name().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn l2_a_segment_of_another_office_or_another_kind_of_log_is_named() {
    let foreign = [
        LogId { office: Uuid::from_u128(99), kind: LogKind::Office },
        LogId { kind: LogKind::Replica, ..OFFICE },
        LogId { kind: LogKind::Feed, ..OFFICE },
    ];
    for id in foreign {
        let (other, _) = of(id, 1, 1);
        for number in 0..3 {
            let (dir, _, name) = replaced(number, other.path());
            let error = refused(dir.path(), &name, &format!("{number} of {id}"));
            assert!(
                matches!(&error, Error::Foreign { found, expected, .. } if *found == id && *expected == OFFICE)
            );
            assert!(error.to_string().contains(&id.to_string()), "{error}");
        }
    }
}

#[test]
fn l2_a_segment_of_another_history_is_named() {
    let (other, _) = of(OFFICE, 50, 1);
    for number in 0..3 {
        let (dir, commits, _) = replaced(number, other.path());
        // The first is noticed by the second, which does not continue it; the others by themselves.
        let named = segments(dir.path())[number.saturating_sub(1)].clone();
        let name = named.file_name().unwrap().to_str().unwrap();
        let error = refused(dir.path(), name, &number.to_string());
        let next = commits[number.max(1)].first;
        assert!(matches!(error, Error::Damaged { position, .. } if position == next), "{number}: {error}");
        let whole = found(dir.path());
        assert_eq!(whole.iter().filter(|commit| commits.contains(commit)).count(), 2, "{number}");
    }
}

#[test]
fn l2_a_segment_of_another_epoch_is_named_or_is_the_same_records() {
    // The same records, written in a later epoch.
    let (later, _) = of(OFFICE, 1, 2);
    for number in 0..2 {
        let (dir, _, name) = replaced(number, later.path());
        let error = refused(dir.path(), &name, &number.to_string());
        assert!(error.to_string().contains("the next segment does not continue this one"), "{error}");
    }
    // A last segment of a later epoch is what a new epoch leaves, and its records follow.
    let (dir, commits, _) = replaced(2, later.path());
    let (log, _) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((log.head().size, log.head().epoch, verify(&log.reader()).unwrap().size), (6, 2, 6));
    let leaves =
        |commits: &[Commit]| -> Vec<_> { commits.iter().flat_map(|commit| commit.entries.clone()).collect() };
    assert_eq!(leaves(&all(&log.reader())), leaves(&commits));
    // An earlier epoch behind a later one never is.
    let earlier = closed().0;
    let (dir, ..) = (of(OFFICE, 1, 2).0, ());
    fs::copy(&segments(earlier.path())[2], &segments(dir.path())[2]).unwrap();
    let error = Log::open(dir.path(), OFFICE).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn a_segment_of_a_later_format_is_not_taken_for_damage() {
    let (dir, _) = closed();
    let path = segments(dir.path())[2].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..4_092]);
    bytes[4_092..4_096].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = Log::open(dir.path(), OFFICE).unwrap_err();
    assert!(matches!(error, Error::UnknownFormat { found: 2, .. }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn l2_what_stands_behind_a_finished_segments_end_is_nobodys() {
    let (dir, commits) = closed();
    for path in &segments(dir.path())[..2] {
        let length = fs::metadata(path).unwrap().len();
        File::options().write(true).open(path).unwrap().set_len(length + 700).unwrap();
    }
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((opened.cut, all(&log.reader())), (None, commits));
    assert_eq!(verify(&log.reader()).unwrap().size, 6);
}
