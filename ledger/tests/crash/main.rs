//! FAULTS L1: the power goes at every point of a run of appends, rotations, an epoch, snapshots, a clean stop and a new
//! start, and again at every point of the opening after it. What was acknowledged is there, nothing else is, and the log
//! opens without help.

#![allow(clippy::unwrap_used)]

mod disk;
mod signing;

use std::path::Path;

use disk::{CrashDisk, Dice, OnlySynced, clear, scratch};
use renaksi_ledger::{
    Entry, Error, Head, Log, LogId, LogKind, LogOptions, NewSnapshot, Op, Recorder, Snapshots, verify,
};
use uuid::Uuid;

const ID: LogId = LogId { office: Uuid::from_u128(7), kind: LogKind::Office };
/// In a folder that is made with it: what is durable in a folder that is not is gone with it.
const LOG: &str = "office/log";
/// Two or three commits a segment.
const SEGMENT_BYTES: u64 = 13_500;
const COMMITS: u64 = 48;
/// Random outcomes opened at each point where something is on its way.
const LUCKS: u64 = 40;
const FOLD_VERSION: u32 = 3;

/// What was done, and what was promised when.
struct Run {
    ops: Vec<Op>,
    entries: Vec<Entry>,
    /// (operations done, head) at each answer.
    acknowledged: Vec<(usize, Head)>,
    created_at: usize,
}

impl Run {
    fn acknowledged_after(&self, ops: usize) -> Option<Head> {
        let answered = self.acknowledged.iter().rev().find(|(at, _)| *at <= ops);
        answered.map(|(_, head)| *head)
    }
}

fn options(recorder: &Recorder) -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, disk: recorder.clone().into() }
}

fn snapshot_payload(position: u64) -> Vec<u8> {
    position.to_le_bytes().repeat(50)
}

fn run(dir: &Path) -> Run {
    let recorder = Recorder::default();
    recorder.record();
    let mut dice = Dice(1);
    let mut log = Log::create_with(&dir.join(LOG), ID, 1, options(&recorder)).unwrap();
    let mut run = Run { ops: vec![], entries: vec![], acknowledged: vec![], created_at: recorder.len() };
    let snapshots =
        Snapshots::open_on(recorder.clone().into(), &dir.join(LOG).join("snapshots"), ID).unwrap();
    for commit in 1..=COMMITS {
        let entries: Vec<Entry> = (0..=dice.roll(4))
            .map(|n| {
                let leaf = format!("{commit}.{n}").repeat(1 + dice.roll(60) as usize).into_bytes();
                let aside = if dice.roll(3) == 0 { vec![b'a'; dice.roll(90) as usize] } else { Vec::new() };
                Entry { leaf, aside }
            })
            .collect();
        let head = log.append(&entries).unwrap();
        run.acknowledged.push((recorder.len(), head));
        run.entries.extend(entries);
        if commit % 9 == 0 {
            let payload = snapshot_payload(head.size);
            let snapshot = NewSnapshot {
                position: head.size,
                root: head.root,
                fold_version: FOLD_VERSION,
                state_hash: [9; 32],
                payload: &payload,
            };
            snapshots.put(snapshot).unwrap();
            snapshots.keep(2).unwrap();
        }
        if commit == COMMITS / 3 {
            log.close().unwrap();
            log = Log::open_with(&dir.join(LOG), ID, options(&recorder)).unwrap().0;
        }
        if commit == COMMITS / 2 {
            log.begin_epoch(2).unwrap();
        }
    }
    log.close().unwrap();
    run.ops = recorder.ops();
    run
}

/// Opens what a power cut left: everything acknowledged is there, nothing that was not appended, and it goes on.
fn opens_well(run: &Run, ops: usize, dir: &Path, context: &str) {
    let log_dir = dir.join(LOG);
    let acknowledged = run.acknowledged_after(ops);
    let recorder = Recorder::default();
    let (mut log, _) = match Log::open_with(&log_dir, ID, options(&recorder)) {
        Ok(opened) => opened,
        Err(Error::NotFound { .. }) if ops < run.created_at => return,
        Err(error) => panic!("{context}: {error}"),
    };
    let head = log.head();
    assert!(acknowledged.is_none_or(|promised| head.size >= promised.size), "{context}: {head:?}");
    let verified = verify(&log.reader()).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((verified.size, verified.root), (head.size, head.root), "{context}");
    let found = log.reader().iter(1).flat_map(|commit| commit.unwrap().entries);
    assert!(found.eq(run.entries[..head.size as usize].iter().cloned()), "{context}: other records");
    let snapshots = Snapshots::open(&log_dir.join("snapshots"), ID).unwrap();
    let reader = log.reader();
    let latest = snapshots.latest(head.size, FOLD_VERSION, |at| reader.root_at(at).unwrap()).unwrap();
    if let Some(snapshot) = latest {
        assert_eq!(snapshot.payload, snapshot_payload(snapshot.position), "{context}");
    }
    let next = log.append(&[Entry { leaf: b"after".to_vec(), aside: Vec::new() }]).unwrap();
    assert_eq!(next.size, head.size + 1, "{context}");
    log.close().unwrap();
    let (log, opened) = Log::open(&log_dir, ID).unwrap();
    assert_eq!((log.head(), opened.cut, opened.kept_commits), (next, None, 0), "{context}");
}

#[test]
fn l1_a_power_cut_at_any_point_loses_nothing_acknowledged() {
    let (home, after) = (scratch(), scratch());
    let run = run(home.path());
    let mut disk = CrashDisk::default();
    let mut opened = 0u64;
    for ops in 0..=run.ops.len() {
        if ops > 0 {
            disk.step(&run.ops[ops - 1]);
        }
        let lucks = if disk.is_settled() { 0 } else { LUCKS };
        disk.after_power_cut(&mut OnlySynced, home.path(), after.path());
        opens_well(&run, ops, after.path(), &format!("after {ops} operations, only what was synced"));
        clear(after.path());
        for luck in 0..lucks {
            disk.after_power_cut(&mut Dice(ops as u64 * LUCKS + luck), home.path(), after.path());
            opens_well(&run, ops, after.path(), &format!("after {ops} operations, luck {luck}"));
            clear(after.path());
        }
        opened += 1 + lucks;
    }
    println!("{opened} states opened, of {} operations", run.ops.len());
    assert!(opened >= 10_000, "only {opened} states");
}

#[test]
fn l1_a_power_cut_while_opening_after_one_loses_nothing_either() {
    let (home, first, second) = (scratch(), scratch(), scratch());
    let run = run(home.path());
    let mut disk = CrashDisk::default();
    let mut opened = 0u64;
    for (done, op) in (1..).zip(&run.ops) {
        disk.step(op);
        if disk.is_settled() || done <= run.created_at {
            continue;
        }
        for luck in 0..3 {
            disk.after_power_cut(&mut Dice(done as u64 * 3 + luck), home.path(), first.path());
            let mut again = CrashDisk::of(first.path());
            let recorder = Recorder::default();
            recorder.record();
            drop(Log::open_with(&first.path().join(LOG), ID, options(&recorder)).unwrap());
            for (step, op) in (1..).zip(recorder.ops()) {
                again.step(&op);
                for half in 0..2u64 {
                    let context = format!("{done} operations, luck {luck}, then {step} of opening, {half}");
                    match half {
                        0 => again.after_power_cut(&mut OnlySynced, first.path(), second.path()),
                        _ => again.after_power_cut(&mut Dice(step as u64), first.path(), second.path()),
                    }
                    opens_well(&run, done, second.path(), &context);
                    clear(second.path());
                    opened += 1;
                }
            }
            clear(first.path());
        }
    }
    println!("{opened} states of interrupted openings opened");
    assert!(opened > 100, "only {opened} states");
}
