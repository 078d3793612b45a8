//! Appending: the ledger alone, beside plain writes of the same record bytes with the same syncs on the same disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use renaksi_ledger::{Entry, Log, LogId, LogKind};
use uuid::Uuid;

use crate::{Figure, median};

const RECORD_BYTES: usize = 200;
/// (records a commit, commits a round)
const CASES: [(usize, usize); 4] = [(1, 40), (10, 40), (100, 30), (1_000, 10)];
/// Rounds of the log and of the plain file, in turns and short: the disk is not the same from one second to the next.
const ROUNDS: usize = 91;

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a folder for the bench");
    CASES.into_iter().flat_map(|(records, commits)| case(dir.path(), records, commits)).collect()
}

fn case(dir: &Path, records: usize, commits: usize) -> [Figure; 2] {
    let log_dir = dir.join(format!("log-{records}"));
    let id = LogId { office: Uuid::from_u128(1), kind: LogKind::Office };
    let mut log = Log::create(&log_dir, id, 1).expect("a log");
    let plain = File::create_new(dir.join(format!("plain-{records}"))).expect("a file");
    let mut offset = 0;
    let entries: Vec<Entry> =
        (0..records).map(|n| Entry { leaf: vec![n as u8 ^ 0x5A; RECORD_BYTES], aside: Vec::new() }).collect();
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| &entry.leaf).copied().collect();
    let (mut ours, mut theirs, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rate = rate(records, commits, || {
            let began = Instant::now();
            log.append(&entries).expect("an append");
            each.push(began.elapsed());
        });
        ours.push(rate);
        theirs.push(self::rate(records, commits, || {
            plain.write_all_at(&bytes, offset).and_then(|()| plain.sync_data()).expect("a write");
            offset += bytes.len() as u64;
        }));
    }
    log.close().expect("a clean stop");
    [
        Figure {
            case: records.to_string(),
            value: median(ours),
            unit: "records/s",
            baseline: Some(("write + fdatasync of the same bytes", median(theirs))),
        },
        Figure { case: format!("{records} p99"), value: percentile_ms(each, 99), unit: "ms", baseline: None },
    ]
}

fn rate(records: usize, commits: usize, mut commit: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..commits).for_each(|_| commit());
    (records * commits) as f64 / began.elapsed().as_secs_f64()
}

fn percentile_ms(mut each: Vec<Duration>, percent: usize) -> f64 {
    each.sort();
    each[(each.len() * percent / 100).min(each.len() - 1)].as_secs_f64() * 1_000.0
}
