//! A log that is long enough for an index: the programs answer the same with it, without it, and when it is spoilt.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, adds_up};

/// More than a device reads through rather than index.
const ENTRIES: usize = 5_200;

/// What somebody may ask of the long log.
fn questions(entry: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["audit", "log", "--entry", entry],
        vec!["audit", "log", "--indicator", "1.1.1.2"],
        vec!["audit", "log", "--actor", "kabid-1"],
        vec!["audit", "log", "--actor", "petugas-1", "--indicator", "1.1.1.2", "--from", "5000"],
        vec!["audit", "log", "--from", "2024-05-15"],
        vec!["audit", "show", "5100"],
    ]
}

fn answers(device: &Device, entry: &str) -> Vec<String> {
    let answer = |question: Vec<&str>| device.run(&[&question[..], &["--json"]].concat()).stdout;
    questions(entry).into_iter().map(answer).collect()
}

#[test]
fn a_long_log_answers_the_same_with_its_index_without_it_and_with_a_spoilt_one() {
    let rows = [("UTTP", ["70", "585", "120", "170"]), ("buah", ["1", "1", "1", "1"])];
    let (mut office, ..) = Office::established(&small(&rows));
    let head = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    office.set_clock("2024-05-14T03:00:00Z");
    let mut sheet = String::from("Indikator;Tanggal;Jumlah\n");
    for number in 0..ENTRIES {
        let row = if number % 100 == 0 { "1.1.1.2" } else { "1.1.1.1" };
        writeln!(sheet, "{row};2024-05-13;{}", 1 + number % 7).unwrap();
    }
    let file = office.path("sheet.csv");
    fs::write(&file, sheet).unwrap();
    officer.ok(&["entry", "import", file.to_str().unwrap()]);
    adds_up(&officer.ok(&["sync"]));
    let index = officer.home().join("index");
    let entry = officer.ok(&["entry", "list", "--indicator", "1.1.1.2"]);
    let entry = entry["entries"][3]["entry_id"].as_str().unwrap().to_owned();
    let first = officer.run(&["audit", "log", "--entry", &entry, "--json"]).stdout;
    assert_eq!(first.lines().count(), 1, "{first}");
    assert!(index.is_dir(), "an index was made");
    // What comes later is in its next answer.
    office.set_clock("2024-05-15T03:00:00Z");
    head.ok(&["sync"]);
    head.ok(&["entry", "verify", &entry]);
    officer.ok(&["sync"]);
    let indexed = answers(&officer, &entry);
    assert_eq!(indexed[0].lines().count(), 2, "{}", indexed[0]);
    assert_eq!(indexed[1].lines().count(), 2 + ENTRIES / 100, "its row, its entries and one verified");
    assert!(indexed.iter().all(|answer| !answer.is_empty()), "{indexed:?}");
    fs::write(index.join("index/db"), [0xAA; 5_000]).unwrap();
    assert_eq!(answers(&officer, &entry), indexed, "a spoilt one is built anew");
    assert!(index.join("index-set-aside-1").exists());
    // A file where the folder should be: there can be none.
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, "in the way").unwrap();
    assert_eq!(answers(&officer, &entry), indexed, "every record is read");
    fs::remove_file(&index).unwrap();
    office.end(&[&officer, &head]);
}
