//! `renaksid` as its operator meets it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn renaksid(arguments: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_renaksid"))
        .arg(arguments[0])
        .arg("--data")
        .arg(data)
        .args(&arguments[1..])
        .env_remove("RENAKSI_CLOCK")
        .output()
        .unwrap()
}

fn init(data: &Path) -> serde_json::Value {
    let output = renaksid(&["init", "--office", "Dinas Uji", "--operator", "operator-1", "--json"], data);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(arguments: &[&str], data: &Path, code: i32, words: &[&str]) {
    let output = renaksid(arguments, data);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    words.iter().for_each(|word| assert!(told.contains(word), "{word} not in {told}"));
}

#[test]
fn init_makes_an_office_once_and_check_finds_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let made = init(&data);
    assert!(made["invite"].as_str().unwrap().starts_with("renaksi://127.0.0.1:7443/"));
    fails(&["init", "--office", "Lain", "--operator", "x"], &data, 4, &["already holds an office"]);
    let check = renaksid(&["check", "--json"], &data);
    let check: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(check["office"], made["office"]);
    assert_eq!(check["position"], 3, "founded, operator added, operator assigned");
    assert_eq!(check["state_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn words_that_are_not_understood_name_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fails(&["check"], &data, 4, &["holds no office", "renaksid init"]);
    let wrong_zone = ["init", "--office", "D", "--operator", "o", "--tz", "Europe/Paris"];
    fails(&wrong_zone, &data, 2, &["Europe/Paris", "Asia/Jakarta"]);
    assert!(!data.join("server.json").exists(), "nothing half made");
    init(&data);
    fails(&["invite", "--user", "petugas-1", "--role", "boss"], &data, 2, &["boss", "head-of-unit"]);
    fails(&["invite", "--user", "petugas-1", "--role", "officer"], &data, 2, &["--unit"]);
    fails(&["invite", "--user", "operator-1", "--role", "administrator"], &data, 6, &["ROLE_MAY_NOT"]);
    fails(&["serve", "--store", "postgres://x"], &data, 2, &["--store", "not in this release"]);
}

#[test]
fn private_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data);
    for name in
        ["authority/authority.key", "authority/server.key", "office/invites.json", "office/directory.json"]
    {
        let mode = fs::metadata(data.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn damage_is_named_and_nothing_is_repaired_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data);
    let log = data.join("office/log");
    let segment = fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // Inside the first frame, which has a valid one after it.
    bytes[12_288 + 40] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    fails(&["check"], &data, 7, &["segment-"]);
    fails(&["serve", "--listen", "127.0.0.1:0"], &data, 7, &["segment-"]);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "the file is as it was");
}
