//! Backups and restores, as the operator meets them and byte by byte.

#![allow(clippy::unwrap_used)]

mod place;

use std::fs;
use std::path::{Path, PathBuf};

use place::*;
use renaksi_ledger::LogReader;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::log_key;
use renaksi_server::restore;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn what_was_backed_up_is_restored_with_the_same_state_hash() {
    let place = Place::with(3);
    let file = place.path("office.backup");
    let made = place.ok(&["backup", file.to_str().unwrap(), "--json"]);
    let whole = check(&place.data);
    assert_eq!((&made["position"], &made["root"]), (&whole["position"], &whole["root"]));
    assert_eq!((&made["office"], &made["name"]), (&whole["office"], &whole["name"]));
    let files: Vec<&str> = made["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    for name in ["server.json", "office/directory.json", "office/invites.json", "authority/authority.key"] {
        assert!(files.contains(&name), "{name} in {files:?}");
    }
    assert!(!files.iter().any(|file| file.contains("index") || file.contains("segment")), "{files:?}");
    // Into a folder that is not there, and into one that is empty.
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    for target in [place.path("deep/down/new"), empty] {
        let done = ok_on(&target, &["restore", file.to_str().unwrap(), "--json"]);
        assert_eq!(done["done"], "restored");
        assert_eq!(check(&target), whole);
        for (name, bytes) in everything(&place.data)
            .iter()
            .filter(|(path, _)| !path.starts_with(place.data.join("office/log")))
        {
            let restored = target.join(name.strip_prefix(&place.data).unwrap());
            assert_eq!(&fs::read(restored).unwrap(), bytes, "{}", name.display());
        }
        // It goes on like the office it was.
        ok_on(&target, &["invite", "--user", "auditor-0", "--role", "auditor", "--json"]);
    }
    assert!(!place.path("deep/down/new.restoring-1").exists());
}

#[test]
fn a_backup_of_a_running_server_holds_one_moment_while_writes_go_on() {
    let place = Place::with(1);
    let server = Serving::start(&place.data);
    let folder = place.path("backups");
    fs::create_dir(&folder).unwrap();
    let names = |data: &Path| -> usize {
        let names: Value =
            serde_json::from_slice(&fs::read(data.join("office/directory.json")).unwrap()).unwrap();
        names.as_object().unwrap().len()
    };
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| place.invite(10..30));
        while !writes.is_finished() {
            place.ok(&["backup", folder.to_str().unwrap(), "--json"]);
        }
    });
    drop(server);
    let mut positions = Vec::new();
    for (number, entry) in fs::read_dir(&folder).unwrap().enumerate() {
        let target = place.path(&format!("restored-{number}"));
        let done = ok_on(&target, &["restore", entry.unwrap().path().to_str().unwrap(), "--json"]);
        positions.push(done["position"].as_u64().unwrap());
        // Each person of the log has a name: two records a person, after the founding.
        assert_eq!(positions.last().copied(), Some(1 + 2 * names(&target) as u64));
    }
    positions.sort_unstable();
    positions.dedup();
    assert!(positions.len() > 1, "{positions:?}");
}

#[test]
fn in_a_folder_the_newest_are_kept_and_other_files_stay() {
    let place = Place::with(0);
    let folder = place.path("backups");
    fs::create_dir(&folder).unwrap();
    for other in ["notes.txt", "renaksi-00000000-0000-0000-0000-000000000001-x.backup"] {
        fs::write(folder.join(other), "mine").unwrap();
    }
    let mut made = Vec::new();
    for number in 0..4 {
        let told = place.ok(&["backup", folder.to_str().unwrap(), "--keep", "2", "--json"]);
        made.push(PathBuf::from(told["file"].as_str().unwrap()));
        let removed = told["removed"].as_array().unwrap();
        assert_eq!(removed.len(), usize::from(number > 1), "{told}");
        if number > 1 {
            assert_eq!(removed[0], made[number - 2].to_str().unwrap());
        }
        place.invite(number as u32..number as u32 + 1);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
    let name = made[3].file_name().unwrap().to_str().unwrap();
    let office = check(&place.data)["office"].as_str().unwrap().to_owned();
    assert!(
        name.starts_with(&format!("renaksi-{office}-20")) && name.ends_with("-000000000009.backup"),
        "{name}"
    );
    // A file, no folder; and none at all.
    let keep = |target: &Path, keep| {
        place.fails(&place.data, &["backup", target.to_str().unwrap(), "--keep", keep], 2)
    };
    assert_eq!(keep(&place.path("one.backup"), "2"), "USAGE");
    assert_eq!(keep(&folder, "0"), "USAGE");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
}

#[test]
fn nothing_is_overwritten_and_a_damaged_log_is_not_backed_up() {
    let place = Place::with(1);
    let file = place.backup("office.backup");
    let before = fs::read(&file).unwrap();
    let again = ["backup", file.to_str().unwrap()];
    assert_eq!(place.fails(&place.data, &again, 4), "BACKUP_EXISTS");
    assert_eq!(fs::read(&file).unwrap(), before);
    let occupied = place.path("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("letter.txt"), "mine").unwrap();
    let restore = ["restore", file.to_str().unwrap()];
    assert_eq!(place.fails(&occupied, &restore, 4), "DATA_NOT_EMPTY");
    assert_eq!(fs::read_dir(&occupied).unwrap().count(), 1);
    place.flip(12_288 + 60);
    let new = place.path("new.backup");
    assert_eq!(place.fails(&place.data, &["backup", new.to_str().unwrap()], 7), "LOG_DAMAGED");
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 3, "data, the backup, the occupied folder");
}

#[test]
fn every_cut_and_every_flip_of_a_backup_is_told_and_puts_nothing_in_place() {
    let place = Place::with(1);
    let file = place.backup("office.backup");
    let whole = fs::read(&file).unwrap();
    let (damaged, target) = (place.path("damaged"), place.path("target"));
    let mut codes = std::collections::BTreeSet::new();
    let mut refused = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).unwrap();
        let error = restore::restore(&damaged, &Data::new(&target), None).expect_err(what);
        let code = error.code();
        let damage = ["BACKUP_DAMAGED", "NOT_A_BACKUP"].contains(&&*code);
        assert_eq!(damage, what != "a newer format", "{what}: {error}");
        assert!(error.to_string().contains("damaged"), "{what}: names the file");
        assert!(!target.exists(), "{what}");
        codes.insert(code);
    };
    for length in 0..whole.len() {
        refused(&whole[..length], &format!("cut at {length}"));
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(&bytes, &format!("flip at {at}"));
    }
    refused(&[&whole[..], b"more"].concat(), "more at the end");
    refused(b"", "empty");
    refused(b"PK\x03\x04 some other file", "another file");
    let newer = [b"renaksi backup 3\n", &whole[17..whole.len() - 51]].concat();
    refused(&[&newer[..], &Sha256::digest(&newer), &whole[whole.len() - 19..]].concat(), "a newer format");
    assert_eq!(codes.len(), 3, "{codes:?}");
    let left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}: data, the backup, the damaged one");
}

#[test]
fn a_damaged_log_is_mended_from_an_older_backup_and_what_is_whole_in_it() {
    let place = Place::with(3);
    let older = place.backup("older.backup");
    place.invite(3..6);
    let whole = check(&place.data);
    let older_ends = 2 * 3 + 3;
    let bytes = fs::metadata(place.segment()).unwrap().len() as usize;
    let frames: Vec<(u64, usize)> = frames(&place.data);
    let mut ends = std::collections::BTreeMap::new();
    for offset in (0..bytes).step_by(97).chain([0, 9, 13, 29, 4_096, 8_192, 12_288, bytes - 1]) {
        let copy = place.path(&format!("damaged-{offset}"));
        copy_folder(&place.data, &copy);
        let segment = copy.join("office/log/segment-00000000000000000001.log");
        let mut changed = fs::read(&segment).unwrap();
        changed[offset] ^= 0x20;
        fs::write(&segment, &changed).unwrap();
        let before = everything(&copy);
        let data = Data::new(&copy);
        match restored_one(&older, &data) {
            Ok(restored) => {
                let checked = check(&copy);
                assert_eq!(checked["root"], whole["root"], "flip at {offset}");
                assert_eq!(checked["state_hash"], whole["state_hash"], "flip at {offset}");
                if let restore::How::Mended(mended) = &restored.how {
                    assert_eq!(mended.kept + mended.restored, restored.checked.position);
                    // What was there is set aside, byte by byte.
                    let aside = mended.log_set_aside.join(segment.file_name().unwrap());
                    assert_eq!(fs::read(aside).unwrap(), changed, "flip at {offset}");
                }
                *ends.entry(done(&restored.how)).or_insert(0) += 1;
            }
            Err(error) => {
                // Only where the older backup does not have what was damaged.
                let within = frames.iter().rev().find(|(_, at)| *at <= offset).map_or(0, |(last, _)| *last);
                assert!(within > older_ends, "flip at {offset}: {error}");
                assert_eq!(error.code(), "RESTORE_TOO_SHORT", "flip at {offset}: {error}");
                assert_eq!(everything(&copy), before, "flip at {offset}: nothing is changed");
                *ends.entry("too short").or_insert(0) += 1;
            }
        }
        fs::remove_dir_all(&copy).unwrap();
    }
    assert!(["mended", "too short"].iter().all(|end| ends.contains_key(end)), "{ends:?}");
}

/// Signs the log as a pull does, and answers the note.
fn sign(data: &Path) -> String {
    let (folder, office) = (Data::new(data), Data::new(data).server_file().unwrap().office);
    let reader = LogReader::open_read_only(&folder.office("log"), &Data::log_id(office)).unwrap();
    let mut signer = log_key::signer(&folder, &reader, office).unwrap();
    signer.sign().unwrap().note().to_owned()
}

#[test]
fn what_was_signed_stays_signed_and_a_log_that_lacks_it_is_too_short() {
    let place = Place::with(2);
    let checkpoint = |data: &Path| fs::read_to_string(data.join("office/log/checkpoint")).unwrap();
    let first = sign(&place.data);
    let older = place.backup("older.backup");
    place.invite(2..4);
    let last = sign(&place.data);
    let newer = place.backup("newer.backup");
    assert_ne!(first, last);
    // A fresh folder has the checkpoint of its backup, and the key to sign the next.
    let copy = place.path("copy");
    ok_on(&copy, &["restore", older.to_str().unwrap(), "--json"]);
    assert_eq!(checkpoint(&copy), first);
    // An old log with what was signed since: the old backup does not do, the new one does.
    fs::write(copy.join("office/log/checkpoint"), &last).unwrap();
    let before = everything(&copy);
    assert_eq!(place.fails(&copy, &["restore", older.to_str().unwrap()], 7), "RESTORE_TOO_SHORT");
    assert_eq!(everything(&copy), before);
    let done = ok_on(&copy, &["restore", newer.to_str().unwrap(), "--json"]);
    assert_eq!((&done["done"], checkpoint(&copy)), (&"mended".into(), last.clone()));
    assert_eq!(check(&copy), check(&place.data));
    // A damaged log that is mended keeps its newer checkpoint beside an older backup's files.
    let offset = frames(&place.data)[1].1 + 40;
    place.flip(offset);
    ok_on(&place.data, &["restore", older.to_str().unwrap(), "--json"]);
    assert_eq!(checkpoint(&place.data), last);
    assert_eq!(check(&place.data), check(&copy));
}

/// The only office of a backup, restored.
fn restored_one(backup: &Path, data: &Data) -> Result<restore::Restored, ServerError> {
    let mut outcomes = restore::restore(backup, data, None)?;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).restored
}

fn done(how: &restore::How) -> &'static str {
    match how {
        restore::How::Fresh => "fresh",
        restore::How::AlreadyWhole => "already whole",
        restore::How::Mended(_) => "mended",
    }
}

/// The last position and the offset of each commit's frame, as the format says.
fn frames(data: &Path) -> Vec<(u64, usize)> {
    let office = Data::new(data).server_file().unwrap().office;
    let reader = LogReader::open_read_only(&data.join("office/log"), &Data::log_id(office)).unwrap();
    let mut at = 12_288;
    reader
        .iter(1)
        .map(|commit| {
            let commit = commit.unwrap();
            let leaves: usize = commit.entries.iter().map(|entry| 2 + entry.leaf.len()).sum();
            let begins = at;
            at += 28 + 16 + leaves + 40;
            (commit.size_after, begins)
        })
        .collect()
}

#[test]
fn a_missing_log_a_short_one_and_missing_files_come_back_from_a_backup() {
    let place = Place::with(2);
    let short = place.path("short");
    copy_folder(&place.data, &short);
    place.invite(2..4);
    let whole = check(&place.data);
    let file = place.backup("office.backup");
    let file = file.to_str().unwrap();
    // Nothing to do, and nothing done.
    let before = everything(&place.data);
    assert_eq!(place.ok(&["restore", file, "--json"])["done"], "already_whole");
    assert_eq!(everything(&place.data), before);
    // A short log is an older copy; so are the names beside it.
    let done = ok_on(&short, &["restore", file, "--json"]);
    assert_eq!(
        (&done["done"], &done["records_kept"], &done["records_restored"]),
        (&"mended".into(), &7.into(), &4.into())
    );
    assert_eq!(check(&short), whole);
    let names = |data: &Path| fs::read(data.join("office/directory.json")).unwrap();
    assert_eq!(names(&short), names(&place.data));
    // A whole log needs no older backup.
    place.invite(4..5);
    let longer = check(&place.data);
    assert_eq!(place.ok(&["restore", file, "--json"])["done"], "already_whole");
    assert_eq!(check(&place.data), longer);
    // No log at all.
    fs::remove_dir_all(place.data.join("office/log")).unwrap();
    assert_eq!(place.fails(&place.data, &["check"], 7), "LOG_DAMAGED");
    place.ok(&["restore", file, "--json"]);
    assert_eq!(check(&place.data), whole);
    // Files beside the log.
    for (name, damaged) in [
        ("server.json", Some("{")),
        ("office/directory.json", None),
        ("office/invites.json", Some("[{")),
        ("authority/server.key", None),
    ] {
        let path = place.data.join(name);
        let before = fs::read(&path).unwrap();
        match damaged {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let done = place.ok(&["restore", file, "--json"]);
        assert!(done["files_restored"].as_array().unwrap().contains(&name.into()), "{done}");
        if !name.ends_with(".key") && name != "server.json" {
            assert!(fs::read(&path).unwrap().len() <= before.len(), "{name}");
        }
        assert_eq!(check(&place.data), whole, "{name}");
        if let Some(text) = damaged {
            assert_eq!(
                fs::read_to_string(
                    path.with_file_name(format!("{}.aside-1", path.file_name().unwrap().to_str().unwrap()))
                )
                .unwrap(),
                text
            );
        }
    }
}

#[test]
fn a_backup_of_another_office_and_another_history_are_refused() {
    let (place, other) = (Place::with(1), Place::with(1));
    let theirs = other.backup("office.backup");
    assert_eq!(place.fails(&place.data, &["restore", theirs.to_str().unwrap()], 4), "OTHER_OFFICE");
    // The same office, but a history that went on otherwise.
    let fork = place.path("fork");
    copy_folder(&place.data, &fork);
    place.invite(5..6);
    ok_on(&fork, &["invite", "--user", "somebody-else", "--role", "auditor", "--json"]);
    ok_on(&fork, &["invite", "--user", "and-another", "--role", "auditor", "--json"]);
    let ours = place.backup("ours.backup");
    let before = everything(&fork);
    assert_eq!(place.fails(&fork, &["restore", ours.to_str().unwrap()], 7), "RESTORE_DIVERGED");
    assert_eq!(everything(&fork), before);
    // Longer than what is there, and not continuing it.
    place.invite(6..9);
    let ours = place.backup("longer.backup");
    assert_eq!(place.fails(&fork, &["restore", ours.to_str().unwrap()], 7), "RESTORE_DIVERGED");
    assert_eq!(everything(&fork), before);
}

#[test]
fn nothing_is_restored_under_a_running_server() {
    let place = Place::with(1);
    let file = place.backup("office.backup");
    let server = Serving::start(&place.data);
    assert_eq!(place.fails(&place.data, &["restore", file.to_str().unwrap()], 1), "DATA_IN_USE");
    drop(server);
    assert_eq!(place.ok(&["restore", file.to_str().unwrap(), "--json"])["done"], "already_whole");
}

#[test]
fn a_devices_copy_mends_the_log_where_it_is_the_same_history() {
    let place = Place::with(2);
    let older = place.path("older");
    copy_folder(&place.data, &older);
    place.invite(2..5);
    let whole = check(&place.data);
    let (home, part) = (place.path("home"), place.path("part"));
    replica(&Data::new(&place.data), &home, u64::MAX);
    replica(&Data::new(&place.data), &part, 9);
    let from =
        |folder: &Path| ["restore", "--from-replica", folder.to_str().unwrap(), "--json"].map(str::to_owned);
    let run = |data: &Path, folder: &Path| {
        let words = from(folder);
        ok_on(data, &words.each_ref().map(String::as_str))
    };
    // A server that was restored from an old backup.
    let done = run(&older, &home);
    assert_eq!((&done["records_kept"], &done["records_restored"]), (&7.into(), &6.into()));
    assert_eq!(check(&older)["state_hash"], whole["state_hash"]);
    // A damaged one; the folder `replica` itself does too.
    place.flip(12_288 + 60);
    let done = run(&place.data, &part.join("replica"));
    assert_eq!(done["done"], "mended");
    assert!(done["damage"][0].as_str().unwrap().contains("position 1"), "{done}");
    assert_eq!(check(&place.data)["state_hash"], whole["state_hash"]);
    // Folders that are no copy of this log.
    let fails = |folder: &Path, exit| {
        place.fails(&place.data, &["restore", "--from-replica", folder.to_str().unwrap()], exit)
    };
    assert_eq!(fails(&place.path("nowhere"), 4), "NOT_A_REPLICA");
    assert_eq!(fails(&older.join("office/log"), 4), "NOT_A_REPLICA");
    let other = Place::with(1);
    replica(&Data::new(&other.data), &other.path("home"), u64::MAX);
    assert_eq!(fails(&other.path("home"), 4), "OTHER_OFFICE");
    // A copy of a history that went on otherwise.
    place.invite(7..8);
    let fork = place.path("fork");
    copy_folder(&older, &fork);
    for user in ["x", "y", "z"] {
        ok_on(&fork, &["invite", "--user", user, "--role", "auditor", "--json"]);
    }
    replica(&Data::new(&fork), &place.path("forked-home"), u64::MAX);
    let before = everything(&place.data);
    assert_eq!(fails(&place.path("forked-home"), 7), "RESTORE_DIVERGED");
    assert_eq!(everything(&place.data), before);
}
