//! FAULTS: what happens to a device's own folder and rights, with the real programs.
#![allow(clippy::unwrap_used)]

use std::fs;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, adds_up, copy_folder, count};
use serde_json::Value;

const ROW: &str = "1.1.1.1";

fn story() -> (Office, Device, Device, Device) {
    let (mut office, administrator, head) =
        Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    (office, administrator, head, officer)
}

fn troubles(answer: &Value) -> Vec<&str> {
    answer["troubles"].as_array().unwrap().iter().map(|cause| cause["code"].as_str().unwrap()).collect()
}

/// Flips a bit of a file, so many bytes before its end.
fn flip(device: &Device, file: &str, before_end: usize) {
    let path = device.home().join(file);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - before_end;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

const SEGMENT: &str = "segment-00000000000000000001.log";

#[test]
fn s7_a_revoked_device_hands_in_what_it_holds_once_and_says_so() {
    let (mut office, administrator, _, officer) = story();
    let operator = office.enroll("operator-2", "operator", None);
    officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    let held: Vec<String> = ["2024-01-03", "2024-01-04"].map(|on| officer.add(ROW, "7", on)).into();
    let number = officer.ok(&["status"])["device"].to_string();
    operator.ok(&["device", "revoke", &number]);

    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!(troubles(&sync), ["DEVICE_REVOKED"]);
    let told: Vec<&str> =
        sync["held"].as_array().unwrap().iter().map(|h| h["entry_id"].as_str().unwrap()).collect();
    assert_eq!(told, held);
    assert!(sync["held"].as_array().unwrap().iter().all(|held| held["code"] == "DEVICE_REVOKED"));
    let status = officer.ok(&["status"]);
    assert_eq!((&status["pending"], &status["held"]), (&Value::from(0), &Value::from(2)));
    assert_eq!(troubles(&status), ["DEVICE_REVOKED"]);
    assert_eq!(status["handed_in"].as_array().unwrap().len(), 2);
    assert_eq!(status["handed_in"][0]["entry_id"], held[0]);
    assert!(status["troubles"][0]["message"].as_str().unwrap().contains("handed in 2"));
    let listed = officer.ok(&["entry", "list", "--state", "held"]);
    assert_eq!(count(&listed["entries"]), 2);

    let refused = officer.ends(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-05"], 6);
    assert_eq!(refused["error"]["code"], "DEVICE_REVOKED");
    let again = officer.ends(&["sync"], 6);
    assert_eq!(again["error"]["code"], "DEVICE_REVOKED");
    administrator.ok(&["sync"]);
    assert_eq!(administrator.row(ROW, &["--quarter", "1"])["realised"][0], "5");
    assert_eq!(count(&administrator.ok(&["held", "list"])["held"]), 2);
    office.end(&[&administrator]);
}

#[test]
fn s7_a_revoked_device_without_its_copy_of_the_log_hands_in_too() {
    let (mut office, administrator, _, officer) = story();
    let operator = office.enroll("operator-2", "operator", None);
    officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    officer.add(ROW, "7", "2024-01-03");
    let number = officer.ok(&["status"])["device"].to_string();
    operator.ok(&["device", "revoke", &number]);
    fs::remove_dir_all(officer.home().join("replica")).unwrap();
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["held"]), count(&sync["duplicate"])), (1, 1));
    administrator.ok(&["sync"]);
    assert_eq!(administrator.row(ROW, &["--quarter", "1"])["realised"][0], "5");
    office.end(&[&administrator]);
}

#[test]
fn s7_a_revoked_device_hands_in_as_much_as_it_may() {
    let (mut office, administrator, _, officer) = story();
    let operator = office.enroll("operator-2", "operator", None);
    (0..1_010).for_each(|_| drop(officer.add(ROW, "1", "2024-01-03")));
    let number = officer.ok(&["status"])["device"].to_string();
    operator.ok(&["device", "revoke", &number]);
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!(count(&sync["held"]), 1_000);
    assert_eq!(sync["troubles"][0]["details"]["unsent"], "10");
    let pending = officer.ok(&["entry", "list", "--state", "pending"]);
    assert_eq!(count(&pending["entries"]), 10);
    officer.ends(&["sync"], 6);
    office.end(&[&administrator]);
}

#[test]
fn s4_a_restored_copy_is_told_that_nothing_was_taken_and_keeps_its_work() {
    let (office, administrator, _, officer) = story();
    officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    let restored = office.copy(&officer, "restored");
    officer.add(ROW, "7", "2024-01-03");
    officer.ok(&["sync"]);
    restored.add(ROW, "11", "2024-01-03");
    restored.add(ROW, "13", "2024-01-03");

    let sync = restored.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["pushed"]), troubles(&sync)), (0, vec!["DEVICE_FORKED"]));
    assert_eq!(sync["troubles"][0]["details"]["unsent"], "2");
    assert_eq!(troubles(&restored.ok(&["status"])), ["DEVICE_FORKED"]);
    let pending = restored.ok(&["entry", "list", "--state", "pending"]);
    assert_eq!(count(&pending["entries"]), 2);
    let warned = restored.ok(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-05"]);
    assert_eq!(warned["preview"]["code"], "DEVICE_FORKED");

    // A copy of the log that was fetched anew does not hide it.
    fs::remove_dir_all(restored.home().join("replica")).unwrap();
    assert_eq!(troubles(&restored.ends(&["sync"], 3)), ["DEVICE_FORKED"]);
    let pending = restored.ok(&["entry", "list", "--state", "pending"]);
    assert_eq!(count(&pending["entries"]), 3);
    // Nor does it slip in behind the other copy's work, later or when what was noted is lost.
    assert_eq!(troubles(&restored.ends(&["sync"], 3)), ["DEVICE_FORKED"]);
    fs::remove_file(restored.home().join("standing.json")).unwrap();
    assert_eq!(troubles(&restored.ends(&["sync"], 3)), ["DEVICE_FORKED"]);
    let asked = restored.ends(&["entry", "verify", "--all"], 6);
    assert_eq!(asked["error"]["code"], "ROLE_MAY_NOT");
    administrator.ok(&["sync"]);
    assert_eq!(administrator.row(ROW, &["--quarter", "1"])["realised"][0], "12");
    office.end(&[&officer]);
}

#[test]
fn s4_a_restored_copy_without_work_of_its_own_is_warned_before_it_has_some() {
    let (office, _, _, officer) = story();
    let restored = office.copy(&officer, "restored");
    officer.add(ROW, "7", "2024-01-03");
    officer.ok(&["sync"]);
    assert_eq!(troubles(&restored.ends(&["sync"], 3)), ["FEED_BEHIND"]);
    assert_eq!(troubles(&restored.ok(&["status"])), ["FEED_BEHIND"]);
    let refused = restored.ends(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-05"], 7);
    assert_eq!(refused["error"]["code"], "FEED_BEHIND");
    office.end(&[&officer]);
}

#[test]
fn s13_a_damaged_feed_is_named_sends_what_stands_before_and_leaves_the_rest_readable() {
    let (office, _, _, officer) = story();
    officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    officer.add(ROW, "7", "2024-01-03");
    officer.add(ROW, "11", "2024-01-03");
    flip(&officer, &format!("feed/{SEGMENT}"), 40);
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "5");
    for reading in [&["audit", "log"][..], &["report", "--quarter", "1"], &["entry", "list"]] {
        assert_eq!(officer.run(reading).code, 0, "{reading:?}");
    }
    let status = officer.ok(&["status"]);
    assert_eq!(troubles(&status), ["FEED_DAMAGED"]);
    let details = &status["troubles"][0]["details"];
    assert!(details["file"].as_str().unwrap().ends_with(SEGMENT), "{details}");
    assert_eq!(details["position"], "3");
    let refused = officer.ends(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-05"], 7);
    assert_eq!(refused["error"]["code"], "FEED_DAMAGED");
    assert!(refused["error"]["details"]["offset"].is_string(), "{refused}");
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["recorded"]), troubles(&sync)), (1, vec!["FEED_DAMAGED"]));
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "12");
    office.end(&[&officer]);
}

#[test]
fn s13_a_lost_copy_of_the_log_is_said_to_be_missing_and_nothing_to_be_unsent() {
    let (mut office, _, _, officer) = story();
    officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    fs::remove_dir_all(officer.home().join("replica")).unwrap();
    let status = officer.ok(&["status"]);
    assert_eq!((&status["pending"], troubles(&status)), (&Value::Null, vec!["REPLICA_MISSING"]));
    let refused = officer.ends(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-05"], 2);
    assert_eq!(refused["error"]["code"], "NO_PLAN_YET");
    assert!(refused["error"]["message"].as_str().unwrap().contains("no copy of the office's log"));
    office.kill();
    let verified = officer.ends(&["audit", "verify"], 1);
    assert_eq!((&verified["ok"], &verified["size"]), (&Value::Bool(false), &Value::from(0)));
    office.start();
    let sync = officer.ok(&["sync"]);
    assert_eq!(count(&sync["pushed"]), 0);
    assert_eq!(officer.ok(&["status"])["pending"], 0);
    office.end(&[&officer]);
}

#[test]
fn s13_a_damaged_authority_and_a_foreign_key_are_named() {
    let (office, administrator, _, officer) = story();
    let whole = office.path("whole");
    copy_folder(officer.home(), &whole);
    // Every bit of the certificate counts, not only those that break it.
    for before_end in [60, 200, 400] {
        flip(&officer, "authority.pem", before_end);
        let error = officer.ends(&["sync"], 7);
        assert_eq!(error["error"]["code"], "AUTHORITY_DAMAGED");
        assert!(error["error"]["message"].as_str().unwrap().contains("authority.pem"), "{error}");
        fs::copy(whole.join("authority.pem"), officer.home().join("authority.pem")).unwrap();
    }
    fs::copy(administrator.home().join("key"), officer.home().join("key")).unwrap();
    let error = officer.ends(&["status"], 7);
    assert_eq!(error["error"]["code"], "KEY_DAMAGED");
    fs::copy(whole.join("key"), officer.home().join("key")).unwrap();
    officer.ok(&["sync"]);
    office.end(&[&officer]);
}

#[test]
fn a_sync_that_brings_a_return_or_a_hold_needs_a_person() {
    let (mut office, _, _, officer) = story();
    let head = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    let id = officer.add(ROW, "5", "2024-01-03");
    officer.ok(&["sync"]);
    head.ok(&["sync"]);
    head.ok(&["entry", "return", &id, "--reason", "which market?"]);
    let sync = officer.ends(&["sync"], 3);
    assert_eq!(sync["returned"], serde_json::json!([{ "entry_id": id }]));
    // It is known now.
    assert_eq!(count(&officer.ok(&["sync"])["returned"]), 0);
    // The officer's other device brings what is held.
    let tablet = office.enroll("petugas-1", "officer", Some(UNIT));
    let held = tablet.add(ROW, "9", "2024-02-20");
    assert_eq!(tablet.ends(&["sync"], 3)["held"][0]["entry_id"], held);
    let sync = officer.ends(&["sync"], 3);
    assert_eq!((&sync["newly_held"][0]["entry_id"], count(&sync["held"])), (&Value::from(held), 0));
    officer.ok(&["sync"]);
    office.end(&[&officer, &tablet]);
}

#[test]
fn a_declined_enrolment_leaves_nothing_behind() {
    let (office, _, _, officer) = story();
    let ran =
        office.renaksid(&["invite", "--json", "--user", "petugas-9", "--role", "officer", "--unit", UNIT]);
    let invite = ran.json()["invite"].as_str().unwrap().to_owned();
    let first = office.copy(&officer, "first");
    fs::remove_dir_all(first.home()).unwrap();
    first.ok(&["enroll", &invite]);
    let second = office.copy(&officer, "second");
    fs::remove_dir_all(second.home()).unwrap();
    let error = second.ends(&["enroll", &invite], 4);
    assert_eq!(error["error"]["code"], "INVITE_USED");
    assert!(!second.home().exists());
    office.end(&[&officer]);
}

#[test]
fn r7_a_device_with_unsent_work_is_reset_only_with_its_work_in_a_file() {
    let (mut office, administrator, _) =
        Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let other = office.enroll("petugas-2", "officer", Some(UNIT));
    (0..3).for_each(|_| drop(officer.add("1.1.1.1", "5", "2024-01-08")));
    let refused = officer.ends(&["reset"], 4);
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["details"]["unsent"]),
        (&"UNSENT_WORK".into(), &"3".into())
    );
    assert_eq!(officer.ok(&["status"])["pending"], 3);
    let file = office.path("kerja.renaksi");
    let path = file.display().to_string();
    let reset = officer.ok(&["reset", "--export", &path]);
    assert_eq!((&reset["reset"], &reset["exported"]), (&true.into(), &3.into()));
    assert!(!officer.home().exists());
    assert_eq!(officer.ends(&["status"], 2)["error"]["code"], "NOT_ENROLLED");
    // Another officer brings it; it counts as the first one's.
    let brought = other.ok(&["outbox", "import", &path]);
    assert_eq!((&brought["pushed"], &brought["recorded"]), (&3.into(), &3.into()));
    let again = other.ok(&["outbox", "import", &path]);
    assert_eq!((&again["pushed"], &again["duplicate"]), (&3.into(), &3.into()));
    assert_eq!(other.row("1.1.1.1", &[])["realised"][0], "15");
    administrator.ok(&["sync"]);
    let log = administrator.run(&["audit", "log", "--actor", "petugas-1"]);
    assert!(log.stdout.contains("\"carrier\":\"petugas-2\""), "{}", log.stdout);
    // What is no such file, or is changed, is not taken.
    let wrong = office.path("lain");
    std::fs::write(&wrong, b"renaksi outbox 1\n\xff").unwrap();
    assert_eq!(
        other.ends(&["outbox", "import", &wrong.display().to_string()], 4)["error"]["code"],
        "NOT_AN_OUTBOX"
    );
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    std::fs::write(&wrong, bytes).unwrap();
    assert_ne!(other.run(&["outbox", "import", &wrong.display().to_string()]).code, 0);
    assert_eq!(other.ends(&["outbox", "export", &path], 4)["error"]["code"], "FILE_EXISTS");
    other.ok(&["reset"]);
    office.end(&[&administrator]);
}
