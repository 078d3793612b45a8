//! Every byte cut and every byte flipped.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::path::Path;

use common::*;
use renaksi_ledger::{Commit, Error, Found, Log, LogReader, salvage, verify};

const FRAMES_AT: usize = 12_288;
const SLOTS: std::ops::Range<usize> = 4_096..12_288;

/// Where the frames of a segment begin, by their magic.
fn frames(bytes: &[u8]) -> Vec<usize> {
    (FRAMES_AT..bytes.len()).filter(|at| bytes[*at..].starts_with(b"\xF5rnksFR1")).collect()
}

fn salvaged(dir: &Path) -> (Vec<Commit>, Vec<(u64, u64)>) {
    let (mut commits, mut damage) = (Vec::new(), Vec::new());
    salvage(dir, &OFFICE, |found| match found {
        Found::Commit(commit) => commits.push(commit),
        Found::Damage { offset, bytes, .. } => damage.push((offset, bytes)),
    })
    .unwrap();
    (commits, damage)
}

#[test]
fn cut_at_any_byte_an_unclosed_log_opens_to_what_the_slot_vouches_for_or_refuses() {
    let dir = folder();
    let whole = all(&small(dir.path(), u64::MAX).reader());
    let bytes = fs::read(&segments(dir.path())[0]).unwrap();
    let starts = frames(&bytes);
    // The slot written with the third commit vouches for the first two.
    for length in 0..=bytes.len() {
        let dir = folder();
        let segment = dir.path().join("segment-00000000000000000001.log");
        fs::write(&segment, &bytes[..length]).unwrap();
        let looked = LogReader::open_read_only(dir.path(), &OFFICE);
        let looked = looked.map(|reader| (all(&reader), reader.tail_bytes()));
        match Log::open(dir.path(), OFFICE) {
            Ok((mut log, opened)) => {
                assert!(length >= starts[2], "{length}");
                let commits = if length == bytes.len() { 3 } else { 2 };
                assert_eq!(all(&log.reader()), whole[..commits], "{length}");
                let (looked, tail_bytes) = looked.unwrap();
                assert_eq!(looked, whole[..commits]);
                assert_eq!(tail_bytes, opened.cut.as_ref().map_or(0, |cut| cut.bytes));
                assert_eq!(log.reader().tail_bytes(), 0);
                assert_eq!(opened.kept_commits, u64::from(commits == 3));
                let torn = &bytes[starts[2]..length];
                match opened.cut {
                    None => assert!(torn.is_empty() || commits == 3),
                    Some(cut) => {
                        assert_eq!((cut.position, cut.bytes), (4, torn.len() as u64));
                        assert_eq!(fs::read(&cut.file).unwrap(), torn);
                    }
                }
                log.append(&entries(9, 1)).unwrap();
                assert!(verify(&log.reader()).is_ok());
            }
            Err(Error::ShorterThanHead { head_size: 3, size, .. }) => {
                let wanted = if length < starts[1] { 0 } else { 2 };
                assert_eq!(size, wanted, "{length}");
                assert!((FRAMES_AT..starts[2]).contains(&length));
                assert_eq!(fs::read(&segment).unwrap(), bytes[..length], "a refused log was changed");
            }
            Err(error) => {
                assert!(length < FRAMES_AT, "{length}: {error}");
                assert!(error.to_string().contains("segment-00000000000000000001.log"), "{error}");
            }
        }
    }
}

#[test]
fn cut_at_any_byte_a_closed_log_refuses() {
    let dir = folder();
    small(dir.path(), u64::MAX).close().unwrap();
    let bytes = fs::read(&segments(dir.path())[0]).unwrap();
    for length in 0..bytes.len() {
        let dir = folder();
        fs::write(dir.path().join("segment-00000000000000000001.log"), &bytes[..length]).unwrap();
        match Log::open(dir.path(), OFFICE).unwrap_err() {
            Error::ShorterThanHead { head_size: 6, .. } => assert!(length >= FRAMES_AT),
            Error::Damaged { .. } => assert!(length < FRAMES_AT),
            error => panic!("{length}: {error}"),
        }
    }
}

/// Flips each byte of one segment in turn, by turns wholly and in one bit, and hands each damaged copy to `check`.
fn each_flip(dir: &Path, segment: usize, check: impl Fn(&Path, usize)) {
    let damaged = copy(dir);
    let path = segments(damaged.path())[segment].clone();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= if at % 2 == 0 { 0xFF } else { 1 << (at / 2 % 8) };
        fs::write(&path, &flipped).unwrap();
        check(damaged.path(), at);
        files(damaged.path(), "cut-").iter().for_each(|cut| fs::remove_file(cut).unwrap());
    }
}

/// FAULTS L2.
#[test]
fn l2_any_byte_of_a_closed_log_flipped_is_named_or_was_redundant() {
    let dir = folder();
    let log = small(dir.path(), u64::MAX);
    let whole = all(&log.reader());
    log.close().unwrap();
    let bytes = fs::read(&segments(dir.path())[0]).unwrap();
    let starts = frames(&bytes);
    each_flip(dir.path(), 0, |dir, at| {
        let before = fs::read(&segments(dir)[0]).unwrap();
        match Log::open(dir, OFFICE) {
            Ok((log, opened)) => {
                assert!(SLOTS.contains(&at), "byte {at} flipped unseen");
                assert_eq!(opened.damaged_slots, [(1, if at < 8_192 { 4_096 } else { 8_192 })]);
                assert_eq!((opened.kept_commits, opened.cut), (0, None));
                assert_eq!(all(&log.reader()), whole);
                drop(log);
                assert_eq!(fs::read(&segments(dir)[0]).unwrap(), bytes, "the slot was not mended");
            }
            Err(Error::Damaged { file, offset, position, .. }) => {
                assert!(!SLOTS.contains(&at));
                assert_eq!(file, segments(dir)[0]);
                assert_eq!(fs::read(&file).unwrap(), before, "a damaged log was changed");
                if at >= FRAMES_AT {
                    let broken = starts.partition_point(|start| *start <= at) - 1;
                    assert_eq!((offset, position), (starts[broken] as u64, whole[broken].first));
                    let (commits, damage) = salvaged(dir);
                    assert_eq!(commits.len(), 2, "byte {at}");
                    assert!(commits.iter().all(|commit| whole.contains(commit)));
                    assert_eq!(damage.len(), 1);
                    assert_eq!(damage[0].0, starts[broken] as u64);
                } else {
                    // The records behind a damaged header are read all the same.
                    assert_eq!(salvaged(dir), (whole.clone(), vec![(0, FRAMES_AT as u64)]), "byte {at}");
                }
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    });
}

#[test]
fn any_byte_of_an_unclosed_log_flipped_loses_at_most_the_commit_no_slot_vouches_for() {
    let dir = folder();
    let whole = all(&small(dir.path(), u64::MAX).reader());
    let starts = frames(&fs::read(&segments(dir.path())[0]).unwrap());
    each_flip(dir.path(), 0, |dir, at| match Log::open(dir, OFFICE) {
        Ok((log, opened)) if SLOTS.contains(&at) => {
            assert_eq!(all(&log.reader()), whole);
            assert_eq!(opened.damaged_slots.len(), 1);
        }
        Ok((log, opened)) => {
            assert!(at >= starts[2], "byte {at} flipped unseen");
            assert_eq!(all(&log.reader()), whole[..2]);
            assert_eq!(opened.cut.unwrap().position, 4);
        }
        Err(Error::Damaged { .. }) => assert!(at < starts[2], "byte {at}"),
        Err(error) => panic!("byte {at}: {error}"),
    });
}

#[test]
fn any_byte_of_an_earlier_segment_flipped_is_named_when_it_is_read() {
    let dir = folder();
    let log = small(dir.path(), 1);
    let whole = all(&log.reader());
    log.close().unwrap();
    assert_eq!(segments(dir.path()).len(), 3);
    for segment in [0, 1] {
        each_flip(dir.path(), segment, |dir, at| match Log::open(dir, OFFICE) {
            Ok((log, opened)) => {
                let reader = log.reader();
                if SLOTS.contains(&at) {
                    assert_eq!(opened.damaged_slots.len(), 1);
                    assert_eq!(all(&reader), whole);
                    return;
                }
                assert!(at >= FRAMES_AT, "byte {at} flipped unseen");
                let first = whole[segment].first;
                let error = verify(&reader).unwrap_err();
                assert!(matches!(&error, Error::Damaged { position, .. } if *position == first), "{error}");
                assert!(reader.record(first).is_err());
                assert!(reader.read_from(first, 1).is_err());
                assert_eq!(reader.iter(first).take(3).filter(Result::is_ok).count(), 0);
                assert_eq!(reader.read_from(whole[2].first, 1).unwrap(), whole[2..]);
            }
            Err(error) => {
                assert!(at < 4_096, "byte {at}: {error}");
                assert!(error.to_string().contains(segments(dir)[segment].to_str().unwrap()), "{error}");
            }
        });
    }
}

#[test]
fn damage_before_a_whole_commit_is_never_cut() {
    let dir = folder();
    drop(small(dir.path(), u64::MAX));
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let starts = frames(&bytes);
    // Both slots as if only the first commit were durable: what a lost slot write would look like.
    let earlier = folder();
    let mut log = Log::create(earlier.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 2)).unwrap();
    log.close().unwrap();
    bytes[SLOTS].copy_from_slice(&fs::read(&segments(earlier.path())[0]).unwrap()[SLOTS]);
    for at in starts[1]..starts[2] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(path, &flipped).unwrap();
        let error = Log::open(dir.path(), OFFICE).unwrap_err();
        let Error::Damaged { offset, position, .. } = &error else { panic!("{error}") };
        assert_eq!((*offset, *position), (starts[1] as u64, 3));
        assert!(error.to_string().contains("restore this file from a backup or a replica"), "{error}");
        assert!(files(dir.path(), "cut-").is_empty());
    }
}

#[test]
fn a_commit_inside_a_record_is_not_taken_for_one() {
    let (dir, other) = (folder(), folder());
    // A record that holds the bytes of a plausible later commit, in a commit that was then torn.
    let mut log = Log::create(other.path(), OFFICE, 1).unwrap();
    for seed in 0..3 {
        log.append(&entries(seed, 1)).unwrap();
    }
    let bytes = fs::read(&segments(other.path())[0]).unwrap();
    let inner = bytes[frames(&bytes)[2]..].to_vec();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(0, 1)).unwrap();
    log.append(&[renaksi_ledger::Entry { leaf: inner, aside: vec![0; 100] }]).unwrap();
    drop(log);
    let path = &segments(dir.path())[0];
    let length = fs::metadata(path).unwrap().len();
    File::options().write(true).open(path).unwrap().set_len(length - 1).unwrap();
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((log.head().size, opened.cut.unwrap().position), (1, 2));
}

#[test]
fn an_unfinished_tail_is_set_aside_each_time_under_its_own_name() {
    let dir = folder();
    small(dir.path(), u64::MAX).close().unwrap();
    let path = &segments(dir.path())[0];
    for n in 1..=3 {
        let mut bytes = fs::read(path).unwrap();
        bytes.extend([7; 5_000]);
        fs::write(path, bytes).unwrap();
        let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        let cut = opened.cut.unwrap();
        assert_eq!((log.head().size, cut.bytes), (6, 5_000));
        assert_eq!(cut.file, dir.path().join(format!("cut-00000000000000000007-{n}.bin")));
    }
}

/// Space that a writer had reserved and did not come to use or to give back.
#[test]
fn zeros_behind_the_last_commit_are_space_to_go_on_in() {
    for zeros in [1, 27, 28, 5_000, 200_000] {
        let dir = folder();
        small(dir.path(), u64::MAX).close().unwrap();
        let path = &segments(dir.path())[0];
        let length = fs::metadata(path).unwrap().len();
        File::options().write(true).open(path).unwrap().set_len(length + zeros).unwrap();
        assert_eq!(LogReader::open_read_only(dir.path(), &OFFICE).unwrap().tail_bytes(), 0);
        let (mut log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        assert_eq!((opened.cut, opened.kept_commits), (None, 0));
        assert!(salvaged(dir.path()).1.is_empty());
        let head = log.append(&entries(9, 1)).unwrap();
        assert_eq!(verify(&log.reader()).unwrap().root, head.root);
        log.close().unwrap();
        assert_eq!(salvaged(dir.path()).1, [], "nothing is left of them");
        let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        assert_eq!((log.head(), opened.kept_commits), (head, 0));
    }
}

/// The same zeros where commits were: the head slot knows better.
#[test]
fn zeros_in_the_place_of_commits_are_damage() {
    let dir = folder();
    small(dir.path(), u64::MAX).close().unwrap();
    let path = &segments(dir.path())[0];
    let bytes = fs::read(path).unwrap();
    for start in frames(&bytes) {
        let mut zeroed = bytes.clone();
        zeroed[start..].fill(0);
        fs::write(path, &zeroed).unwrap();
        let error = Log::open(dir.path(), OFFICE).unwrap_err();
        assert!(matches!(error, Error::Damaged { offset, .. } if offset == start as u64), "{error}");
        assert_eq!(fs::read(path).unwrap(), zeroed, "a refused log was changed");
    }
}

/// A power cut can keep the end of the last write and not its beginning.
#[test]
fn an_unfinished_commit_in_reserved_space_is_set_aside_without_the_space() {
    let dir = folder();
    small(dir.path(), u64::MAX).close().unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len();
    bytes.resize(end + 100_000, 0);
    bytes[end + 5_000] = 7;
    fs::write(path, &bytes).unwrap();
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!(log.head().size, 6);
    assert!((5_001..=5_001 + 4_096).contains(&cut.bytes), "{}", cut.bytes);
    assert_eq!(fs::read(&cut.file).unwrap(), bytes[end..end + cut.bytes as usize]);
    assert_eq!(fs::metadata(path).unwrap().len(), end as u64);
}

#[test]
fn a_missing_segment_is_named() {
    for missing in 0..3 {
        let dir = folder();
        small(dir.path(), 1).close().unwrap();
        fs::remove_file(&segments(dir.path())[missing]).unwrap();
        let error = Log::open(dir.path(), OFFICE).unwrap_err();
        let wanted = [1, 3, 4][missing];
        assert!(matches!(error, Error::MissingSegment { position, .. } if position == wanted), "{error}");
    }
}

#[test]
fn an_earlier_segment_cut_short_is_refused() {
    let dir = folder();
    small(dir.path(), 1).close().unwrap();
    let path = &segments(dir.path())[0];
    let length = fs::metadata(path).unwrap().len();
    File::options().write(true).open(path).unwrap().set_len(length - 1).unwrap();
    let error = Log::open(dir.path(), OFFICE).unwrap_err();
    assert!(matches!(&error, Error::Damaged { file, .. } if file == path), "{error}");
}

/// Replaces text in the frame that begins at `start` and makes its checksums right again.
fn rewrite(path: &Path, start: usize, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = start + bytes[start..].windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    let leaf_bytes = u32::from_le_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize;
    let crc = crc32c::crc32c(&bytes[start + 28..start + 28 + leaf_bytes]);
    bytes[start + 20..start + 24].copy_from_slice(&crc.to_le_bytes());
    fs::write(path, &bytes).unwrap();
}

#[test]
fn a_changed_record_with_a_right_checksum_is_found_by_its_hash() {
    // In an earlier segment, which opening does not hash.
    let dir = folder();
    small(dir.path(), 1).close().unwrap();
    rewrite(&segments(dir.path())[1], FRAMES_AT, b"record 2-0", b"record X-0");
    let (log, _) = Log::open(dir.path(), OFFICE).unwrap();
    let error = verify(&log.reader()).unwrap_err();
    assert!(matches!(error, Error::RootMismatch { first: 3, last: 3, .. }), "{error}");

    // In the last one, which it does; also when no slot vouches for the commit.
    for close in [true, false] {
        let dir = folder();
        let log = small(dir.path(), u64::MAX);
        if close {
            log.close().unwrap()
        } else {
            drop(log)
        }
        let path = &segments(dir.path())[0];
        let starts = frames(&fs::read(path).unwrap());
        rewrite(path, starts[2], b"record 3-0", b"record X-0");
        let error = Log::open(dir.path(), OFFICE).unwrap_err();
        assert!(matches!(error, Error::Damaged { position: 4, .. }), "{error}");
        assert!(files(dir.path(), "cut-").is_empty());
    }
}
