//! FAULTS L10: receipts and exports are checked without a server, and whatever was changed in them is named.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_ledger::merkle::{Frontier, leaf_hash};
use renaksi_ledger::verify_inclusion;
use renaksi_proto::wire::{BundleCommit, BundleHead};
use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, count};
use serde_json::Value;

const ROW: &str = "1.1.1.1";
const MAGIC: &[u8] = b"renaksi bundle 1\n";

/// An office with thirty entries of an officer, and an auditor who has them all.
fn story() -> (Office, Device, Device) {
    let (mut office, _, _) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    for _ in 0..3 {
        (0..10).for_each(|_| drop(officer.add(ROW, "2", "2024-01-03")));
        officer.ok(&["sync"]);
    }
    let auditor = office.enroll("auditor-1", "auditor", None);
    (office, officer, auditor)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A bundle taken apart.
struct Bundle {
    head: BundleHead,
    commits: Vec<BundleCommit>,
}

impl Bundle {
    fn read(path: &Path) -> Bundle {
        let bytes = fs::read(path).unwrap();
        let mut rest = bytes.strip_prefix(MAGIC).unwrap();
        let head = BundleHead::decode_length_delimited(&mut rest).unwrap();
        let mut commits = Vec::new();
        while !rest.is_empty() {
            commits.push(BundleCommit::decode_length_delimited(&mut rest).unwrap());
        }
        Bundle { head, commits }
    }

    fn write(&self, path: &Path) {
        let mut bytes = [MAGIC, &self.head.encode_length_delimited_to_vec()].concat();
        self.commits.iter().for_each(|commit| bytes.extend(commit.encode_length_delimited_to_vec()));
        fs::write(path, bytes).unwrap();
    }

    /// The commit and the place in it of a record.
    fn place(&self, position: u64) -> (usize, usize) {
        let commit = self.commits.iter().rposition(|commit| commit.first <= position).unwrap();
        (commit, (position - self.commits[commit].first) as usize)
    }

    /// Puts every position, hash and root right, as a careful forger does.
    fn made_consistent(mut self) -> Bundle {
        let mut frontier = Frontier::default();
        self.commits.retain(|commit| !commit.records.is_empty());
        for commit in &mut self.commits {
            commit.first = frontier.size() + 1;
            let hashes: Vec<[u8; 32]> = commit.records.iter().map(|record| leaf_hash(&record.leaf)).collect();
            hashes.iter().for_each(|hash| frontier.append(*hash));
            commit.leaf_hashes = hashes.concat();
            commit.root_after = frontier.root().to_vec();
        }
        self
    }

    fn change(mut self, position: u64) -> Bundle {
        let (commit, place) = self.place(position);
        let leaf = &mut self.commits[commit].records[place].leaf;
        let last = leaf.len() - 1;
        leaf[last] ^= 1;
        self
    }

    fn leave_out(mut self, position: u64) -> Bundle {
        let (commit, place) = self.place(position);
        self.commits[commit].records.remove(place);
        self
    }

    fn cut(mut self, records: u64, size: u64) -> Bundle {
        let (commit, place) = self.place(size - records + 1);
        self.commits.truncate(commit + 1);
        self.commits[commit].records.truncate(place);
        self.made_consistent()
    }
}

struct Export {
    path: PathBuf,
    size: u64,
    key: String,
}

fn export(office: &Office, auditor: &Device) -> Export {
    let path = office.path("log.bundle");
    let told = auditor.ok(&["audit", "export", &text(&path)]);
    Export { path, size: count(&told["records"]), key: told["log_key"].as_str().unwrap().to_owned() }
}

/// Verifies a bundle on a machine that is no device, with the key of the office's log.
fn outsider(office: &Office, auditor: &Device) -> Device {
    let outsider = office.copy(auditor, "outsider");
    fs::remove_dir_all(outsider.home()).unwrap();
    outsider
}

#[track_caller]
fn finds(by: &Device, key: &str, bundle: &Path, positions: std::ops::RangeInclusive<u64>, codes: &[&str]) {
    let report = by.ends(&["audit", "verify", "--bundle", &text(bundle), "--key", key], 7);
    assert_eq!(report["ok"], false);
    let bad = &report["first_bad"];
    assert!(codes.contains(&bad["code"].as_str().unwrap()), "{bad}");
    assert!(positions.contains(&count(&bad["position"])), "{positions:?}: {bad}");
}

/// FAULTS L10.
#[test]
fn l10_what_was_changed_in_an_export_is_named() {
    let (mut office, _, auditor) = story();
    let Export { path, size, key } = export(&office, &auditor);
    // No server, and no device.
    office.stop();
    let outsider = outsider(&office, &auditor);
    let report = outsider.ok(&["audit", "verify", "--bundle", &text(&path), "--key", &key]);
    assert_eq!((report["ok"].clone(), count(&report["checked_records"])), (true.into(), size));
    assert_eq!(
        (&report["checkpoint"]["size"], &report["root"]),
        (&size.into(), &report["checkpoint"]["root"])
    );
    assert_eq!(report["state_hash"], office.check()["state_hash"]);
    assert_eq!(report["key_from_bundle"], false);
    let alone = outsider.ok(&["audit", "verify", "--bundle", &text(&path)]);
    assert_eq!((&alone["key_from_bundle"], &alone["log_key"]), (&true.into(), &Value::from(key.clone())));

    let whole = || Bundle::read(&path);
    let forged = office.path("forged.bundle");
    let check = |bundle: Bundle, positions, codes: &[&str]| {
        bundle.write(&forged);
        finds(&outsider, &key, &forged, positions, codes);
    };
    for position in [1, size / 2, size - 3, size] {
        check(whole().change(position), position..=position, &["RECORD_CHANGED"]);
        check(whole().leave_out(position), position..=position, &["RECORD_CHANGED", "RECORDS_MISSING"]);
    }
    // A careful forger: it is a device's signature, the rules or the checkpoint that tell.
    let careful = size - 8;
    let any =
        ["SIGNATURE_INVALID", "OUTCOME_DIFFERS", "RECORD_UNREADABLE", "RECORD_MISPLACED", "SEQUENCE_GAP"];
    check(whole().change(careful).made_consistent(), careful - 12..=careful, &any);
    check(whole().leave_out(careful).made_consistent(), careful..=careful, &any);
    check(whole().cut(10, size), size - 9..=size - 9, &["RECORDS_MISSING"]);
    let mut rewritten = whole();
    rewritten.commits.truncate(2);
    let end = rewritten.commits.iter().map(|commit| commit.records.len() as u64).sum::<u64>();
    check(rewritten, end + 1..=end + 1, &["RECORDS_MISSING"]);

    // Any byte of the file.
    let bytes = fs::read(&path).unwrap();
    for at in (MAGIC.len()..bytes.len()).step_by(bytes.len() / 40) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        fs::write(&forged, flipped).unwrap();
        let ran = outsider.run(&["audit", "verify", "--bundle", &text(&forged), "--key", &key]);
        assert_eq!(ran.code, 7, "byte {at}: {ran:?}");
        fs::write(&forged, &bytes[..at]).unwrap();
        let ran = outsider.run(&["audit", "verify", "--bundle", &text(&forged), "--key", &key]);
        assert_eq!(ran.code, 7, "cut at {at}: {ran:?}");
    }
    // Another office's key, and what is no export.
    let other = key.replace("renaksi/", "renaksi/0");
    outsider.ends(&["audit", "verify", "--bundle", &text(&path), "--key", &other], 2);
    outsider.ends(&["audit", "verify", "--bundle", &text(&outsider.home().with_extension("none"))], 2);
    fs::write(&forged, "else").unwrap();
    let error = outsider.ends(&["audit", "verify", "--bundle", &text(&forged)], 4);
    assert_eq!(error["error"]["code"], "NOT_A_BUNDLE");
    let said = outsider.says("id", &["audit", "verify", "--bundle", &text(&path)]);
    assert!(said.code == 0 && said.stderr.contains("cocokkan dengan kunci"), "{said:?}");
    auditor.ends(&["audit", "export", &text(&path)], 4);
    office.start();
    office.end(&[&auditor]);
}

#[test]
fn a_receipt_is_checked_by_whoever_has_the_key() {
    let (mut office, officer, auditor) = story();
    let entry = officer.add(ROW, "7", "2024-01-05");
    officer.ok(&["sync"]);
    auditor.ok(&["sync"]);
    let waiting = officer.add(ROW, "9", "2024-01-04");
    let error = officer.ends(&["audit", "prove", &waiting], 4);
    assert_eq!(error["error"]["code"], "NOT_IN_THE_LOG");
    office.stop();

    let file = office.path("receipt.tlog-proof");
    let told = officer.ok(&["audit", "prove", &entry, "-o", &text(&file)]);
    let (position, key) = (count(&told["position"]), told["log_key"].as_str().unwrap());
    let receipt = fs::read_to_string(&file).unwrap();
    assert_eq!(told["receipt"], receipt);
    assert!(receipt.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{receipt}");
    let outsider = outsider(&office, &auditor);
    let checked = outsider.ok(&["audit", "verify", "--receipt", &text(&file), "--key", key]);
    assert_eq!((checked["ok"].clone(), count(&checked["position"])), (true.into(), position));
    assert_eq!((&checked["type"], &checked["checked_records"]), (&"entry.added".into(), &1.into()));
    // The auditor's device knows the key; a machine that is none has to be told.
    auditor.ok(&["audit", "verify", "--receipt", &text(&file)]);
    let error = outsider.ends(&["audit", "verify", "--receipt", &text(&file)], 2);
    assert_eq!(error["error"]["code"], "LOG_KEY_UNKNOWN");
    for position in ["1", "2"] {
        let receipt = auditor.ok(&["audit", "prove", position])["receipt"].as_str().unwrap().to_owned();
        fs::write(&file, receipt).unwrap();
        auditor.ok(&["audit", "verify", "--receipt", &text(&file)]);
    }
    auditor.ends(&["audit", "prove", "100000"], 2);

    for at in ("c2sp.org/tlog-proof@v1".len()..receipt.len()).step_by(11) {
        if receipt.is_char_boundary(at) && receipt.is_char_boundary(at + 1) {
            let other = if &receipt[at..=at] == "A" { "B" } else { "A" };
            fs::write(&file, format!("{}{other}{}", &receipt[..at], &receipt[at + 1..])).unwrap();
            let ran = auditor.run(&["audit", "verify", "--receipt", &text(&file)]);
            assert_eq!(ran.code, 7, "byte {at}: {ran:?}");
        }
    }
    fs::write(&file, "else").unwrap();
    let error = auditor.ends(&["audit", "verify", "--receipt", &text(&file)], 4);
    assert_eq!(error["error"]["code"], "NOT_A_RECEIPT");
}

#[test]
fn a_record_is_shown_with_its_proof() {
    let (office, officer, auditor) = story();
    let hash = |value: &Value| -> [u8; 32] {
        let text = value.as_str().unwrap();
        std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
    };
    let size = count(&auditor.ok(&["audit", "verify"])["checkpoint"]["size"]);
    for position in [1, 2, size / 2, size] {
        let shown = auditor.ok(&["audit", "show", &position.to_string()]);
        let (proof, leaf) = (&shown["proof"], hash(&shown["leaf_hash"]));
        let path: Vec<_> = proof["path"].as_array().unwrap().iter().map(hash).collect();
        let root = hash(&proof["root"]);
        assert_eq!((count(&proof["size"]), &proof["epoch"]), (size, &1.into()));
        assert!(verify_inclusion(&leaf, position, size, &path, &root), "{position}");
        assert!(!verify_inclusion(&leaf, position % size + 1, size, &path, &root), "{position}");
    }
    // Without a checkpoint nothing is proved.
    officer.add(ROW, "2", "2024-01-03");
    officer.ok(&["sync"]);
    let last = count(&officer.ok(&["plan", "show"])["position"]);
    assert!(officer.ok(&["audit", "show", &last.to_string()])["proof"].is_object());
    fs::remove_file(officer.home().join("checkpoint")).unwrap();
    assert_eq!(officer.ok(&["audit", "show", &last.to_string()])["proof"], Value::Null);
    office.end(&[&officer, &auditor]);
}

#[test]
fn tiles_are_exported_into_a_folder_of_their_own() {
    let (mut office, _, auditor) = story();
    office.stop();
    let folder = office.path("tiles");
    let told = auditor.ok(&["audit", "export", &text(&folder), "--tiles"]);
    let size = count(&told["records"]);
    assert_eq!(told["checkpoint"]["note"], fs::read_to_string(folder.join("checkpoint")).unwrap());
    let entries = fs::read(folder.join(format!("tile/entries/000.p/{size}"))).unwrap();
    assert!(entries.len() > 2 * size as usize);
    let error = auditor.ends(&["audit", "export", &text(&folder), "--tiles"], 4);
    assert_eq!(error["error"]["code"], "FILE_EXISTS");
}
