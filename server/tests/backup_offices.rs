//! Backups of a folder with several offices: all in one file, and each for itself.

#![allow(clippy::unwrap_used)]

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use place::*;
use renaksi_server::data::Data;
use renaksi_server::restore;
use serde_json::Value;
use sha2::{Digest, Sha256};

const NAMES: [&str; 3] = ["Dinas Uji", "Dinas Lain", "Dinas Ketiga"];

/// A folder with three offices, each with a few records of its own; the ids in the order of [`NAMES`].
fn three() -> (Place, Vec<String>) {
    let place = Place::with(2);
    let mut ids = vec![check(&place.data)["office"].as_str().unwrap().to_owned()];
    for (number, name) in NAMES.iter().enumerate().skip(1) {
        let added = place.ok(&["office", "add", "--office", name, "--operator", "operator-2", "--json"]);
        ids.push(added["office"].as_str().unwrap().to_owned());
        for auditor in 0..number {
            let user = format!("auditor-{number}-{auditor}");
            place.ok(&["invite", "--user", &user, "--role", "auditor", "--office", name, "--json"]);
        }
    }
    (place, ids)
}

fn check_of(data: &Path, name: &str) -> Value {
    ok_on(data, &["check", "--office", name, "--json"])
}

fn checks(data: &Path) -> Vec<Value> {
    NAMES.iter().map(|name| check_of(data, name)).collect()
}

fn folder_of(place: &Place, id: &str) -> PathBuf {
    place.data.join("offices").join(id)
}

/// What was done, by office.
fn done(told: &Value) -> BTreeMap<&str, &str> {
    let offices = told["offices"].as_array().unwrap().iter();
    offices.map(|of| (of["name"].as_str().unwrap(), of["done"].as_str().unwrap())).collect()
}

#[test]
fn all_offices_are_in_one_file_and_come_back_with_their_state_hashes() {
    let (place, ids) = three();
    let whole = checks(&place.data);
    let stopped = place.backup("stopped.backup");
    // A server that may hold one office at a time backs up all of them.
    let serving = Serving::with(&place.data, &["--open-offices", "1"]);
    let running = place.path("running.backup");
    let made = place.ok(&["backup", running.to_str().unwrap(), "--json"]);
    drop(serving);
    let offices = made["offices"].as_array().unwrap();
    assert_eq!(
        offices.iter().map(|of| of["office"].as_str().unwrap()).collect::<BTreeSet<_>>(),
        ids.iter().map(String::as_str).collect()
    );
    for (of, whole) in offices.iter().map(|of| (of, whole.iter().find(|w| w["office"] == of["office"]))) {
        assert_eq!((&of["position"], &of["root"]), (&whole.unwrap()["position"], &whole.unwrap()["root"]));
    }
    let files = |at: usize| -> Vec<&str> {
        offices[at]["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect()
    };
    assert!(files(0).contains(&"server.json") && !files(0).iter().any(|file| file.starts_with("offices")));
    let own = format!("offices/{}/", offices[1]["office"].as_str().unwrap());
    assert!(files(1).contains(&&*format!("{own}office.json")));
    assert!(files(1).iter().all(|file| file.starts_with(&own)), "{:?}", files(1));
    for (number, file) in [stopped, running].iter().enumerate() {
        let target = place.path(&format!("restored-{number}"));
        let told = ok_on(&target, &["restore", file.to_str().unwrap(), "--json"]);
        assert!(done(&told).values().all(|done| *done == "restored"), "{told}");
        assert_eq!(checks(&target), whole);
        // They go on like the offices they were.
        ok_on(&target, &["invite", "--user", "x", "--role", "auditor", "--office", NAMES[1], "--json"]);
        drop(Serving::start(&target));
    }
}

#[test]
fn one_office_is_backed_up_and_put_back_beside_the_others() {
    let (place, ids) = three();
    let whole = checks(&place.data);
    let (one, all) = (place.path("one.backup"), place.backup("all.backup"));
    let one = one.to_str().unwrap();
    let made = place.ok(&["backup", one, "--office", NAMES[2], "--json"]);
    assert_eq!(made["office"], ids[2].as_str());
    for file in [one, all.to_str().unwrap()] {
        fs::remove_dir_all(folder_of(&place, &ids[2])).unwrap();
        assert_eq!(place.fails(&place.data, &["check", "--office", &ids[2]], 2), "UNKNOWN_OFFICE");
        let others = everything(&place.data);
        let told = place.ok(&["restore", file, "--office", &ids[2], "--json"]);
        assert_eq!((&told["done"], &told["office"]), (&"restored".into(), &ids[2].as_str().into()));
        assert_eq!(checks(&place.data), whole);
        let folder = folder_of(&place, &ids[2]);
        let after: Vec<_> =
            everything(&place.data).into_iter().filter(|(path, _)| !path.starts_with(&folder)).collect();
        assert_eq!(after, others, "the others are untouched");
    }
    // What all share is not with one that was added.
    let empty = place.path("empty");
    assert_eq!(place.fails(&empty, &["restore", one], 4), "BACKUP_NEEDS_SERVER");
    let asked = ["restore", all.to_str().unwrap(), "--office", NAMES[1]];
    assert_eq!(place.fails(&empty, &asked, 4), "BACKUP_NEEDS_SERVER");
    assert!(!empty.exists());
    let asked = ["restore", all.to_str().unwrap(), "--office", "Dinas Keempat"];
    assert_eq!(place.fails(&place.data, &asked, 2), "UNKNOWN_OFFICE");
    // The one that `init` made is a server of its own.
    ok_on(&empty, &["restore", all.to_str().unwrap(), "--office", NAMES[0], "--json"]);
    assert_eq!(check(&empty), whole[0]);
    assert!(!empty.join("offices").exists());
    // It is also in a file of its own, which any release reads.
    let first = place.path("first.backup");
    place.ok(&["backup", first.to_str().unwrap(), "--office", &ids[0], "--json"]);
    assert!(fs::read(first).unwrap().starts_with(b"renaksi backup 1\n"));
}

/// Changes a byte of an office's log.
fn flip(folder: &Path, offset: usize) {
    let segment = folder.join("log/segment-00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[offset] ^= 0x20;
    fs::write(&segment, bytes).unwrap();
}

#[test]
fn each_office_is_mended_for_itself_and_one_that_cannot_be_keeps_none_from_it() {
    let (place, ids) = three();
    let whole = checks(&place.data);
    let file = place.backup("all.backup");
    let restore = ["restore", file.to_str().unwrap()];
    assert!(
        done(&place.ok(&[&restore[..], &["--json"]].concat())).values().all(|done| *done == "already_whole")
    );
    flip(&folder_of(&place, &ids[1]), 12_288 + 60);
    fs::remove_dir_all(folder_of(&place, &ids[2])).unwrap();
    let told = place.ok(&[&restore[..], &["--json"]].concat());
    let expected = [(NAMES[0], "already_whole"), (NAMES[1], "mended"), (NAMES[2], "restored")];
    assert_eq!(done(&told), BTreeMap::from(expected));
    assert_eq!(checks(&place.data), whole);
    // The first is damaged behind what the backup has: it stays as it is, and the others are mended.
    place.ok(&["invite", "--user", "later", "--role", "auditor", "--office", &ids[0], "--json"]);
    let first = place.data.join("office");
    let end = fs::metadata(first.join("log/segment-00000000000000000001.log")).unwrap().len();
    flip(&first, usize::try_from(end).unwrap() - 60);
    flip(&folder_of(&place, &ids[1]), 12_288 + 60);
    let before = everything(&first);
    let output = Place::run_on(&place.data, &[&restore[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = [(NAMES[0], "failed"), (NAMES[1], "mended"), (NAMES[2], "already_whole")];
    assert_eq!(done(&told), BTreeMap::from(expected));
    assert_eq!(told["offices"][0]["error"]["code"], "RESTORE_TOO_SHORT");
    assert_eq!(everything(&first), before);
    assert_eq!(check_of(&place.data, &ids[1]), whole[1]);
    // So it is told to people, too.
    let output = Place::run_on(&place.data, &restore);
    assert_eq!(output.status.code(), Some(7));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("error: Dinas Uji: ") && told.contains("hint: "), "{told}");
}

#[test]
fn a_devices_copy_mends_the_office_that_is_named() {
    let (place, ids) = three();
    let whole = checks(&place.data);
    let home = place.path("home");
    replica(&Data::new(&place.data).added(ids[1].parse().unwrap()), &home, u64::MAX);
    flip(&folder_of(&place, &ids[1]), 12_288 + 60);
    let asked = ["restore", "--from-replica", home.to_str().unwrap()];
    assert_eq!(place.fails(&place.data, &asked, 2), "AMBIGUOUS_OFFICE");
    let of = |name| [&asked[..], &["--office", name]].concat();
    assert_eq!(place.fails(&place.data, &of(NAMES[2]), 4), "OTHER_OFFICE");
    assert_eq!(place.ok(&[&of(NAMES[1])[..], &["--json"]].concat())["done"], "mended");
    assert_eq!(checks(&place.data), whole);
}

#[test]
fn an_office_that_is_closed_is_not_restored_under_a_running_server() {
    let (place, ids) = three();
    let file = place.backup("all.backup");
    let serving = Serving::start(&place.data);
    let asked = ["restore", file.to_str().unwrap(), "--office", &ids[2]];
    assert_eq!(place.fails(&place.data, &asked, 1), "DATA_IN_USE");
    drop(serving);
    assert_eq!(place.ok(&[&asked[..], &["--json"]].concat())["done"], "already_whole");
}

#[test]
fn backups_of_all_and_of_one_do_not_remove_each_other() {
    let (place, ids) = three();
    let folder = place.path("backups");
    fs::create_dir(&folder).unwrap();
    for _ in 0..2 {
        for office in [None, Some(&ids[0]), Some(&ids[1])] {
            let mut arguments = vec!["backup", folder.to_str().unwrap(), "--keep", "1", "--json"];
            arguments.extend(office.into_iter().flat_map(|office| ["--office", office]));
            place.ok(&arguments);
        }
    }
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = vec![format!("renaksi-all-{}", ids[0])];
    expected.extend(ids[..2].iter().map(|id| format!("renaksi-{id}")));
    expected.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().zip(&expected).all(|(name, of)| name.starts_with(of)), "{names:?}");
}

#[test]
fn every_cut_and_flip_and_a_lost_office_are_told() {
    let (place, _) = three();
    let whole = fs::read(place.backup("all.backup")).unwrap();
    let (damaged, target) = (place.path("damaged"), place.path("target"));
    let refused = |bytes: &[u8], what: &str| -> String {
        fs::write(&damaged, bytes).unwrap();
        let error = restore::restore(&damaged, &Data::new(&target), None).expect_err(what);
        assert!(!target.exists(), "{what}");
        assert!(["BACKUP_DAMAGED", "NOT_A_BACKUP"].contains(&&*error.code()), "{what}: {error}");
        error.to_string()
    };
    // The first line also, whose number says the format: a newer one is not told where it is this one's file.
    for at in (0..17).chain((17..whole.len()).step_by(7)) {
        refused(&whole[..at], &format!("cut at {at}"));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(&bytes, &format!("flip at {at}"));
    }
    // Whoever leaves a frame out, or puts one in twice, and digests it anew.
    let trailer = whole.len() - 32 - b"renaksi backup end\n".len();
    let magic = [0x28, 0xB5, 0x2F, 0xFD];
    let mut begins: Vec<usize> =
        (17..trailer - 4).filter(|at| whole[*at..*at + 4] == magic).chain([trailer]).collect();
    begins.dedup();
    let frames: Vec<&[u8]> = begins.windows(2).map(|frame| &whole[frame[0]..frame[1]]).collect();
    assert_eq!(frames.len(), 4, "three offices, and how many there are");
    let made_of = |frames: &[&[u8]]| {
        let body = [b"renaksi backup 2\n", frames.concat().as_slice()].concat();
        let digest = Sha256::digest(&body);
        [body.as_slice(), &digest, b"renaksi backup end\n"].concat()
    };
    assert_eq!(made_of(&frames), whole);
    let [first, second, third, all] = frames[..] else { unreachable!() };
    for (frames, cause) in [
        (vec![first, third, all], "does not hold the offices that its end says"),
        (vec![first, second, third], "has no end"),
        (vec![first, second, second, all], "holds an office twice"),
        (vec![first, second, third, all, third], "something stands behind its end"),
        (vec![all], "does not hold the offices"),
    ] {
        let told = refused(&made_of(&frames), cause);
        assert!(told.contains(cause), "{told}");
    }
}

/// Name, position and root of each office of the golden file.
const V2: [(&str, u64, &str); 2] = [
    ("Dinas Uji", 5, "fe0c39e1764e02dce1621f368a117baf9cfc66a8cde6516754e18a340114dd62"),
    ("Dinas Lain", 3, "b1b83f158f39e7510d14eeb3e8b64be9b0b50d02321262d4a7822c151deb0075"),
];

/// What releases wrote is read for ever. The keys in these files are of offices that were made for them. The position and the root never change; the state hash may.
#[test]
fn backups_of_earlier_releases_are_restored() {
    let golden = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let place = Place::with(0);
    let one = place.path("one");
    ok_on(&one, &["restore", golden("v1.backup").to_str().unwrap(), "--json"]);
    let checked = check(&one);
    assert_eq!((&checked["position"], &checked["name"]), (&5.into(), &"Dinas Uji".into()));
    assert_eq!(checked["root"], "fe0c39e1764e02dce1621f368a117baf9cfc66a8cde6516754e18a340114dd62");
    let several = place.path("several");
    let told = ok_on(&several, &["restore", golden("v2.backup").to_str().unwrap(), "--json"]);
    let roots: Vec<(&str, u64, &str)> = told["offices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            (of["name"].as_str().unwrap(), of["position"].as_u64().unwrap(), of["root"].as_str().unwrap())
        })
        .collect();
    assert_eq!(roots, V2);
}
