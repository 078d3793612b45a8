//! Lists of positions say what the log says: however they came to be, and whatever became of their files.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use renaksi_ledger::{
    Entry, Index, IndexBatch, IndexSetAside, Log, LogId, LogKind, LogOptions, LogReader, OPEN_WAIT_MAX,
    Postings, Subject, Table,
};
use uuid::Uuid;

const PLAIN: Table = Table { number: 1, tag_bits: 0 };
const TAGGED: Table = Table { number: 2, tag_bits: 6 };
const VERSION: u32 = 3;

/// A leaf is a list of bytes, each naming a plain subject and one of 256 that share four lists.
fn subjects(leaf: &[u8], found: &mut Vec<Subject>) {
    for byte in leaf {
        found.push(Subject { table: PLAIN, key: u64::from(*byte), tag: 0 });
        found.push(Subject { table: TAGGED, key: u64::from(byte / 64), tag: byte % 64 });
    }
}

fn grow(log: &mut Log, commits: &[Vec<Vec<u8>>]) {
    for commit in commits {
        let entries: Vec<Entry> =
            commit.iter().map(|leaf| Entry { leaf: leaf.clone(), aside: Vec::new() }).collect();
        log.append(&entries).unwrap();
    }
}

fn open(dir: &Path) -> (Postings, Option<IndexSetAside>) {
    Postings::open(&dir.join("lists"), &OFFICE, VERSION, OPEN_WAIT_MAX).unwrap()
}

fn followed(dir: &Path, reader: &LogReader) -> Postings {
    open(dir).0.follow(reader, &subjects, &mut |_, _| {}).unwrap()
}

/// Every list against a scan.
#[track_caller]
fn assert_tells(postings: &Postings, reader: &LogReader) {
    assert_eq!(postings.covered().unwrap(), reader.head().size);
    let leaves: Vec<(u64, Vec<u8>)> = reader
        .iter(1)
        .map(Result::unwrap)
        .flat_map(|commit| (commit.first..).zip(commit.entries).map(|(at, entry)| (at, entry.leaf)))
        .collect();
    for byte in 0..=255u8 {
        let wanted: Vec<u64> =
            leaves.iter().filter(|(_, leaf)| leaf.contains(&byte)).map(|(at, _)| *at).collect();
        let mut named = Vec::new();
        subjects(&[byte], &mut named);
        for subject in named {
            assert_eq!(postings.positions(subject).unwrap(), wanted, "{subject:?}");
        }
    }
}

fn leaves() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    // Few bytes, so that lists grow beyond a row, and few enough to a leaf.
    let byte = prop_oneof![4 => 60u8..68, 1 => any::<u8>()];
    let leaf = prop::collection::vec(byte, 1..4);
    prop::collection::vec(prop::collection::vec(leaf, 1..40), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Absent, behind by some commits, of another log, of another history, of another reading: the lists say the same.
    #[test]
    fn lists_say_what_a_scan_says(commits in leaves(), cut in any::<prop::sample::Index>(), before in 0..6) {
        let dir = folder();
        let mut log = Log::create(&dir.path().join("log"), OFFICE, 1).unwrap();
        let cut = cut.index(commits.len() + 1);
        grow(&mut log, &commits[..cut]);
        match before {
            0 => {}
            1 => drop(followed(dir.path(), &log.reader())),
            2 => {
                let id = LogId { office: Uuid::from_u128(9), kind: LogKind::Office };
                drop(Postings::open(&dir.path().join("lists"), &id, VERSION, OPEN_WAIT_MAX).unwrap());
            }
            3 => {
                let other = folder();
                let mut log = Log::create(other.path(), OFFICE, 1).unwrap();
                grow(&mut log, &[vec![vec![1, 2, 3]], vec![vec![61]]]);
                drop(followed(dir.path(), &log.reader()));
            }
            4 => {
                let lists = dir.path().join("lists");
                let older = Postings::open(&lists, &OFFICE, VERSION - 1, OPEN_WAIT_MAX).unwrap().0;
                drop(older.follow(&log.reader(), &|_, _| {}, &mut |_, _| {}).unwrap());
            }
            _ => {
                // Follows every commit on its own, as a device that asks after each pull does.
                let mut postings = followed(dir.path(), &log.reader());
                for commit in &commits[cut..] {
                    grow(&mut log, std::slice::from_ref(commit));
                    postings = postings.follow(&log.reader(), &subjects, &mut |_, _| {}).unwrap();
                }
                assert_tells(&postings, &log.reader());
            }
        }
        if before != 5 {
            grow(&mut log, &commits[cut..]);
        }
        assert_tells(&followed(dir.path(), &log.reader()), &log.reader());
    }

    #[test]
    fn what_is_picked_is_what_is_there(commits in leaves(), every in 1usize..90, from in 1u64..50) {
        let dir = folder();
        let options = LogOptions { segment_bytes: 2_000, ..LogOptions::default() };
        let mut log = Log::create_with(dir.path(), OFFICE, 1, options).unwrap();
        grow(&mut log, &commits);
        let reader = log.reader();
        let all: Vec<(u64, Entry)> = reader
            .iter(1)
            .map(Result::unwrap)
            .flat_map(|commit| (commit.first..).zip(commit.entries))
            .collect();
        let wanted = || (from..reader.head().size + 5).step_by(every);
        let picked: Vec<(u64, Entry)> = reader.pick(wanted()).map(Result::unwrap).collect();
        let expected: Vec<(u64, Entry)> =
            wanted().filter_map(|at| all.get(usize::try_from(at - 1).unwrap()).cloned()).collect();
        prop_assert_eq!(picked, expected);
    }
}

/// Commits of one record each, in which every second names the same subject.
fn long_log(dir: &Path, records: u32) -> Log {
    let mut log = Log::create(&dir.join("log"), OFFICE, 1).unwrap();
    let leaves: Vec<Vec<u8>> =
        (0..records).map(|n| vec![if n % 2 == 0 { 7 } else { (n % 200) as u8 }]).collect();
    grow(&mut log, &leaves.chunks(500).map(<[Vec<u8>]>::to_vec).collect::<Vec<_>>());
    log
}

#[test]
fn what_is_picked_far_apart_is_found() {
    let dir = folder();
    let reader = long_log(dir.path(), 20_000).reader();
    let positions: Vec<u64> =
        reader.pick([1, 2, 9_000, 9_001, 19_999]).map(|found| found.unwrap().0).collect();
    assert_eq!(positions, [1, 2, 9_000, 9_001, 19_999]);
}

#[test]
fn a_long_way_is_told_and_a_list_in_many_rows_is_one() {
    let dir = folder();
    let log = long_log(dir.path(), 25_000);
    let mut told = Vec::new();
    let postings = open(dir.path()).0;
    let postings =
        postings.follow(&log.reader(), &subjects, &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!(told, [(10_000, 25_000), (20_000, 25_000)]);
    assert_tells(&postings, &log.reader());
}

/// The size does not depend on how often the log was followed: lists go on where they ended.
#[test]
fn lists_that_came_in_many_batches_take_no_more_rows() {
    let dir = folder();
    let rows = |dir: &Path| Index::open(&dir.join("lists"), &OFFICE).unwrap().0.range(1, b"").count();
    let mut log = Log::create(&dir.path().join("log"), OFFICE, 1).unwrap();
    let mut postings = followed(dir.path(), &log.reader());
    for n in 0..300u32 {
        grow(&mut log, &[vec![vec![(n % 3) as u8]]]);
        postings = postings.follow(&log.reader(), &subjects, &mut |_, _| {}).unwrap();
    }
    drop(postings);
    assert_eq!(rows(dir.path()), 3);
}

#[test]
fn a_row_that_was_lost_behind_its_back_comes_again() {
    let dir = folder();
    let log = long_log(dir.path(), 2_000);
    drop(followed(dir.path(), &log.reader()));
    let db = sled::Config::default().path(dir.path().join("lists/index")).segment_size(64 << 10);
    let db = (0..500)
        .find_map(|_| db.open().map_err(|_| std::thread::sleep(Duration::from_millis(10))).ok())
        .unwrap();
    let lost = db.scan_prefix([1, 0, 0, 0, 0, 0, 0, 0, 7]).next().unwrap().unwrap().0;
    db.remove(lost).unwrap().unwrap();
    db.flush().unwrap();
    drop(db);
    let (postings, aside) = open(dir.path());
    assert!(aside.unwrap().cause.contains("rows where"), "it is walked before it is believed");
    assert_eq!(postings.covered().unwrap(), 0);
    assert_tells(&postings.follow(&log.reader(), &subjects, &mut |_, _| {}).unwrap(), &log.reader());
}

#[test]
fn rows_of_another_form_are_no_answer() {
    let dir = folder();
    let log = long_log(dir.path(), 100);
    drop(followed(dir.path(), &log.reader()));
    let index = Index::open(&dir.path().join("lists"), &OFFICE).unwrap().0;
    let mut batch = IndexBatch::new(100, log.reader().head().root);
    // A number that does not end.
    batch.put(1, &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1], &[0x80]);
    index.write(batch).unwrap();
    drop(index);
    let error = open(dir.path()).0.positions(Subject { table: PLAIN, key: 7, tag: 0 }).unwrap_err();
    assert!(error.to_string().contains("not what this release writes"), "{error}");
}

/// A file that never answers: opening it for reading waits for somebody to write.
#[cfg(unix)]
#[test]
fn an_index_that_hangs_is_set_aside_and_built_anew() {
    let dir = folder();
    let log = long_log(dir.path(), 500);
    drop(followed(dir.path(), &log.reader()));
    let conf = dir.path().join("lists/index/conf");
    fs::remove_file(&conf).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &conf, 0o600.into()).unwrap();
    let (postings, aside) =
        Postings::open(&dir.path().join("lists"), &OFFICE, VERSION, Duration::from_secs(2)).unwrap();
    assert_eq!(aside.unwrap().cause, "it did not open within 2s");
    assert_tells(&postings.follow(&log.reader(), &subjects, &mut |_, _| {}).unwrap(), &log.reader());
}

/// sled answers some damage with a panic, some with an error, some with fewer rows. None of it reaches an answer.
#[test]
fn damaged_files_never_change_an_answer() {
    let dir = folder();
    let log = long_log(dir.path(), 1_500);
    let reader = log.reader();
    drop(followed(dir.path(), &reader));
    let db = dir.path().join("lists/index/db");
    let whole = fs::read(&db).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut aside = 0;
    for at in used.iter().step_by((used.len() / 60).max(1)) {
        let other = folder();
        fs::create_dir_all(other.path().join("lists/index")).unwrap();
        for name in ["conf", "db"] {
            let bytes = fs::read(dir.path().join("lists/index").join(name)).unwrap();
            fs::write(other.path().join("lists/index").join(name), bytes).unwrap();
        }
        let mut bytes = whole.clone();
        bytes[*at] ^= 0x55;
        fs::write(other.path().join("lists/index/db"), bytes).unwrap();
        let (postings, damage) = open(other.path());
        aside += usize::from(damage.is_some());
        assert_tells(&postings.follow(&reader, &subjects, &mut |_, _| {}).unwrap(), &reader);
    }
    assert!(aside > 0, "no damage was met");
}
