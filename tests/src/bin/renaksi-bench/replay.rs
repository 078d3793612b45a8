//! Reading a log again: through the rules, and through the hashes alone.

use std::time::Instant;

use renaksi_ledger::{Entry, Log, LogId, LogKind, LogReader};
use renaksi_proto::convert::decode_record;
use renaksi_proto::fold::Fold;
use renaksi_server::folding::fold_rest;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::history::{History, history};
use crate::{Figure, leaf, median};

const RECORDS: usize = 1_000_000;
/// Records a commit, as a day's pushes make them.
const COMMIT_RECORDS: usize = 100;
const ROUNDS: usize = 5;
const ID: LogId = LogId { office: Uuid::from_u128(1), kind: LogKind::Office };

struct Stored {
    reader: LogReader,
    bytes: u64,
    dir: tempfile::TempDir,
}

fn stored() -> Stored {
    let dir = tempfile::tempdir().expect("a folder for the bench");
    let mut log = Log::create(dir.path(), ID, 1).expect("a log");
    let History { founding, records, .. } = history(RECORDS);
    let all: Vec<_> = founding.iter().chain(&records).collect();
    let mut bytes = 0;
    for commit in all.chunks(COMMIT_RECORDS) {
        let entries: Vec<Entry> =
            commit.iter().map(|record| Entry { leaf: leaf(record), aside: Vec::new() }).collect();
        bytes += entries.iter().map(|entry| entry.leaf.len() as u64).sum::<u64>();
        log.append(&entries).expect("an append");
    }
    let reader = log.reader();
    log.close().expect("a clean stop");
    Stored { reader, bytes, dir }
}

/// Rates of two ways through the log, in turns.
fn in_turns(stored: &Stored, ours: impl Fn(&LogReader), theirs: impl Fn(&LogReader)) -> (f64, f64) {
    let size = stored.reader.head().size as f64;
    let rate = |way: &dyn Fn(&LogReader)| {
        let began = Instant::now();
        way(&stored.reader);
        size / began.elapsed().as_secs_f64()
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (rate(&ours), rate(&theirs))).collect();
    let (ours, theirs) = rounds.into_iter().unzip();
    (median(ours), median(theirs))
}

fn each_leaf(reader: &LogReader, mut each: impl FnMut(&[u8])) {
    let mut commits = reader.iter(1);
    while commits.see(|commit| commit.leaves().for_each(&mut each)).expect("a commit").is_some() {}
}

/// Runs the bench `replay`.
pub fn replay() -> Vec<Figure> {
    let stored = stored();
    let folded = |reader: &LogReader| {
        let fold = fold_rest(reader, Fold::default(), ID).expect("a log that folds");
        assert_eq!(fold.state.position, reader.head().size);
    };
    let decoded = |reader: &LogReader| each_leaf(reader, |leaf| drop(decode_record(leaf).expect("a record")));
    let (ours, theirs) = in_turns(&stored, folded, decoded);
    let disk = std::fs::read_dir(stored.dir.path())
        .expect("the folder")
        .map(|file| file.and_then(|file| file.metadata()).expect("a file").len());
    vec![
        Figure {
            case: "from zero".into(),
            value: ours,
            unit: "records/s",
            baseline: Some(("decoding the same log", theirs)),
        },
        Figure {
            case: "disk".into(),
            value: disk.sum::<u64>() as f64,
            unit: "bytes",
            baseline: Some(("the records alone", stored.bytes as f64)),
        },
    ]
}

/// Runs the bench `verify`.
pub fn verify() -> Vec<Figure> {
    let stored = stored();
    let verified = |reader: &LogReader| {
        let verified = renaksi_ledger::verify(reader).expect("a log that holds");
        assert_eq!(verified.size, reader.head().size);
    };
    let hashed = |reader: &LogReader| {
        let mut hash = Sha256::new();
        each_leaf(reader, |leaf| hash.update(leaf));
        assert_ne!(hash.finalize().as_slice(), [0; 32]);
    };
    let (ours, theirs) = in_turns(&stored, verified, hashed);
    vec![Figure {
        case: "all hashes".into(),
        value: ours,
        unit: "records/s",
        baseline: Some(("one SHA-256 over the same log", theirs)),
    }]
}
