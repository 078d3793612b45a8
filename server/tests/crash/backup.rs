//! A backup into a folder that has earlier ones, cut off at every point.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use renaksi_ledger::{Op, Recorder};
use renaksi_proto::clock::Clock;
use renaksi_proto::wire;
use renaksi_server::backup::{Made, backup, backup_on};
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::office::Office;
use renaksi_server::restore;

use super::power::{CrashDisk, Dice, OnlySynced, clear, scratch};
use super::stage::{NOW, Stage, request};

/// Backups that stay.
const KEEP: u32 = 2;
/// Random outcomes looked at after each operation.
const LUCKS: u64 = 120;

/// The device records one command more, of bytes that do not compress, and the office is closed again.
async fn grow(stage: &mut Stage, feed: &mut Vec<wire::Stored>) {
    let mut dice = Dice(feed.len() as u64);
    let leaf = (0..40_000).map(|_| dice.roll(256) as u8).collect();
    feed.push(wire::Stored { leaf, aside: Vec::new() });
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    stage.push(request(feed, u32::try_from(feed.len()).unwrap())).await.unwrap();
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
}

/// The only office of a backup, restored.
fn restored(backup: &Path, data: &Data) -> Result<restore::Restored, ServerError> {
    let mut outcomes = restore::restore(backup, data, None)?;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).restored
}

/// The files of a folder; what is not finished apart.
fn files(dir: &Path) -> (BTreeMap<String, Vec<u8>>, Vec<String>) {
    let (mut files, mut unfinished) = (BTreeMap::new(), Vec::new());
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match name.ends_with(".new") {
            true => unfinished.push(name),
            false => drop(files.insert(name, fs::read(path).unwrap())),
        }
    }
    (files, unfinished)
}

/// What there was, what there is to be, and whether that was promised.
struct Backups {
    earlier: BTreeMap<String, Vec<u8>>,
    made: (String, Vec<u8>),
    /// Operations after which nothing was on its way any more, and the backup was told of.
    told_after: usize,
}

impl Backups {
    fn are_whole(&self, ops: usize, found: &BTreeMap<String, Vec<u8>>, context: &str) {
        let (made, bytes) = &self.made;
        let mut found = found.clone();
        let new = found.remove(made);
        assert!(new.is_some() || ops < self.told_after, "{context}: the backup that was told of is gone");
        assert!(new.as_ref().is_none_or(|new| new == bytes), "{context}: {made} is not whole");
        for (name, bytes) in &self.earlier {
            match found.remove(name) {
                Some(kept) => assert!(kept == *bytes, "{context}: {name} was touched"),
                None => assert!(new.is_some(), "{context}: {name} is gone, and nothing took its place"),
            }
        }
        assert!(found.is_empty(), "{context}: {:?}", found.keys());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_backup_cut_off_at_any_point_is_whole_or_not_there_and_hurts_no_other() {
    let (folder, after) = (scratch(), scratch());
    let mut stage = Stage::new().await;
    stage.office.take().unwrap().close();
    let mut feed = Vec::new();
    for _ in 0..KEEP {
        grow(&mut stage, &mut feed).await;
        let _: Made = backup(&stage.data, None, folder.path(), None).await.unwrap();
    }
    grow(&mut stage, &mut feed).await;
    let (earlier, _) = files(folder.path());
    let mut disk = CrashDisk::of(folder.path());
    let recorder = Recorder::default();
    recorder.record();
    let made =
        backup_on(&recorder.clone().into(), &stage.data, None, folder.path(), Some(KEEP)).await.unwrap();
    let ops = recorder.ops();
    assert_eq!(made.removed.len(), 1);
    assert!(ops.iter().filter(|op| matches!(op, Op::Write { .. })).count() > 5, "it is written in pieces");
    let made_again = restored(&made.file, &Data::new(&after.path().join("data"))).unwrap();
    assert_eq!(made_again.checked.position, made.offices[0].head.size);
    clear(after.path());
    let name = made.file.file_name().unwrap().to_str().unwrap().to_owned();
    let made = (name, fs::read(&made.file).unwrap());
    let backups = Backups { earlier, made, told_after: ops.len() };

    grow(&mut stage, &mut feed).await;
    let (mut opened, mut again) = (0, 0);
    for done in 0..=ops.len() {
        if done > 0 {
            disk.step(&ops[done - 1]);
        }
        for luck in 0..=LUCKS {
            let context = format!("after {done} operations, luck {luck}");
            match luck {
                0 => disk.after_power_cut(&mut OnlySynced, folder.path(), after.path()),
                _ => disk.after_power_cut(&mut Dice(done as u64 * LUCKS + luck), folder.path(), after.path()),
            }
            let (found, unfinished) = files(after.path());
            backups.are_whole(done, &found, &context);
            opened += 1;
            // Nothing that a crash left stands in the way of the next one.
            if luck == 1 {
                let next = backup(&stage.data, None, after.path(), None).await;
                let next =
                    next.unwrap_or_else(|error| panic!("{context}: {unfinished:?}: {}", error.whole()));
                let (mut now, left) = files(after.path());
                now.remove(next.file.file_name().unwrap().to_str().unwrap()).unwrap();
                assert_eq!((now, left), (found, Vec::new()), "{context}");
                again += 1;
            }
            clear(after.path());
        }
    }
    println!(
        "{opened} states of a backup looked at, of {} operations; {again} backups made after one",
        ops.len()
    );
    assert!(opened > 1_000, "only {opened} states");
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_restore_that_ends_half_way_leaves_each_file_as_it_was_or_restored() {
    let folder = scratch();
    let mut stage = Stage::new().await;
    stage.office.take().unwrap().close();
    grow(&mut stage, &mut Vec::new()).await;
    let file = folder.path().join("office.backup");
    let _: Made = backup(&stage.data, None, &file, None).await.unwrap();
    let (damaged, in_the_way) = (stage.data.office("due.json"), stage.data.office("due.new"));
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, "{half").unwrap();
    // What is written stands beside its place first, and there it cannot.
    fs::create_dir(&in_the_way).unwrap();
    let failed = restored(&file, &stage.data).unwrap_err();
    assert!(failed.whole().contains("due.new"), "{}", failed.whole());
    assert_eq!(fs::read_to_string(&damaged).unwrap(), "{half");
    fs::remove_dir(&in_the_way).unwrap();
    let _: restore::Restored = restored(&file, &stage.data).unwrap();
    assert_eq!(fs::read(&damaged).unwrap(), whole);
    // The first attempt had set it aside already.
    for aside in ["due.json.aside-1", "due.json.aside-2"] {
        assert_eq!(fs::read_to_string(stage.data.office(aside)).unwrap(), "{half");
    }
}
