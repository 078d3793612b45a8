//! FAULTS: a server that was restored, with the real programs.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, Ran, count};
use serde_json::Value;

const ROW: &str = "1.1.1.1";

/// An office whose server was restored from a backup that is 50 records older than its officer's device.
struct Restored {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
    /// A head of unit, who has copied all of what was lost.
    kabid: Device,
    /// What `check` said of the log that was lost.
    whole: Value,
    /// Entries that the officer was told are recorded, and that the backup lacks.
    lost: Vec<String>,
}

impl Restored {
    fn new() -> Restored {
        let (mut office, administrator, head) =
            Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
        let officer = office.enroll("petugas-1", "officer", Some(UNIT));
        let kabid = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
        officer.add(ROW, "12", "2024-01-03");
        officer.ok(&["sync"]);
        let backup = office.path("old.backup").display().to_string();
        assert_eq!(office.renaksid(&["backup", &backup, "--json"]).code, 0, "while the server runs");
        let lost = (0..50).map(|_| officer.add(ROW, "1", "2024-01-04")).collect();
        assert_eq!(officer.ok(&["sync"])["recorded"], 50);
        kabid.ok(&["sync"]);
        let whole = office.check();
        office.stop();
        fs::rename(office.path("data"), office.path("lost")).unwrap();
        assert_eq!(office.renaksid(&["restore", &backup]).code, 0);
        office.start();
        Restored { office, administrator, head, officer, kabid, whole, lost }
    }

    /// Enrols one more device with the server that was restored, which does not know where it is reached.
    fn enroll(&mut self, name: &str, role: &str, unit: Option<&str>) -> Device {
        let address = self.office.address().to_owned();
        self.office.enroll_through(name, role, unit, Some(&address))
    }

    /// The officer's device tells the server; from then on everybody hears it.
    fn told(&self) {
        let error = self.officer.ends(&["sync"], 7)["error"].clone();
        assert_eq!(error["code"], "LOG_BEHIND", "{error}");
        let size = count(&self.whole["position"]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("record {}", size - 50)), "{message}");
        assert!(message.contains(&format!("up to {size}")), "{message}");
        let indonesian = self.officer.says("id", &["sync"]);
        assert!(indonesian.code == 7 && indonesian.stderr.contains("renaksid epoch new"), "{indonesian:?}");
    }

    /// What must be so for as long as nothing is missing is not known.
    fn takes_nothing(&self) {
        let (office, size) = (&self.office, count(&self.whole["position"]));
        let behind = |ran: &Ran| {
            let error = ran.json()["error"].clone();
            assert_eq!((ran.code, &error["code"]), (7, &"LOG_BEHIND".into()), "{ran:?}");
            error
        };
        let error = behind(&office.renaksid(&["check", "--json"]));
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("a checkpoint was signed at position {size} of epoch 1")),
            "{message}"
        );
        assert!(error["hint"].as_str().unwrap().contains("restore --from-replica"), "{error}");
        behind(&office.renaksid(&["invite", "--user", "kadis-2", "--role", "auditor", "--json"]));
        let listed = office.renaksid(&["office", "list", "--json"]).json();
        assert_eq!(listed["offices"][0]["state"], "LOG_BEHIND");
    }

    /// Every device that is named ends with the log of the office, and the officer's work is in it.
    #[track_caller]
    fn ends_with_everything(self, more: &[&Device]) {
        let Restored { office, administrator, head, officer, kabid, lost, .. } = self;
        let entries = officer.ok(&["entry", "list"]);
        for id in &lost {
            let entry = entries["entries"].as_array().unwrap().iter().find(|entry| entry["entry_id"] == **id);
            assert_eq!(entry.unwrap()["state"], "recorded", "{id}");
        }
        let devices = [&[&officer, &administrator, &head, &kabid], more].concat();
        office.end(&devices);
    }
}

/// S8, where a device has what the backup lacks: the same epoch goes on, and nothing acknowledged is missing.
#[test]
fn s8_what_an_old_backup_lacks_comes_back_from_a_devices_copy() {
    let mut restored = Restored::new();
    restored.told();
    restored.takes_nothing();
    let status = restored.officer.run(&["status"]);
    assert!(status.stdout.contains("LOG_BEHIND"), "{status:?}");
    // Who knows nothing of it and has something to bring is told too. It stays on the device.
    let colleague = restored.administrator.ends(&["quarter", "lock", "1"], 7);
    assert_eq!(colleague["error"]["code"], "LOG_BEHIND", "{colleague}");
    // The power goes between the word and the next start.
    restored.office.kill();
    restored.takes_nothing();
    restored.office.start();
    restored.takes_nothing();
    restored.officer.add(ROW, "5", "2024-01-05");
    restored.told();
    restored.office.stop();
    let home = restored.officer.home().display().to_string();
    let mended = restored.office.renaksid(&["restore", "--from-replica", &home, "--json"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    let (mended, whole) = (mended.json(), &restored.whole);
    assert_eq!((&mended["root"], &mended["state_hash"]), (&whole["root"], &whole["state_hash"]));
    assert_eq!((&mended["epoch"], &mended["still_missing_to"]), (&1.into(), &Value::Null));
    restored.office.start();
    assert_eq!(restored.officer.ok(&["sync"])["recorded"], 1);
    assert_eq!(restored.officer.row(ROW, &["--quarter", "1"])["realised"][0], "67");
    restored.ends_with_everything(&[]);
}

/// S8, where nobody restores it: a new epoch begins, a quarter is locked in it, and then the device offers again.
#[test]
fn s8_in_a_new_epoch_devices_offer_again_what_the_log_lacks() {
    let mut restored = Restored::new();
    restored.told();
    let size = count(&restored.whole["position"]);
    let begun = restored.office.renaksid(&["epoch", "new", "--reason", "cadangan lama", "--json"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    let begun = begun.json();
    assert_eq!((&begun["epoch"], &begun["seen"]["size"]), (&2.into(), &size.into()));
    assert_eq!(begun["seen"]["root"], restored.whole["root"]);
    assert_eq!(restored.office.check()["epoch"], 2);
    // Everybody else goes on. The quarter is locked without what was lost.
    restored.office.set_clock("2024-04-15T02:00:00Z");
    restored.administrator.ok(&["quarter", "lock", "1"]);
    restored.head.ok(&["quarter", "approve-lock", "1"]);
    // What comes from no epoch that ended is as late as it is.
    restored.officer.add(ROW, "5", "2024-04-02");
    restored.officer.add(ROW, "3", "2024-01-05");
    let synced = restored.officer.ends(&["sync"], 3);
    assert_eq!(
        (&synced["pushed"], &synced["recorded"], count(&synced["held"])),
        (&52.into(), &51.into(), 1),
        "{synced}"
    );
    assert_eq!(synced["held"][0]["code"], "QUARTER_LOCKED");
    let aside = restored.officer.home().join("replica-set-aside-1");
    assert!(aside.join("offers.json").exists(), "what the device had is kept");
    // What was frozen stays; the entries are there.
    assert_eq!(restored.officer.row(ROW, &["--quarter", "2"])["realised"][1], "5");
    let auditor = restored.enroll("inspektur-1", "auditor", None);
    let log = auditor.run(&["audit", "log"]);
    let events: Vec<Value> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epoch = events.iter().find(|event| event["type"] == "epoch.begun").unwrap();
    assert_eq!((&epoch["reason"], &epoch["size"]), (&begun["reason"], &begun["size"]));
    let again: Vec<&Value> = events.iter().filter(|event| !event["restored"].is_null()).collect();
    assert_eq!(again.len(), 50);
    let marks = again.iter().map(|event| (event["restored"]["epoch"].as_u64(), event["outcome"].as_str()));
    assert!(marks.eq(std::iter::repeat_n((Some(1), Some("recorded")), 50)));
    assert!(again[0]["summary"].as_str().unwrap().contains("offered again"), "{}", again[0]);
    let verified = auditor.ok(&["audit", "verify"]);
    assert_eq!((&verified["epoch"], &verified["epochs"][0]["reason"]), (&2.into(), &"cadangan lama".into()));
    assert_eq!(verified["checkpoint"]["epoch"], 2);
    let said = auditor.says("en", &["audit", "verify"]).stdout;
    assert!(said.contains("epoch 2 began after record") && said.contains("cadangan lama"), "{said}");
    // The export of such a log verifies as well.
    let bundle = restored.office.path("log.bundle").display().to_string();
    auditor.ok(&["audit", "export", &bundle]);
    assert_eq!(auditor.ok(&["audit", "verify", "--bundle", &bundle])["epochs"][0]["epoch"], 2);
    restored.ends_with_everything(&[&auditor]);
}

/// The restored server went on before anybody knew: then no copy mends it, and the new epoch goes on from its own log.
#[test]
fn s8_after_the_restored_server_went_on_its_way_nothing_is_lost_either() {
    let mut restored = Restored::new();
    let colleague = restored.enroll("petugas-2", "officer", Some(UNIT));
    (0..60).for_each(|_| drop(colleague.add(ROW, "2", "2024-01-06")));
    assert_eq!(colleague.ok(&["sync"])["recorded"], 60);
    let error = restored.officer.ends(&["sync"], 7)["error"].clone();
    assert_eq!(error["code"], "LOG_BEHIND", "{error}");
    restored.office.stop();
    let home = restored.officer.home().display().to_string();
    let mended = restored.office.renaksid(&["restore", "--from-replica", &home, "--json"]);
    assert_eq!(mended.code, 7, "{mended:?}");
    // Without a server too.
    let begun = restored.office.renaksid(&["epoch", "new", "--reason", "dua riwayat", "--json"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    restored.office.start();
    let synced = restored.officer.ok(&["sync"]);
    assert_eq!((&synced["pushed"], &synced["recorded"]), (&50.into(), &50.into()), "{synced}");
    assert_eq!(restored.officer.row(ROW, &["--quarter", "1"])["realised"][0], (12 + 50 + 120).to_string());
    restored.ends_with_everything(&[&colleague]);
}

/// An operator may begin an epoch with nothing behind.
#[test]
fn an_epoch_may_begin_without_need_and_needs_a_reason() {
    let (mut office, _, _) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    officer.add(ROW, "12", "2024-01-03");
    officer.ok(&["sync"]);
    let blank = office.renaksid(&["epoch", "new", "--reason", " ", "--json"]);
    assert_eq!((blank.code, &blank.json()["error"]["code"]), (4, &"REASON_MISSING".into()), "{blank:?}");
    let begun = office.renaksid(&["epoch", "new", "--reason", "pindah mesin"]);
    assert!(begun.code == 0 && begun.stdout.contains("epoch 2 begins after record"), "{begun:?}");
    officer.add(ROW, "1", "2024-01-04");
    let synced = officer.ok(&["sync"]);
    assert_eq!((&synced["pushed"], &synced["recorded"]), (&1.into(), &1.into()));
    assert!(!officer.home().join("replica-set-aside-1").exists(), "nothing was lost");
    office.end(&[&officer]);
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

/// Sets the office's folder aside and restores a backup in its place.
#[track_caller]
fn put_back(office: &Office, backup: &Path, aside: &str) -> Value {
    fs::rename(office.path("data"), office.path(aside)).unwrap();
    let ran = office.renaksid(&["restore", &path(backup), "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()
}

/// The old backup is from before the epoch: what a device copied of both epochs mends it.
#[test]
fn s8_a_backup_from_before_the_epoch_is_mended_from_a_copy_of_both() {
    let restored = Restored::new();
    restored.told();
    let mut office = restored.office;
    assert_eq!(office.renaksid(&["epoch", "new", "--reason", "cadangan lama", "--json"]).code, 0);
    assert_eq!(restored.officer.ok(&["sync"])["recorded"], 50);
    let whole = office.check();
    // A backup of two epochs is one.
    office.stop();
    let (old, new) = (office.path("old.backup"), office.path("new.backup"));
    assert_eq!(office.renaksid(&["backup", &path(&new), "--json"]).code, 0);
    let again = put_back(&office, &new, "first");
    assert_eq!(
        (&again["root"], &again["state_hash"], &again["epoch"]),
        (&whole["root"], &whole["state_hash"], &2.into())
    );
    let _ = put_back(&office, &old, "second");
    office.start();
    let error = restored.officer.ends(&["sync"], 7)["error"].clone();
    assert_eq!(error["code"], "LOG_BEHIND", "{error}");
    // What was backed up meanwhile is as stopped as what it is a copy of.
    let behind = office.path("behind.backup");
    assert_eq!(office.renaksid(&["backup", &path(&behind), "--json"]).code, 0);
    office.stop();
    assert_eq!(put_back(&office, &behind, "third")["still_missing_to"], whole["position"]);
    let home = path(restored.officer.home());
    let mended = office.renaksid(&["restore", "--from-replica", &home, "--json"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    let mended = mended.json();
    assert_eq!((&mended["root"], &mended["epoch"]), (&whole["root"], &2.into()));
    assert_eq!(mended["still_missing_to"], Value::Null);
    office.start();
    restored.officer.add(ROW, "5", "2024-01-05");
    assert_eq!(restored.officer.ok(&["sync"])["recorded"], 1);
    office.end(&[&restored.officer, &restored.kabid]);
}
