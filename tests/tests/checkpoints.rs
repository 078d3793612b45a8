//! FAULTS L6, and what a device holds a server to: it never takes back what it once signed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, copy_folder, count};
use serde_json::Value;

const ROW: &str = "1.1.1.1";

fn story() -> (Office, Device) {
    let (mut office, _, _) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    (office, officer)
}

fn record(officer: &Device, quantity: &str) -> Value {
    officer.add(ROW, quantity, "2024-01-03");
    officer.ok(&["sync"])
}

fn checkpoint(device: &Device) -> String {
    fs::read_to_string(device.home().join("checkpoint")).unwrap()
}

fn size(note: &str) -> u64 {
    note.lines().nth(1).unwrap().parse().unwrap()
}

fn identity(device: &Device) -> Value {
    serde_json::from_str(&fs::read_to_string(device.home().join("identity.json")).unwrap()).unwrap()
}

/// Puts an earlier log in place of the server's, and leaves what lies beside the segments as it is.
fn restore_segments(office: &Office, from: &Path) {
    let log = office.path("data/office/log");
    let kept = fs::read(log.join("checkpoint")).unwrap();
    fs::remove_dir_all(&log).unwrap();
    copy_folder(from, &log);
    fs::write(log.join("checkpoint"), kept).unwrap();
}

#[test]
fn every_sync_leaves_the_newest_checkpoint_beside_the_replica() {
    let (office, officer) = story();
    let enrolled = checkpoint(&officer);
    let position = count(&record(&officer, "2")["position"]);
    let note = checkpoint(&officer);
    assert!(size(&note) == position && size(&enrolled) < position, "{enrolled}{note}");
    let office_id = identity(&officer)["office"].as_str().unwrap().to_owned();
    assert!(note.starts_with(&format!("renaksi/{office_id}/1\n")), "{note}");
    // Nothing new: the same bytes again.
    officer.ok(&["sync"]);
    assert_eq!(checkpoint(&officer), note);
    let verified = officer.ok(&["audit", "verify"]);
    assert_eq!(
        (&verified["checkpoint"]["size"], &verified["checkpoint"]["note"]),
        (&position.into(), &note.into())
    );
    assert_eq!(verified["checkpoint"]["root"], verified["root"]);
    office.end(&[&officer]);
}

#[test]
fn a_device_that_was_enrolled_before_there_were_keys_takes_the_key_and_keeps_it() {
    let (office, officer) = story();
    let mut identity = identity(&officer);
    let key = identity.as_object_mut().unwrap().remove("log_key").unwrap();
    fs::write(officer.home().join("identity.json"), identity.to_string()).unwrap();
    fs::remove_file(officer.home().join("checkpoint")).unwrap();
    assert_eq!(officer.ok(&["audit", "replay"])["events"], officer.ok(&["sync"])["position"]);
    assert_eq!(self::identity(&officer)["log_key"], key);
    assert!(size(&checkpoint(&officer)) > 0);
    office.end(&[&officer]);
}

/// FAULTS L6.
#[test]
fn l6_a_log_shorter_than_what_was_signed_is_neither_signed_nor_written_until_somebody_decides() {
    let (mut office, officer) = story();
    office.stop();
    copy_folder(&office.path("data/office/log"), &office.path("backup"));
    office.start();
    record(&officer, "2");
    let signed = size(&checkpoint(&officer));
    office.stop();
    restore_segments(&office, &office.path("backup"));
    let note = fs::read_to_string(office.path("data/office/log/checkpoint")).unwrap();
    for runs in [false, true] {
        if runs {
            office.start();
        }
        let check = office.renaksid(&["check", "--json"]);
        let error = check.json()["error"].clone();
        assert_eq!((check.code, &error["code"]), (7, &"LOG_BEHIND".into()), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("a checkpoint was signed at position {signed} of epoch 1")),
            "{message}"
        );
        assert!(error["hint"].as_str().unwrap().contains("epoch new"), "{error}");
        // Nor does anything else write there.
        let invite = office.renaksid(&["invite", "--user", "kadis-2", "--role", "auditor", "--json"]);
        assert_eq!((invite.code, &invite.json()["error"]["code"]), (7, &"LOG_BEHIND".into()));
        assert_eq!(fs::read_to_string(office.path("data/office/log/checkpoint")).unwrap(), note);
    }
    officer.add(ROW, "1", "2024-01-03");
    assert_eq!(officer.ends(&["sync"], 7)["error"]["code"], "LOG_BEHIND");
    assert_eq!(office.renaksid(&["epoch", "new", "--reason", "cadangan lama", "--json"]).code, 0);
    // Both: what was lost, and what waited.
    assert_eq!(officer.ok(&["sync"])["recorded"], 2);
    office.end(&[&officer]);
}

#[test]
fn what_the_disk_lost_is_not_signed_and_the_office_takes_no_more() {
    let (mut office, officer) = story();
    let invite = |name| office.renaksid(&["invite", "--user", name, "--role", "auditor", "--json"]);
    let signed = fs::read_to_string(office.path("data/office/log/checkpoint")).unwrap();
    // Records that nobody has pulled yet, and then a byte of the last one.
    assert_eq!(invite("auditor-1").code, 0);
    let segment = office.path("data/office/log/segment-00000000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    // Behind it may be space that the writer has reserved.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = officer.ends(&["sync"], 7)["error"].clone();
    assert_eq!(error["code"], "LOG_DAMAGED", "{error}");
    let invite = invite("auditor-2");
    assert_eq!((invite.code, &invite.json()["error"]["code"]), (7, &"LOG_DAMAGED".into()), "{invite:?}");
    assert_eq!(fs::read_to_string(office.path("data/office/log/checkpoint")).unwrap(), signed);
    office.kill();
}

#[test]
fn an_audit_holds_the_copy_to_its_checkpoint() {
    let (mut office, officer) = story();
    let earlier = office.copy(&officer, "earlier");
    record(&officer, "2");
    let (signed, last) = (size(&checkpoint(&officer)), count(&earlier.ok(&["audit", "replay"])["position"]));
    office.stop();
    // The copy of before beside the checkpoint of now.
    fs::remove_dir_all(officer.home().join("replica")).unwrap();
    copy_folder(&earlier.home().join("replica"), &officer.home().join("replica"));
    let report = officer.ends(&["audit", "verify"], 7);
    assert_eq!(report["first_bad"]["code"], "RECORDS_MISSING", "{report}");
    assert_eq!(
        (&report["first_bad"]["position"], &report["checkpoint"]["size"]),
        (&(last + 1).into(), &signed.into())
    );
    // A server that can be reached brings the rest.
    office.start();
    assert_eq!(officer.ok(&["audit", "verify"])["size"], signed);
    // A checkpoint that was damaged is set aside, and comes again.
    fs::write(officer.home().join("checkpoint"), "else").unwrap();
    officer.ok(&["sync"]);
    assert_eq!(size(&checkpoint(&officer)), signed);
    assert!(officer.home().join("checkpoint-set-aside-1").exists());
    office.end(&[&officer]);
}

#[test]
fn a_server_that_signs_another_history_is_not_believed() {
    let (mut office, officer) = story();
    let other = office.enroll("petugas-2", "officer", Some(UNIT));
    officer.ok(&["sync"]);
    office.stop();
    copy_folder(&office.path("data"), &office.path("backup"));
    office.start();
    record(&officer, "2");
    let held = checkpoint(&officer);
    // The whole folder of before, key and checkpoint too, goes on with other work.
    office.stop();
    fs::remove_dir_all(office.path("data")).unwrap();
    copy_folder(&office.path("backup"), &office.path("data"));
    office.start();
    (0..3).for_each(|_| drop(record(&other, "5")));
    assert!(size(&checkpoint(&other)) > size(&held));
    // Also when the device has lost its copy, so that only the checkpoint knows better.
    fs::remove_dir_all(officer.home().join("replica")).unwrap();
    let error = officer.ends(&["sync"], 7)["error"].clone();
    assert_eq!(error["code"], "LOG_BEHIND", "{error}");
    assert_eq!(error["details"]["seen"], size(&held).to_string(), "{error}");
    assert_eq!(checkpoint(&officer), held);
    // And from then on the server knows it too.
    other.add(ROW, "1", "2024-01-03");
    assert_eq!(other.ends(&["sync"], 7)["error"]["code"], "LOG_BEHIND");
}

#[test]
fn a_log_signed_with_another_key_gives_nothing() {
    let (mut office, officer) = story();
    let colleague = office.enroll("petugas-2", "officer", Some(UNIT));
    record(&colleague, "3");
    let (held, position) = (checkpoint(&officer), officer.ok(&["audit", "replay"])["position"].clone());
    office.stop();
    fs::write(office.path("data/office/log.key"), [7; 32]).unwrap();
    // The checkpoint that was signed with the right key does not fit the new one.
    let ran = office.renaksid(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["code"]), (7, &"FILE_DAMAGED".into()));
    fs::remove_file(office.path("data/office/log/checkpoint")).unwrap();
    office.start();
    let error = officer.ends(&["sync"], 7)["error"].clone();
    assert_eq!(error["code"], "CHECKPOINT_INVALID", "{error}");
    assert_eq!(checkpoint(&officer), held);
    assert_eq!(officer.ok(&["audit", "replay"])["position"], position);
}
