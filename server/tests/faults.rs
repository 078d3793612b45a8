//! The writer when something under it or before it is not as it should be.

#![allow(clippy::unwrap_used)]

mod stage;

use prost::Message;
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::DeviceId;
use renaksi_domain::people::{AddUnit, PeopleCommand, RevokeDevice};
use renaksi_domain::{Code, FOLD_VERSION, RULES_VERSION};
use renaksi_ledger::{Index, IndexBatch, LogOptions, NewSnapshot, Recorder, Snapshots};
use renaksi_proto::clock::Clock;
use renaksi_proto::fold::Fold;
use renaksi_proto::{chain, log, snapshot, wire};
use renaksi_server::office::Office;
use renaksi_server::people::invite;
use renaksi_server::writer::{HostAct, HostError, NotDurable};
use stage::*;

/// Bytes of one commit at most, as the writer has it.
const COMMIT_BYTES_MAX: usize = 8 << 20;

fn unit(chars: usize) -> HostAct {
    Box::new(move |_| vec![PeopleCommand::AddUnit(AddUnit { name: "u".repeat(chars).into() })])
}

fn garbage(bytes: usize) -> wire::Stored {
    wire::Stored { leaf: vec![0xFF; bytes], aside: Vec::new() }
}

/// The rules say what was too long; where that makes the record itself too long, the writer says it without.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_makes_its_record_too_long_says_only_that() {
    let stage = Stage::new().await;
    let mut details = Vec::new();
    for chars in (65_300..65_600).step_by(10) {
        match stage.office().host(unit(chars)).await {
            Err(HostError::Refused(cause)) => {
                assert_eq!(cause.code, Code::TooLarge);
                details.push(cause.details.len());
            }
            Err(HostError::NotDurable(NotDurable::NotTaken)) => break,
            other => panic!("{other:?}"),
        }
    }
    details.dedup();
    assert_eq!(details, [2, 0], "with, then without");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_take_stops_nothing() {
    let stage = Stage::new().await;
    match stage.office().host(unit(70_000)).await {
        Err(HostError::NotDurable(NotDurable::NotTaken)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(stage.office().shared.reader.head().size, 3);
    let answer = stage.push(request(&[leaf("1")], 1)).await.unwrap();
    assert_eq!(positions(&answer), [4]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_longer_than_a_commit_is_several_and_answered_once() {
    let stage = Stage::new().await;
    let feed: Vec<_> = (0..300).map(|_| garbage(60_000)).collect();
    let answer = stage.push(request(&feed, 1)).await.unwrap();
    assert_eq!(positions(&answer), (4..304).collect::<Vec<_>>());
    assert_eq!((answer.position, answer.next_sequence), (303, 301));
    let commits: Vec<_> = stage.office().shared.reader.iter(4).map(Result::unwrap).collect();
    assert_eq!(commits.len(), 3);
    for commit in commits {
        let bytes: usize = commit.entries.iter().map(|entry| entry.leaf.len() + entry.aside.len()).sum();
        assert!(bytes <= COMMIT_BYTES_MAX, "{bytes}");
    }
    let again = stage.push(request(&feed, 1)).await.unwrap();
    assert_eq!(positions(&again), positions(&answer));
    assert!(again.receipts.iter().all(|receipt| receipt.duplicate));
    stage.end().await;
}

/// FAULTS L3.
#[tokio::test(flavor = "multi_thread")]
async fn l3_a_failed_fsync_stops_the_office_and_nothing_is_read_from_what_it_left() {
    // The first part of a long push is durable, the second is not; or nothing is.
    for (syncs, commands, durable_at_least) in [(0, 1, 3), (1, 200, 4)] {
        let faults = Recorder::default();
        let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
        let mut stage = Stage::with(options).await;
        faults.fail_sync(syncs);
        let feed: Vec<_> = (0..commands).map(|_| garbage(60_000)).collect();
        assert_eq!(stage.push(request(&feed, 1)).await.unwrap_err().code(), "OFFICE_STOPPED");
        assert!(stage.office().shared.is_stopped());
        assert_eq!(stage.office().shared.durable().map(drop).unwrap_err().code(), "OFFICE_STOPPED");
        assert_eq!(stage.push(request(&feed, 1)).await.unwrap_err().code(), "OFFICE_STOPPED");
        assert!(stage.office().shared.reader.head().size >= durable_at_least);
        let office = stage.office.take().unwrap();
        tokio::task::block_in_place(|| office.close());
        stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        let answer = stage.push(request(&feed, 1)).await.unwrap();
        assert_eq!(positions(&answer), (4..4 + commands as u64).collect::<Vec<_>>());
        stage.end().await;
    }
}

/// FAULTS L4. A commit writes twice, its frame and a head slot; the disk is full at each, at once or after some bytes.
#[tokio::test(flavor = "multi_thread")]
async fn l4_a_disk_that_is_full_within_a_commit_loses_nothing_acknowledged() {
    for (write, keep_bytes, cut) in [(0, 0, false), (0, 40, true), (1, 0, false), (1, 20, false)] {
        let faults = Recorder::default();
        let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
        let mut stage = Stage::with(options).await;
        let feed = [leaf("1"), leaf("2"), leaf("3")];
        let acknowledged = stage.push(request(&feed[..1], 1)).await.unwrap();
        faults.fail_write(write, keep_bytes);
        // There is space again at once, and still nothing more is taken.
        for _ in 0..2 {
            assert_eq!(stage.push(request(&feed, 2)).await.unwrap_err().code(), "OFFICE_STOPPED");
        }
        let office = stage.office.take().unwrap();
        tokio::task::block_in_place(|| office.close());
        stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        let names =
            std::fs::read_dir(stage.data.office("log")).unwrap().map(|entry| entry.unwrap().file_name());
        let set_aside = names.filter(|name| name.to_string_lossy().starts_with("cut-")).count();
        assert_eq!(set_aside, usize::from(cut), "write {write}, {keep_bytes} bytes of it");
        let answer = stage.push(request(&feed, 1)).await.unwrap();
        assert_eq!(positions(&answer), [4, 5, 6]);
        assert_eq!(answer.receipts[0].position, acknowledged.receipts[0].position);
        assert!(answer.receipts[0].duplicate);
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_writer_stops_the_office_and_answers_everybody() {
    let stage = Stage::new().await;
    let office = stage.office();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let panics = office.host(Box::new(move |_| {
        wait.recv().unwrap();
        panic!("as planned by the test")
    }));
    let feed = [leaf("12")];
    let queued = stage.push(request(&feed, 1));
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        go.send(()).unwrap();
    };
    let (panicked, queued, ()) = tokio::join!(panics, queued, release);
    assert!(matches!(panicked, Err(HostError::NotDurable(NotDurable::Stopped))));
    assert_eq!(queued.unwrap_err().code(), "OFFICE_STOPPED");
    assert!(office.shared.is_stopped());
    assert_eq!(office.shared.durable().map(drop).unwrap_err().code(), "OFFICE_STOPPED");
    assert_eq!(stage.push(request(&feed, 1)).await.unwrap_err().code(), "OFFICE_STOPPED");
    assert_eq!(office.shared.reader.head().size, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_lost_rows_loses_no_receipt_and_is_rebuilt() {
    let mut stage = Stage::new().await;
    let feed = [leaf("1"), leaf("2"), leaf("3")];
    let first = stage.push(request(&feed, 1)).await.unwrap();
    let office = stage.office.take().unwrap();
    let (id, head) = (office.shared.id, office.shared.reader.head());
    office.close();
    // The row that says where the device's commands are goes, and the index does not know it.
    {
        let (index, _) = Index::open(&stage.data.office("index"), &id).unwrap();
        let mut batch = IndexBatch::new(head.size, head.root);
        batch.remove(1, &[0, 0, 0, 1, 0, 0, 0, 1]);
        index.write(batch).unwrap();
        assert!(index.range(1, &[]).next().is_none());
    }
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    for _ in 0..2 {
        let again = stage.push(request(&feed, 1)).await.unwrap();
        assert_eq!(positions(&again), positions(&first));
    }
    stage.office.take().unwrap().close();
    let (index, _) = Index::open(&stage.data.office("index"), &id).unwrap();
    assert_eq!(index.range(1, &[]).count(), 1, "the run is back");
    drop(index);
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_taken_while_pushes_come_again() {
    let stage = Stage::new().await;
    let mut feed: Vec<wire::Stored> = Vec::new();
    for round in 0..6_u32 {
        feed.extend((0..10_000).map(|_| garbage(4)));
        let first = 10_000 * round + 1;
        stage.push(request(&feed, first)).await.unwrap();
        let again = stage.push(request(&feed, first)).await.unwrap();
        assert_eq!(again.receipts.iter().filter(|receipt| receipt.duplicate).count(), 10_000);
    }
    let taken = std::fs::read_dir(stage.data.office("snapshots")).unwrap().count();
    assert_eq!(taken, 1, "one after 50,000 records");
    stage.end().await;
}

/// A command with texts, as a device might make it otherwise than ours does.
fn crafted(mask: u32, texts: log::Texts, change: impl FnOnce(&mut wire::Stored)) -> wire::Stored {
    let salt = [7; 16];
    let texts = texts.encode_to_vec();
    let plain = log::Command::decode(leaf("1").leaf.as_slice()).unwrap();
    let command =
        log::Command { texts: mask, commitment: chain::commitment(&salt, &texts).to_vec(), ..plain };
    let aside = log::Aside { salt: salt.to_vec(), texts };
    let mut stored = wire::Stored { leaf: command.encode_to_vec(), aside: aside.encode_to_vec() };
    change(&mut stored);
    stored
}

fn place(place: &str, reason: &str) -> log::Texts {
    log::Texts { place: place.into(), reason: reason.into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_those_that_the_command_names_in_their_one_form() {
    let stage = Stage::new().await;
    let differ = [
        // Names a reason that is not there, or is blank; hides one that is.
        crafted(1 | 4, place("Pasar Baru", ""), |_| {}),
        crafted(1 | 4, place("Pasar Baru", " \t"), |_| {}),
        crafted(1, place("Pasar Baru", "salah"), |_| {}),
        crafted(1, place("Pasar Baru", ""), |stored| stored.aside.clear()),
        // A field that no Aside has.
        crafted(1, place("Pasar Baru", ""), |stored| stored.aside.extend([0x78, 1])),
    ];
    for stored in differ {
        let fault = stage.push(request(&[stored], 1)).await.unwrap_err();
        assert_eq!(fault.code(), "TEXTS_DIFFER");
    }
    let whole = crafted(1, place("Pasar Baru", ""), |_| {});
    // A commitment that is not the last field cannot be left out on the wire and put back.
    let misplaced = crafted(1, place("Pasar Baru", ""), |stored| stored.leaf.extend([8, 1]));
    let noise = wire::Stored { leaf: vec![0xFF; 9], aside: vec![1; 40] };
    let answer = stage.push(request(&[whole.clone(), misplaced, noise], 1)).await.unwrap();
    let codes: Vec<_> =
        answer.receipts.iter().map(|receipt| receipt.cause.as_ref().unwrap().code.as_str()).collect();
    assert_eq!(codes, ["ROLE_MAY_NOT", "UNREADABLE", "UNREADABLE"]);
    let asides =
        [4, 5, 6].map(|position| stage.office().shared.reader.record(position).unwrap().unwrap().aside);
    assert_eq!(asides, [whole.aside, Vec::new(), Vec::new()]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_hands_in_a_thousand_commands_and_no_more() {
    let stage = Stage::new().await;
    let feed: Vec<_> = (0..1_003).map(|number| leaf(&number.to_string())).collect();
    stage.push(request(&feed[..2], 1)).await.unwrap();
    let revoke =
        |_: &renaksi_domain::State| vec![PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(1) })];
    stage.office().host(Box::new(revoke)).await.unwrap();
    let whole = stage.push(request(&feed, 1)).await.unwrap_err();
    assert_eq!(whole.code(), "DEVICE_REVOKED");
    let answer = stage.push(request(&feed[..1_002], 1)).await.unwrap();
    assert_eq!(answer.receipts.len(), 1_002);
    assert_eq!(stage.push(request(&feed, 1_003)).await.unwrap_err().code(), "DEVICE_REVOKED");
    // What came before is still answered.
    let again = stage.push(request(&feed[..1_002], 1)).await.unwrap();
    assert_eq!(positions(&again), positions(&answer));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_invites_of_a_new_name_are_one_person_and_a_second_role_begins_today() {
    let stage = Stage::new().await;
    let office = stage.office();
    let unit = Some("Kepala Bidang Perikanan");
    let invites = (0..4).map(|_| invite(office, "petugas-1", "officer", unit)).collect();
    let people: Vec<u32> =
        futures_join(invites).await.into_iter().map(|invited| invited.unwrap().person.0).collect();
    assert_eq!(people, [2, 2, 2, 2]);
    invite(office, "petugas-1", "auditor", None).await.unwrap();
    invite(office, "petugas-1", "auditor", None).await.unwrap();
    let people = office.shared.people();
    assert_eq!(people.persons.len(), 2);
    let from: Vec<_> = people.persons[1]
        .assignments
        .iter()
        .map(|assignment| (assignment.role.name(), assignment.from.map(|day| day.to_string())))
        .collect();
    assert_eq!(from, [("officer", None), ("auditor", Some("2024-01-08".to_owned()))]);
    drop(people);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_a_snapshot_whoever_holds_the_office() {
    let mut stage = Stage::new().await;
    stage.push(request(&[leaf("1")], 1)).await.unwrap();
    let live = state_hash(&stage.office().shared.durable().unwrap().state);
    stage.office().stop();
    assert_eq!(stage.push(request(&[leaf("1")], 1)).await.unwrap_err().code(), "OFFICE_STOPPED");
    assert_eq!(std::fs::read_dir(stage.data.office("snapshots")).unwrap().count(), 1);
    stage.office.take().unwrap().close();
    let again = Office::open(&stage.data, Clock::Fixed(NOW)).unwrap();
    assert_eq!(state_hash(&again.shared.durable().unwrap().state), live);
}

/// FAULTS L5: a snapshot whose bytes are whole, of this log and this position, and whose state is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_state_is_found_out_before_anything_is_decided_on_it() {
    let mut stage = Stage::new().await;
    stage.push(request(&[leaf("1")], 1)).await.unwrap();
    let live = state_hash(&stage.office().shared.durable().unwrap().state);
    let id = stage.office().shared.id;
    for kept_before_the_head in [false, true] {
        let office = stage.office.take().unwrap();
        let reader = office.shared.reader.clone();
        tokio::task::block_in_place(|| office.close());
        let snapshots = Snapshots::open(&stage.data.office("snapshots"), id).unwrap();
        let position = if kept_before_the_head { 3 } else { reader.head().size };
        let mut fold = Fold::default();
        for commit in reader.iter(1).map(Result::unwrap).take_while(|commit| commit.size_after <= position) {
            commit.entries.iter().for_each(|entry| drop(fold.absorb(&entry.leaf).unwrap()));
        }
        let named = state_hash(&fold.state);
        fold.state.people.persons.clear();
        assert_ne!(state_hash(&fold.state), named);
        snapshots.keep(0).unwrap();
        let root = reader.root_at(position).unwrap().unwrap();
        let payload = snapshot::encode(&fold);
        let new =
            NewSnapshot { position, root, fold_version: FOLD_VERSION, state_hash: named, payload: &payload };
        snapshots.put(new).unwrap();
        stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        // An answered job comes after what the writer does first.
        let none: HostAct = Box::new(|_| Vec::new());
        stage.office().host(none).await.unwrap();
        assert_eq!(state_hash(&stage.office().shared.durable().unwrap().state), live);
        // Authentication has a copy of its own.
        let people = stage.office().shared.durable().unwrap().state.people.clone();
        assert_eq!(*stage.office().shared.people(), people);
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_of_earlier_rules_adopts_those_of_this_release_once() {
    let mut stage = Stage::of_rules(1).await;
    let rules = |office: &Office| office.shared.durable().unwrap().state.rules;
    assert_eq!(rules(stage.office()), 1);
    for positions in [4, 4] {
        let office = stage.office.take().unwrap();
        tokio::task::block_in_place(|| office.close());
        stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        // The writer records it before the first job, so an answered job finds it there.
        let none: HostAct = Box::new(|_| Vec::new());
        stage.office().host(none).await.unwrap();
        assert_eq!(
            (stage.office().shared.reader.head().size, rules(stage.office())),
            (positions, RULES_VERSION)
        );
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_of_later_rules_is_not_served() {
    let mut stage = Stage::of_rules(RULES_VERSION + 1).await;
    tokio::task::block_in_place(|| stage.office.take().unwrap().close());
    let error = Office::open(&stage.data, Clock::Fixed(NOW)).unwrap_err();
    assert_eq!(error.code(), "RELEASE_TOO_OLD");
    assert_eq!(error.to_string(), "the office is decided by rules 3, and this release knows 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_when_the_clock_steps_back_an_hour_recorded_times_do_not() {
    let mut stage = Stage::new().await;
    let feed = [leaf("1"), leaf("2")];
    stage.push(request(&feed[..1], 1)).await.unwrap();
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
    let earlier = NOW.plus_micros(-3_600_000_000);
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(earlier)).unwrap());
    stage.push(request(&feed, 1)).await.unwrap();
    let commits: Vec<_> = stage.office().shared.reader.iter(1).collect::<Result<_, _>>().unwrap();
    let leaves = commits.iter().flat_map(|commit| &commit.entries);
    let records: Vec<_> =
        leaves.map(|entry| renaksi_proto::convert::decode_record(&entry.leaf).unwrap().0).collect();
    assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(records.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert_eq!(records[4].time, NOW);
    stage.end().await;
}
