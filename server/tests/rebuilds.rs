//! FAULTS L9: index and snapshots are made anew, again and again, while the office is written to.

#![allow(clippy::unwrap_used)]

mod stage;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use renaksi_domain::FOLD_VERSION;
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, Origin};
use renaksi_domain::people::{AddUnit, PeopleCommand};
use renaksi_ledger::{LogReader, NewSnapshot, Snapshots};
use renaksi_proto::fold::Fold;
use renaksi_proto::snapshot;
use renaksi_proto::wire;
use renaksi_server::folding::fold_rest;
use renaksi_server::office::{Office, check};
use renaksi_server::office_index::OfficeIndex;
use stage::*;

/// Commands of the device, each a commit of its own, with an act of the server after each.
const ROUNDS: u32 = 150;

/// The index, built from nothing, finds every command that the log had by then.
fn index_anew(reader: &LogReader, office: &Office, folder: &Path) {
    let had = reader.head().size;
    let mut index = OfficeIndex::at(folder.to_owned(), office.shared.id, reader.clone());
    index.rebuild().unwrap();
    // After the three records of the stage the device's commands take every second position.
    for (sequence, position) in (1..).zip((4..=had).step_by(2)) {
        assert_eq!(index.position_of(CommandKey::new(Origin(1), sequence)), Some(position), "of {had}");
    }
}

/// A snapshot of what the log says by then, and the state that goes on from the newest one.
fn snapshot_anew(reader: &LogReader, office: &Office, folder: &Path) {
    let (id, snapshots) = (office.shared.id, Snapshots::open(folder, office.shared.id).unwrap());
    let fold = fold_rest(reader, Fold::default(), id).unwrap();
    let position = fold.state.position;
    let new = NewSnapshot {
        position,
        root: reader.root_at(position).unwrap().unwrap(),
        fold_version: FOLD_VERSION,
        state_hash: state_hash(&fold.state),
        payload: &snapshot::encode(&fold),
    };
    snapshots.put(new).unwrap();
    snapshots.keep(2).unwrap();
    let found = snapshots.latest(u64::MAX, FOLD_VERSION, |at| reader.root_at(at).unwrap()).unwrap().unwrap();
    let resumed = fold_rest(reader, snapshot::decode(&found.payload).unwrap(), id).unwrap();
    let mut whole = Fold::default();
    reader
        .iter(1)
        .map(Result::unwrap)
        .take_while(|commit| commit.size_after <= resumed.state.position)
        .for_each(|commit| commit.entries.iter().for_each(|entry| drop(whole.absorb(&entry.leaf).unwrap())));
    assert_eq!(state_hash(&resumed.state), state_hash(&whole.state), "from {position}");
}

async fn write(stage: &Stage, feed: &[wire::Stored]) {
    for sequence in 1..=ROUNDS {
        stage.push(request(&feed[..sequence as usize], sequence)).await.unwrap();
        let unit = AddUnit { name: format!("Bidang {sequence}").into() };
        stage.office().host(Box::new(move |_| vec![PeopleCommand::AddUnit(unit)])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_index_and_snapshots_made_during_writes_say_what_the_live_state_says() {
    let stage = Stage::new().await;
    let feed: Vec<_> = (1..=ROUNDS).map(|number| leaf(&number.to_string())).collect();
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (office, reader) = (stage.office(), stage.office().shared.reader.clone());
    let written = AtomicBool::new(false);
    // Each goes on until nothing more is written, and once after.
    let rounds = |anew: &dyn Fn()| {
        let mut rounds = 0;
        loop {
            let last = written.load(Ordering::SeqCst);
            anew();
            rounds += 1;
            if last {
                return rounds;
            }
        }
    };
    let rounds = std::thread::scope(|scope| {
        let index = scope.spawn(|| rounds(&|| index_anew(&reader, office, &folder.path().join("index"))));
        let snapshots =
            scope.spawn(|| rounds(&|| snapshot_anew(&reader, office, &folder.path().join("snapshots"))));
        let live =
            scope.spawn(|| rounds(&|| drop(check(&reader, office.shared.id, Some(&office.shared)).unwrap())));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(write(&stage, &feed));
        });
        written.store(true, Ordering::SeqCst);
        [index, snapshots, live].map(|thread| thread.join().unwrap())
    });
    println!("made anew during {ROUNDS} rounds of writes: index, snapshots, replay {rounds:?} times");
    assert!(rounds.iter().all(|rounds| *rounds >= 2), "{rounds:?}");
    let replayed = fold_rest(&reader, Fold::default(), office.shared.id).unwrap();
    assert_eq!(state_hash(&replayed.state), state_hash(&office.shared.durable().unwrap().state));
    // Everything that was sent comes back with its first receipt, and the caches are thrown away once more.
    let again = stage.push(request(&feed, 1)).await.unwrap();
    assert_eq!(positions(&again), (0..u64::from(ROUNDS)).map(|n| 4 + 2 * n).collect::<Vec<_>>());
    stage.end().await;
}
