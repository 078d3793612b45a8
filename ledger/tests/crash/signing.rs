//! The same power cuts for what is signed: the file `checkpoint`, the tree's cache, and the log that grows meanwhile. Whoever
//! got a checkpoint before the cut is never shown one that contradicts it, nor an older one.

use std::path::Path;

use ed25519_dalek::SigningKey;
use renaksi_ledger::{Checkpoint, Entry, Log, LogOptions, Op, Recorder, Signer, verify_consistency};

use super::disk::{CrashDisk, Dice, OnlySynced, clear, scratch};
use super::{ID, LOG};

/// Some commits a segment, and more than two tiles of the tree.
const SEGMENT_BYTES: u64 = 16_000;
const ROUNDS: u32 = 21;
/// Random outcomes opened at each point where something is on its way.
const LUCKS: u64 = 8;

/// One thing that was done, or promised to somebody.
enum Step {
    Done(Op),
    Acknowledged(u64),
    Handed(Checkpoint),
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn options(recorder: &Recorder) -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, disk: recorder.clone().into() }
}

/// What a disk did since it was asked last.
fn since(recorder: &Recorder) -> Vec<Step> {
    let ops = recorder.ops();
    recorder.record();
    ops.into_iter().map(Step::Done).collect()
}

/// Two runs of steps as they may come when two threads do them.
fn mixed(dice: &mut Dice, one: Vec<Step>, other: Vec<Step>) -> Vec<Step> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    let mut mixed = Vec::new();
    while one.peek().is_some() || other.peek().is_some() {
        let from_one = other.peek().is_none() || (one.peek().is_some() && dice.roll(2) == 0);
        mixed.extend(if from_one { one.next() } else { other.next() });
    }
    mixed
}

/// A log that grows, in two epochs and over a new start; each commit is signed while the next one is written, as the
/// server's threads do it. With the number of steps after which there is a log.
fn run(dir: &Path) -> (Vec<Step>, usize) {
    let (of_log, of_signer) = (Recorder::default(), Recorder::default());
    of_log.record();
    of_signer.record();
    let mut dice = Dice(11);
    let dir = dir.join(LOG);
    let mut log = Log::create_with(&dir, ID, 1, options(&of_log)).unwrap();
    let open =
        |log: &Log| Signer::open_on(of_signer.clone().into(), &log.reader(), ID.office, key()).unwrap();
    let mut steps = since(&of_log);
    let created = steps.len();
    let mut signer = open(&log);
    let mut signing = since(&of_signer);
    for round in 1..=ROUNDS {
        let one = |n| Entry { leaf: format!("{round}.{n}").into_bytes(), aside: Vec::new() };
        let entries: Vec<Entry> = (0..10 + dice.roll(40)).map(one).collect();
        let head = log.append(&entries).unwrap();
        let mut appending = since(&of_log);
        appending.push(Step::Acknowledged(head.size));
        steps.extend(mixed(&mut dice, signing, appending));
        let handed = signer.sign().unwrap().checkpoint();
        signing = since(&of_signer);
        signing.push(Step::Handed(handed));
        if round == ROUNDS / 3 || round == 2 * ROUNDS / 3 {
            steps.append(&mut signing);
            if round == ROUNDS / 3 {
                log.close().unwrap();
                log = Log::open_with(&dir, ID, options(&of_log)).unwrap().0;
                signer = open(&log);
            } else {
                log.begin_epoch(2).unwrap();
            }
            steps.extend(since(&of_log));
            signing = since(&of_signer);
        }
    }
    steps.extend(signing);
    (steps, created)
}

/// What whoever was answered holds the log to.
#[derive(Default)]
struct Promised {
    acknowledged: u64,
    handed: Vec<Checkpoint>,
}

/// Opens what a power cut left, appends what was never appended before, and signs.
fn signs_well(promised: &Promised, dir: &Path, context: &str) {
    let dir = dir.join(LOG);
    let (mut log, _) = Log::open(&dir, ID).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(log.head().size >= promised.acknowledged, "{context}: {:?}", log.head());
    let opened = Signer::open(&log.reader(), ID.office, key());
    let mut signer = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    let reaches = |checkpoint: &Checkpoint| (checkpoint.epoch, checkpoint.size);
    let last = signer.last().map(|last| reaches(&last.checkpoint()));
    assert!(last >= promised.handed.last().map(reaches), "{context}: what was signed went back to {last:?}");
    log.append(&[Entry { leaf: context.as_bytes().to_vec(), aside: Vec::new() }]).unwrap();
    let signed = signer.sign().unwrap_or_else(|error| panic!("{context}: {error}")).checkpoint();
    let reader = log.reader();
    assert_eq!(reader.root_at(signed.size).unwrap(), Some(signed.root), "{context}");
    for before in &promised.handed {
        assert!(reaches(before) < reaches(&signed), "{context}");
        let root = reader.root_at(before.size).unwrap();
        assert_eq!(root, Some(before.root), "{context}: {signed} contradicts {before}");
    }
    // The same by the proof that a device is given, which comes out of the tree's cache.
    if let Some(before) = promised.handed.last() {
        let path = signer.tree().consistency(before.size, signed.size).unwrap();
        let continues = verify_consistency(before.size, &before.root, signed.size, &signed.root, &path);
        assert!(continues, "{context}: {signed} does not continue {before}");
    }
}

/// The power goes at each step of opening what a power cut left.
fn signs_well_after_two(promised: &Promised, first: &Path, second: &Path, context: &str) -> u64 {
    let mut again = CrashDisk::of(first);
    let recorder = Recorder::default();
    recorder.record();
    let (log, _) = Log::open_with(&first.join(LOG), ID, options(&recorder)).unwrap();
    drop(Signer::open_on(recorder.clone().into(), &log.reader(), ID.office, key()).unwrap());
    drop(log);
    let ops = recorder.ops();
    for (done, op) in (1..).zip(&ops) {
        again.step(op);
        again.after_power_cut(&mut Dice(done), first, second);
        signs_well(promised, second, &format!("{context}, then {done} operations of opening"));
        clear(second);
    }
    ops.len() as u64
}

#[test]
fn l1_a_power_cut_at_any_point_takes_back_nothing_that_was_signed() {
    let (home, after, second) = (scratch(), scratch(), scratch());
    let (steps, created) = run(home.path());
    let mut disk = CrashDisk::default();
    let mut promised = Promised::default();
    let mut opened = 0;
    for (number, step) in (1..).zip(&steps) {
        match step {
            Step::Done(op) => disk.step(op),
            Step::Acknowledged(size) => promised.acknowledged = *size,
            Step::Handed(checkpoint) => promised.handed.push(*checkpoint),
        }
        if number < created {
            continue;
        }
        let context = format!("after {number} steps, only what was synced");
        disk.after_power_cut(&mut OnlySynced, home.path(), after.path());
        signs_well(&promised, after.path(), &context);
        clear(after.path());
        let lucks = if disk.is_settled() { 0 } else { LUCKS };
        for luck in 0..lucks {
            let context = format!("after {number} steps, luck {luck}");
            let cut = |to: &Path| {
                disk.after_power_cut(&mut Dice(number as u64 * LUCKS + luck), home.path(), to);
            };
            cut(after.path());
            signs_well(&promised, after.path(), &context);
            clear(after.path());
            if luck == 0 {
                cut(after.path());
                opened += signs_well_after_two(&promised, after.path(), second.path(), &context);
                clear(after.path());
            }
        }
        opened += 1 + lucks;
    }
    let (size, handed) = (promised.acknowledged, promised.handed.len());
    println!(
        "{opened} states opened and signed, of {} steps, {size} records, {handed} checkpoints",
        steps.len()
    );
    assert!(opened >= 2_000 && size > 2 * 256, "only {opened} states, {size} records");
}
