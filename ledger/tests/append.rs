//! Writing, reading and opening again.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs;
use std::thread;

use common::*;
use renaksi_ledger::merkle::{Frontier, leaf_hash};
use renaksi_ledger::{
    Commit, Disk, Entry, Error, Head, Log, LogId, LogKind, LogOptions, LogReader, Opened, Recorder, verify,
};
use uuid::Uuid;

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 3).unwrap();
    assert_eq!(log.head(), Head::empty(3));
    let (first, second) = (entries(1, 5), entries(2, 1));
    log.append(&first).unwrap();
    let head = log.append(&second).unwrap();
    assert_eq!((head.size, head.epoch), (6, 3));
    let before = all(&log.reader());
    log.close().unwrap();

    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!(opened, Opened::default());
    assert_eq!(log.head(), head);
    let commits = all(&log.reader());
    assert_eq!(commits, before);
    assert_eq!(commits[0].entries, first);
    assert_eq!(
        commits[1],
        Commit { first: 6, entries: second, size_after: 6, root_after: head.root, epoch: 3 }
    );
}

#[test]
fn the_root_is_the_tree_hash_over_the_leaves() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    let mut frontier = Frontier::default();
    for seed in 0..20 {
        let entries = entries(seed, 1 + seed % 4);
        entries.iter().for_each(|entry| frontier.append(leaf_hash(&entry.leaf)));
        let head = log.append(&entries).unwrap();
        assert_eq!((head.size, head.root), (frontier.size(), frontier.root()));
        assert_eq!(log.reader().root_at(head.size).unwrap(), Some(head.root));
    }
}

#[test]
fn without_a_clean_stop_the_last_commit_is_found_and_kept() {
    let dir = folder();
    let head = small(dir.path(), u64::MAX).head();
    for _ in 0..2 {
        let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        assert_eq!(opened, Opened { kept_commits: 1, ..Opened::default() });
        assert_eq!(log.head(), head);
    }
    let (mut log, _) = Log::open(dir.path(), OFFICE).unwrap();
    let head = log.append(&entries(4, 2)).unwrap();
    log.close().unwrap();
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((log.head(), opened), (head, Opened::default()));
    assert_eq!(verify(&log.reader()).unwrap().records, 8);
}

#[test]
fn opening_after_every_commit_never_loses_the_newest_slot() {
    let dir = folder();
    drop(Log::create(dir.path(), OFFICE, 1).unwrap());
    for seed in 0..12 {
        let (mut log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        assert_eq!(log.head().size, u64::from(seed) * 2);
        assert_eq!(opened.kept_commits, u64::from(seed > 0 && seed % 3 != 1));
        log.append(&entries(seed, 2)).unwrap();
        if seed % 3 == 0 {
            log.close().unwrap();
        }
    }
}

#[test]
fn a_log_goes_on_over_many_segments() {
    let dir = folder();
    let mut log = small(dir.path(), 1);
    for seed in 10..40 {
        log.append(&entries(seed, 3)).unwrap();
    }
    let (head, before) = (log.head(), all(&log.reader()));
    assert_eq!(segments(dir.path()).len(), 33);
    drop(log);

    let options = LogOptions { segment_bytes: 14_000, disk: Disk::default() };
    let (mut log, opened) = Log::open_with(dir.path(), OFFICE, options).unwrap();
    assert_eq!((log.head(), opened.kept_commits), (head, 1));
    assert_eq!(all(&log.reader()), before);
    for seed in 40..100 {
        log.append(&entries(seed, 3)).unwrap();
    }
    assert!((36..60).contains(&segments(dir.path()).len()));
    let reader = LogReader::open_read_only(dir.path(), &OFFICE).unwrap();
    let verified = verify(&reader).unwrap();
    assert_eq!((verified.size, verified.root), (log.head().size, log.head().root));
    for commit in all(&reader) {
        for (n, entry) in commit.entries.iter().enumerate() {
            assert_eq!(reader.record(commit.first + n as u64).unwrap().as_ref(), Some(entry));
        }
        assert_eq!(reader.root_at(commit.size_after).unwrap(), Some(commit.root_after));
    }
    assert_eq!(reader.record(0).unwrap(), None);
    assert_eq!(reader.record(log.head().size + 1).unwrap(), None);
}

#[test]
fn a_crash_in_a_rotation_leaves_a_log_that_opens() {
    // Each write and sync of the commit that rotates, failing in turn, with and without its bytes.
    for step in 0..6 {
        for (sync, keep_bytes) in [(true, 0), (false, 0), (false, 40), (false, usize::MAX)] {
            let dir = folder();
            let faults = Recorder::default();
            let options = LogOptions { segment_bytes: 1, disk: faults.clone().into() };
            let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
            log.append(&entries(1, 2)).unwrap();
            let head = log.append(&entries(2, 2)).unwrap();
            if sync {
                faults.fail_sync(step)
            } else {
                faults.fail_write(step, keep_bytes)
            }
            let acknowledged = log.append(&entries(3, 2)).is_ok();
            drop(log);
            let (mut log, _) = Log::open(dir.path(), OFFICE).unwrap();
            let size = log.head().size;
            assert!(size == 6 || (size == head.size && !acknowledged), "step {step}: {size}");
            log.append(&entries(4, 1)).unwrap();
            assert_eq!(verify(&log.reader()).unwrap().size, size + 1);
        }
    }
}

/// A writer of many small commits fills space ahead of them; one of few does not, and none leaves it behind.
#[test]
fn space_is_reserved_for_small_commits_and_given_back() {
    let dir = folder();
    let options = LogOptions { segment_bytes: 300_000, disk: Disk::default() };
    let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
    let length = |n: usize| fs::metadata(&segments(dir.path())[n]).unwrap().len();
    let mut lengths = BTreeSet::new();
    for seed in 0..1_000 {
        log.append(&entries(seed, 3)).unwrap();
        lengths.insert(length(0));
        assert_eq!(lengths.len() <= 4, seed < 4, "{seed}: {lengths:?}");
    }
    assert!((6..9).contains(&lengths.len()), "one for each filling: {lengths:?}");
    // A rotation gives it back, and so does the end.
    let large = Entry { leaf: vec![1; 60_000], aside: vec![0; 240_000] };
    log.append(std::slice::from_ref(&large)).unwrap();
    let before = verify(&LogReader::open_read_only(dir.path(), &OFFICE).unwrap()).unwrap();
    let first = length(0);
    assert!(first < *lengths.last().unwrap(), "{first}");
    for seed in 0..9 {
        log.append(&entries(seed, 1)).unwrap();
    }
    let last = segments(dir.path()).len() - 1;
    let reserved = length(last);
    log.close().unwrap();
    assert!(length(last) < reserved, "{reserved}");
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((opened.cut, log.head().size), (None, before.size + 9));
    assert!(verify(&log.reader()).is_ok());
}

/// The frame itself may still fit where the space for others does not.
#[test]
fn a_disk_too_full_to_reserve_space_takes_what_fits() {
    let dir = folder();
    let faults = Recorder::default();
    let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
    let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
    for seed in 0..20 {
        if seed == 4 {
            faults.fail_write(0, 1_000);
        }
        log.append(&entries(seed, 2)).unwrap();
    }
    drop(log);
    let (log, opened) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((log.head().size, opened.cut), (40, None));
    assert!(verify(&log.reader()).is_ok());
}

/// FAULTS L3 and L4.
#[test]
fn l3_l4_a_failed_write_or_sync_stops_the_log_until_it_is_opened_again() {
    type Plan = fn(&Recorder);
    let plans: [(Plan, u64); 5] = [
        (|faults| faults.fail_write(0, 0), 2),
        (|faults| faults.fail_write(0, 30), 2),
        (|faults| faults.fail_write(1, 0), 4),
        (|faults| faults.fail_write(1, 20), 4),
        (|faults| faults.fail_sync(0), 4),
    ];
    for (n, (plan, size)) in plans.into_iter().enumerate() {
        let dir = folder();
        let faults = Recorder::default();
        let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
        let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
        let head = log.append(&entries(1, 2)).unwrap();
        plan(&faults);
        for _ in 0..3 {
            let error = log.append(&entries(2, 2)).unwrap_err();
            assert!(matches!(error, Error::Stopped { .. }), "{error}");
            assert!(error.to_string().contains("open the log again"), "{error}");
            assert!(error.source().unwrap().to_string().contains("segment-00000000000000000001.log"));
            assert_eq!((log.head(), log.reader().head()), (head, head));
        }
        assert!(matches!(log.begin_epoch(2), Err(Error::Stopped { .. })));
        assert_eq!(all(&log.reader()).len(), 1);
        assert!(matches!(log.close(), Err(Error::Stopped { .. })));

        // What was not acknowledged may be there, whole, or be gone; never half.
        let (mut log, opened) = Log::open(dir.path(), OFFICE).unwrap();
        assert_eq!(log.head().size, size, "plan {n}");
        assert_eq!(opened.cut.is_some(), n == 1, "plan {n}");
        log.append(&entries(3, 1)).unwrap();
        assert_eq!(verify(&log.reader()).unwrap().size, size + 1);
    }
}

#[test]
fn pages_end_at_commit_boundaries() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    for n in 0..4 {
        let entry = Entry { leaf: vec![n; 60], aside: vec![n; 40] };
        log.append(&[entry.clone(), entry]).unwrap();
    }
    let reader = log.reader();
    let firsts = |position, limit| -> Vec<u64> {
        reader.read_from(position, limit).unwrap().iter().map(|commit| commit.first).collect()
    };
    assert_eq!(firsts(1, 0), [1]);
    assert_eq!(firsts(1, 199), [1]);
    assert_eq!(firsts(1, 200), [1]);
    assert_eq!(firsts(1, 399), [1]);
    assert_eq!(firsts(1, 400), [1, 3]);
    assert_eq!(firsts(0, u64::MAX), [1, 3, 5, 7]);
    assert_eq!(firsts(4, 300), [3]);
    assert_eq!(firsts(8, u64::MAX), [7]);
    assert_eq!(firsts(9, u64::MAX), [0; 0]);
    assert_eq!(reader.root_at(3).unwrap(), None);
}

#[test]
fn a_reader_follows_while_the_log_grows() {
    let dir = folder();
    let options = LogOptions { segment_bytes: 40_000, disk: Disk::default() };
    let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
    let reader = log.reader();
    let followers: Vec<_> = (0..2)
        .map(|_| {
            let reader = reader.clone();
            thread::spawn(move || {
                let (mut commits, mut seen) = (reader.iter(1), 0);
                while seen < 3_000 {
                    let durable = reader.head().size;
                    let Some(commit) = commits.next() else { continue };
                    let commit = commit.unwrap();
                    assert_eq!(commit.first, seen + 1);
                    seen = commit.size_after;
                    assert_eq!(reader.record(seen).unwrap().as_ref(), commit.entries.last());
                    assert!(seen <= reader.head().size && durable <= reader.head().size);
                }
            })
        })
        .collect();
    for seed in 0..1_000 {
        log.append(&entries(seed, 3)).unwrap();
        if seed % 100 == 0 {
            let looked = LogReader::open_read_only(dir.path(), &OFFICE).unwrap();
            assert_eq!(looked.head(), log.head());
        }
    }
    followers.into_iter().for_each(|follower| follower.join().unwrap());
    assert_eq!(verify(&reader).unwrap().size, 3_000);
}

#[test]
fn any_record_of_a_large_segment_is_found_by_a_short_way() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    let leaf = |n: u64| n.to_be_bytes().repeat(25);
    for first in (1..=6_000u64).step_by(3) {
        let commit = (first..first + 3).map(|n| Entry { leaf: leaf(n), aside: Vec::new() });
        log.append(&commit.collect::<Vec<_>>()).unwrap();
    }
    let own = log.reader();
    log.begin_epoch(2).unwrap();
    log.append(&[entry("last")]).unwrap();
    // One knows its points from appending, the others find them by reading.
    let fresh = || LogReader::open_read_only(dir.path(), &OFFICE).unwrap();
    let forward = fresh();
    for n in (1..=6_000).step_by(7) {
        assert_eq!(own.record(n).unwrap().unwrap().leaf, leaf(n));
        assert_eq!(forward.record(n).unwrap().unwrap().leaf, leaf(n));
    }
    let backward = fresh();
    for n in (1..=6_000).rev().step_by(11) {
        assert_eq!(backward.record(n).unwrap().unwrap().leaf, leaf(n));
        assert_eq!(backward.read_from(n, 1).unwrap()[0].first, (n - 1) / 3 * 3 + 1);
    }
    assert_eq!(backward.iter(5_000).count(), (6_000 - 4_999) / 3 + 2);
    assert_eq!(backward.record(6_001).unwrap(), Some(entry("last")));
}

#[test]
fn a_reader_may_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<LogReader>();
    fn sent<T: Send + 'static>() {}
    sent::<Log>();
}

#[test]
fn what_may_not_be_written_changes_nothing() {
    let dir = folder();
    let mut log = small(dir.path(), u64::MAX);
    let head = log.head();
    assert!(matches!(log.append(&[]), Err(Error::EmptyCommit)));
    let long = Entry { leaf: vec![0; 65_536], aside: Vec::new() };
    let error = log.append(&[entry("fine"), long]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 1 of the commit has 65536 bytes, more than 65535; nothing was written, split the record"
    );
    assert_eq!(log.head(), head);
    let longest = Entry { leaf: vec![0; 65_535], aside: vec![1; 100_000] };
    log.append(std::slice::from_ref(&longest)).unwrap();
    assert_eq!(log.reader().record(7).unwrap(), Some(longest));
}

#[test]
fn a_new_epoch_begins_a_new_segment() {
    let dir = folder();
    let mut log = small(dir.path(), u64::MAX);
    let error = log.begin_epoch(1).unwrap_err();
    assert!(matches!(error, Error::EpochNotLater { current: 1, asked: 1, .. }), "{error}");
    log.begin_epoch(2).unwrap();
    // Nothing was recorded in epoch 2: its segment is replaced.
    let head = log.begin_epoch(5).unwrap();
    assert_eq!((head.size, head.epoch, log.reader().head()), (6, 5, head));
    log.append(&entries(4, 1)).unwrap();
    let epochs = |reader: &LogReader| all(reader).iter().map(|commit| commit.epoch).collect::<Vec<_>>();
    assert_eq!(epochs(&log.reader()), [1, 1, 1, 5]);
    drop(log);
    let (log, _) = Log::open(dir.path(), OFFICE).unwrap();
    assert_eq!((log.head().epoch, epochs(&log.reader())), (5, vec![1, 1, 1, 5]));
}

#[test]
fn one_writer_at_a_time() {
    let dir = folder();
    let log = small(dir.path(), u64::MAX);
    let error = Log::open(dir.path(), OFFICE).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }));
    assert!(error.to_string().starts_with(&format!("{} is in use", dir.path().display())), "{error}");
    assert_eq!(LogReader::open_read_only(dir.path(), &OFFICE).unwrap().head(), log.head());
    drop(log);
    assert!(Log::open(dir.path(), OFFICE).is_ok());
}

#[test]
fn another_log_is_refused() {
    let dir = folder();
    small(dir.path(), u64::MAX).close().unwrap();
    let others = [
        LogId { office: Uuid::from_u128(99), kind: LogKind::Office },
        LogId { kind: LogKind::Replica, ..OFFICE },
    ];
    for other in others {
        let error = Log::open(dir.path(), other).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("segment-00000000000000000001.log belongs to the office log"));
    }
    assert!(matches!(Log::create(dir.path(), OFFICE, 1), Err(Error::AlreadyExists { .. })));
}

#[test]
fn a_missing_log_is_created_only_when_asked() {
    let dir = folder();
    let at = dir.path().join("offices/a");
    assert!(matches!(Log::open(&at, OFFICE), Err(Error::NotFound { .. })));
    assert!(!at.exists());
    let (mut log, _) = Log::open_or_create(&at, OFFICE, 4).unwrap();
    log.append(&[entry("one")]).unwrap();
    log.close().unwrap();
    let (log, _) = Log::open_or_create(&at, OFFICE, 9).unwrap();
    assert_eq!((log.head().size, log.head().epoch), (1, 4));
}
