//! FAULTS: a server that was restored, with the real programs.
#![allow(clippy::unwrap_used)]

use std::fs;

use renaksi_tests::Office;
use renaksi_tests::plans::{UNIT, small};

const ROW: &str = "1.1.1.1";

/// S8, where a device has what the backup lacks: the same epoch goes on, and nothing acknowledged is missing.
#[test]
fn s8_what_an_old_backup_lacks_comes_back_from_a_devices_copy() {
    let (mut office, _, _) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    officer.add(ROW, "12", "2024-01-03");
    officer.ok(&["sync"]);
    let backup = office.path("old.backup").display().to_string();
    assert_eq!(office.renaksid(&["backup", &backup, "--json"]).code, 0, "while the server runs");
    (0..50).for_each(|_| drop(officer.add(ROW, "1", "2024-01-04")));
    officer.ok(&["sync"]);
    let whole = office.check();
    office.stop();
    fs::rename(office.path("data"), office.path("lost")).unwrap();
    assert_eq!(office.renaksid(&["restore", &backup]).code, 0);
    office.start();
    assert_eq!(officer.ends(&["sync"], 7)["error"]["code"], "LOG_BEHIND");
    // What it still records waits on the device.
    officer.add(ROW, "5", "2024-01-05");
    office.stop();
    let home = officer.home().display().to_string();
    let mended = office.renaksid(&["restore", "--from-replica", &home, "--json"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    let mended = mended.json();
    assert_eq!((&mended["root"], &mended["state_hash"]), (&whole["root"], &whole["state_hash"]));
    office.start();
    assert_eq!(officer.ok(&["sync"])["recorded"], 1);
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "67");
    office.end(&[&officer]);
}
