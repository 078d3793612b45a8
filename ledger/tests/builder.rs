//! A log written anew from its commits, and what a damaged one still proves.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::*;
use renaksi_ledger::{
    Claim, Commit, Error, Head, Log, LogBuilder, LogId, LogKind, Opened, claims, exchange, hold, verify,
};
use uuid::Uuid;

/// Three commits in epoch 1, one in epoch 4.
fn two_epochs(dir: &std::path::Path) -> (Vec<Commit>, Head) {
    let mut log = small(dir, 1);
    log.begin_epoch(4).unwrap();
    let head = log.append(&entries(4, 2)).unwrap();
    let commits = all(&log.reader());
    log.close().unwrap();
    (commits, head)
}

#[test]
fn a_log_written_anew_is_the_same_log_and_goes_on() {
    let (dir, again) = (folder(), folder());
    let (commits, head) = two_epochs(dir.path());
    for segment_bytes in [1, u64::MAX] {
        let path = again.path().join(segment_bytes.to_string());
        let mut builder = LogBuilder::create_with(&path, OFFICE, 1, segment_bytes).unwrap();
        commits.iter().for_each(|commit| builder.push(commit).unwrap());
        assert_eq!(builder.head(), head);
        assert_eq!(builder.finish(4).unwrap(), head);
        let (mut log, opened) = Log::open(&path, OFFICE).unwrap();
        assert_eq!(opened, Opened::default(), "nothing to mend");
        assert_eq!((log.head(), all(&log.reader())), (head, commits.clone()));
        assert_eq!(verify(&log.reader()).unwrap().size, head.size);
        log.append(&entries(5, 1)).unwrap();
        log.close().unwrap();
    }
}

#[test]
fn an_epoch_that_was_begun_without_a_commit_is_kept() {
    let (dir, again) = (folder(), folder());
    let (commits, _) = two_epochs(dir.path());
    let mut builder = LogBuilder::create(again.path(), OFFICE, 1).unwrap();
    commits.iter().for_each(|commit| builder.push(commit).unwrap());
    builder.finish(7).unwrap();
    let (log, _) = Log::open(again.path(), OFFICE).unwrap();
    assert_eq!(log.head().epoch, 7);
    assert_eq!(all(&log.reader()), commits);
    log.close().unwrap();
}

#[test]
fn what_does_not_continue_is_not_taken() {
    let (dir, again) = (folder(), folder());
    let (commits, _) = two_epochs(dir.path());
    let mut builder = LogBuilder::create(again.path(), OFFICE, 1).unwrap();
    let refused = |builder: &mut LogBuilder, commit: &Commit| builder.push(commit).unwrap_err();
    assert!(matches!(refused(&mut builder, &commits[1]), Error::NotContinuing { expected: 1, first: 3 }));
    let mut changed = commits[0].clone();
    changed.entries[0].leaf[0] ^= 1;
    assert!(matches!(refused(&mut builder, &changed), Error::RootMismatch { first: 1, last: 2, .. }));
    commits.iter().for_each(|commit| builder.push(commit).unwrap());
    let mut earlier = Commit { first: 9, size_after: 9, epoch: 3, ..commits[1].clone() };
    assert!(matches!(refused(&mut builder, &earlier), Error::EpochNotLater { current: 4, asked: 3, .. }));
    earlier.entries.clear();
    assert!(matches!(refused(&mut builder, &earlier), Error::EmptyCommit));
    assert!(matches!(builder.finish(3), Err(Error::EpochNotLater { .. })));
    assert!(matches!(LogBuilder::create(dir.path(), OFFICE, 1), Err(Error::AlreadyExists { .. })));
}

#[test]
fn claims_are_what_headers_and_slots_say_and_damage_takes_only_its_own() {
    let dir = folder();
    let (commits, head) = two_epochs(dir.path());
    let whole = claims(dir.path(), &OFFICE).unwrap();
    let sizes: Vec<(u64, u32)> = whole.iter().map(|claim| (claim.size, claim.epoch)).collect();
    assert_eq!(sizes, [(0, 1), (2, 1), (3, 1), (6, 1), (6, 4), (8, 4)]);
    assert_eq!(whole.last(), Some(&Claim { size: 8, epoch: 4, root: head.root }));
    for claim in whole.iter().filter(|claim| claim.size > 0) {
        assert!(commits.iter().any(|c| (c.size_after, c.root_after) == (claim.size, claim.root)));
    }
    let last = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes[20] ^= 1;
    fs::write(&last, &bytes).unwrap();
    assert_eq!(claims(dir.path(), &OFFICE).unwrap(), whole[..4]);
    let other = LogId { office: Uuid::from_u128(9), kind: LogKind::Office };
    assert!(matches!(claims(dir.path(), &other), Err(Error::Foreign { .. })));
    assert!(claims(folder().path(), &OFFICE).unwrap().is_empty());
}

#[test]
fn a_log_that_is_held_takes_no_writer_and_folders_change_places_whole() {
    let dir = folder();
    let (first, second) = (dir.path().join("log"), dir.path().join("log.aside-1"));
    small(&first, u64::MAX).close().unwrap();
    small(&second, 1).close().unwrap();
    let held = hold(&first).unwrap();
    assert!(matches!(Log::open(&first, OFFICE), Err(Error::Locked { .. })));
    assert!(matches!(hold(&first), Err(Error::Locked { .. })));
    exchange(&first, &second).unwrap();
    assert_eq!((segments(&first).len(), segments(&second).len()), (3, 1));
    drop(held);
    Log::open(&first, OFFICE).unwrap().0.close().unwrap();
}
