//! FAULTS: quarters that reopen, what a lock froze, the office's settings, narratives; with the real programs.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office};
use serde_json::{Value, json};

const ROW: &str = "1.1.1.1";
const GROWING: &str = "1.1.1.2";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
    kabid: Device,
}

/// A plan with a sum and a running total, established.
fn story() -> Story {
    let plan = small(&[("UTTP", ["70", "585", "120", "170"]), ("koperasi", ["39", "78", "117", "156"])]);
    let (mut office, administrator, head) = Office::established(&plan);
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let kabid = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    Story { office, administrator, head, officer, kabid }
}

fn lock(story: &Story, quarter: &str) -> Value {
    let asked = story.administrator.ok(&["quarter", "lock", quarter]);
    story.head.ok(&["quarter", "approve-lock", quarter]);
    asked
}

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {error}"))
}

fn quarter(device: &Device, number: usize) -> Value {
    device.ok(&["sync"]);
    device.ok(&["quarter", "status"])["quarters"][number - 1].clone()
}

/// Synchronises until the server has locked a quarter by itself.
fn wait_for_lock(device: &Device, number: usize) -> Value {
    let began = Instant::now();
    loop {
        let status = quarter(device, number);
        if status["state"] == "locked" || began.elapsed() > Duration::from_secs(20) {
            return status;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn t7_who_asks_to_reopen_does_not_grant_it() {
    let story = story();
    story.office.set_clock("2024-04-10T03:00:00Z");
    lock(&story, "1");
    let ask = ["quarter", "request-reopen", "1", "--until", "2024-04-20 17:00", "--reason", "bukti menyusul"];
    let asked = story.administrator.ok(&ask);
    assert_eq!(
        (&asked["state"], &asked["until"]),
        (&json!("reopen requested"), &json!("2024-04-20T10:00:00Z"))
    );
    assert_eq!(code(&story.administrator.ends(&["quarter", "grant-reopen", "1"], 6)), "SELF_APPROVAL");
    assert_eq!(code(&story.officer.ends(&["quarter", "grant-reopen", "1"], 6)), "ROLE_MAY_NOT");
    // Both attempts are in the audit trail.
    let log = story.administrator.run(&["audit", "log", "--actor", "perencana-1"]);
    let events: Vec<Value> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = events.iter().find(|event| event["code"] == "SELF_APPROVAL");
    assert!(refused.is_some(), "{events:?}");
    story.administrator.ok(&["quarter", "decline-reopen", "1", "--reason", "tidak perlu"]);
    assert_eq!(quarter(&story.administrator, 1)["state"], "locked");
    for (language, asked, refused, declined) in [
        ("en", "reopening of TW 1 2024 until 2024-04-20 17:00 asked for", "refused:", "2024 declined"),
        ("id", "pembukaan kembali TW 1 2024 sampai 2024-04-20 17:00 diajukan", "ditolak:", "2024 ditolak"),
    ] {
        let log = story.administrator.says(language, &["audit", "log"]).stdout;
        assert!([asked, refused, declined].iter().all(|said| log.contains(said)), "{log}");
    }
    // A training office says what it is once a run.
    let ask = ["quarter", "request-reopen", "1", "--until", "2024-04-20", "--reason", "koreksi"];
    let said = story.kabid.says("en", &ask);
    assert_eq!((said.code, said.stderr.lines().count()), (0, 1), "{said:?}");
    story.administrator.ok(&["quarter", "decline-reopen", "1", "--reason", "tidak perlu"]);
    // Without a reason or with a time gone by nothing is asked.
    let past = ["quarter", "request-reopen", "1", "--until", "2024-04-01", "--reason", "x"];
    assert_eq!(code(&story.kabid.ends(&past, 4)), "REOPEN_PAST");
    story.office.end(&[&story.administrator]);
}

#[test]
fn a_reopened_quarter_takes_entries_until_its_time_and_locks_by_itself() {
    let mut story = story();
    story.office.set_clock("2024-03-20T03:00:00Z");
    for code in [ROW, GROWING] {
        story.officer.add(code, "39", "2024-03-20");
    }
    story.officer.ok(&["sync"]);
    story.office.set_clock("2024-04-10T03:00:00Z");
    lock(&story, "1");
    story.office.set_clock("2024-05-20T03:00:00Z");
    story.officer.add(GROWING, "39", "2024-05-20");
    story.officer.ok(&["sync"]);
    story.office.set_clock("2024-07-10T03:00:00Z");
    lock(&story, "2");
    let ask = ["quarter", "request-reopen", "1", "--until", "2024-07-12 17:00", "--reason", "bukti menyusul"];
    story.kabid.ok(&ask);
    story.administrator.ok(&["sync"]);
    let asked = quarter(&story.administrator, 1);
    assert_eq!(
        (&asked["state"], &asked["requested_by"], &asked["until"]),
        (&json!("reopen requested"), &json!("kabid-1"), &json!("2024-07-12T10:00:00Z"))
    );
    for (language, state) in
        [("en", "reopening requested → 2024-07-12"), ("id", "pembukaan diajukan → 2024-07-12")]
    {
        let shown = story.administrator.says(language, &["quarter", "status", "--quarter", "1"]).stdout;
        // The table wraps at blanks.
        let words = state.split(' ');
        assert!(words.into_iter().all(|word| shown.contains(word)), "{shown}");
    }
    let needs = story.administrator.ok(&["status"])["needs"].clone();
    assert!(needs.as_array().unwrap().iter().any(|need| need["code"] == "grant_reopen"), "{needs}");
    story.administrator.ok(&["quarter", "grant-reopen", "1"]);
    story.officer.ok(&["sync"]);
    for code in [ROW, GROWING] {
        story.officer.add(code, "5", "2024-03-28");
    }
    story.officer.ok(&["sync"]);
    // One more is recorded in time and brought too late.
    story.officer.add(ROW, "7", "2024-03-28");
    // The server is down when the time comes; it locks before it takes anything else.
    story.office.stop();
    story.office.set_clock("2024-07-12T10:00:00Z");
    story.office.start();
    let sync = story.officer.ends(&["sync"], 3);
    assert_eq!(sync["held"][0]["code"], "QUARTER_LOCKED");
    assert_eq!(quarter(&story.officer, 1)["state"], "locked");
    // The first quarter has what came meanwhile; the second is as its lock froze it, and the difference is shown.
    let row = story.officer.row(GROWING, &["--quarter", "2"]);
    assert_eq!(row["realised"], json!(["44", "78", null, null]));
    assert_eq!(row["to_date"]["realised"], "78");
    // The running total, and the year to date of the sum.
    assert_eq!(quarter(&story.officer, 2)["differing"], 2);
    let shown = story.officer.ok(&["indicator", "show", GROWING, "--quarter", "2"]);
    let current: Vec<_> =
        shown["current"].as_array().unwrap().iter().map(|now| (&now["period"], &now["realised"])).collect();
    assert_eq!(current, [(&json!("quarter"), &json!("83")), (&json!("to_date"), &json!("83"))]);
    assert_eq!(row["current"], shown["current"], "a row of the plan says it too");
    for (language, now) in [("en", "by its entries it would now be 83"), ("id", "menurut entrinya kini 83")] {
        let shown = story.officer.says(language, &["indicator", "show", GROWING, "--quarter", "2"]);
        assert!(shown.stdout.contains("78") && shown.stdout.contains(now), "{shown:?}");
        let plan = story.officer.says(language, &["plan", "show", "--quarter", "2"]);
        assert!(plan.stderr.contains("TW 2") && plan.stderr.contains("2 indi"), "{plan:?}");
    }
    let sum = story.officer.row(ROW, &["--quarter", "2"]);
    assert_eq!((&sum["realised"][0], &sum["year"]["realised"]), (&json!("44"), &json!("44")));
    story.office.end(&[&story.officer, &story.administrator]);
}

#[test]
fn without_the_server_nothing_of_it_is_queued() {
    let mut story = story();
    story.office.stop();
    for arguments in [
        &["quarter", "request-reopen", "1", "--until", "2024-04-20", "--reason", "x"][..],
        &["quarter", "grant-reopen", "1"],
        &["quarter", "decline-reopen", "1", "--reason", "x"],
        &["config", "set", "--due-days", "7"],
        &["narrative", "set", ROW, "--quarter", "1", "--driver", "x"],
    ] {
        story.administrator.ends(arguments, 5);
    }
    assert_eq!(story.administrator.ok(&["status"])["pending"], 0);
    story.office.start();
    assert_eq!(story.administrator.ok(&["sync"])["pushed"], 0);
    story.office.end(&[&story.administrator]);
}

#[test]
fn a_quarter_locks_by_itself_also_when_nobody_calls() {
    let story = story();
    story.office.set_clock("2024-04-10T03:00:00Z");
    lock(&story, "1");
    let first = quarter(&story.administrator, 1)["locked_position"].as_u64().unwrap();
    story.kabid.ok(&["quarter", "request-reopen", "1", "--until", "2024-04-11", "--reason", "koreksi"]);
    story.administrator.ok(&["quarter", "grant-reopen", "1"]);
    assert_eq!(quarter(&story.administrator, 1)["until"], "2024-04-11T16:59:59.999999Z");
    story.office.set_clock("2024-04-11T17:00:00Z");
    let status = wait_for_lock(&story.administrator, 1);
    assert_eq!(status["state"], "locked");
    assert!(status["locked_position"].as_u64().unwrap() > first);
    let log = story.administrator.run(&["audit", "log", "--from", &(first + 1).to_string()]);
    assert!(log.stdout.contains("quarter.relocked"), "{}", log.stdout);
    for (language, said) in [("en", "locked by itself"), ("id", "terkunci sendiri")] {
        let log = story.administrator.says(language, &["audit", "log"]).stdout;
        assert!(log.contains(&format!("TW 1 2024 {said}")), "{log}");
    }
    story.office.end(&[&story.administrator]);
}

#[test]
fn r12_the_report_of_a_locked_quarter_is_the_same_bytes_whatever_changes_later() {
    let story = story();
    story.office.set_clock("2024-03-20T03:00:00Z");
    let entry = story.officer.add(ROW, "70", "2024-03-20");
    story.officer.ok(&["sync"]);
    story.kabid.ok(&["entry", "verify", &entry]);
    story.kabid.ok(&[
        "narrative",
        "set",
        ROW,
        "--quarter",
        "1",
        "--driver",
        "Dukungan pasar",
        "--obstacle",
        "Hujan",
    ]);
    story.office.set_clock("2024-04-10T03:00:00Z");
    lock(&story, "1");
    let report = |format: &str| {
        story.head.ok(&["sync"]);
        let file = story.office.path("report");
        story.head.ok(&["report", "--quarter", "1", "--format", format, "-o", &file.display().to_string()]);
        std::fs::read_to_string(file).unwrap()
    };
    let printed = [report("csv"), report("json")];
    assert!(printed[0].contains("Dukungan pasar") && printed[0].contains("Hujan"), "{}", printed[0]);
    assert!(printed[1].contains("Sangat Tinggi"));
    let basis = ["--basis", "Keputusan", "--basis-number", "27/2024", "--basis-date", "2024-04-09"];
    let draft = ["revision", "draft", "--number", "R1", "--reason", "penajaman", "--effective", "2"];
    story.administrator.ok(&[draft.as_slice(), &basis].concat());
    let changes =
        ["--target", "2=600", "--polarity", "lower", "--formula", "inverse", "--rename", "Nama lain"];
    story.administrator.ok(&[&["revision", "add", "R1", ROW], changes.as_slice()].concat());
    story.administrator.ok(&["revision", "submit", "R1"]);
    story.head.ok(&["revision", "approve", "R1"]);
    story.administrator.ok(&["config", "set", "--band", "Kurang=..100", "--band", "Lebih=100.."]);
    story.kabid.ok(&["narrative", "set", ROW, "--quarter", "2", "--driver", "Lain"]);
    let closed = ["narrative", "set", ROW, "--quarter", "1", "--driver", "Lain"];
    assert_eq!(code(&story.kabid.ends(&closed, 4)), "QUARTER_LOCKED");
    assert_eq!([report("csv"), report("json")], printed);
    // The new formula holds from its quarter on.
    let row = story.head.row(ROW, &["--quarter", "2"]);
    assert_eq!((&row["polarity"], &row["rating"][0]), (&json!("lower"), &json!("Sangat Tinggi")));
    story.office.end(&[&story.head]);
}

#[test]
fn bands_come_from_the_office_without_gap_or_overlap_and_90_5_is_above_90() {
    let story = story();
    story.office.set_clock("2024-05-20T03:00:00Z");
    // 529,425 of 585 are 90.5 %.
    let entry = story.officer.add(ROW, "529,425", "2024-05-20");
    story.officer.ok(&["sync"]);
    story.kabid.ok(&["entry", "verify", &entry]);
    let rated = || {
        story.administrator.ok(&["sync"]);
        let row = story.administrator.row(ROW, &["--quarter", "2"]);
        (row["achievement"][1].clone(), row["rating"][1].clone())
    };
    assert_eq!(rated(), (json!("90.50"), json!("Sangat Tinggi")));
    let set = |bands: &[&str], exit| {
        let bands: Vec<&str> = bands.iter().flat_map(|band| ["--band", band]).collect();
        story.administrator.ends(&[&["config", "set"], bands.as_slice()].concat(), exit)
    };
    let gap = set(&["Kurang=..50", "Baik=60.."], 4);
    assert_eq!((code(&gap), &gap["error"]["details"]["above"]), ("BANDS_GAP", &json!("50")));
    assert_eq!(code(&set(&["Kurang=..50", "Baik=40.."], 4)), "BANDS_OVERLAP");
    assert_eq!(code(&set(&["Kurang=..1.234", "Baik=1.234.."], 2)), "AMBIGUOUS_NUMBER");
    let shown = set(&["Kurang=..90,5", "Baik=90,5.."], 0);
    assert_eq!(shown["bands"][1], json!({ "name": "Baik", "above": "90.5", "up_to": null }));
    assert_eq!(rated().1, "Kurang", "a band holds its end");
    assert_eq!(code(&story.officer.ends(&["config", "set", "--due-days", "7"], 6)), "ROLE_MAY_NOT");
    story.administrator.ok(&["config", "set", "--standard-bands"]);
    assert_eq!(rated().1, "Sangat Tinggi");
    story.office.end(&[&story.administrator]);
}

#[test]
fn several_settings_are_one_push_and_all_or_none() {
    let story = story();
    let before = story.administrator.ok(&["status"])["position"].to_string();
    let bands = ["--band", "Kurang=..50", "--band", "Baik=50.."];
    let rest = ["--due-days", "6", "--holiday", "2024-07-05", "--working-day", "2024-07-06"];
    let set = story.administrator.ok(&[&["config", "set"], &bands[..], &rest].concat());
    assert_eq!((&set["due_days"], &set["working_days"]), (&json!(6), &json!(["2024-07-06"])));
    let events = |arguments: &[&str]| {
        let log = story.administrator.run(&[&["audit", "log", "--from", &before], arguments].concat());
        let events: Vec<Value> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events
            .into_iter()
            .filter(|event| event["type"].as_str().unwrap().starts_with("config."))
            .collect::<Vec<_>>()
    };
    let recorded = events(&[]);
    let kinds: Vec<&Value> = recorded.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["config.bands_set", "config.due_days_set", "config.holidays_set"]);
    assert!(recorded.iter().all(|event| event["time"] == recorded[0]["time"]), "one commit: {recorded:?}");
    for (language, words) in [
        ("en", ["bands of the ratings set", "due 6 working days", "holidays and working days set"]),
        ("id", ["predikat ditetapkan", "batas entri 6 hari kerja", "hari libur dan hari kerja ditetapkan"]),
    ] {
        let log = story.administrator.says(language, &["audit", "log", "--from", &before]);
        assert!(words.iter().all(|word| log.stdout.contains(word)), "{log:?}");
    }
    let shown = story.administrator.says("id", &["config", "show"]);
    for word in ["Kurang", "Di atas %", "Hari kerja sampai batas", "TW 2 2024-07-08", "Hari libur 2024"] {
        assert!(shown.stdout.contains(word), "{word}: {}", shown.stdout);
    }
    // One that the rules refuse, and none is recorded.
    let gap = ["config", "set", "--due-days", "9", "--band", "A=..10", "--band", "B=20.."];
    assert_eq!(code(&story.administrator.ends(&gap, 4)), "BANDS_GAP");
    let both = ["config", "set", "--due-days", "9", "--holiday", "2024-10-04", "--working-day", "2024-10-04"];
    assert_eq!(code(&story.administrator.ends(&both, 4)), "CONFIG_INVALID");
    assert_eq!(events(&[]).len(), 3);
    let then = story.administrator.ok(&["config", "show", "--as-of", &before]);
    assert_eq!((&then["due_days"], &then["bands"][4]["name"]), (&json!(5), &json!("Sangat Tinggi")));
    story.office.end(&[&story.administrator]);
}

#[test]
fn t2_due_dates_follow_working_days_and_holidays_and_late_begins_at_midnight() {
    let story = story();
    let due = |device: &Device| device.ok(&["config", "show"])["due"].clone();
    assert_eq!(due(&story.administrator), json!(["2024-04-05", "2024-07-05", "2024-10-07", "2025-01-08"]));
    story.officer.add(ROW, "1", "2024-01-08");
    // 5 April, 23:59:59 and 24:00 in Jakarta.
    story.office.set_clock("2024-04-05T16:59:59Z");
    story.officer.ok(&["sync"]);
    story.officer.add(ROW, "1", "2024-01-08");
    story.office.set_clock("2024-04-05T17:00:00Z");
    story.officer.ok(&["sync"]);
    let entries = story.officer.ok(&["entry", "list"]);
    let late: Vec<&Value> =
        entries["entries"].as_array().unwrap().iter().map(|entry| &entry["late"]).collect();
    assert_eq!(late.iter().filter(|late| **late == &json!(true)).count(), 1, "{late:?}");
    let set = ["config", "set", "--holiday", "2024-07-05", "--working-day", "2025-01-01", "--due-days", "6"];
    let shown = story.administrator.ok(&set);
    assert_eq!(shown["due"], json!(["2024-04-08", "2024-07-09", "2024-10-08", "2025-01-08"]));
    assert_eq!(shown["holidays"][0], "2024-01-01");
    story.office.end(&[&story.administrator]);
}

#[test]
fn a_lock_first_lists_what_is_open_and_who_has_not_synchronised() {
    let story = story();
    story.office.set_clock("2024-03-20T03:00:00Z");
    let entry = story.officer.add(ROW, "1", "2024-03-20");
    let returned = story.officer.add(ROW, "2", "2024-03-20");
    story.officer.ok(&["sync"]);
    story.kabid.ok(&["entry", "return", &returned, "--reason", "bukti kurang"]);
    story.office.set_clock("2024-04-10T03:00:00Z");
    story.kabid.ok(&["sync"]);
    let asked = story.administrator.ok(&["quarter", "lock", "1"]);
    assert_eq!((&asked["unverified"], &asked["returned"]), (&json!([entry]), &json!([returned])));
    let unseen = asked["not_synchronised"].as_array().unwrap();
    assert_eq!(unseen.iter().map(|seen| &seen["owner"]).collect::<Vec<_>>(), [&json!("petugas-1")]);
    story.head.ok(&["quarter", "reject-lock", "1", "--reason", "tunggu petugas"]);
    // A visit that leaves no record counts, too; what was returned needs its author.
    story.officer.ends(&["sync"], 3);
    assert_eq!(story.administrator.ok(&["quarter", "lock", "1"])["not_synchronised"], json!([]));
    story.office.end(&[&story.administrator]);
}

#[test]
fn narratives_have_versions_and_are_read_as_of_then() {
    let story = story();
    story.office.set_clock("2024-05-20T03:00:00Z");
    let set = |arguments: &[&str]| {
        story.kabid.ok(&[&["narrative", "set", ROW, "--quarter", "2"], arguments].concat())
    };
    let first = set(&["--driver", "Dukungan  desa", "--obstacle", "Hujan"]);
    assert_eq!((&first["driver"], &first["version"]), (&json!("Dukungan desa"), &json!(1)));
    let second = set(&["--obstacle", "", "--follow-up", "Jadwal ulang"]);
    assert_eq!(
        (&second["driver"], &second["obstacle"], &second["follow_up"], &second["version"]),
        (&json!("Dukungan desa"), &Value::Null, &json!("Jadwal ulang"), &json!(2))
    );
    let then = first["position"].to_string();
    let show = ["narrative", "show", ROW, "--quarter", "2", "--as-of", &then];
    assert_eq!(story.kabid.ok(&show)["obstacle"], "Hujan");
    let history = story.kabid.ok(&["narrative", "show", ROW, "--quarter", "2", "--history"]);
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    assert_eq!(history["versions"][0]["author"], "kabid-1");
    let narratives = story.kabid.ok(&["indicator", "show", ROW])["narratives"].clone();
    assert_eq!(narratives[1]["follow_up"], "Jadwal ulang");
    for (language, head, sentence) in [("en", "Drivers", "written"), ("id", "Faktor pendorong", "ditulis")] {
        let shown = story.kabid.says(language, &["indicator", "show", ROW, "--quarter", "2"]).stdout;
        assert!(shown.contains(head) && shown.contains("Dukungan desa"), "{shown}");
        let log = story.kabid.says(language, &["audit", "log", "--indicator", ROW]).stdout;
        assert!(log.contains(sentence), "{log}");
    }
    let denied = ["narrative", "set", ROW, "--quarter", "2", "--driver", "x"];
    assert_eq!(code(&story.officer.ends(&denied, 6)), "ROLE_MAY_NOT");
    assert_eq!(
        code(&story.kabid.ends(&["narrative", "set", ROW, "--quarter", "2", "--driver", "Dukungan desa"], 4)),
        "NOTHING_TO_CHANGE"
    );
    story.office.end(&[&story.kabid]);
}
