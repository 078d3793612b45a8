//! FAULTS: time and quarters, revisions, with the real programs.
#![allow(clippy::unwrap_used)]

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, adds_up, count};

const ROW: &str = "1.1.1.1";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
}

fn story() -> Story {
    let plan = small(&[("UTTP", ["70", "585", "120", "170"])]);
    let (mut office, administrator, head) = Office::established(&plan);
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    Story { office, administrator, head, officer }
}

fn draft(administrator: &Device, number: &str, target: &str) {
    let basis =
        ["--basis", "Keputusan Kepala Dinas", "--basis-number", "27/2024", "--basis-date", "2024-07-01"];
    let draft = ["revision", "draft", "--number", number, "--reason", "more markets", "--effective", "3"];
    administrator.ok(&[draft.as_slice(), &basis].concat());
    administrator.ok(&["revision", "add", number, ROW, "--target", target]);
    administrator.ok(&["revision", "submit", number]);
}

#[test]
fn t1_the_quarter_follows_the_office_on_every_machine() {
    let Story { office, officer, .. } = story();
    // 1 April 00:30 in Jakarta.
    office.set_clock("2024-03-31T17:30:00Z");
    for zone in ["UTC", "Asia/Jayapura", "America/Lima"] {
        let ran =
            officer.command(&["entry", "add", ROW, "--quantity", "1"]).env("TZ", zone).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
    officer.ok(&["sync"]);
    let row = officer.row(ROW, &["--quarter", "2"]);
    assert_eq!((&row["realised"][0], &row["realised"][1]), (&serde_json::Value::Null, &"3".into()));
    office.end(&[&officer]);
}

#[test]
fn t6_a_lock_between_recording_and_sync_holds_exactly_what_belongs_to_it() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-04-08T03:00:00Z");
    (0..10).for_each(|_| drop(officer.add(ROW, "1", "2024-03-20")));
    (0..5).for_each(|_| drop(officer.add(ROW, "1", "2024-04-03")));
    office.set_clock("2024-04-10T03:00:00Z");
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["held"]), count(&sync["recorded"])), (10, 5));
    for held in sync["held"].as_array().unwrap() {
        assert_eq!(held["code"], "QUARTER_LOCKED");
        assert!(held["message"].as_str().unwrap().contains(ROW), "{held}");
    }
    let row = officer.row(ROW, &["--quarter", "2"]);
    assert_eq!((&row["realised"][0], &row["realised"][1]), (&serde_json::Value::Null, &"5".into()));
    // Into the locked quarter there is no way back; carried over there is.
    administrator.ok(&["sync"]);
    let id = sync["held"][0]["entry_id"].as_str().unwrap();
    let error = administrator.ends(&["held", "release", id, "--reason", "found late"], 4);
    assert_eq!(error["error"]["code"], "QUARTER_LOCKED");
    administrator.ok(&["held", "release", id, "--count-in", "2", "--reason", "found late"]);
    officer.ok(&["sync"]);
    assert_eq!(officer.row(ROW, &["--quarter", "2"])["realised"][1], "6");
    office.end(&[&officer, &administrator]);
}

#[test]
fn v1_a_revision_changes_the_year_and_not_what_was_believed_before() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    draft(&administrator, "01/2024", "3=200");
    office.set_clock("2024-07-10T03:00:00Z");
    head.ok(&["revision", "approve", "01/2024"]);
    officer.ok(&["sync"]);
    let now = officer.row(ROW, &["--quarter", "4"]);
    assert_eq!(now["year"]["target"], "1025");
    assert_eq!(now["year"]["target_original"], "945");
    assert_eq!(now["targets"], serde_json::json!(["70", "585", "200", "170"]));
    assert_eq!(now["targets_original"], serde_json::json!(["70", "585", "120", "170"]));
    let then = officer.row(ROW, &["--quarter", "4", "--as-of", "2024-07-05"]);
    assert_eq!(then["year"]["target"], "945");
    assert_eq!(then["targets"][2], "120");
    let story = officer.ok(&["indicator", "show", ROW]).to_string();
    assert!(story.contains("01/2024") && story.contains("27/2024"), "number and basis: {story}");
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn v2_of_two_revisions_of_one_target_the_second_is_refused() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    draft(&administrator, "01/2024", "3=200");
    draft(&administrator, "02/2024", "3=150");
    head.ok(&["revision", "approve", "01/2024"]);
    let error = head.ends(&["revision", "approve", "02/2024"], 4);
    assert_eq!(error["error"]["code"], "BASE_MOVED");
    assert_eq!(error["error"]["details"]["other"], "01/2024");
    assert!(error["error"]["message"].as_str().unwrap().contains("01/2024"), "{error}");
    assert_eq!(head.row(ROW, &[])["targets"][2], "200");
    // The attempt is in the audit trail.
    let log = head.run(&["audit", "log"]).stdout;
    assert!(log.contains("BASE_MOVED"), "{log}");
    office.end(&[&officer, &head]);
}

#[test]
fn nobody_approves_or_verifies_their_own() {
    let Story { mut office, administrator, head, officer } = story();
    let unit_head = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    office.set_clock("2024-02-01T03:00:00Z");
    officer.add(ROW, "5", "2024-01-20");
    unit_head.add(ROW, "6", "2024-01-20");
    officer.ok(&["sync"]);
    unit_head.ok(&["sync"]);
    let listed = unit_head.ok(&["entry", "list"]);
    let entries = listed["entries"].as_array().unwrap();
    let id = |quantity: &str| {
        entries.iter().find(|e| e["quantity"] == quantity).unwrap()["entry_id"].as_str().unwrap().to_owned()
    };
    let error = unit_head.ends(&["entry", "verify", &id("6")], 6);
    assert_eq!(error["error"]["code"], "SELF_VERIFICATION");
    unit_head.ok(&["entry", "verify", &id("5")]);
    let error = officer.ends(&["entry", "verify", &id("6")], 6);
    assert_eq!(error["error"]["code"], "ROLE_MAY_NOT");
    head.ok(&["sync"]);
    head.ok(&["entry", "verify", &id("6")]);
    let error = administrator.ends(&["quarter", "approve-lock", "1"], 6);
    assert_eq!(error["error"]["code"], "ROLE_MAY_NOT");
    let row = head.row(ROW, &["--quarter", "1"]);
    assert_eq!((&row["realised"][0], &row["realised_verified"][0]), (&"11".into(), &"11".into()));
    office.end(&[&head, &officer]);
}
