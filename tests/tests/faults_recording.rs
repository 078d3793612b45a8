//! FAULTS: recording and figures, with the real programs.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::time::Duration;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Office, adds_up, count};

const ROW: &str = "1.1.1.1";

fn office(rows: &[(&str, [&str; 4])]) -> (Office, renaksi_tests::Device) {
    let (mut office, _, _) = Office::established(&small(rows));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    (office, officer)
}

fn uttp() -> Vec<(&'static str, [&'static str; 4])> {
    vec![("UTTP", ["70", "585", "120", "170"])]
}

#[test]
fn r1_the_same_entry_sent_ten_times_at_once_is_one_record() {
    let (office, officer) = office(&uttp());
    officer.add(ROW, "12", "2024-01-03");
    let copies: Vec<_> = (0..10).map(|n| office.copy(&officer, &format!("copy-{n}"))).collect();
    let running: Vec<_> = copies
        .iter()
        .map(|copy| copy.command(&["sync"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let (mut recorded, mut duplicate) = (0, 0);
    for sync in running {
        let output = sync.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        adds_up(&report);
        recorded += count(&report["recorded"]);
        duplicate += count(&report["duplicate"]);
    }
    assert_eq!((recorded, duplicate), (1, 9));
    officer.ok(&["sync"]);
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "12");
    let adds = |device: &renaksi_tests::Device| {
        let ran = device.run(&["audit", "log", "--indicator", ROW]);
        ran.stdout.lines().filter(|line| line.contains("entry.added")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(adds(&officer).len(), 1);
    // The receipt is the record itself: every copy holds the same one.
    copies.iter().for_each(|copy| assert_eq!(adds(copy), adds(&officer)));
    office.end(&[&officer]);
}

#[test]
fn r3_commands_keep_their_devices_order_whatever_the_retries() {
    let (mut office, officer) = office(&uttp());
    let first = officer.add(ROW, "5", "2024-01-03");
    let only_first = office.copy(&officer, "only-first");
    officer.ok(&["entry", "amend", &first, "--quantity", "7", "--reason", "miscounted"]);
    officer.add(ROW, "2", "2024-01-04");
    // The last state of the device arrives first, then an older copy of it: nothing goes back.
    office.kill();
    assert_eq!(officer.run(&["sync"]).code, 5);
    office.start();
    adds_up(&officer.ok(&["sync"]));
    // The copy is told that it is one.
    let again = only_first.ends(&["sync"], 3);
    assert_eq!(again["troubles"][0]["code"], "FEED_BEHIND");
    assert_eq!((count(&again["duplicate"]), count(&again["recorded"])), (1, 0));
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "9");
    office.end(&[&officer, &only_first]);
}

#[test]
fn r5_two_officers_never_conflict() {
    let (mut office, a) = office(&uttp());
    let b = office.enroll("petugas-2", "officer", Some(UNIT));
    a.add(ROW, "40", "2024-01-03");
    b.add(ROW, "45", "2024-01-03");
    a.ok(&["sync"]);
    adds_up(&b.ok(&["sync"]));
    a.ok(&["sync"]);
    assert_eq!(a.row(ROW, &["--quarter", "1"])["realised"][0], "85");
    office.end(&[&a, &b]);
}

#[test]
fn r6_an_entry_add_that_is_killed_is_whole_or_absent() {
    let (office, officer) = office(&uttp());
    let mut promised = 0;
    for round in 0..40 {
        let mut add = officer
            .command(&["entry", "add", ROW, "--quantity", "1", "--on", "2024-01-03"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(400 * round));
        let _ = add.kill();
        let output = add.wait_with_output().unwrap();
        promised += usize::from(String::from_utf8_lossy(&output.stdout).contains("entry_id"));
    }
    let listed = officer.ok(&["entry", "list"]);
    let entries = listed["entries"].as_array().unwrap();
    assert!(entries.len() >= promised, "{promised} promised, {} there", entries.len());
    assert!(entries.iter().all(|entry| entry["quantity"] == "1" && entry["state"] == "pending"), "{listed}");
    let sync = officer.ok(&["sync"]);
    adds_up(&sync);
    assert_eq!(count(&sync["recorded"]) as usize, entries.len());
    office.end(&[&officer]);
}

#[test]
fn r8_not_planned_missing_and_zero_each_have_their_own_reason() {
    let targets = ["15", "-", "", "0"];
    let (office, officer) = office(&[("laporan", targets), ("dokumen", targets)]);
    for day in ["2024-02-01", "2024-05-02", "2024-08-01", "2024-11-01"] {
        office.set_clock(&format!("{day}T03:00:00Z"));
        officer.add(ROW, "0", day);
    }
    officer.ok(&["sync"]);
    let row = officer.row(ROW, &["--quarter", "4"]);
    assert_eq!(row["targets"], serde_json::json!(["15", "not planned", "missing", "0"]));
    assert_eq!(row["realised"], serde_json::json!(["0", "0", "0", "0"]));
    assert_eq!(row["achievement_reported"][0], "0.00");
    // Nothing is verified yet, so the official figure of TW 1 says that.
    let reasons = serde_json::json!(["NOT_VERIFIED", "TARGET_NOT_PLANNED", "TARGET_MISSING", "TARGET_ZERO"]);
    assert_eq!(row["reason"], reasons);
    let silent = officer.row("1.1.1.2", &["--quarter", "4"]);
    assert_eq!(silent["realised"], serde_json::json!([null, null, null, null]));
    assert_eq!(silent["achievement_reported"][0], serde_json::Value::Null);
    office.end(&[&officer]);
}

#[test]
fn r10_numbers_as_people_write_them() {
    let (office, officer) = office(&[("%", ["7,8", "54.54", "1.234,5", "88,00"])]);
    let row = officer.row(ROW, &[]);
    assert_eq!(row["targets"], serde_json::json!(["7.8", "54.54", "1234.5", "88.00"]));
    let error = officer.ends(&["entry", "add", ROW, "--quantity", "1.234", "--on", "2024-01-03"], 2);
    assert_eq!(error["error"]["code"], "AMBIGUOUS_NUMBER");
    assert!(error["error"]["hint"].as_str().unwrap().contains("1234"), "{error}");
    let error = officer.ends(&["entry", "add", ROW, "--quantity", "abc", "--on", "2024-01-03"], 2);
    assert_eq!(error["error"]["code"], "NOT_A_NUMBER");
    for (written, shown) in [("0,9", "0.9"), ("-2,24", "-2.24"), ("100 %", "100"), ("88,00", "88.00")] {
        officer.ok(&["entry", "add", ROW, "--quantity", written, "--on", "2024-01-03"]);
        officer.ok(&["sync"]);
        assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], shown, "{written}");
    }
    assert_eq!(officer.ok(&["status"])["pending"], 0);
    office.end(&[&officer]);
}

#[test]
fn bad_entries_name_cause_and_mend_and_change_nothing() {
    let (office, officer) = office(&[("UTTP", ["70", "585", "120", "170"]), ("orang", ["1", "2", "3", "4"])]);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["entry", "add", "9.9.9.9", "--quantity", "1"], 2, "UNKNOWN_INDICATOR"),
        (&["entry", "add", "hasil uji", "--quantity", "1"], 2, "AMBIGUOUS_INDICATOR"),
        (&["entry", "add", ROW, "--quantity", "-3", "--on", "2024-01-03"], 4, "NEGATIVE_COUNT"),
        (&["entry", "add", ROW, "--quantity", "3", "--on", "2023-01-03"], 4, "WRONG_YEAR"),
        (&["entry", "add", ROW, "--quantity", "3", "--on", "2024-02-30"], 2, "BAD_DATE"),
    ];
    for (arguments, code, name) in cases {
        let error = officer.ends(arguments, *code);
        assert_eq!(error["error"]["code"], *name, "{arguments:?}");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
        assert!(!error["error"]["hint"].as_str().unwrap().is_empty(), "{error}");
    }
    assert_eq!(count(&officer.ok(&["entry", "list"])["entries"]), 0);
    office.end(&[&officer]);
}
