//! A log that lacks what its key signed: it takes nothing, over restarts, until it is mended or a new epoch begins.
#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use renaksi_domain::Outcome;
use renaksi_domain::ids::PersonId;
use renaksi_domain::people::{AddPerson, PeopleCommand};
use renaksi_ledger::{Entry, Log, LogId, LogKind, LogReader, Signer};
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::decode_record;
use renaksi_proto::wire;
use renaksi_server::behind;
use renaksi_server::office::Office;
use renaksi_server::offices::{Offices, Settings};
use renaksi_server::push;
use renaksi_server::restored;
use renaksi_server::status::Fault;
use renaksi_server::writer::HostError;
use stage::*;

/// A stage whose log was put back to where it had one command of the device, and the four that it had when it was signed.
struct Restored {
    stage: Stage,
    feed: Vec<wire::Stored>,
    /// Of the log that was lost, which is kept here.
    note: String,
    lost: tempfile::TempDir,
}

impl Restored {
    async fn new() -> Restored {
        let mut stage = Stage::new().await;
        let feed: Vec<_> = ["1", "2", "3", "4"].map(leaf).into();
        stage.push(request(&feed[..1], 1)).await.unwrap();
        let (log, backup) = (stage.data.office("log"), tempfile::tempdir().unwrap());
        close(&mut stage);
        copy(&log, backup.path());
        open(&mut stage);
        stage.push(request(&feed, 2)).await.unwrap();
        let note = stage.office().signer.lock().unwrap().sign().unwrap().note().to_owned();
        close(&mut stage);
        let lost = tempfile::tempdir().unwrap();
        copy(&log, lost.path());
        fs::remove_dir_all(&log).unwrap();
        fs::create_dir(&log).unwrap();
        copy(backup.path(), &log);
        ["index", "snapshots"].iter().for_each(|cache| fs::remove_dir_all(stage.data.office(cache)).unwrap());
        open(&mut stage);
        Restored { stage, feed, note, lost }
    }

    fn office(&self) -> &Office {
        self.stage.office()
    }

    fn reopen(&mut self) {
        close(&mut self.stage);
        open(&mut self.stage);
    }

    async fn begin_epoch(&mut self, reason: &str) {
        let office = Arc::new(self.stage.office.take().unwrap());
        office.begin_epoch(reason).await.unwrap();
        self.stage.office = Some(Arc::into_inner(office).unwrap());
    }

    /// What the device had in the log that was lost: the records of its commands from a sequence on.
    fn old_records(&self, from: u32) -> wire::OldRecords {
        let id = LogId { office: OFFICE, kind: LogKind::Office };
        let reader = LogReader::open_read_only(self.lost.path(), &id).unwrap();
        let tree = renaksi_ledger::Tree::open(&reader).unwrap();
        let size = reader.head().size;
        let leaves = (1..=size).map(|position| reader.record(position).unwrap().unwrap().leaf);
        let records = (1..).zip(leaves).filter_map(|(position, leaf)| {
            let (record, _) = decode_record(&leaf).unwrap();
            let own = record.envelope.origin.0 == 1 && record.envelope.sequence >= from;
            let path = tree.inclusion(position, size).unwrap().iter().map(|hash| hash.to_vec()).collect();
            own.then_some(wire::OldRecord { leaf, path })
        });
        let path =
            |position| tree.inclusion(position, size).unwrap().iter().map(|hash| hash.to_vec()).collect();
        // The third record enrols the device.
        wire::OldRecords { records: records.collect(), checkpoint: self.note.clone(), enrolled_path: path(3) }
    }

    /// Offers commands from a sequence on again, with what an ended epoch says of them.
    fn offer(&self, from: u32, old: wire::OldRecords) -> Result<push::Push, Fault> {
        let office = self.office();
        let asked = request(&self.feed, from);
        let mut checked = push::check(asked, OFFICE, &office.shared.people(), PersonId(1), NOW)?;
        restored::prove_all(&mut checked, vec![old], office)?;
        Ok(checked)
    }
}

fn close(stage: &mut Stage) {
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
}

fn open(stage: &mut Stage) {
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A note of that size by a key, of an office.
fn note_by(seed: u8, office: uuid::Uuid, records: u8) -> String {
    let dir = tempfile::tempdir().unwrap();
    let id = LogId { office, kind: LogKind::Office };
    let mut log = Log::create(dir.path(), id, 1).unwrap();
    for byte in 0..records {
        let _ = log.append(&[Entry { leaf: vec![byte; 9], aside: Vec::new() }]).unwrap();
    }
    let mut signer = Signer::open(&log.reader(), office, SigningKey::from_bytes(&[seed; 32])).unwrap();
    signer.sign().unwrap().note().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_shows_stops_the_office_over_restarts() {
    let mut restored = Restored::new().await;
    let position = restored.office().shared.reader.head().size;
    assert_eq!(restored.office().consider(&restored.note).unwrap_err().code(), "LOG_BEHIND");
    for _ in 0..2 {
        let gap = restored.office().shared.gap().unwrap();
        assert_eq!((gap.here.size, gap.seen.size), (position, position + 3));
        let push = restored.stage.push(request(&restored.feed, 2)).await;
        assert_eq!(push.unwrap_err().code(), "LOG_BEHIND");
        let add = restored.office().host(Box::new(|_| vec![PeopleCommand::AddPerson(AddPerson)])).await;
        assert!(matches!(add, Err(HostError::Behind(_))), "{add:?}");
        // What is there can be read.
        assert_eq!(restored.office().shared.durable().unwrap().state.position, position);
        assert!(behind::is_noted(&restored.stage.data));
        restored.reopen();
    }
    assert_eq!(restored.office().shared.reader.head().size, position);
    assert_eq!(restored.office().shared.reader.head().epoch, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_s_key_did_not_sign_for_this_office_stops_nothing() {
    let restored = Restored::new().await;
    let (stage, own) = (&restored.stage, &restored.note);
    for note in [
        String::new(),
        "nothing".to_owned(),
        own.replacen("\n7\n", "\n70\n", 1),
        own.replacen("/1\n", "/2\n", 2),
        note_by(1, OFFICE, 70),
        note_by(9, uuid::Uuid::from_u128(77), 70),
    ] {
        stage.office().consider(&note).unwrap();
        assert_eq!(stage.office().shared.gap(), None, "{note}");
        assert!(!behind::is_noted(&stage.data));
    }
    stage.push(request(&restored.feed, 2)).await.unwrap();
    // What it went on to is no loss; and the same records were written once more, at the same time.
    stage.office().consider(own).unwrap();
    restored.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_another_history_stops_the_office_too() {
    let restored = Restored::new().await;
    let other: Vec<_> = ["1", "20", "30", "40", "50"].map(leaf).into();
    restored.stage.push(request(&other, 2)).await.unwrap();
    assert!(restored.office().shared.reader.head().size > 7);
    assert_eq!(restored.office().consider(&restored.note).unwrap_err().code(), "LOG_BEHIND");
    assert_eq!(restored.office().shared.gap().unwrap().seen.size, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_what_was_signed_itself_stops_the_office_too() {
    let mut restored = Restored::new().await;
    close(&mut restored.stage);
    fs::write(restored.stage.data.office("log/checkpoint"), &restored.note).unwrap();
    open(&mut restored.stage);
    let push = restored.stage.push(request(&restored.feed, 2)).await;
    assert_eq!(push.unwrap_err().code(), "LOG_BEHIND");
    assert!(restored.office().signer.lock().unwrap().sign().is_err());
    restored.begin_epoch("the backup is old").await;
    restored.stage.push(request(&restored.feed, 2)).await.unwrap();
    let signed = restored.office().signer.lock().unwrap().sign().unwrap().checkpoint();
    assert_eq!((signed.epoch, signed.size), (2, 8));
    restored.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_begins_with_its_record_and_the_office_writes_again() {
    let mut restored = Restored::new().await;
    let head = restored.office().shared.reader.head();
    restored.office().consider(&restored.note).unwrap_err();
    let office = Arc::new(restored.stage.office.take().unwrap());
    let refused = office.begin_epoch(" ").await.unwrap_err();
    assert_eq!(refused.code(), "REASON_MISSING");
    assert!(office.shared.gap().is_some(), "nothing was changed");
    let begun = office.begin_epoch("the backup is old").await.unwrap();
    assert_eq!((begun.epoch, begun.size, begun.root), (2, head.size, head.root));
    assert_eq!(begun.seen.map(|seen| (seen.epoch, seen.size)), Some((1, 7)));
    restored.stage.office = Some(Arc::into_inner(office).unwrap());
    assert_eq!(restored.office().shared.gap(), None);
    restored.reopen();
    let office = restored.office();
    let (record, _) =
        decode_record(&office.shared.reader.record(head.size + 1).unwrap().unwrap().leaf).unwrap();
    assert!(
        matches!(&record.envelope.command, renaksi_domain::Command::People(PeopleCommand::BeginEpoch(b)) if **b == begun)
    );
    assert_eq!(office.shared.reader.head().epoch, 2);
    // The epoch's first record says that it is lost.
    office.consider(&restored.note).unwrap();
    restored.stage.push(request(&restored.feed, 2)).await.unwrap();
    let signed = restored.office().signer.lock().unwrap().sign().unwrap().clone();
    assert_eq!(signed.checkpoint().epoch, 2);
    // It can be begun without need too.
    restored.begin_epoch("moved to another machine").await;
    let epochs = restored.office().shared.durable().unwrap().state.epochs.clone();
    assert_eq!((epochs.len(), epochs[1].epoch, epochs[1].seen), (2, 3, None));
    restored.stage.end().await;
}

/// An operator began an epoch before anybody told what was lost: the next one says it.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_epoch_told_of_stops_the_office_until_one_does() {
    let mut restored = Restored::new().await;
    let other: Vec<_> = ["1", "20", "30", "40", "50"].map(leaf).into();
    restored.stage.push(request(&other, 2)).await.unwrap();
    restored.begin_epoch("the backup is old").await;
    assert_eq!(restored.office().consider(&restored.note).unwrap_err().code(), "LOG_BEHIND");
    restored.reopen();
    assert_eq!(restored.office().shared.gap().map(|gap| (gap.seen.epoch, gap.here.epoch)), Some((1, 2)));
    restored.begin_epoch("and others have more").await;
    restored.office().consider(&restored.note).unwrap();
    let epochs = restored.office().shared.durable().unwrap().state.epochs.clone();
    assert_eq!((epochs[1].epoch, epochs[1].seen.map(|seen| (seen.epoch, seen.size))), (3, Some((1, 7))));
    restored.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_a_crash_cut_is_begun_at_the_next_start() {
    for segment_is_there in [false, true] {
        let mut restored = Restored::new().await;
        restored.office().consider(&restored.note).unwrap_err();
        close(&mut restored.stage);
        let data = restored.stage.data.clone();
        let path = data.office("behind.json");
        let mut mark: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        mark["beginning"] = serde_json::json!({ "epoch": 2, "reason": "the backup is old" });
        fs::write(&path, mark.to_string()).unwrap();
        if segment_is_there {
            let id = LogId { office: OFFICE, kind: LogKind::Office };
            let (mut log, _) = Log::open(&data.office("log"), id).unwrap();
            log.begin_epoch(2).unwrap();
            log.close().unwrap();
        }
        open(&mut restored.stage);
        // Whatever comes, comes after it.
        let answer = restored.stage.push(request(&restored.feed, 2)).await.unwrap();
        assert_eq!(positions(&answer), [6, 7, 8]);
        let epochs = restored.office().shared.durable().unwrap().state.epochs.clone();
        assert_eq!((epochs[0].epoch, epochs[0].size, &*epochs[0].reason), (2, 4, "the backup is old"));
        assert_eq!(epochs[0].seen.map(|seen| seen.size), Some(7));
        assert!(!path.exists());
        restored.stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_chooses_the_time_by_which_they_are_judged() {
    let mut restored = Restored::new().await;
    let old = restored.old_records(2);
    assert_eq!(old.records.len(), 3);
    let refused = |offered: Result<push::Push, Fault>| offered.unwrap_err().code().to_owned();
    // Before the epoch has ended.
    assert_eq!(refused(restored.offer(2, old.clone())), "RECEIPT_INVALID");
    restored.office().consider(&restored.note).unwrap_err();
    restored.begin_epoch("the backup is old").await;
    let forge = |change: &dyn Fn(&mut wire::OldRecords)| {
        let mut forged = old.clone();
        change(&mut forged);
        assert_eq!(refused(restored.offer(2, forged)), "RECEIPT_INVALID");
    };
    // Another time; another path; another command's record; a checkpoint of one's own.
    forge(&|old| old.records[0].leaf[4] ^= 1);
    forge(&|old| old.records[0].path[0][0] ^= 1);
    forge(&|old| drop(old.records[0].path.pop()));
    forge(&|old| old.records[0].path[0].truncate(31));
    forge(&|old| old.checkpoint = note_by(1, OFFICE, 7));
    forge(&|old| old.checkpoint.clear());
    // Another device had the number.
    forge(&|old| old.enrolled_path[0][0] ^= 1);
    forge(&|old| old.enrolled_path.clear());
    assert_eq!(refused(restored.offer(3, old.clone())), "RECEIPT_INVALID", "of a command that is not sent");
    // What was signed then is believed.
    let offered = restored.offer(2, old.clone()).unwrap();
    let times: Vec<_> = offered.commands.iter().map(|c| c.envelope.restored.as_ref().unwrap().time).collect();
    assert_eq!(times, [NOW; 3]);
    let answer = restored.office().push(offered).await.unwrap();
    let position = answer.receipts[0].position;
    let (record, stored) =
        decode_record(&restored.office().shared.reader.record(position).unwrap().unwrap().leaf).unwrap();
    let mark = record.envelope.restored.unwrap();
    assert_eq!(
        (mark.epoch, mark.position, mark.recorded),
        (1, 5, matches!(record.outcome, Outcome::Recorded(_)))
    );
    assert_eq!(stored.needs, 2);
    restored.stage.end().await;
}

/// What health, readiness and `office list` are made from.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_is_behind_is_among_the_failing_until_its_epoch_ends() {
    let mut restored = Restored::new().await;
    close(&mut restored.stage);
    let settings = Settings { played: Clock::Fixed(NOW), ..Settings::default() };
    let offices = Offices::new(&restored.stage.data, settings).unwrap();
    let office = offices.get(OFFICE).await.unwrap();
    assert!(offices.serves() && offices.failing().is_empty());
    let turns = async |serves: bool| {
        let mut failing = offices.watch_failing();
        failing.wait_for(|failing| failing.is_empty() == serves).await.unwrap();
        assert_eq!(offices.serves(), serves);
    };
    office.consider(&restored.note).unwrap_err();
    turns(false).await;
    assert_eq!(offices.failing()[&OFFICE], "LOG_BEHIND");
    assert_eq!(offices.states(), [(OFFICE, "LOG_BEHIND".to_owned())]);
    office.begin_epoch("the backup is old").await.unwrap();
    turns(true).await;
    drop(office);
    offices.close_all().await;
    open(&mut restored.stage);
    restored.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_gone_once_the_log_has_what_it_lacked() {
    let mut restored = Restored::new().await;
    restored.office().consider(&restored.note).unwrap_err();
    close(&mut restored.stage);
    let (data, log) = (restored.stage.data.clone(), restored.stage.data.office("log"));
    let id = LogId { office: OFFICE, kind: LogKind::Office };
    let reader = LogReader::open_read_only(&log, &id).unwrap();
    let checked = renaksi_server::office::check(&reader, id, None).unwrap();
    assert_eq!(behind::settle(&data, &reader, &checked).unwrap().unwrap().seen.size, 7);
    assert!(behind::is_noted(&data));
    // The records come back by hand; the next start sees that it is so.
    fs::remove_dir_all(&log).unwrap();
    fs::create_dir(&log).unwrap();
    copy(restored.lost.path(), &log);
    open(&mut restored.stage);
    assert_eq!(restored.office().shared.gap(), None);
    assert!(!behind::is_noted(&data));
    restored.stage.push(request(&restored.feed, 4)).await.unwrap();
    restored.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_damaged_is_not_taken_for_none() {
    let mut restored = Restored::new().await;
    restored.office().consider(&restored.note).unwrap_err();
    close(&mut restored.stage);
    let path = restored.stage.data.office("behind.json");
    let whole = fs::read_to_string(&path).unwrap();
    for damaged in [whole.replacen("renaksi/", "renaksj/", 1), whole[..40].to_owned()] {
        fs::write(&path, damaged).unwrap();
        let error = Office::open(&restored.stage.data, Clock::Fixed(NOW)).unwrap_err();
        assert_eq!(error.code(), "FILE_DAMAGED");
        assert!(error.whole().contains("behind.json"), "{error}");
    }
}
