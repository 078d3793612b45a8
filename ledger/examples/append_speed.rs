//! How fast a log appends, against the same bytes written raw: `cargo run --release --example append_speed [folder]`.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use renaksi_ledger::{Entry, Log, LogId, LogKind};
use uuid::Uuid;

const RECORD_BYTES: usize = 200;
const ROUNDS: usize = 5;

fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "records a commit | raw commits/s | log commits/s | log records/s | log / raw (median of {ROUNDS})"
    );
    for (records, commits) in [(1, 600), (10, 600), (100, 400), (1000, 150)] {
        let entries: Vec<Entry> =
            (0..records).map(|n| Entry { leaf: vec![n as u8; RECORD_BYTES], aside: Vec::new() }).collect();
        let mut pairs: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                // By turns, so that both see the disk in the same mood.
                let raw = per_second(commits, time_raw(&folder, records * RECORD_BYTES, commits));
                (raw, per_second(commits, time_log(&folder, &entries, commits)))
            })
            .collect();
        pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let (raw, log) = pairs[ROUNDS / 2];
        println!("{records:16} | {raw:13.0} | {log:13.0} | {:13.0} | {:.2}", log * records as f64, log / raw);
    }
}

fn per_second(commits: usize, took: Duration) -> f64 {
    commits as f64 / took.as_secs_f64()
}

fn time_raw(folder: &std::path::Path, bytes: usize, commits: usize) -> Duration {
    let dir = tempfile::tempdir_in(folder).unwrap();
    let file = File::create(dir.path().join("raw")).unwrap();
    let block = vec![7; bytes];
    let began = Instant::now();
    for n in 0..commits {
        file.write_all_at(&block, (n * bytes) as u64).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed()
}

fn time_log(folder: &std::path::Path, entries: &[Entry], commits: usize) -> Duration {
    let dir = tempfile::tempdir_in(folder).unwrap();
    let id = LogId { office: Uuid::from_u128(1), kind: LogKind::Office };
    let mut log = Log::create(dir.path(), id, 1).unwrap();
    let began = Instant::now();
    for _ in 0..commits {
        log.append(entries).unwrap();
    }
    began.elapsed()
}
