//! FAULTS L9: however a log is cut into commits and wherever its replay goes on from a snapshot, the state is the live one.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "made for the benches")]
#[path = "../src/bin/renaksi-bench/history.rs"]
mod history;

use std::path::Path;

use history::office_log;
use renaksi_domain::hash::state_hash;
use renaksi_domain::{FOLD_VERSION, Outcome, Record, State, apply};
use renaksi_ledger::{Entry, Log, LogOptions, LogReader, NewSnapshot, Snapshots, verify};
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::{command_leaf, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::log::Texts;
use renaksi_proto::snapshot;
use renaksi_server::data::{Data, ServerFile};
use renaksi_server::folding::fold_rest;
use renaksi_server::office::{Office, check};
use renaksi_server::{authority, data};

/// Of an office's people, plan and work: added, amended, voided, verified, held and released.
const RECORDS: usize = 1_500;
/// Several segments.
const SEGMENT_BYTES: u64 = 40_000;

fn entry(record: &Record) -> Entry {
    let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
    Entry { leaf: encode_record(record, &command.leaf, None, None), aside: Vec::new() }
}

/// Folds a log commit by commit, each time from what a snapshot of the state before it gave back, and keeps some of them.
fn through_snapshots(reader: &LogReader, kept: &Snapshots) -> Fold {
    let mut fold = Fold::default();
    for (number, commit) in (1..).zip(reader.iter(1)) {
        let commit = commit.unwrap();
        commit.entries.iter().for_each(|entry| drop(fold.absorb(&entry.leaf).unwrap()));
        let payload = snapshot::encode(&fold);
        if number % 40 == 1 {
            let new = NewSnapshot {
                position: commit.size_after,
                root: commit.root_after,
                fold_version: FOLD_VERSION,
                state_hash: state_hash(&fold.state),
                payload: &payload,
            };
            kept.put(new).unwrap();
        }
        fold = snapshot::decode(&payload).unwrap();
    }
    fold
}

/// The hash of a log's state, by every way there is to it.
fn replayed(data: &Data, snapshots: &Path, batch: usize) -> Vec<[u8; 32]> {
    let id = Data::log_id(data.server_file().unwrap().office);
    let reader = LogReader::open_read_only(&data.office("log"), &id).unwrap();
    assert_eq!(verify(&reader).unwrap().size, reader.head().size);
    let kept = Snapshots::open(snapshots, id).unwrap();
    let mut hashes = vec![state_hash(&through_snapshots(&reader, &kept).state)];
    let positions = kept.positions().unwrap();
    assert!(positions.len() > RECORDS / batch / 50, "{positions:?}");
    for position in positions {
        let found = kept.latest(position, FOLD_VERSION, |at| reader.root_at(at).unwrap()).unwrap().unwrap();
        assert_eq!(found.position, position);
        let rest = fold_rest(&reader, snapshot::decode(&found.payload).unwrap(), id).unwrap();
        hashes.push(state_hash(&rest.state));
    }
    // A server, from the first record and then from the snapshot that it left.
    for _ in 0..2 {
        let office = Office::open(data, Clock::System).unwrap();
        hashes.push(check(&reader, id, Some(&office.shared)).unwrap().state_hash);
        office.close();
    }
    hashes
}

#[test]
fn l9_in_batches_of_1_7_and_1000_the_replayed_state_is_the_live_one() {
    let records = office_log(RECORDS, [1; 32]);
    let mut live = State::default();
    records.iter().for_each(|record| apply(&mut live, record));
    let some = |met: fn(&Outcome) -> bool| records.iter().any(|record| met(&record.outcome));
    assert!(some(|outcome| matches!(outcome, Outcome::Held(_))), "some are held");
    assert!(some(|outcome| matches!(outcome, Outcome::Refused(_))), "some are refused");
    let records: Vec<Entry> = records.iter().map(entry).collect();
    let (office, rehearsal) = live.office.as_ref().map(|office| (office.office, office.rehearsal)).unwrap();
    for batch in [1, 7, 1_000] {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let data = Data::new(&dir.path().join("data"));
        authority::create(&data.authority(), "Dinas Uji", "localhost").unwrap();
        let file = ServerFile { office, rehearsal, address: "localhost:1".into(), founded: true };
        data.write_server_file(&file).unwrap();
        data::private_folder(&data.office("")).unwrap();
        let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::default() };
        let mut log = Log::create_with(&data.office("log"), Data::log_id(office), 1, options).unwrap();
        for commit in records.chunks(batch) {
            log.append(commit).unwrap();
        }
        assert_eq!(log.head().size, live.position);
        log.close().unwrap();
        let hashes = replayed(&data, &dir.path().join("kept"), batch);
        println!("batches of {batch}: {} ways to the state", hashes.len());
        assert!(hashes.iter().all(|hash| *hash == state_hash(&live)), "batches of {batch}");
    }
}
