//! A sheet of entries, from the file to the office's log.
#![allow(clippy::unwrap_used)]

use std::fs;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, adds_up, count};
use serde_json::Value;

const ROW: &str = "1.1.1.1";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
}

fn story() -> Story {
    let rows = [
        ("UTTP", ["70", "585", "120", "170"]),
        ("%", ["80", "80", "80", "80"]),
        ("nilai", ["A", "A", "A", "A"]),
    ];
    let (mut office, administrator, head) = Office::established(&small(&rows));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    office.set_clock("2024-05-14T03:00:00Z");
    Story { office, administrator, head, officer }
}

impl Story {
    fn sheet(&self, text: &str) -> String {
        let path = self.office.path("sheet.csv");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// rows = queued + rejected, and each queued row has its entry.
#[track_caller]
fn accounted(answer: &Value) {
    assert_eq!(
        answer["rows"].as_u64().unwrap(),
        count(&answer["queued"]) + count(&answer["rejected"]),
        "{answer}"
    );
    assert_eq!(count(&answer["entries"]), count(&answer["queued"]), "{answer}");
}

#[track_caller]
fn stopped(answer: &Value, code: &str) -> Vec<(u64, String)> {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    let errors = answer["error"]["details"]["errors"].as_array().unwrap().iter();
    errors.map(|e| (e["line"].as_u64().unwrap(), e["code"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn every_row_becomes_an_entry_without_a_network_and_counts_after_the_sync() {
    let mut story = story();
    story.office.kill();
    let file = story.sheet(
        "\u{feff}Indikator;Tanggal;Jumlah;Teks;Tempat;Catatan\r\n1.1.1.1;2024-05-13;12;;Pasar Baru;\"pagi; ramai\"\r\n\r\n\
         \"hasil\r\nuji 2\";2024-05-13;7,8;;;\r\n1.1.1.3;;;A;;\r\n1.1.1.1;2024-05-20;3;;;\r\n",
    );
    let checked = story.officer.ok(&["entry", "import", &file, "--dry-run"]);
    accounted(&checked);
    assert_eq!((&checked["dry_run"], &checked["entries"][0]["entry_id"]), (&true.into(), &Value::Null));
    assert_eq!(count(&story.officer.ok(&["entry", "list"])["entries"]), 0, "a dry run keeps nothing");
    let answer = story.officer.ok(&["entry", "import", &file]);
    accounted(&answer);
    assert_eq!((&answer["rows"], &answer["queued"], &answer["held"]), (&4.into(), &4.into(), &1.into()));
    let lines: Vec<u64> =
        answer["entries"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4, 6, 7]);
    // A day that has not come is a fact all the same: kept, and held until somebody decides.
    assert_eq!(answer["entries"][3]["preview"]["code"], "CLOCK_IMPLAUSIBLE");
    assert_eq!(answer["entries"][0]["preview"], Value::Null);
    story.office.start();
    let sync = story.officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["recorded"]), count(&sync["held"])), (3, 1));
    let listed = story.officer.ok(&["entry", "list", "--indicator", ROW, "--state", "recorded"]);
    let entry = &listed["entries"][0];
    assert_eq!((&entry["place"], &entry["note"]), (&"Pasar Baru".into(), &"pagi; ramai".into()));
    assert_eq!(entry["entry_id"], answer["entries"][0]["entry_id"]);
    assert_eq!(story.officer.row("1.1.1.2", &["--quarter", "2"])["realised"][1], "7.8");
    assert_eq!(story.officer.row("1.1.1.3", &["--quarter", "2"])["realised"][1], "A");
    story.office.end(&[&story.officer]);
}

#[test]
fn one_row_that_is_not_understood_stops_all_of_them() {
    let story = story();
    let file = story.sheet(
        "indicator;quantity;on;note\n1.1.1.1;1;2024-05-13;\"two\nlines of a good row?\"\n1.1.1.1;2;2024-05-13;\n\
         zzz;1.234;13/05/2024;\nhasil uji;3;;\n",
    );
    let expected = [
        (2, "TEXT_UNPRINTABLE"),
        (5, "BAD_DATE"),
        (5, "UNKNOWN_INDICATOR"),
        (5, "AMBIGUOUS_NUMBER"),
        (6, "AMBIGUOUS_INDICATOR"),
    ];
    let expected: Vec<(u64, String)> = expected.map(|(line, code)| (line, code.to_owned())).into();
    for options in [&[][..], &["--partial"], &["--dry-run"], &["--again"]] {
        let answer = story.officer.ends(&[&["entry", "import", &file], options].concat(), 2);
        assert_eq!(stopped(&answer, "IMPORT_NOT_UNDERSTOOD"), expected);
        let details = &answer["error"]["details"];
        assert_eq!(
            (&details["rows"], &details["queued"], &details["rejected"]),
            (&"4".into(), &"0".into(), &"3".into())
        );
    }
    assert_eq!(count(&story.officer.ok(&["entry", "list"])["entries"]), 0);
    story.office.end(&[&story.officer]);
}

#[test]
fn a_row_that_the_rules_refuse_stops_the_others_unless_they_are_asked_for() {
    let story = story();
    let file = story.sheet(
        "indicator;quantity;on\n1.1.1.1;1;2024-05-13\n1.1.1.1;-2;2024-05-13\n1.1.1.3;3;2024-05-13\n1.1.1.1;4;2023-05-13\n\
         1.1.1.2;-5;2024-05-13\n",
    );
    let answer = story.officer.ends(&["entry", "import", &file], 4);
    let expected =
        [(3, "NEGATIVE_COUNT"), (4, "READING_MISMATCH"), (5, "WRONG_YEAR")].map(|(l, c)| (l, c.to_owned()));
    assert_eq!(stopped(&answer, "IMPORT_REFUSED"), expected);
    let columns: Vec<&Value> = answer["error"]["details"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["column"])
        .collect();
    assert_eq!(columns, ["quantity", "quantity", "on"]);
    assert_eq!(count(&story.officer.ok(&["entry", "list"])["entries"]), 0);
    let answer = story.officer.ends(&["entry", "import", &file, "--partial"], 3);
    accounted(&answer);
    assert_eq!((count(&answer["queued"]), count(&answer["rejected"])), (2, 3));
    assert_eq!(count(&story.officer.ok(&["entry", "list"])["entries"]), 2);
    story.officer.ok(&["sync"]);
    assert_eq!(story.officer.row(ROW, &["--quarter", "2"])["realised"][1], "1");
    // Who may record nothing may import nothing.
    let file = story.sheet("indicator;quantity\n1.1.1.1;1\n");
    let answer = story.administrator.ends(&["entry", "import", &file], 6);
    assert_eq!(stopped(&answer, "IMPORT_REFUSED"), [(2, "ROLE_MAY_NOT".to_owned())]);
    assert_eq!(
        story.administrator.ends(&["entry", "import", &file, "--partial"], 6)["error"]["code"],
        "IMPORT_REFUSED"
    );
    story.office.end(&[&story.officer]);
}

#[test]
fn a_locked_quarter_holds_rows_and_loses_none() {
    let story = story();
    story.administrator.ok(&["quarter", "lock", "1"]);
    story.head.ok(&["quarter", "approve-lock", "1"]);
    story.officer.ok(&["sync"]);
    let file = story.sheet("indicator;quantity;on\n1.1.1.1;1;2024-03-13\n1.1.1.1;2;2024-05-13\n");
    let answer = story.officer.ok(&["entry", "import", &file]);
    accounted(&answer);
    assert_eq!(answer["entries"][0]["preview"]["code"], "QUARTER_LOCKED");
    assert_eq!(answer["entries"][1]["preview"], Value::Null);
    let again = story.officer.ends(&["entry", "import", &file], 4);
    assert_eq!(stopped(&again, "IMPORT_REFUSED").len(), 2, "held rows were recorded before too");
    let sync = story.officer.ends(&["sync"], 3);
    assert_eq!((count(&sync["recorded"]), count(&sync["held"])), (1, 1));
    story.office.end(&[&story.officer, &story.administrator, &story.head]);
}

#[test]
fn the_same_sheet_twice_is_asked_about() {
    let mut story = story();
    let text = "indicator;quantity;on;place\n1.1.1.1;1;2024-05-13;A\n1.1.1.1;2,0;2024-05-13;B\n1.1.1.1;2,0;2024-05-13;B\n";
    let file = story.sheet(text);
    let import = |device: &Device, options: &[&str], exit| {
        device.ends(&[&["entry", "import", &file], options].concat(), exit)
    };
    let first = import(&story.officer, &[], 0);
    accounted(&first);
    // Two equal rows of one sheet are two facts; they are told.
    assert_eq!((count(&first["queued"]), &first["repeated"][0]["same_as"]), (3, &3.into()));
    let known = [2, 3, 4].map(|line| (line, "ROW_KNOWN".to_owned()));
    assert_eq!(stopped(&import(&story.officer, &[], 4), "IMPORT_REFUSED"), known, "while they wait");
    let nothing_new = import(&story.officer, &["--partial"], 0);
    accounted(&nothing_new);
    assert_eq!((count(&nothing_new["queued"]), count(&nothing_new["rejected"])), (0, 3));
    story.officer.ok(&["sync"]);
    assert_eq!(stopped(&import(&story.officer, &[], 4), "IMPORT_REFUSED"), known, "when they are recorded");
    let second = story.office.enroll("petugas-1", "officer", Some(UNIT));
    let own = stopped(&import(&second, &[], 4), "IMPORT_REFUSED");
    assert_eq!(own, known, "from another device of the same person");
    // Amended, it is still the row that it came from; voided, it may be recorded anew.
    let id = |at: usize| first["entries"][at]["entry_id"].as_str().unwrap();
    story.officer.ok(&["entry", "amend", id(0), "--quantity", "11", "--reason", "miscounted"]);
    story.officer.ok(&["entry", "void", id(1), "--reason", "not there"]);
    let error = import(&story.officer, &[], 4);
    assert_eq!(stopped(&error, "IMPORT_REFUSED"), [2, 3].map(|line| (line, "ROW_KNOWN".to_owned())));
    // A sheet that grew: what is new is taken.
    fs::write(&file, format!("{text}1.1.1.1;11;2024-05-13;A\n1.1.1.1;5;2024-05-14;A\n")).unwrap();
    let grown = import(&story.officer, &["--partial"], 0);
    accounted(&grown);
    let lines = |key: &str| {
        grown[key].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((lines("rejected"), lines("entries")), (vec![2, 3], vec![4, 5, 6]));
    let again = import(&story.officer, &["--again"], 0);
    assert_eq!(count(&again["queued"]), 5);
    let other = story.office.enroll("petugas-2", "officer", Some(UNIT));
    assert_eq!(count(&import(&other, &[], 0)["queued"]), 5, "another person's work is another's");
    story.officer.ok(&["sync"]);
    story.office.end(&[&story.officer, &other]);
}

#[test]
fn a_large_sheet_is_one_write_and_is_sent_in_parts() {
    let story = story();
    let rows: String = (0..12_000).map(|n| format!("1.1.1.1;1;2024-05-{:02};{n}\n", n % 13 + 1)).collect();
    let file = story.sheet(&format!("indicator;quantity;on;note\n{rows}"));
    let answer = story.officer.ok(&["entry", "import", &file]);
    accounted(&answer);
    assert_eq!((count(&answer["queued"]), &answer["entries"][11_999]["line"]), (12_000, &12_001.into()));
    adds_up(&story.officer.ok(&["sync"]));
    assert_eq!(story.officer.row(ROW, &["--quarter", "2"])["realised"][1], "12000");
    story.office.end(&[&story.officer]);
}
